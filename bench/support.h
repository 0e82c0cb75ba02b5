/* What the benchmarks share: data, time, medians. A benchmark stops at the first error. */
#ifndef NM_BENCH_SUPPORT_H
#define NM_BENCH_SUPPORT_H

#include "netmend/netmend.h"

/** Stops the program with the message if rc is not NM_OK. */
void bench_check(nm_status rc, const nm_err *err);

/** A new context with so many threads. */
nm_ctx *bench_ctx(int n_threads);

/** The net in a file below the shared data. */
nm_net *bench_net(nm_ctx *ctx, const char *name);

/** Points first..last-1 of files below the shared data; labels may be NULL. */
nm_points bench_points(nm_ctx *ctx, const char *name, const char *labels, int64_t first,
                       int64_t last);

/** Full path of a file below the shared data. Static storage, valid until the next call. */
const char *bench_path(const char *name);

/** Zeroed room for n elements; never NULL. */
void *bench_alloc(int64_t n, size_t size);

/** Wall seconds since some fixed time. */
double bench_now(void);

/** Seconds of processor time of this process, all threads: what it costs on a busy machine, too. */
double bench_processor(void);

/** Median; sorts x. */
double bench_median(double *x, int n);

/** The value that follows an option on the command line, else a default. */
double bench_option(int argc, char **argv, const char *name, double fallback);
bool bench_flag(int argc, char **argv, const char *name);

#endif
