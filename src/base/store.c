#include "base/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"

struct room {
    struct room *next;
    void *at;
    size_t n_bytes; /* mapped; 0 = memory */
};

struct nm_store {
    struct room *rooms;
    size_t most_bytes, in_memory, in_file;
    int fd; /* -1 = not opened yet */
    bool full;
};

nm_status nm_store_open(size_t most_bytes, nm_store **out, nm_err *err)
{
    nm_status rc = nm_alloc(out, 1, sizeof **out, err);

    if (rc == NM_OK) {
        (*out)->most_bytes = most_bytes;
        (*out)->fd = -1;
    }
    return rc;
}

void nm_store_close(nm_store *store)
{
    if (!store)
        return;
    while (store->rooms) {
        struct room *room = store->rooms;

        store->rooms = room->next;
        if (room->n_bytes > 0)
            (void)munmap(room->at, room->n_bytes);
        else
            nm_free(room->at);
        nm_free(room);
    }
    if (store->fd >= 0)
        (void)close(store->fd);
    nm_free(store);
}

/* Nobody else sees the file, and it goes with the last descriptor or mapping. */
static int open_unlinked(void)
{
    const char *folders[] = {getenv("TMPDIR"), "/var/tmp", "/tmp"};
    char path[4096];
    int fd = -1;

    for (size_t i = 0; fd < 0 && i < sizeof folders / sizeof *folders; i++) {
        int n = folders[i] ? snprintf(path, sizeof path, "%s/netmend-XXXXXX", folders[i]) : -1;

        if (n > 0 && (size_t)n < sizeof path)
            fd = mkstemp(path);
        if (fd >= 0)
            (void)unlink(path);
    }
    return fd;
}

/* Space is reserved first: a page that the disk has no room for would end the process, as would a
   file beyond the limit of the process. What a reservation that failed took is given back. */
static bool reserve(nm_store *store, size_t n_bytes)
{
    struct rlimit limit;
    size_t end = store->in_file + n_bytes;

    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        end > limit.rlim_cur)
        return false;
    if (posix_fallocate(store->fd, (off_t)store->in_file, (off_t)n_bytes) == 0)
        return true;
    (void)!ftruncate(store->fd, (off_t)store->in_file);
    return false;
}

static void *take_in_file(nm_store *store, size_t n_bytes, struct room *room)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t n = (n_bytes + page - 1) / page * page;

    if (store->fd < 0 && !store->full)
        store->fd = open_unlinked();
    store->full = store->full || store->fd < 0 || n < n_bytes || !reserve(store, n);
    if (store->full)
        return NULL;
    room->at = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, store->fd, (off_t)store->in_file);
    if (room->at == MAP_FAILED)
        return NULL;
    room->n_bytes = n;
    store->in_file += n;
    return room->at;
}

static void *take(nm_store *store, size_t n_bytes)
{
    struct room *room;

    if (nm_alloc(&room, 1, sizeof *room, NULL) != NM_OK)
        return NULL;
    if (store->in_memory + n_bytes <= store->most_bytes &&
        nm_alloc(&room->at, n_bytes, 1, NULL) == NM_OK)
        store->in_memory += n_bytes;
    else if (!take_in_file(store, n_bytes, room)) {
        nm_free(room);
        return NULL;
    }
    room->next = store->rooms;
    store->rooms = room;
    return room->at;
}

void *nm_store_take(nm_store *store, size_t n_bytes)
{
    void *at;

#pragma omp critical(nm_store_rooms)
    at = take(store, n_bytes > 0 ? n_bytes : 1);
    return at;
}

void nm_store_rest(nm_store *store, const void *at)
{
#pragma omp critical(nm_store_rooms)
    for (struct room *room = store->rooms; room; room = room->next)
        if (room->at == at && room->n_bytes > 0)
            (void)madvise(room->at, room->n_bytes, MADV_DONTNEED);
}

size_t nm_store_in_file(const nm_store *store)
{
    return store->in_file;
}
