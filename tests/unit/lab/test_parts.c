// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "lab/logfile.h"
#include "lab/program.h"
#include "lab/state.h"
#include "lab/wire.h"
#include "lab/words.h"
#include "unit.h"

static char *make_temporary(void)
{
    char *dir = xstrdup("/tmp/plimsoll-unit-XXXXXX");

    ck_assert_ptr_nonnull(mkdtemp(dir));
    return dir;
}

// The words joined by '|', or the message.
static const char *split(const char *text)
{
    static char out[512];
    CLEANUP(arena_fini) struct arena arena = ARENA_NULL;
    struct kube_pair pairs[] = {{"A", "one two", 7}, {"IP", "1.2.3.4", 7}};
    struct kube_pairs env = {pairs, 2};
    struct kube_strings words;
    struct err err = {0};

    if (words_split(text, &env, &arena, &words, &err) < 0) {
        snprintf(out, sizeof(out), "%s", err.message);
        return out;
    }
    out[0] = 0;
    for (size_t i = 0; i < words.count; i++) {
        size_t n = strlen(out);
        snprintf(out + n, sizeof(out) - n, "%s%s", i ? "|" : "", words.items[i]);
    }
    return out;
}

START_TEST(words)
{
    ck_assert_str_eq(split("  a  b\tc\n"), "a|b|c");
    ck_assert_str_eq(split(""), "");
    ck_assert_str_eq(split("x '' \"\""), "x||");
    // No splitting of values.
    ck_assert_str_eq(split("$A ${A}x $(IP):80 $NONE. $"), "one two|one twox|1.2.3.4:80|.|$");
    ck_assert_str_eq(split("'$A | *' \"$A \\\" \\x\" a\\ b"), "$A | *|one two \" \\x|a b");
    ck_assert_str_eq(split("--a=$IP'b'\"c\""), "--a=1.2.3.4bc");
    ck_assert_str_eq(split("a | b"), "'|' needs a shell: put it in quotes, or run sh -c '…'");
    ck_assert_str_eq(split("a 'b"), "the closing ' is missing");
    ck_assert_str_eq(split("a ${b"), "'}' is missing after '${'");
    ck_assert(words_is_assignment("A_1=x"));
    ck_assert(!words_is_assignment("1A=x"));
    ck_assert(!words_is_assignment("--a=x"));
    ck_assert(!words_is_assignment("=x"));
}
END_TEST

START_TEST(addresses)
{
    CLEANUP(strbuf_fini) struct strbuf seen = STRBUF_NULL;
    char ip[INET_ADDRSTRLEN];

    ck_assert_str_eq(state_address(0x7f400000, 1, ip), "127.64.0.2");
    ck_assert_str_eq(state_address(0x7f400000, 253, ip), "127.64.0.254");
    ck_assert_str_eq(state_address(0x7f400000, 254, ip), "127.64.1.1");
    for (unsigned i = 0; i < STATE_ADDRESSES - 32; i++) {
        struct in_addr a;
        inet_pton(AF_INET, state_address(0x7f400000, i, ip), &a);
        in_addr_t host = ntohl(a.s_addr);
        ck_assert(host > 0x7f400000 && host < 0x7f400000 + STATE_ADDRESSES);
        ck_assert((host & 255) != 0 && (host & 255) != 255);
    }
}
END_TEST

START_TEST(programs)
{
    CLEANUP(arena_fini) struct arena arena = ARENA_NULL;
    CLEANUP_FREE char *dir = make_temporary();
    CLEANUP_FREE char *sub = xasprintf("%s/examples/system", dir);
    CLEANUP_FREE char *tool = xasprintf("%s/tools/run.sh", dir);
    CLEANUP_FREE char *tools = xasprintf("%s/tools", dir);
    CLEANUP_FREE char *manifest = xasprintf("%s/m.yaml", sub);
    struct program_paths paths = {.cwd = "/", .program_dir = NULL, .path = "/nonexistent:/bin"};

    ck_assert_int_eq(fs_make_dirs(sub, NULL), 0);
    ck_assert_int_eq(fs_make_dirs(tools, NULL), 0);
    ck_assert_int_eq(fs_write(tool, "#!/bin/sh\n", 10, NULL), 0);
    ck_assert_ptr_null(program_find("tools/run.sh", manifest, &paths, &arena)); // not executable
    ck_assert_int_eq(chmod(tool, 0755), 0);
    ck_assert_str_eq(program_find("sh", manifest, &paths, &arena), "/bin/sh");
    ck_assert_str_eq(program_find("tools/run.sh", manifest, &paths, &arena), tool);
    ck_assert_str_eq(program_find(tool, "m.yaml", &paths, &arena), tool);
    ck_assert_ptr_null(program_find("other/run.sh", manifest, &paths, &arena));
    paths.program_dir = tools;
    ck_assert_str_eq(program_find("other/run.sh", manifest, &paths, &arena), tool);
    ck_assert_str_eq(program_find("run.sh", manifest, &paths, &arena), tool);
    ck_assert_ptr_null(program_find("no-such-program", manifest, &paths, &arena));
    fs_remove_tree(dir);
}
END_TEST

