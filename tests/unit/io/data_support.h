/* Shared by the tests of data readers: points from bytes that stand in the test. */
#ifndef NM_TESTS_DATA_SUPPORT_H
#define NM_TESTS_DATA_SUPPORT_H

#include "support.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "io/points.h"

/** As nm_points_load(), on one file in memory; the format follows name and content. */
static inline nm_status parse_bytes(const char *name, const void *data, size_t n_bytes,
                                    const nm_data_opts *opts, nm_points *out, nm_err *err)
{
    nm_data_bytes bytes = {.path = name, .data = data, .n_bytes = n_bytes};
    nm_ctx *ctx;
    nm_status rc = nm_ctx_new(&ctx, err);

    if (rc != NM_OK)
        return rc;
    rc = nm_points_parse(ctx, &bytes, NULL, opts, out, err);
    nm_ctx_free(ctx);
    return rc;
}

static inline nm_status load_points(const char *path, const char *labels, const nm_data_opts *opts,
                                    nm_points *out, nm_err *err)
{
    nm_ctx *ctx;
    nm_status rc = nm_ctx_new(&ctx, err);

    if (rc != NM_OK)
        return rc;
    rc = nm_points_load(ctx, path, labels, opts, out, err);
    nm_ctx_free(ctx);
    return rc;
}

/** Fails unless the outcome is that status with exactly this text, and nothing was handed out. */
static inline void check_refusal(nm_status rc, nm_status status, const nm_points *points,
                                 const nm_err *err, const char *text)
{
    if (strcmp(err->text, text) != 0)
        fail_msg("message '%s', expected '%s'", err->text, text);
    assert_int_equal(rc, status);
    assert_int_equal(err->code, status);
    assert_null(points->x);
    assert_int_equal(points->n, 0);
}

static inline void assert_refused(const char *name, const void *data, size_t n_bytes,
                                  const nm_data_opts *opts, nm_status status, const char *text)
{
    nm_err err = {0};
    nm_points points;
    nm_status rc = parse_bytes(name, data, n_bytes, opts, &points, &err);

    check_refusal(rc, status, &points, &err, text);
}

/** Lets every allocation of a call fail in turn; the call must say so, and succeed in the end.
 *  Leaks show under the address sanitizer. */
#define assert_survives_lack_of_memory(call, err, on_success)                                      \
    do {                                                                                           \
        for (long n_ = 1;; n_++) {                                                                 \
            memset((err), 0, sizeof *(err));                                                       \
            nm_mem_fail_at(n_);                                                                    \
            nm_status rc_ = (call);                                                                \
            nm_mem_fail_at(0);                                                                     \
            if (rc_ == NM_OK)                                                                      \
                break;                                                                             \
            assert_int_equal(rc_, NM_E_NOMEM);                                                     \
            assert_true(n_ < 1000);                                                                \
        }                                                                                          \
        on_success;                                                                                \
    } while (0)

#endif
