// SPDX-License-Identifier: Apache-2.0
// What this machine lets local pods do, by trying it.
#pragma once

// Makes a user namespace in a child and ends it. 0 or negative errno.
int host_try_user_namespace(void);
// Binds a TCP socket to an address of 127.64.0.0/10. 0 or negative errno.
int host_try_loopback(void);
