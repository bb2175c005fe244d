// SPDX-License-Identifier: Apache-2.0
// MD4 (RFC 1320) and RIPEMD-160 (Dobbertin, Bosselaers, Preneel 1996), which OpenSSL 3 no longer
// offers by default. For scripts that speak to old systems; not for security.
#pragma once

#include "base/strbuf.h"

void legacy_md4(struct slice bytes, unsigned char ret_sum[16]);
void legacy_ripemd160(struct slice bytes, unsigned char ret_sum[20]);
