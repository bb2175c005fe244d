// SPDX-License-Identifier: Apache-2.0
// Scripts through the seam, without an engine and without a network.
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "js/js.h"
#include "js/module.h"
#include "load/tags.h"
#include "load/view.h"
#include "rt/co.h"

// One run: VUs on one thread, each iterates some times, all at once.
struct run {
    const struct script_ops *ops;
    struct script *script;
    struct script_settings settings;
    struct metric_registry *registry;
    struct net_settings net;
    struct shard *shard;
    struct loop *loop;
    struct script_thread *thread;
    struct script_scenario scenario;
    unsigned vus, iterations, left;
    unsigned ok, threw, interrupted, aborted;
    const char *data;
    nsec_t limit; // interrupt a VU after this time, 0 = never
    int log_fd;
    char *log; // what was logged
    struct err err;
};

struct user {
    struct run *run;
    unsigned id;
    struct script_vu *vu;
    struct co *co;
    struct timer deadline;
};

static uint64_t zero(void *arg)
{
    return 0;
}

static nsec_t view_start(void *arg)
{
    return 1;
}

static double view_progress(void *arg, const struct script_scenario *s)
{
    return 0.5;
}

static void view_say(void *arg, const char *message)
{
    log_error("%s", message);
}

static const struct engine_view view = {.iterations_completed = zero,
                                        .iterations_interrupted = zero,
                                        .vus_active = zero,
                                        .vus_initialized = zero,
                                        .test_start = view_start,
                                        .scenario_progress = view_progress,
                                        .abort = view_say,
                                        .fail = view_say};

static void cut(struct timer *t)
{
    struct user *u = CONTAINER_OF(t, struct user, deadline);

    if (u->vu) {
        u->run->ops->interrupt(u->vu);
    }
    co_cancel(u->co);
}

static void user_main(void *arg)
{
    struct user *u = arg;
    struct run *r = u->run;
    struct err err = {0};

    u->co = co_self();
    if (r->limit) {
        timer_set(r->loop, &u->deadline, loop_now(r->loop) + r->limit, cut);
    }
    if (r->ops->vu_new(r->thread, u->id, u->id, &u->vu, &err)) {
        r->err = err;
        r->threw++;
    }
    if (u->vu && r->data) {
        r->ops->vu_set_data(u->vu, r->data);
    }
    for (unsigned i = 0; u->vu && i < r->iterations && !co_is_cancelled(co_self()); i++) {
        struct script_iteration it = {.scenario = &r->scenario, .iteration_in_vu = i};
        enum script_result how = r->ops->iterate(u->vu, &it);
        r->ok += how == SCRIPT_OK;
        r->threw += how == SCRIPT_THREW;
        r->interrupted += how == SCRIPT_INTERRUPTED;
        r->aborted += how == SCRIPT_ABORTED;
    }
    timer_cancel(r->loop, &u->deadline);
    if (--r->left == 0) {
        loop_stop(r->loop);
    }
}

static int start(struct run *r, const char *text)
{
    static const char *const env[] = {"NAME=value", "EMPTY=", NULL};
    char path[] = "/tmp/plimsoll-js-XXXXXX";

    r->log_fd = mkstemp(path);
    ck_assert_int_ge(r->log_fd, 0);
    unlink(path);
    log_setup(LOG_INFO, LOG_LOGFMT, r->log_fd);
    r->ops = js_script_ops();
    r->registry = metric_registry_new();
    struct script_source source = {
        .path = "/tmp/script.js", .text = text, .env = env, .registry = r->registry, .seed = 7};
    return r->ops->open(&source, &r->script, &r->err);
}

static void finish(struct run *r)
{
    if (r->script) {
        r->ops->close(r->script);
    }
    metric_registry_free(r->registry);
    close(r->log_fd);
}

