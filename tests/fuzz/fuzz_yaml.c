// SPDX-License-Identifier: Apache-2.0
// YAML: whatever the text, the tree is sound and each getter answers.
#include <stdint.h>
#include <stdlib.h>

#include "codec/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned walk(const struct yaml_node *node, unsigned depth)
{
    unsigned seen = 1;
    char buf[256];
    struct err err = {0};
    int64_t whole;
    quantity_t quantity;
    nsec_t duration;

    if (depth > YAML_DEPTH_MAX || node->line < 1 || node->column < 1) {
        abort();
    }
    yaml_path(node, buf, sizeof(buf));
    yaml_found(node, buf, sizeof(buf));
    yaml_int(node, INT64_MIN, INT64_MAX, &whole, &err);
    yaml_quantity(node, &quantity, &err);
    yaml_duration(node, &duration, &err);
    for (unsigned i = 0; i < node->count; i++) {
        if (node->items[i]->parent != node || node->items[i]->index != i) {
            abort();
        }
        seen += walk(node->items[i], depth + 1);
    }
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yaml_file *file = NULL;
    struct err err = {0};
    unsigned nodes = 0;

    if (yaml_parse("fuzz.yaml", (struct slice){(const char *)data, size}, &file, &err)) {
        return 0;
    }
    for (unsigned i = 0; i < yaml_count(file); i++) {
        nodes += walk(yaml_document(file, i), 0);
    }
    if (nodes > YAML_NODES_MAX + yaml_count(file)) {
        abort();
    }
    yaml_free(file);
    return 0;
}
