/* Shared by all tests. Include it first: cmocka wants its headers in this order. */
#ifndef NM_TESTS_SUPPORT_H
#define NM_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"

/** Fails with the message of err unless status is NM_OK. */
#define nm_assert_ok(call, err)                                                                    \
    do {                                                                                           \
        if ((call) != NM_OK)                                                                       \
            fail_msg("%s: %s", #call, (err)->text);                                                \
    } while (0)

/** |got - want| <= atol + rtol |want| for all n; prints the first bad index. */
void nm_assert_close(const double *got, const double *want, size_t n, double rtol, double atol);
void nm_assert_close_f32(const float *got, const float *want, size_t n, double rtol, double atol);

/** Path of a file below the shared data, e.g. nm_shared("moons/x_all.npy"); static storage, four
 *  calls deep. Skips the running test with a message when the data is not there. */
const char *nm_shared(const char *relative);

/** Path of a file in tests/, static storage. */
const char *nm_test_file(const char *relative);

/** A fresh path for a temporary file (removed at exit), static storage, four calls deep. */
const char *nm_temp_path(const char *suffix);

#endif
