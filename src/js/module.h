// SPDX-License-Identifier: Apache-2.0
// Modules that other layers lend to scripts: functions that take and give JSON, so that nobody but
// this layer knows the interpreter.
#pragma once

#include "base/err.h"
#include "base/strbuf.h"

struct js_function {
    const char *name;
    // `args`: JSON array of the arguments. 0 and the result as JSON in ret_json (empty =
    // undefined), or a code with err, which becomes an exception. In a virtual user's coroutine;
    // may suspend.
    int (*call)(void *arg, const char *args, struct strbuf *ret_json, struct err *err);
};

struct js_module_def {
    const char *name; // as imported: "plimsoll/chaos"
    const struct js_function *functions;
    unsigned function_count;
    void *arg;
};

// Before the first script is opened; `def` stays the caller's and must outlive all scripts.
void js_module_register(const struct js_module_def *def);
