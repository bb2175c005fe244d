// SPDX-License-Identifier: Apache-2.0
// Command lines as people write them, without a shell.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "kube/manifest.h"

// Splits text into words at blanks; '…' keeps everything, "…" and unquoted text have $VAR, ${VAR}
// and $(VAR) replaced from env (an unknown name gives nothing), \x is x. No globs, pipes or
// redirections: such a character outside of quotes is an error. Words are in the arena. 0, or
// -EINVAL with err.
int words_split(const char *text,
                const struct kube_pairs *env,
                struct arena *arena,
                struct kube_strings *ret_words,
                struct err *err);
// Whether the word has the form NAME=value.
bool words_is_assignment(const char *word);