static void go(struct run *r, const char *text)
{
    static char log[1 << 20];
    static struct user users[64];

    ck_assert_msg(start(r, text) == 0, "%s", r->err.message);
    r->vus = r->vus ? r->vus : 1;
    r->iterations = r->iterations ? r->iterations : 1;
    r->left = r->vus;
    r->settings.registry = r->registry;
    r->settings.net = &r->net;
    r->settings.user_agent = "test";
    r->settings.system_tags = ~0u & ~(SYSTEM_TAG_BIT(VU) | SYSTEM_TAG_BIT(ITER));
    r->scenario =
        (struct script_scenario){.name = "default", .executor = "test", .exec = "default"};
    r->shard = shard_new(r->registry, NULL, 0);
    r->loop = loop_new();
    ck_assert_msg(r->ops->thread_new(r->script, &r->settings, r->loop, r->shard, &view, &r->thread,
                                     &r->err) == 0,
                  "%s", r->err.message);
    for (unsigned i = 0; i < r->vus; i++) {
        users[i] = (struct user){.run = r, .id = i + 1};
        co_spawn(r->loop, user_main, &users[i], NULL);
    }
    loop_run(r->loop);
    for (unsigned i = 0; i < r->vus; i++) {
        if (users[i].vu) {
            r->ops->vu_free(users[i].vu);
        }
    }
    r->ops->thread_free(r->thread);
    loop_free(r->loop);
    shard_free(r->shard);
    ssize_t n = pread(r->log_fd, log, sizeof log - 1, 0);
    log[n < 0 ? 0 : n] = 0;
    r->log = log;
}

#define LOGGED(run, text)   ck_assert_msg(strstr((run)->log, text), "%.3000s", (run)->log)
#define UNLOGGED(run, text) ck_assert_msg(!strstr((run)->log, text), "%.3000s", (run)->log)

START_TEST(shows_values_as_k6_does)
{
    struct run r = {0};

    go(&r, "export default function () {\n"
           "  console.log({ a: 1, b: 'x', c: [1, 'two', null], d: { f: true } }, [], {}, -0);\n"
           "  const o = {}; o.o = o; console.warn(o, new Uint8Array([1, 2]), new Error('oops'));\n"
           "  console.log(__ENV.NAME, __ENV.EMPTY === '', __VU, __ITER);\n"
           "}");
    ck_assert_uint_eq(r.ok, 1);
    LOGGED(&r, "{ a: 1, b: \\\"x\\\", c: [ 1, \\\"two\\\", null ], d: { f: true } } [] {} 0");
    LOGGED(&r, "level=warning msg=\"{ o: [Circular] } Uint8Array(2) [ 1, 2 ] Error: oops\"");
    LOGGED(&r, "msg=\"value true 1 0\" source=console");
    finish(&r);
}
END_TEST

START_TEST(logs_what_an_iteration_throws)
{
    struct run r = {.iterations = 3};

    go(&r, "function deep() { throw new TypeError('out of stock'); }\n"
           "export default function () { if (__ITER === 1) deep(); }");
    ck_assert_uint_eq(r.ok, 2);
    ck_assert_uint_eq(r.threw, 1);
    LOGGED(&r, "level=error msg=\"TypeError: out of stock\\n\\tat deep (file:///tmp/script.js:1:");
    LOGGED(&r, "scenario=default source=stacktrace");
    finish(&r);
}
END_TEST

START_TEST(tells_a_thrown_null_from_want_of_memory)
{
    struct run r = {.iterations = 2};

    go(&r, "export default function () { if (__ITER === 0) throw null; throw 'text'; }");
    ck_assert_uint_eq(r.threw, 2);
    LOGGED(&r, "msg=null");
    LOGGED(&r, "msg=text");
    finish(&r);
}
END_TEST

START_TEST(ends_when_promises_and_timers_have)
{
    struct run r = {.vus = 3, .iterations = 2};

    go(&r, "export default async function () {\n"
           "  let n = 0;\n"
           "  setTimeout((by) => { n += by; }, 20, 2);\n"
           "  const every = setInterval(() => { if (++n > 2) clearInterval(every); }, 1);\n"
           "  await new Promise((done) => setTimeout(done, 5));\n"
           "  setTimeout(() => console.log('last', n), 40);\n"
           "}");
    ck_assert_uint_eq(r.ok, 6);
    LOGGED(&r, "last 5");
    finish(&r);
}
END_TEST

START_TEST(fails_for_unhandled_rejections)
{
    struct run r = {0};

    go(&r, "export default function () { Promise.reject(new Error('nobody waits')); }");
    ck_assert_uint_eq(r.threw, 1);
    LOGGED(&r, "Uncaught (in promise) Error: nobody waits");
    finish(&r);
}
END_TEST

