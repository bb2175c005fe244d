// SPDX-License-Identifier: Apache-2.0
// Snapshot bytes, little-endian: magic, version; metrics (name, type, sink); sub-metrics (name,
// sink) in the order of the run; checks (group, name, passes, fails); groups. Numbers without a
// fixed width are LEB128, strings are length and bytes.
#pragma once

#define SNAPSHOT_MAGIC   "PLSM"
#define SNAPSHOT_MAGIC_N 4
#define SNAPSHOT_VERSION 1
