/* One box of a property, as the search sees it (region.h). */
#include "verify/prove.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "verify/region.h"
#include "verify/region_proof.h"

/* Boxes with more free inputs are searched by splitting neurons. */
enum { MOST_SPLIT_INPUTS = 24, MOST_SLOPES = 1 << 22 /* of neurons by inputs, that it keeps */ };

struct proving {
    nm_arena arena;
    nm_vnet *v;
    nm_region region;
};

static nm_status no_memory(nm_err *err)
{
    return nm_fail(err, NM_E_NOMEM, "out of memory");
}

/* Rows as the search has them: coefficients on all outputs, unsafe when <= 0. The limits are those
   that make the unsafe set larger. */
static nm_status take_rows(struct proving *p, const nm_prove_job *job, nm_err *err)
{
    const nm_property *property = job->property;
    const nm_out_case *cases = property->cases + job->box->first_case;
    int n_cases = (int)job->box->n_cases, n_rows = 0, at = 0;
    size_t n_out = (size_t)property->n_out;
    nm_vrow *rows;
    int *first = nm_arena_take(&p->arena, (size_t)n_cases + 1, sizeof *first);

    for (int c = 0; c < n_cases; c++)
        n_rows += cases[c].n_rows;
    rows = nm_arena_take(&p->arena, (size_t)n_rows + 1, sizeof *rows);
    if (!rows || !first)
        return no_memory(err);
    for (int c = 0; c < n_cases; c++) {
        first[c] = at;
        for (int k = 0; k < cases[c].n_rows; k++) {
            const nm_out_row *row = &property->rows[cases[c].first + k];
            double *coef = nm_arena_take(&p->arena, n_out, sizeof *coef);

            if (!coef)
                return no_memory(err);
            memset(coef, 0, n_out * sizeof *coef);
            for (int t = 0; t < row->n_terms; t++)
                coef[row->output[t]] = row->coef[t];
            rows[at++] = (nm_vrow){.c = coef, .at_0 = -row->limit_out};
        }
    }
    first[n_cases] = at;
    p->region.n_cases = n_cases;
    p->region.n_rows = n_rows;
    p->region.first = first;
    p->region.rows = rows;
    return NM_OK;
}

static int n_free(const nm_in_box *box, int64_t n_in)
{
    int n = 0;

    for (int64_t j = 0; j < n_in; j++)
        n += box->lo_out[j] < box->hi_out[j];
    return n;
}

static bool has_bare_case(const nm_region *r)
{
    for (int c = 0; c < r->n_cases; c++)
        if (r->first[c] == r->first[c + 1])
            return true;
    return false;
}

/* A case without rows is unsafe wherever there is an input. */
static void try_any_point(const nm_prove_job *job, nm_prove_result *result)
{
    if (job->box->has_points)
        (void)job->try_point(job->user, job->box->lo_in);
    result->why_open = "a case asks nothing of the outputs";
}

static void report(const nm_region_report *found, nm_prove_result *result)
{
    result->proved = found->outcome == NM_REGION_SAFE;
    result->why_open = found->outcome == NM_REGION_OPEN ? "a limit was reached" : NULL;
    result->n_nodes = found->n_nodes;
    result->n_open = found->n_open;
    result->worst_bound = found->n_nodes > 0 ? found->worst_bound : (double)NAN;
    result->share_proved = found->share_proved;
}

nm_status nm_prove_box(nm_ctx *ctx, const nm_prove_job *job, nm_prove_result *result, nm_err *err)
{
    struct proving p = {0};
    nm_search_opts opts = NM_SEARCH_OPTS_INIT;
    nm_region_report found = {0};
    nm_status rc = NM_OK;

    *result = (nm_prove_result){.worst_bound = (double)NAN};
    NM_TRY(take_rows(&p, job, err));
    if (has_bare_case(&p.region)) {
        try_any_point(job, result);
        goto done;
    }
    rc = nm_vnet_new(job->net, job->box->lo_out, job->box->hi_out,
                     job->semantics == NM_SEMANTICS_FLOAT32, &p.v, err);
    if (rc == NM_E_UNSUPPORTED) {
        result->why_open = "an operator has no bounds here";
        (void)snprintf(result->detail, sizeof result->detail, "%.150s", err->text);
        *err = (nm_err){0};
        rc = NM_OK;
        goto done;
    }
    NM_TRY(rc);
    p.region.v = p.v;
    p.region.lo = job->box->lo_out;
    p.region.hi = job->box->hi_out;
    p.region.point_lo = job->box->lo_in;
    p.region.point_hi = job->box->hi_in;
    p.region.try_point = job->try_point;
    p.region.attack_from = job->attack_from;
    p.region.user = job->user;
    opts.max_nodes = job->max_nodes;
    opts.keep_tree = job->certify;
    if (n_free(job->box, p.v->nodes[0].n) <= MOST_SPLIT_INPUTS &&
        p.v->nodes[0].n * p.v->n_neurons <= MOST_SLOPES)
        rc = nm_search_inputs(ctx, &p.region, &opts, &found, err);
    else
        rc = nm_search_neurons(ctx, &p.region, &opts, &found, err);
    report(&found, result);
    if (rc == NM_OK && result->proved && found.proof) {
        result->proof = found.proof;
        found.proof = NULL;
    } else if (rc == NM_OK && result->proved && found.splits) {
        result->proof = nm_region_proof_from(&found);
        rc = result->proof ? NM_OK : no_memory(err);
    }
done:
    nm_region_report_free(&found);
    nm_vnet_free(p.v);
    nm_arena_clear(&p.arena);
    return rc;
}
