// SPDX-License-Identifier: Apache-2.0
// Processes by identity: a pid together with its start time (and the boot it belongs to).
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ident {
    pid_t pid;
    uint64_t start; // clock ticks since boot, field 22 of /proc/PID/stat
};

struct ident_stat {
    struct ident id;
    pid_t parent, group, session;
    char state; // 'Z' for a zombie
};

// 0, or -ESRCH when there is no such process.
int ident_read(pid_t pid, struct ident_stat *ret_stat);
// Lives, and is no zombie.
bool ident_is_alive(struct ident id);
// Sends the signal to this very process and no successor of its pid. 0 or negative errno.
int ident_kill(struct ident id, int signal);
// Calls fn for every process there is.
void ident_scan(void (*fn)(const struct ident_stat *stat, void *arg), void *arg);
// SIGKILLs every process of a session; returns how many there were (zombies not counted).
unsigned ident_kill_session(pid_t session);
// SIGKILLs a process with all its descendants, sessions of their own included, and its session.
void ident_kill_tree(pid_t root);
// Whether the environment that the process was started with has this "NAME=value".
bool ident_has_variable(pid_t pid, const char *assignment);
// The kernel's boot id into buf (at least 40 bytes), "" when it cannot be read.
const char *ident_boot(char *buf, unsigned size);
