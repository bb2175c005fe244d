// SPDX-License-Identifier: Apache-2.0
#include "lab/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

// What the child tells when it cannot become the program.
struct failure {
    int code;
    char step[24];
};

static void give_up(int report, const char *step) __attribute__((noreturn));

static void give_up(int report, const char *step)
{
    struct failure f = {.code = errno};

    for (size_t i = 0; i < sizeof(f.step) - 1 && step[i]; i++) {
        f.step[i] = step[i];
    }
    if (write(report, &f, sizeof(f)) < 0) {
        _exit(126);
    }
    _exit(127);
}

static void reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int i = 1; i < NSIG; i++) {
        sigaction(i, &action, NULL); // refused for SIGKILL and SIGSTOP
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

// Async-signal-safe calls only, as a fork's child must.
static void
become(const struct program *p, const char *dir, int file, int output, int report, pid_t parent)
    __attribute__((noreturn));

static void
become(const struct program *p, const char *dir, int file, int output, int report, pid_t parent)
{
    struct rlimit files;
    int null = open("/dev/null", O_RDONLY);

    reset_signals();
    if (setsid() < 0) {
        give_up(report, "setsid");
    }
    if (null < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0) {
        give_up(report, "redirect");
    }
    if (null > 2) {
        close(null);
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (p->drop && (setgroups(1, &p->gid) < 0 || setresgid(p->gid, p->gid, p->gid) < 0 ||
                    setresuid(p->uid, p->uid, p->uid) < 0)) {
        give_up(report, "change user");
    }
    umask(022);
    // After the change of user, which clears it.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent) {
        give_up(report, "parent death signal");
    }
    if (chdir(dir) < 0) {
        give_up(report, "change directory");
    }
    execve(p->path, (char *const *)p->argv, (char *const *)p->envp);
    if (errno == EACCES && file >= 0) {
        char magic[2];
        // The interpreter of a script reads it through the descriptor.
        if (pread(file, magic, 2, 0) == 2 && magic[0] == '#' && magic[1] == '!') {
            fcntl(file, F_SETFD, 0);
        }
        fexecve(file, (char *const *)p->argv, (char *const *)p->envp);
    }
    give_up(report, "execute");
}

int spawn(
    const struct program *p, const char *dir, int output, struct ident *ret_child, struct err *err)
{
    struct failure f;
    struct ident_stat stat;
    int ends[2];

    // Not every program can be read; then its path alone must do.
    CLEANUP_CLOSE int file = open(p->path, O_RDONLY | O_CLOEXEC);
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return err_set(err, -errno, "cannot make a pipe: %s", err_errno(errno));
    }
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become(p, dir, file, output, ends[1], parent);
    }
    int code = errno;
    close(ends[1]);
    CLEANUP_CLOSE int report = ends[0];
    if (pid < 0) {
        return err_set(err, -code, "cannot start a process: %s", err_errno(code));
    }
    ssize_t n;
    do {
        n = read(report, &f, sizeof(f));
    } while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof(f)) {
        waitpid(pid, NULL, 0);
        return err_set(err, -f.code, "cannot start '%s': %s: %s", p->path, f.step,
                       err_errno(f.code));
    }
    *ret_child = (struct ident){pid, 0};
    if (ident_read(pid, &stat) == 0) {
        ret_child->start = stat.id.start;
    }
    return 0;
}
