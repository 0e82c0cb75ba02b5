/* Work in a child process, so that it can be stopped whatever it does, and its memory counted. */
#ifndef NM_BENCH_CHILD_H
#define NM_BENCH_CHILD_H

#include <stddef.h>

typedef enum bench_end { BENCH_DONE, BENCH_OUT_OF_TIME, BENCH_OUT_OF_MEMORY } bench_end;

typedef struct bench_cost {
    double seconds; /* of processor time, all threads */
    double wall;    /* seconds */
    double peak_mb; /* most memory at a time, that of the caller at the fork included */
} bench_cost;

/** Runs work(argument, out) in a child and copies *out [size] back. Anything but an end of its own
 *  counts as lack of memory; `work` may call exit(1) where it gets none.
 *  @param limit_s  processor seconds, memory_mb: address space beyond the caller's; INFINITY = none
 */
bench_end bench_in_child(void (*work)(const void *argument, void *out), const void *argument,
                         void *out, size_t size, double limit_s, double memory_mb,
                         bench_cost *cost);

#endif
