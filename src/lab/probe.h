// SPDX-License-Identifier: Apache-2.0
// One probe of one container: httpGet and tcpSocket by a socket of its own, exec by a child that
// the owner starts. The owner polls `fd`; this file is the lab's only one that reads and writes
// sockets of pods.
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/clock.h"
#include "kube/manifest.h"

struct probe {
    const struct kube_probe *spec; // borrowed
    const char *ip;                // of the pod, borrowed
    nsec_t due;                    // of the next attempt
    nsec_t deadline;               // of the one in flight
    int fd;                        // -1 = none; to be polled for `events`
    short events;
    pid_t pid;   // exec probe in flight, 0 = none
    bool flying; // an attempt is in flight
    bool passed; // the verdict, by the thresholds
    bool ever;   // has passed once
    bool failed; // failures reached the threshold since the last success
    bool eager;  // until it has passed once, attempts come every 200 ms (their failures count once
                 // a period): readiness and startup
    int successes, failures; // in a row
    nsec_t counted;          // when the last failure was counted
    char why[96];            // of the last failure
    char head[64];           // start of the answer
    unsigned head_n;
    unsigned blank; // line ends in a row seen in the answer
};

// Starts a new life at `now` (the container was started). spec may be of kind NONE: then the probe
// has passed from the start.
void probe_reset(
    struct probe *p, const struct kube_probe *spec, const char *ip, bool eager, nsec_t now);
// Closes the socket; an exec child is the owner's to kill.
void probe_stop(struct probe *p);
// When probe_step() is to be called at the latest; NSEC_MAX = never.
nsec_t probe_next(const struct probe *p);
// Begins an attempt that is due and ends one that is too late. Returns true when an exec probe is
// to be started now: the owner starts spec->command and sets pid, or calls probe_result().
bool probe_step(struct probe *p, nsec_t now);
// The fd is ready.
void probe_io(struct probe *p, nsec_t now);
// Ends the attempt in flight; why may be NULL.
void probe_result(struct probe *p, bool success, const char *why, nsec_t now);