// Interpreter state belongs to a coroutine: exceptions, stacks, jobs and generators of many VUs
// that suspend inside of each other's calls must not mix.
START_TEST(keeps_the_state_of_suspended_users_apart)
{
    struct run r = {.vus = 20, .iterations = 5};

    go(&r,
       "import { sleep } from 'k6';\n"
       "const nap = () => sleep(Math.random() / 2000);\n"
       "let wrong = 0;\n"
       "const must = (good, what) => { if (!good) { wrong++; console.error('WRONG', __VU, what); } };\n"
       "function rec(d) { try { nap(); if (!d) throw new Error('vu' + __VU); return rec(d - 1); }\n"
       "  finally { nap(); } }\n"
       "function* gen() { for (let i = 0; i < 3; i++) { nap(); yield i + __VU; } }\n"
       "async function* agen() { for (let i = 0; i < 3; i++) { await null; nap(); yield i + __VU; } }\n"
       "class P { #x = __VU; get x() { nap(); return this.#x; } }\n"
       "const over = (k) => 1 + over(k + 1);\n"
       "export default async function () {\n"
       "  const me = __VU;\n"
       "  try { rec(4); must(false, 'no throw'); } catch (e) {\n"
       "    must(e.message === 'vu' + me, e.message);\n"
       "    must(e.stack.split('\\n').filter((l) => / rec /.test(l)).length === 5, e.stack); }\n"
       "  must([5, 3, 9, 1].sort((a, b) => { nap(); return a - b; }).join() === '1,3,5,9', 'sort');\n"
       "  let s = 0; for (const v of gen()) { s += v; nap(); } must(s === 3 + 3 * me, 'gen');\n"
       "  s = 0; for await (const v of agen()) { s += v; nap(); } must(s === 3 + 3 * me, 'agen');\n"
       "  must(JSON.stringify({ toJSON() { nap(); return { me }; } }) === `{\"me\":${me}}`, 'toJSON');\n"
       "  must('abc'.replace(/b/, () => { nap(); return me; }) === `a${me}c`, 'replace');\n"
       "  must(new P().x === me, 'private');\n"
       "  must(new Proxy({}, { get: (t, k) => { nap(); return k + me; } }).z === 'z' + me, 'proxy');\n"
       "  try { over(0); must(false, 'no overflow'); } catch (e) {\n"
       "    must(e instanceof RangeError, String(e)); }\n"
       "  Error.prepareStackTrace = () => { nap(); return 'T' + me; };\n"
       "  must(new Error('x').stack === 'T' + me, 'prepareStackTrace');\n"
       "  Error.prepareStackTrace = undefined;\n"
       "  const all = await Promise.all([1, new Promise((d) => setTimeout(() => d(me), 1)), me]);\n"
       "  must(all[1] === me && all[2] === me && __VU === me, 'all');\n"
       "}");
    UNLOGGED(&r, "WRONG");
    ck_assert_msg(r.ok == 100, "%u ok: %.2000s", r.ok, r.log);
    finish(&r);
}
END_TEST

START_TEST(ends_a_looping_user_and_lets_the_others_run)
{
    struct run r = {.vus = 3, .iterations = 1, .limit = 300 * NSEC_PER_MSEC};

    go(&r, "import { sleep } from 'k6';\n"
           "export default function () {\n"
           "  if (__VU === 1) for (;;) { try { for (;;); } catch (e) {} finally { for (;;); } }\n"
           "  if (__VU === 2) { try { sleep(100); } catch (e) { console.log('caught'); } }\n"
           "  sleep(0.02); console.log('third');\n"
           "}");
    ck_assert_uint_eq(r.ok, 1);
    ck_assert_uint_eq(r.interrupted, 2);
    LOGGED(&r, "third");
    UNLOGGED(&r, "caught");
    finish(&r);
}
END_TEST

START_TEST(stops_a_hoarder_at_its_own_limit)
{
    struct run r = {.vus = 2, .iterations = 2, .settings.vu_memory = 16 << 20};

    go(&r, "export default function () {\n"
           "  if (__VU === 2) { console.log('small'); return; }\n"
           "  const a = []; for (;;) { a.push('x'.repeat(100000) + a.length); }\n"
           "}");
    ck_assert_uint_eq(r.ok, 2);
    ck_assert_uint_eq(r.interrupted, 2);
    LOGGED(&r, "out of memory");
    finish(&r);
}
END_TEST

