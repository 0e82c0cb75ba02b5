#include <stdio.h>
#include <string.h>

#include "net/graph.h"

int64_t nm_shape_size(const nm_shape *shape)
{
    int64_t size = 1;

    for (int i = 0; i < shape->rank; i++)
        size *= shape->dim[i];
    return size;
}

bool nm_shape_equal(const nm_shape *a, const nm_shape *b)
{
    return a->rank == b->rank && memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]) == 0;
}

nm_status nm_shape_check(const nm_shape *shape, const char *what, nm_err *err)
{
    int64_t size = 1;

    if (shape->rank < 0 || shape->rank > NM_MAX_DIMS)
        return nm_fail(err, NM_E_SHAPE, "%s has %d axes, expected at most %d", what, shape->rank,
                       NM_MAX_DIMS);
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] < 1)
            return nm_fail(err, NM_E_SHAPE, "%s has extent %lld on axis %d, expected at least 1",
                           what, (long long)shape->dim[i], i);
        if (__builtin_mul_overflow(size, shape->dim[i], &size) || size > NM_MAX_ELEMENTS)
            return nm_fail(err, NM_E_SHAPE, "%s is too large, expected at most %lld elements", what,
                           (long long)NM_MAX_ELEMENTS);
    }
    return NM_OK;
}

const char *nm_shape_text(const nm_shape *shape, char text[static 96])
{
    size_t used = 0;

    if (shape->rank == 0)
        (void)snprintf(text, 96, "scalar");
    for (int i = 0; i < shape->rank && used < 96; i++)
        used += (size_t)snprintf(text + used, 96 - used, i ? "x%lld" : "%lld",
                                 (long long)shape->dim[i]);
    return text;
}

/* Extent of `shape` on the axis that lies `from_end` before the last; 1 beyond its rank. */
static int64_t dim_from_end(const nm_shape *shape, int from_end)
{
    return from_end < shape->rank ? shape->dim[shape->rank - 1 - from_end] : 1;
}

bool nm_shape_broadcast(const nm_shape *a, const nm_shape *b, nm_shape *out)
{
    int rank = a->rank > b->rank ? a->rank : b->rank;

    out->rank = rank;
    for (int i = 0; i < rank; i++) {
        int64_t da = dim_from_end(a, i), db = dim_from_end(b, i);

        if (da != db && da != 1 && db != 1)
            return false;
        out->dim[rank - 1 - i] = da > db ? da : db;
    }
    return true;
}

void nm_shape_broadcast_steps(const nm_shape *a, const nm_shape *out, int64_t *step)
{
    int64_t stride = 1;

    for (int i = 0; i < out->rank; i++) {
        int64_t extent = dim_from_end(a, i);

        step[out->rank - 1 - i] = extent == 1 ? 0 : stride;
        stride *= extent;
    }
}
