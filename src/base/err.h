/* Reporting failures: the first error wins, callers add where it happened. */
#ifndef NM_BASE_ERR_H
#define NM_BASE_ERR_H

#include "netmend/base.h"

/** Records a failure unless `err` already holds one. @return `code`. `err` may be NULL. */
nm_status nm_fail(nm_err *err, nm_status code, const char *fmt, ...) NM_PRINTF(3, 4);

#ifdef __clang_analyzer__ /* it does not look into err.c and would go on as if all were well */
#define nm_fail(err, code, ...) (nm_fail(err, code, __VA_ARGS__), (code))
#endif

/** Puts text before the message of a failure ("file.npy: "); nothing happens when err is clean. */
void nm_err_prefix(nm_err *err, const char *fmt, ...) NM_PRINTF(2, 3);

/** Runs a fallible call; on failure keeps its status in `rc` and leaves through `done`. */
#define NM_TRY(call)                                                                               \
    do {                                                                                           \
        rc = (call);                                                                               \
        if (rc != NM_OK)                                                                           \
            goto done;                                                                             \
    } while (0)

/** The same for failures found here. */
#define NM_THROW(...)                                                                              \
    do {                                                                                           \
        rc = nm_fail(__VA_ARGS__);                                                                 \
        goto done;                                                                                 \
    } while (0)

#endif
