// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "observe/observer.h"
#include "plan/plan_file.h"
#include "unit.h"

#define HEAD                                                                                       \
    "apiVersion: plimsoll.dev/v1\nkind: CapacityPlan\nmetadata: {name: shop}\nspec:\n"             \
    "  system: {manifests: [.]}\n  limits:\n"

static int parse(const char *text, struct plan_file **ret, struct err *err)
{
    char dir[] = "/tmp/plan-file-XXXXXX";

    ck_assert_ptr_nonnull(mkdtemp(dir));
    CLEANUP_FREE char *path = fs_join(dir, "plan.yaml");
    CLEANUP_FREE char *script = fs_join(dir, "a.js");
    ck_assert_int_eq(fs_write(path, text, strlen(text), err), 0);
    ck_assert_int_eq(fs_write(script, "", 0, err), 0);
    int r = plan_file_read(path, ret, err);
    fs_remove_tree(dir);
    return r;
}

START_TEST(whole)
{
    struct plan_file *p = NULL;
    struct err err = {0};
    int r = parse(HEAD "    - service: a\n"
                       "      script: a.js\n"
                       "      env: {X: 1, S: {secretKeyRef: {name: keys, key: k}}}\n"
                       "      hold: {b: {env: {Y: \"0\"}, replicas: 4}}\n"
                       "      knobs: [{env: POOL, scale: 2}, {cpu: 0.8}]\n"
                       "      sustained: [\"deficit(nats.consumer.offered, "
                       "nats.consumer.acked) < 1%\"]\n"
                       "  forecast: {peak: 2000/s}\n",
                  &p, &err);

    ck_assert_msg(r == 0, "%s", err.message);
    const struct plan_limit *l = &p->limits[0];
    ck_assert_str_eq(l->env[0].value, "1");
    ck_assert_str_eq(l->env[1].secret, "keys");
    ck_assert_int_eq(l->holds[0].replicas, 4);
    ck_assert_str_eq(l->holds[0].env[0].name, "Y");
    ck_assert_double_eq(l->knobs[0].scale, 2);
    ck_assert_ptr_null(l->knobs[1].env);
    ck_assert_int_eq(l->sustained[0].ahead, OBSERVE_OFFERED);
    ck_assert_double_eq_tol(l->sustained[0].allowed, 0.01, 1e-12);
    ck_assert_str_eq(p->skipped[0], "forecast");
    plan_file_free(p);
}
END_TEST

static const struct {
    const char *text, *message;
    int line;
} BAD[] = {
    {HEAD "    - service: a\n      script: b.js\n", "there is no file", 8},
    {HEAD "    - service: a\n      scirpt: a.js\n", "script", 8},
    {HEAD "    - script: a.js\n", "service", 7},
    {HEAD "    - {service: a, script: a.js}\n    - {service: a, script: a.js}\n", "twice", 8},
    {HEAD "    - {service: a, script: a.js, knobs: [{env: X, scale: 1}]}\n", "factor", 7},
    {HEAD "    - {service: a, script: a.js, hold: {b: {replicas: -1}}}\n", "replicas", 7},
    {HEAD "    - {service: a, script: a.js, sustained: [\"x < 1%\"]}\n", "deficit(", 7},
    {HEAD "    []\n", "expected 1 to", 7},
    {"kind: CapacityPlan\n", "apiVersion", 1},
};

static void check_bad(size_t i)
{
    struct plan_file *p = NULL;
    struct err err = {0};

    ck_assert_int_eq(parse(BAD[i].text, &p, &err), -EINVAL);
    ck_assert_msg(strstr(err.message, BAD[i].message) != NULL, "%s", err.message);
    ck_assert_int_eq(err.line, BAD[i].line);
    ck_assert(strstr(err.file, "plan.yaml") != NULL);
}

START_TEST(every_bad_file)
{
    for (size_t i = 0; i < ARRAY_SIZE(BAD); i++) {
        check_bad(i);
    }
}
END_TEST

UNIT_MAIN("plan/plan_file", whole, every_bad_file)
