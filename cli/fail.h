/* Failures found by the command itself, in the library's error record. */
#ifndef NM_CLI_FAIL_H
#define NM_CLI_FAIL_H

#include "netmend/base.h"

/** Records a failure unless `err` already holds one. @return `code`. */
nm_status nm_cli_fail(nm_err *err, nm_status code, const char *fmt, ...) NM_PRINTF(3, 4);

/** Runs a fallible call; on failure keeps its status in `rc` and leaves through `done`. */
#define NM_CLI_TRY(call)                                                                           \
    do {                                                                                           \
        rc = (call);                                                                               \
        if (rc != NM_OK)                                                                           \
            goto done;                                                                             \
    } while (0)

#endif
