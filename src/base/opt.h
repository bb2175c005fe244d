// SPDX-License-Identifier: Apache-2.0
// Command-line options from a table, in the GNU form: --name=value, --name value, -n value,
// -nvalue, bundled letters (-qv), "--" ends the options; options and arguments may be mixed.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"

struct opt_spec {
    const char *name;       // long name without dashes
    char letter;            // 0 = none
    const char *value_name; // for --help, e.g. "DURATION"; NULL = a flag
    bool value_optional;    // the value only as --name=value
    const char *help;       // one line
};

// Called for each option in order; `value` is NULL for a flag (a flag given as --name=false comes
// with its text). Returns 0, or a code with err set.
typedef int (*opt_fn)(void *arg, const struct opt_spec *spec, const char *value, struct err *err);

// Parses argv[1..argc). Arguments that are no options are left in argv[0..*ret_count). Returns 0, a
// code of `fn`, or -EINVAL with a message that suggests the closest option.
int opt_parse(const struct opt_spec *specs,
              size_t count,
              int argc,
              char **argv,
              opt_fn fn,
              void *arg,
              int *ret_count,
              struct err *err);
// Adds the aligned list of options, wrapped at `width` columns.
void opt_add_help(struct strbuf *b, const struct opt_spec *specs, size_t count, unsigned width);
