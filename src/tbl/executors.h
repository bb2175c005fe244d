// SPDX-License-Identifier: Apache-2.0
// clang-format off
// Executors: EXECUTOR(id, name, summary).
EXECUTOR(SHARED_ITERATIONS, "shared-iterations", "a fixed number of iterations shared by the VUs")
EXECUTOR(PER_VU_ITERATIONS, "per-vu-iterations", "a fixed number of iterations for each VU")
EXECUTOR(CONSTANT_VUS, "constant-vus", "a fixed number of VUs that iterate for a time")
EXECUTOR(RAMPING_VUS, "ramping-vus", "a number of VUs that follows stages")
EXECUTOR(CONSTANT_ARRIVAL_RATE, "constant-arrival-rate", "iterations started at a fixed rate")
EXECUTOR(RAMPING_ARRIVAL_RATE, "ramping-arrival-rate", "iterations started at a rate that follows stages")
