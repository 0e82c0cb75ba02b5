/* Status codes, error reports and the context that every call shares. */
#ifndef NETMEND_BASE_H
#define NETMEND_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define NM_API __attribute__((visibility("default")))
#define NM_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define NM_API
#define NM_PRINTF(fmt, first)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** Why a call failed. Outcomes ("infeasible", "limit") are not failures; they stand in reports. */
typedef enum nm_status {
    NM_OK = 0,
    NM_E_ARG,         /**< the caller asked for something that does not exist or makes no sense */
    NM_E_FORMAT,      /**< a file is malformed */
    NM_E_SHAPE,       /**< sizes of two things that meet do not agree */
    NM_E_UNSUPPORTED, /**< legal, but not handled here; the message names what is */
    NM_E_IO,          /**< the operating system refused to read or write */
    NM_E_NOMEM,       /**< out of memory */
    NM_E_CANCELLED,   /**< nm_ctx_cancel() was called */
    NM_E_LIMIT,       /**< the time limit of the context has passed */
    NM_E_INTERNAL     /**< our bug */
} nm_status;

#define NM_ERR_TEXT 1024

/** Filled by the first failure; one line: where, what, what was expected. Start from `{0}`. */
typedef struct nm_err {
    nm_status code;
    char text[NM_ERR_TEXT];
} nm_err;

typedef enum nm_log_level { NM_LOG_WARNING, NM_LOG_INFO, NM_LOG_DEBUG } nm_log_level;

/** Receives one line without a newline. */
typedef void (*nm_log_fn)(void *user, nm_log_level level, const char *line);

/** Receives progress of long work.
 *  @param what   what is being done, a few words
 *  @param done   units done
 *  @param total  units in all, 0 if unknown
 *  @param value  a figure worth showing (objective, bound), NAN if none */
typedef void (*nm_progress_fn)(void *user, const char *what, int64_t done, int64_t total,
                               double value);

typedef struct nm_ctx nm_ctx;

/** Makes a context: all cores, no log, no progress, no time limit. Free with nm_ctx_free(). */
NM_API nm_status nm_ctx_new(nm_ctx **out, nm_err *err);
NM_API void nm_ctx_free(nm_ctx *ctx);

/** Number of worker threads, >= 1. Results do not depend on it. */
NM_API void nm_ctx_set_threads(nm_ctx *ctx, int n_threads);
NM_API int nm_ctx_threads(const nm_ctx *ctx);

NM_API void nm_ctx_set_log(nm_ctx *ctx, nm_log_fn fn, void *user);
NM_API void nm_ctx_set_progress(nm_ctx *ctx, nm_progress_fn fn, void *user);

/** Wall seconds from now until calls stop with NM_E_LIMIT; INFINITY = none (default). */
NM_API void nm_ctx_set_time_limit(nm_ctx *ctx, double seconds);

/** Memory for what networks gave at points that they have seen, so that nothing is evaluated twice;
 *  results do not depend on it. 0 = none; 384 MB by default, taken as points come. Forgets what is
 *  known. */
NM_API void nm_ctx_set_recall(nm_ctx *ctx, size_t bytes);

/** Asks running calls to stop soon with NM_E_CANCELLED. Safe in a signal handler. */
NM_API void nm_ctx_cancel(nm_ctx *ctx);
NM_API bool nm_ctx_cancelled(const nm_ctx *ctx);

/** Short name of a status, e.g. "shape". Static storage. */
NM_API const char *nm_status_name(nm_status status);

/** The library's version, e.g. "0.1.0". Static storage. */
NM_API const char *nm_version(void);

/** OpenBLAS chooses its matrix kernels when it is loaded, and takes those of 2004 ("Prescott", four
 *  numbers at a time) for processors that are younger than itself: a third of the speed.
 *  OPENBLAS_CORETYPE in the environment of a program names others.
 *  @return  what to set it to before the program starts: kernels that this processor can run and
 * that are better than those in use. NULL if there are none, or if it is set. Static storage. */
NM_API const char *nm_better_blas_kernels(void);

#ifdef __cplusplus
}
#endif
#endif
