// SPDX-License-Identifier: Apache-2.0
// The supervisor's insides, shared by super.c (loop) and requests.c; not for others.
#pragma once

#include "lab/lab.h"
#include "lab/pod.h"
#include "lab/wire.h"

struct super_workload {
    const struct kube_workload *spec;
    int replicas;
    struct kube_pairs over; // variables changed while running
    unsigned generation;    // of the settings; pods of an older one are replaced
    struct pod **pods;      // by slot; NULL = none
    unsigned *addresses;    // by slot: 1 + number of its address, 0 = none yet
    size_t slots;           // length of both
};

struct super_client {
    struct wire wire;
    bool owner;
    nsec_t await_until; // waits for readiness; 0 = does not
    bool awaits_end;    // waits for the end of the lab
};

struct super {
    struct state state;
    struct arena arena;
    struct kube_set *set;
    struct pod_world world;
    struct super_workload *workloads;
    size_t workload_count;
    unsigned address_count;
    bool detached;
    bool up;       // pods are wanted
    bool stopping; // no pods are wanted
    bool hurry;    // the owner has gone: no grace
    int listener;  // unix socket `ctl`, -1 until the lab is made
    int signals;   // signalfd
    struct super_client **clients;
    size_t client_count, client_cap;
    nsec_t now;
};

// Handles one request of a client and queues the answer, unless the answer comes later. Takes
// nothing.
void super_request(struct super *s, struct super_client *c, json_t *request);
// Answers the clients whose wait has an end.
void super_answer_waiting(struct super *s);
// The address of a slot, made up on first use; into buf (16 bytes). NULL when there are no more.
const char *super_address(struct super *s, struct super_workload *w, size_t slot, char *buf);
// Makes room for slot numbers below `count`.
void super_reserve(struct super_workload *w, size_t count);