START_TEST(logs)
{
    CLEANUP_FREE char *dir = make_temporary();
    CLEANUP_FREE char *path = xasprintf("%s/x.log", dir);
    CLEANUP_FREE char *older = xasprintf("%s.1", path);
    CLEANUP_FREE char *block = xmalloc(1 << 20);
    struct logfile log = LOGFILE_NULL;
    struct stat st;

    memset(block, 'x', 1 << 20);
    ck_assert_int_eq(logfile_init(&log, path), 0);
    for (int i = 0; i < 40; i++) {
        logfile_write(&log, block, 1 << 20);
        ck_assert_int_eq(stat(path, &st), 0);
        ck_assert_int_le(st.st_size, LOGFILE_BYTES_MAX);
    }
    ck_assert_int_eq(stat(older, &st), 0);
    ck_assert_int_le(st.st_size, LOGFILE_BYTES_MAX);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    logfile_write(&log, "\nlast but one\nlast\n", 19);
    CLEANUP_FREE char *tail = logfile_tail(path, 12);
    ck_assert_str_eq(tail, "last\n");
    CLEANUP_FREE char *none = logfile_tail("/nonexistent", 22);
    ck_assert_str_eq(none, "");
    logfile_fini(&log);
    fs_remove_tree(dir);
}
END_TEST

START_TEST(messages)
{
    int ends[2];
    bool broken;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    struct wire a = {.fd = ends[0]};
    struct wire b = {.fd = ends[1]};
    wire_put(&a, json_pack("{s:i}", "x", 1));
    wire_put(&a, json_pack("{s:s}", "y", "line\nend"));
    ck_assert_int_eq(wire_flush(&a), 0);
    ck_assert_int_eq(wire_fill(&b), 0);
    json_t *one = wire_get(&b, &broken);
    json_t *two = wire_get(&b, &broken);
    ck_assert_int_eq(json_integer_value(json_object_get(one, "x")), 1);
    ck_assert_str_eq(json_string_value(json_object_get(two, "y")), "line\nend");
    ck_assert_ptr_null(wire_get(&b, &broken));
    ck_assert(!broken);
    json_decref(one);
    json_decref(two);
    ck_assert_int_eq(write(ends[0], "[1]\n", 4), 4);
    ck_assert_int_eq(wire_fill(&b), 0);
    ck_assert_ptr_null(wire_get(&b, &broken));
    ck_assert(broken);
    json_t *answer = NULL;
    ck_assert_int_eq(wire_ask(&a, json_object(), clock_now() + NSEC_PER_MSEC, &answer), -ETIME);
    wire_fini(&b);
    ck_assert_int_eq(wire_ask(&a, json_object(), clock_now() + NSEC_PER_SEC, &answer), -EPIPE);
    wire_fini(&a);
}
END_TEST

START_TEST(roots)
{
    CLEANUP_FREE char *dir = make_temporary();
    CLEANUP_FREE char *root = xasprintf("%s/labs", dir);
    struct state s = {0};
    struct err err = {0};

    int lock = state_lock_root(root, &err);
    ck_assert_int_ge(lock, 0);
    ck_assert_int_eq(state_make(&s, root, "one", &err), 0);
    ck_assert(!state_is_live(s.dir)); // has no owner yet
    ck_assert_int_eq(state_own(&s, &err), 0);
    ck_assert(state_is_live(s.dir));
    ck_assert_int_eq(state_clean(root), 0); // we live
    struct state other = {0};
    ck_assert_int_eq(state_make(&other, root, "one", &err), -EEXIST);
    state_fini(&other);
    ck_assert_int_eq(state_make(&other, root, "two", &err), 0);
    ck_assert_uint_ne(other.net, s.net);
    ck_assert_int_eq(state_clean(root), 1); // the ownerless one
    ck_assert(!fs_exists(other.dir));
    state_fini(&other);
    state_remove(&s);
    ck_assert(!fs_exists(root));
    state_fini(&s);
    close(lock);
    ck_assert_int_eq(mkdir(root, 0777), 0);
    ck_assert_int_eq(chmod(root, 0777), 0);
    ck_assert_int_eq(state_lock_root(root, &err), -EPERM);
    fs_remove_tree(dir);
}
END_TEST

UNIT_MAIN("lab/parts", words, addresses, programs, logs, messages, roots)
