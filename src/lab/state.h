// SPDX-License-Identifier: Apache-2.0
// The state directory of a lab, ROOT/lab-NAME/, and what is left of labs that died:
//   owner      pid and start time of the supervisor, boot id, the lab's id, its addresses
//   children   pid and start time of every process that was started, one a line
//   ctl        unix socket of the supervisor
//   logs/ pods/ secrets/
#pragma once

#include <netinet/in.h>
#include <stdbool.h>

#include "base/err.h"
#include "lab/ident.h"

enum { STATE_ADDRESSES = 4096 }; // that a lab has, from 127.64.0.0/10

struct state {
    char *dir;
    char id[33];   // random; pods have it in their environment as PLIMSOLL_LAB
    in_addr_t net; // first of STATE_ADDRESSES addresses, host byte order
};

// Makes root if it is missing (0711) and refuses one that others could write to. Returns a lock on
// it, an fd to be closed, or negative with err. Only one process has the lock.
int state_lock_root(const char *root, struct err *err);
// Removes root when no lab is left in it.
void state_drop_root(const char *root);
// Kills and removes what dead labs left; the lock is held. Returns their number.
int state_clean(const char *root);
// Makes the directory of a new lab with an id and free addresses; the lock is held, until
// state_own(). -EEXIST when a lab of that name runs.
int state_make(struct state *s, const char *root, const char *name, struct err *err);
// Writes `owner` for this process.
int state_own(const struct state *s, struct err *err);
// Notes a started process; a failure is not fatal (its parent's death kills it all the same).
void state_note_child(const struct state *s, struct ident child);
// Whether the lab in this directory has a live supervisor.
bool state_is_live(const char *dir);
// Removes the directory.
void state_remove(const struct state *s);
void state_fini(struct state *s);
// Name of every directory of a lab under root, without "lab-"; ended by NULL, from xmalloc.
char **state_names(const char *root);
// Address number i < STATE_ADDRESSES - 32 of the lab into buf (INET_ADDRSTRLEN); returns buf.
const char *state_address(in_addr_t net, unsigned i, char *buf);
