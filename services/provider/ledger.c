// SPDX-License-Identifier: Apache-2.0
#include "ledger.h"

#include "common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_MAX 256
#define SLOTS   (1U << 20) // twice LEDGER_KEYS, so that probing stays short

// 128 bits of SHA-256: equal only for equal keys, for all that matters. Zero marks a free slot.
struct digest {
    uint64_t word[2];
};

// Two generations: when the young one is full it becomes the old one, which is forgotten.
struct ledger {
    pthread_mutex_t lock;
    struct digest *young, *old; // SLOTS each; old may be NULL
    unsigned young_count;
    uint64_t accepted, repeated;
    int fd; // -1 = memory only
};

static struct digest digest_of(const char *key)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    struct digest digest;

    SHA256((const unsigned char *)key, strlen(key), hash);
    memcpy(&digest, hash, sizeof(digest));
    digest.word[0] |= 1;
    return digest;
}

// The slot that holds `digest`, or the free one where it would go.
static struct digest *find(struct digest *table, struct digest digest)
{
    size_t i = digest.word[1] % SLOTS;

    while (table[i].word[0] && memcmp(&table[i], &digest, sizeof(digest)) != 0) {
        i = (i + 1) % SLOTS;
    }
    return &table[i];
}

static bool has(const struct ledger *ledger, struct digest digest)
{
    return find(ledger->young, digest)->word[0] ||
           (ledger->old && find(ledger->old, digest)->word[0]);
}

static void add(struct ledger *ledger, struct digest digest)
{
    if (ledger->young_count == LEDGER_KEYS) {
        free(ledger->old);
        ledger->old = ledger->young;
        ledger->young = mem_zalloc(SLOTS * sizeof(struct digest));
        ledger->young_count = 0;
    }
    *find(ledger->young, digest) = digest;
    ledger->young_count++;
    ledger->accepted++;
}

static int read_file(struct ledger *ledger, FILE *file)
{
    char line[KEY_MAX + 1];

    while (fgets(line, sizeof(line), file)) {
        size_t len = strcspn(line, "\n");
        // A torn last line was never answered: its sender will repeat it.
        if (line[len] == '\n') {
            line[len] = '\0';
            struct digest digest = digest_of(line);
            if (!has(ledger, digest)) {
                add(ledger, digest);
            }
        }
    }
    return ferror(file) ? -EIO : 0;
}

// Cuts off a torn last line, so that the next key does not join it.
static int mend_tail(int fd)
{
    off_t end = lseek(fd, 0, SEEK_END);
    char c;

    while (end > 0 && pread(fd, &c, 1, end - 1) == 1 && c != '\n') {
        end--;
    }
    return end < 0 || ftruncate(fd, end) < 0 ? -errno : 0;
}

static int open_file(struct ledger *ledger, const char *path)
{
    ledger->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    struct stat st;
    if (ledger->fd < 0 || fstat(ledger->fd, &st) < 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return -EINVAL;
    }
    FILE *file = fopen(path, "re");
    if (!file) {
        return -errno;
    }
    int r = read_file(ledger, file);
    fclose(file);
    return r < 0 ? r : mend_tail(ledger->fd);
}

struct ledger *ledger_open(const char *path, char *message, size_t size)
{
    struct ledger *ledger = mem_zalloc(sizeof(*ledger));

    pthread_mutex_init(&ledger->lock, NULL);
    ledger->young = mem_zalloc(SLOTS * sizeof(struct digest));
    ledger->fd = -1;
    int r = *path ? open_file(ledger, path) : 0;
    if (r < 0) {
        snprintf(message, size, "LEDGER: cannot use '%.256s': %s", path, strerror(-r));
        return ledger_close(ledger);
    }
    return ledger;
}

struct ledger *ledger_close(struct ledger *ledger)
{
    if (ledger) {
        if (ledger->fd >= 0) {
            close(ledger->fd);
        }
        free(ledger->young);
        free(ledger->old);
        pthread_mutex_destroy(&ledger->lock);
        free(ledger);
    }
    return NULL;
}

// One write(2): in the page cache the line outlives this process, which is what is promised.
static int append(int fd, const char *key)
{
    char line[KEY_MAX + 1];
    int len = snprintf(line, sizeof(line), "%s\n", key);
    ssize_t n = write(fd, line, (size_t)len);

    if (n == len) {
        return 0;
    }
    int error = n < 0 ? errno : ENOSPC;
    mend_tail(fd);
    return -error;
}

int ledger_accept(struct ledger *ledger, const char *key)
{
    struct digest digest = digest_of(key);
    int r = 0;

    pthread_mutex_lock(&ledger->lock);
    if (has(ledger, digest)) {
        ledger->repeated++;
    } else {
        r = ledger->fd >= 0 ? append(ledger->fd, key) : 0;
        if (r == 0) {
            add(ledger, digest);
            r = 1;
        }
    }
    pthread_mutex_unlock(&ledger->lock);
    return r;
}

bool ledger_has(struct ledger *ledger, const char *key)
{
    pthread_mutex_lock(&ledger->lock);
    bool found = has(ledger, digest_of(key));
    pthread_mutex_unlock(&ledger->lock);
    return found;
}

void ledger_counts(struct ledger *ledger, uint64_t *ret_accepted, uint64_t *ret_repeated)
{
    pthread_mutex_lock(&ledger->lock);
    *ret_accepted = ledger->accepted;
    *ret_repeated = ledger->repeated;
    pthread_mutex_unlock(&ledger->lock);
}
