// SPDX-License-Identifier: Apache-2.0
// CPU time of process trees and of the machine, and pressure, from /proc.
#pragma once

#include <stddef.h>
#include <sys/types.h>

// CPU seconds so far, children that were waited for included, of each root and all its living
// descendants into ret_seconds[count]; a root that is gone has 0. PIDs of one namespace.
void procfs_cpu_of_trees(const pid_t *roots, size_t count, double *ret_seconds);
// Busy and all CPU seconds of the machine so far. 0 or negative errno.
int procfs_cpu_of_host(double *ret_busy, double *ret_total);
// Seconds so far in which some task waited for a CPU (/proc/pressure/cpu); -ENOENT where the kernel
// does not tell.
int procfs_cpu_pressure(double *ret_seconds);
