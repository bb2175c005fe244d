// SPDX-License-Identifier: Apache-2.0
// Base64 (RFC 4648 section 4, the standard alphabet).
#pragma once

#include "base/strbuf.h"

// Appends the bytes that `text` stands for; line ends and blanks are skipped. 0, or -EINVAL for
// anything but whole groups with their padding (out may have grown).
int base64_decode(struct slice text, struct strbuf *out);
