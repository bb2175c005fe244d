// SPDX-License-Identifier: Apache-2.0
// Whole files.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"

// Reads the file ("-" = standard input) into ret_text (initialised by the caller, replaced). Files
// over `limit` bytes are refused with -EFBIG. 0 or negative errno; err says which file and why.
int fs_read(const char *path, size_t limit, struct strbuf *ret_text, struct err *err);
// Writes the file by way of a temporary one and rename(), so that readers never see half of it.
int fs_write(const char *path, const void *p, size_t n, struct err *err);
// mkdir -p with mode 0777 & ~umask.
int fs_make_dirs(const char *path, struct err *err);
bool fs_exists(const char *path);
// Directory part ("." if none) and joined path; both from xmalloc.
char *fs_dirname(const char *path);
// `name` itself when absolute, else dir/name.
char *fs_join(const char *dir, const char *name);
// Removes a tree that we made; symbolic links are not followed. 0 or negative errno.
int fs_remove_tree(const char *path);
