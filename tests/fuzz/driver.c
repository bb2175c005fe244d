// SPDX-License-Identifier: Apache-2.0
// Replays a corpus through a fuzz target without a fuzzer: driver DIR. Each file is one TAP test;
// each is also run cut short at every eighth of its length, since truncation is the commonest
// damage.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *read_file(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t size = 0;
    size_t more;

    if (!file) {
        return NULL;
    }
    do {
        data = realloc(data, size + 4096);
        if (!data) {
            abort();
        }
        more = fread(data + size, 1, 4096, file);
        size += more;
    } while (more > 0);
    fclose(file);
    *ret_size = size;
    return data;
}

// A copy of exactly `size` bytes, so that a sanitizer sees a read past the end.
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    if (!copy) {
        abort();
    }
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

int main(int argc, char **argv)
{
    struct dirent **entries = NULL;
    int count = argc == 2 ? scandir(argv[1], &entries, NULL, alphasort) : -1;
    int tests = 0;

    if (count < 0) {
        fprintf(stderr, "usage: %s DIR\n", argv[0]);
        return 2;
    }
    for (int i = 0; i < count; i++) {
        char path[1024];
        size_t size = 0;
        uint8_t *data = NULL;

        if (entries[i]->d_name[0] != '.') {
            snprintf(path, sizeof(path), "%s/%s", argv[1], entries[i]->d_name);
            data = read_file(path, &size);
        }
        if (data) {
            for (size_t eighths = 0; eighths <= 8; eighths++) {
                run(data, size * eighths / 8);
            }
            printf("ok %d - %s\n", ++tests, entries[i]->d_name);
            fflush(stdout);
        }
        free(data);
        free(entries[i]);
    }
    free(entries);
    printf("1..%d\n", tests);
    return tests > 0 ? 0 : 1;
}