START_TEST(says_where_init_code_fails)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"export default function () {\n  const a = [1, 2;\n}", "script.js:2:"},
        {"throw new Error('cannot start');", "cannot start"},
        {"import x from 'k6/nothing';\nexport default function () {}",
         "unknown module: k6/nothing"},
        {"import x from 'lodash';\nexport default function () {}", "lodash"},
        {"import { x } from './not-there.js';", "'./not-there.js'"},
        {"import x from 'https://example.com/x.js';", "remote modules are not supported"},
        {"open('');", "empty filename"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct run r = {0};
        char buf[1024];
        ck_assert_int_eq(start(&r, cases[i].text), SCRIPT_THREW);
        err_text(&r.err, buf, sizeof buf);
        ck_assert_msg(strstr(buf, cases[i].message), "case %u: %s", i, buf);
        finish(&r);
    }
}
END_TEST

START_TEST(knows_options_and_functions)
{
    struct run r = {0};

    ck_assert_int_eq(start(&r,
                           "export const options = { vus: 2, thresholds: { a: ['p(95)<1'] } };\n"
                           "export const other = 5;\n"
                           "export function setup() {}\nexport default () => {};"),
                     0);
    ck_assert_str_eq(r.ops->options(r.script), "{\"vus\":2,\"thresholds\":{\"a\":[\"p(95)<1\"]}}");
    ck_assert(r.ops->has_function(r.script, "setup"));
    ck_assert(r.ops->has_function(r.script, "default"));
    ck_assert(!r.ops->has_function(r.script, "other"));
    ck_assert_uint_eq(r.ops->function_count(r.script), 2);
    finish(&r);
}
END_TEST

START_TEST(runs_commonjs)
{
    struct run r = {.data = "{\"token\":\"abc\"}"};

    go(&r,
       "const k6 = require('k6');\nconst { Counter } = require('k6/metrics');\n"
       "const c = new Counter('my_counter');\n"
       "exports.options = { iterations: 1 };\n"
       "exports.default = function (data) { c.add(2); console.log(typeof k6.sleep, data.token); };");
    LOGGED(&r, "function abc");
    ck_assert_str_eq(r.ops->options(r.script), "{\"iterations\":1}");
    finish(&r);
}
END_TEST

START_TEST(imports_while_it_runs)
{
    struct run r = {.vus = 2};

    go(&r, "import sleep from 'k6';\n"
           "export default async function () {\n"
           "  const m = await import('k6/encoding');\n"
           "  console.log(m.b64encode('a'), m.default.b64encode('b'), import.meta.url);\n"
           "}");
    LOGGED(&r, "YQ== Yg== file:///tmp/script.js");
    ck_assert_uint_eq(r.ok, 2);
    finish(&r);
}
END_TEST

static int lend(void *arg, const char *args, struct strbuf *ret_json, struct err *err)
{
    if (!strcmp(args, "[]")) {
        return err_set(err, -EINVAL, "needs an argument");
    }
    strbuf_addf(ret_json, "{\"args\":%s,\"arg\":\"%s\"}", args, (const char *)arg);
    return 0;
}

START_TEST(offers_lent_modules)
{
    static const struct js_function functions[] = {{"lend", lend}};
    static const struct js_module_def def = {"plimsoll/test", functions, 1,
                                             (void *)(uintptr_t) "A"};
    struct run r = {0};

    js_module_register(&def);
    go(&r, "import { lend } from 'plimsoll/test';\n"
           "export default function () { const r = lend(1, 'b'); console.log(r.args[1], r.arg);\n"
           "  try { lend(); } catch (e) { console.log(e.message); } }");
    LOGGED(&r, "msg=\"b A\"");
    LOGGED(&r, "needs an argument");
    finish(&r);
}
END_TEST

UNIT_MAIN("script",
          shows_values_as_k6_does,
          logs_what_an_iteration_throws,
          tells_a_thrown_null_from_want_of_memory,
          ends_when_promises_and_timers_have,
          fails_for_unhandled_rejections,
          keeps_the_state_of_suspended_users_apart,
          ends_a_looping_user_and_lets_the_others_run,
          stops_a_hoarder_at_its_own_limit,
          says_where_init_code_fails,
          knows_options_and_functions,
          runs_commonjs,
          imports_while_it_runs,
          offers_lent_modules)
