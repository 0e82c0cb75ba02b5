/* One context for all tests of a program: cmocka_run_group_tests(tests, open_context,
 * close_context).
 */
#ifndef NM_TESTS_TEST_CTX_H
#define NM_TESTS_TEST_CTX_H

#include "support.h"

#include "netmend/base.h"

static nm_ctx *ctx;

static inline int open_context(void **state)
{
    (void)state;
    return nm_ctx_new(&ctx, NULL) == NM_OK ? 0 : -1;
}

static inline int close_context(void **state)
{
    (void)state;
    nm_ctx_free(ctx);
    return 0;
}

#endif
