// SPDX-License-Identifier: Apache-2.0
// What PostgreSQL's client backends are doing, by pg_stat_activity. Blocking: for a thread of its
// own. Only this file sees libpq.
#pragma once

#include <stddef.h>

struct pgwaits;

struct pgwaits_counts {
    double active;  // running a statement
    double waiting; // of them, those in a wait event
    double idle_in_transaction;
};

// Connects (5 s at most). NULL with the reason in `why`.
struct pgwaits *pgwaits_open(const char *conninfo, char *why, size_t size);
void pgwaits_free(struct pgwaits *w);
// 0 or -EIO.
int pgwaits_read(struct pgwaits *w, struct pgwaits_counts *ret_counts);
