// SPDX-License-Identifier: Apache-2.0
// YAML files (and JSON, its subset) as a tree in which every node knows its place. Scalars are read
// as kubectl reads them: YAML 1.1 booleans and octals, dates stay strings, merge keys work. Aliases
// are copied; size, depth and the expanded count of nodes are bounded; a doubled key is an error.
//
// The getters are strict: they refuse a node of another type with "file:line:column: path: expected
// an integer, found the string 'http'" in err and return -EINVAL; results are untouched on failure.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "codec/quantity.h"

enum yaml_limits {
    YAML_BYTES_MAX = 8 << 20, // of one file
    YAML_DEPTH_MAX = 48,
    YAML_NODES_MAX = 200000, // of one file, copies made by aliases included
};

enum yaml_type { YAML_NULL, YAML_BOOL, YAML_INT, YAML_FLOAT, YAML_STRING, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_type type;
    int line, column; // 1-based
    const char *file; // name given to yaml_parse(), owned by the file
    const char *text; // scalar: as written (quotes and escapes resolved); "" otherwise
    size_t text_n;    // bytes of text
    union {
        bool boolean;
        int64_t integer;
        double real; // infinite and NaN are possible
    };
    const struct yaml_node *parent; // NULL for the document's root
    const char *key;                // in a map: the key, else NULL
    int key_line, key_column;       // in a map: the place of the key
    unsigned index;                 // in the parent
    struct yaml_node **items;       // of a list, or the values of a map
    unsigned count;                 // of items
};

struct yaml_file;

// Parses all documents of `text`; `name` stands in messages. 0, or -EINVAL or -EFBIG with err set.
int yaml_parse(const char *name, struct slice text, struct yaml_file **ret_file, struct err *err);
// Reads and parses the file ("-" = standard input).
int yaml_read(const char *path, struct yaml_file **ret_file, struct err *err);
void yaml_free(struct yaml_file *file);
DEFINE_CLEANUP(struct yaml_file *, yaml_free);
unsigned yaml_count(const struct yaml_file *file);
// The root of document i < yaml_count(); an empty document is a null node.
const struct yaml_node *yaml_document(const struct yaml_file *file, unsigned i);

#define YAML_FOREACH(it, node)                                                                     \
    for (struct yaml_node *const *it##_at = (node)->items, *it;                                    \
         it##_at < (node)->items + (node)->count && (it = *it##_at, true); it##_at++)

// The value of `key` in a map; NULL when it is absent or null (which mean the same in manifests).
// `map` may be NULL or no map.
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
// As yaml_get(), but a null is found as well.
const struct yaml_node *yaml_find(const struct yaml_node *map, const char *key);
// "spec.containers[0].ports[1].name" into buf; "" for a root. Returns buf.
const char *yaml_path(const struct yaml_node *node, char *buf, unsigned size);
// Sets err to the place of the node and "path: message"; returns -EINVAL.
int yaml_error(const struct yaml_node *node, struct err *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// As yaml_error() for a field that is missing in `map`.
int yaml_missing(const struct yaml_node *map, const char *key, struct err *err);
// "the string 'x'", "a list", … of a node, for messages; buf of 80 bytes or more. Returns buf.
const char *yaml_found(const struct yaml_node *node, char *buf, unsigned size);

// 0 when the node is a map or list. An absent list or map (NULL) is the caller's affair.
int yaml_expect(const struct yaml_node *node, enum yaml_type type, struct err *err);
// 0 when every key of the map is among `names`; else an error at that key with a suggestion.
int yaml_check_keys(const struct yaml_node *map,
                    const char *const *names,
                    size_t count,
                    struct err *err);

// Only strings, as Kubernetes has it: 5432 or true must be quoted. Borrowed from the file.
int yaml_string(const struct yaml_node *node, const char **ret_text, struct err *err);
// Any scalar, as written.
int yaml_text(const struct yaml_node *node, const char **ret_text, struct err *err);
// Integers, and floats without a fraction (1e1), from min to max.
int yaml_int(
    const struct yaml_node *node, int64_t min, int64_t max, int64_t *ret_value, struct err *err);
int yaml_bool(const struct yaml_node *node, bool *ret_value, struct err *err);
// Any finite number.
int yaml_double(const struct yaml_node *node, double *ret_value, struct err *err);
// Go's form with a unit ("30s", "1h45m"), not negative.
int yaml_duration(const struct yaml_node *node, nsec_t *ret_value, struct err *err);
// A string or a number that is a Kubernetes quantity.
int yaml_quantity(const struct yaml_node *node, quantity_t *ret_value, struct err *err);
