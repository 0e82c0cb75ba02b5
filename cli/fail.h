/* Failures found by the command itself, in the library's error record; memory of its own. */
#ifndef NM_CLI_FAIL_H
#define NM_CLI_FAIL_H

#include "netmend/base.h"

/** Records a failure unless `err` already holds one. @return `code`. */
nm_status nm_cli_fail(nm_err *err, nm_status code, const char *fmt, ...) NM_PRINTF(3, 4);

/** Puts the name of a file before the message of a failure; nothing happens when err is clean. */
void nm_cli_prefix(nm_err *err, const char *file);

/** Room for n elements of `size` bytes, zeroed; *out = NULL on failure. Free with free(). */
nm_status nm_cli_alloc(void *out, int64_t n, size_t size, nm_err *err);

#ifdef __clang_analyzer__ /* it does not look into fail.c and would go on as if all were well */
#define nm_cli_fail(err, code, ...) (nm_cli_fail(err, code, __VA_ARGS__), (code))
#endif

/** Runs a fallible call; on failure keeps its status in `rc` and leaves through `done`. */
#define NM_CLI_TRY(call)                                                                           \
    do {                                                                                           \
        rc = (call);                                                                               \
        if (rc != NM_OK)                                                                           \
            goto done;                                                                             \
    } while (0)

/** The same for failures found here. */
#define NM_CLI_THROW(...)                                                                          \
    do {                                                                                           \
        rc = nm_cli_fail(__VA_ARGS__);                                                             \
        goto done;                                                                                 \
    } while (0)

#endif
