/* From a verdict on a property to its claim, which holds what the checker confirms. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "verify/check.h"

struct maker {
    nm_ctx *ctx;
    nm_claim claim;
    nm_check_state state;
};

static nm_status copy_region(const nm_region_proof *from, nm_region_proof *to, nm_err *err)
{
    nm_status rc =
        nm_memdup(&to->steps, from->steps, (size_t)from->n_steps, sizeof *to->steps, err);

    if (rc == NM_OK)
        rc = nm_memdup(&to->numbers, from->numbers, (size_t)from->n_numbers, sizeof(double), err);
    if (rc == NM_OK)
        rc = nm_memdup(&to->ints, from->ints, (size_t)from->n_ints, sizeof *to->ints, err);
    if (rc == NM_OK)
        rc = nm_memdup(&to->floats, from->floats, (size_t)from->n_floats, sizeof *to->floats, err);
    if (rc == NM_OK)
        rc = nm_memdup(&to->bytes, from->bytes, (size_t)from->n_bytes, 1, err);
    to->n_steps = from->n_steps;
    to->n_numbers = from->n_numbers;
    to->n_ints = from->n_ints;
    to->n_floats = from->n_floats;
    to->n_bytes = from->n_bytes;
    return rc;
}

static nm_status add_proofs(const nm_verify_report *r, nm_claim_statement *s, nm_err *err)
{
    nm_status rc;

    s->what = NM_CLAIM_HOLDS;
    rc = nm_alloc(&s->regions, (size_t)r->n_proofs, sizeof *s->regions, err);
    for (int64_t b = 0; rc == NM_OK && b < r->n_proofs; b++) {
        if (!r->proofs[b])
            return nm_fail(err, NM_E_UNSUPPORTED,
                           "the proof of box %lld was not kept: claims speak of searches that "
                           "split inputs",
                           (long long)b);
        s->n_regions = b + 1;
        rc = copy_region(r->proofs[b], &s->regions[b], err);
    }
    return rc;
}

static nm_status add_point(const nm_verify_report *r, nm_claim_statement *s, nm_err *err)
{
    nm_status rc = nm_alloc(&s->x, (size_t)r->n_in, sizeof *s->x, err);

    s->what = NM_CLAIM_VIOLATED;
    s->n_x = r->n_in;
    for (int64_t j = 0; rc == NM_OK && j < r->n_in; j++)
        s->x[j] = (double)r->x[j];
    return rc;
}

static nm_status make_claim(struct maker *m, const char *model, const char *property,
                            const nm_verify_opts *opts, const nm_verify_report *r, nm_err *err)
{
    nm_check_statement found = {0};
    nm_claim_statement *s;
    nm_status rc = NM_OK;

    if (r->verdict == NM_VERDICT_UNKNOWN)
        return nm_fail(err, NM_E_ARG, "there is nothing to claim: the verdict is unknown");
    if (r->verdict == NM_VERDICT_HOLDS && opts->semantics != NM_SEMANTICS_REAL)
        return nm_fail(err, NM_E_UNSUPPORTED, "proofs are checked in real arithmetic only");
    m->claim.lo = -(double)INFINITY;
    m->claim.hi = (double)INFINITY;
    NM_TRY(nm_alloc(&m->claim.files, 2, sizeof *m->claim.files, err));
    NM_TRY(nm_alloc(&m->claim.statements, 2, sizeof *m->claim.statements, err));
    NM_TRY(nm_claim_add_file(&m->claim, "model", model, err));
    NM_TRY(nm_claim_add_file(&m->claim, "property", property, err));
    m->claim.n_statements = 2;
    m->claim.statements[0].what = NM_CLAIM_FILES;
    s = &m->claim.statements[1];
    if (r->verdict == NM_VERDICT_HOLDS)
        NM_TRY(add_proofs(r, s, err));
    else
        NM_TRY(add_point(r, s, err));
    NM_TRY(nm_check_open(m->ctx, &m->claim, NULL, &m->state, err));
    if (r->verdict == NM_VERDICT_HOLDS)
        NM_TRY(nm_check_holds(&m->state, s, &found, err));
    else
        NM_TRY(nm_check_violated(&m->state, s, &found, err));
done:
    return rc;
}

nm_status nm_claim_write_property(nm_ctx *ctx, const char *model, const char *property,
                                  const nm_verify_opts *opts, const nm_verify_report *report,
                                  const char *path, nm_err *err)
{
    struct maker m = {.ctx = ctx};
    nm_err local = {0};
    nm_status rc;

    err = err ? err : &local;
    rc = make_claim(&m, model, property, opts, report, err);
    if (rc != NM_OK)
        nm_err_prefix(err, "%s: ", path);
    else
        rc = nm_claim_save(&m.claim, path, err);
    nm_check_close(&m.state);
    nm_claim_free(&m.claim);
    return rc;
}
