/* Statements about a property of all inputs: that it holds, with a proof for each box, or that a
   point violates it. */
#include <math.h>

#include "base/mem.h"
#include "verify/check.h"
#include "verify/region_proof.h"

static nm_status needs_property(const nm_check_state *s, nm_err *err)
{
    return s->property ? NM_OK : nm_fail(err, NM_E_ARG, "the claim names no property");
}

/* Boxes, or leaves of trees of signs. */
static int64_t count_parts(const nm_region_proof *p)
{
    int64_t n = p->n_steps;

    for (int64_t i = 0; i < p->n_ints; i++)
        n += p->ints[i] < 0;
    return n;
}

nm_status nm_check_holds(const nm_check_state *s, const nm_claim_statement *claimed,
                         nm_check_statement *out, nm_err *err)
{
    int64_t n_parts = 0;
    nm_status rc = needs_property(s, err);

    if (rc == NM_OK && claimed->n_regions != s->property->n_boxes)
        rc = nm_fail(err, NM_E_ARG, "%lld boxes are proved, and the property has %lld",
                     (long long)claimed->n_regions, (long long)s->property->n_boxes);
    for (int64_t b = 0; rc == NM_OK && b < claimed->n_regions; b++) {
        rc = nm_check_region_proof(s->ctx, s->model, s->property, b, &claimed->regions[b], err);
        n_parts += count_parts(&claimed->regions[b]);
        if (rc != NM_OK)
            nm_err_prefix(err, "box %lld: ", (long long)b);
    }
    if (rc == NM_OK)
        nm_confirm(out, n_parts,
                   "no input of %lld boxes is unsafe, in real arithmetic: %lld parts bounded anew",
                   (long long)claimed->n_regions, (long long)n_parts);
    return rc;
}

/* In float32, and in float64 with plain loops. */
static nm_status replay(const nm_check_state *s, const nm_claim_statement *claimed, nm_err *err)
{
    size_t n_in = (size_t)s->property->n_in, n_out = (size_t)s->property->n_out;
    struct {
        float *x, *y32;
        double *y;
    } v = {0};
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&v.x, n_in, sizeof *v.x, err));
    NM_TRY(nm_alloc(&v.y32, n_out, sizeof *v.y32, err));
    NM_TRY(nm_alloc(&v.y, n_out, sizeof *v.y, err));
    for (size_t j = 0; j < n_in; j++) {
        v.x[j] = (float)claimed->x[j];
        if ((double)v.x[j] != claimed->x[j])
            NM_THROW(err, NM_E_ARG, "x %zu is no float32 number", j);
    }
    NM_TRY(nm_net_forward_f32(s->ctx, s->model, v.x, 1, v.y32, err));
    for (size_t o = 0; o < n_out; o++)
        v.y[o] = (double)v.y32[o];
    if (!nm_property_unsafe(s->property, v.x, v.y))
        NM_THROW(err, NM_E_ARG, "the point is not unsafe in float32");
    NM_TRY(nm_net_forward_f64(s->ctx, s->model, claimed->x, 1, v.y, err));
    if (!nm_property_unsafe(s->property, v.x, v.y))
        NM_THROW(err, NM_E_ARG, "the point is not unsafe in float64");
done:
    nm_free(v.x);
    nm_free(v.y32);
    nm_free(v.y);
    return rc;
}

nm_status nm_check_violated(const nm_check_state *s, const nm_claim_statement *claimed,
                            nm_check_statement *out, nm_err *err)
{
    nm_status rc = needs_property(s, err);

    if (rc == NM_OK && claimed->n_x != s->property->n_in)
        rc = nm_fail(err, NM_E_ARG, "the point has %lld inputs, the property %lld",
                     (long long)claimed->n_x, (long long)s->property->n_in);
    if (rc == NM_OK)
        rc = replay(s, claimed, err);
    if (rc == NM_OK)
        nm_confirm(out, 1, "the point lies in a box and is unsafe, in float32 and in float64");
    return rc;
}
