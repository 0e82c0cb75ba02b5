#include "net/op/view.h"

#include <string.h>

#include "net/op/facet.h"

/* The output may be the input's own memory. */
static void copy(void *to, const void *from, int64_t n, size_t size)
{
    if (to != from)
        memcpy(to, from, (size_t)n * size);
}

void nm_view_forward_f32(const nm_exec *ex, const float *const *in, float *out)
{
    copy(out, in[0], nm_out_total(ex), sizeof *out);
}

void nm_view_forward_f64(const nm_exec *ex, const double *const *in, double *out)
{
    copy(out, in[0], nm_out_total(ex), sizeof *out);
}

static void copy_or_zero(const nm_exec *ex, const double *from, double *to)
{
    if (from)
        copy(to, from, nm_out_total(ex), sizeof *to);
    else
        memset(to, 0, (size_t)nm_out_total(ex) * sizeof *to);
}

void nm_view_jvp(const nm_exec *ex, const double *const *in, const double *out,
                 const double *const *din, double *dout)
{
    (void)in, (void)out;
    copy_or_zero(ex, din[0], dout);
}

void nm_view_vjp(const nm_exec *ex, const double *const *in, const double *out, const double *dout,
                 double *const *din)
{
    int64_t n = nm_out_total(ex);

    (void)in, (void)out;
    for (int64_t i = 0; din[0] && i < n; i++)
        din[0][i] += dout[i];
}

void nm_view_spread(const nm_exec *ex, const double *const *in, const double *out,
                    const double *const *r, double *s)
{
    (void)in, (void)out;
    copy_or_zero(ex, r[0], s);
}
