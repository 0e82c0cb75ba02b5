/* Small conflicts: which groups of rows contradict each other already.
 *
 * Deletion filter (Chinneck & Dravnieks, "Locating minimal infeasible constraint sets in linear
 * programs", ORSA J. Computing 3, 1991) over groups: leave some out, and if the rest is still
 * infeasible, go on with the groups that its proof uses. Halves of the candidates are tried before
 * smaller parts and single groups. A group without which the candidates were once feasible is
 * needed for good, as every later set of candidates is smaller. */
#include <string.h>

#include "base/mem.h"
#include "solve/master.h"
#include "solve/polish.h"

typedef struct conflict {
    const nm_ctx *ctx;
    const nm_master_spec *spec;
    const nm_rows *all; /* lent from the caller */
    const int64_t *group;
    int64_t n_groups;
    bool *candidate; /* [n_groups] together infeasible: proven */
    bool *left_out;  /* [n_groups] of the present test */
    bool *needed;    /* [n_groups] */
    double *y;       /* [all->m] proof of the present test */
    int64_t *source; /* [all->m] row of `all` behind each row of the test */
} conflict;

/* Candidates = the groups with a row in the support of y, y over the rows given by source. */
static void keep_support(conflict *c, const double *y, int64_t m)
{
    memset(c->candidate, 0, (size_t)c->n_groups * sizeof *c->candidate);
    for (int64_t i = 0; i < m; i++) {
        if (y[i] > 0)
            c->candidate[c->group[c->source[i]]] = true;
    }
}

static nm_status rows_of_test(conflict *c, nm_rows *rows, nm_err *err)
{
    int64_t count = 0;

    for (int64_t r = 0; r < c->all->m; r++) {
        int64_t g = c->group[r];

        if (c->candidate[g] && !c->left_out[g])
            c->source[count++] = r;
    }
    return nm_rows_pick(rows, c->all, count, c->source, NULL, err);
}

/* The same question to CLP, where the least-distance method had no answer. */
static nm_status ask_clp(conflict *c, const nm_rows *rows, bool *infeasible, nm_err *err)
{
    nm_master_spec spec = {.norm = NM_NORM_LINF,
                           .n = c->spec->n,
                           .lo = c->spec->lo,
                           .hi = c->spec->hi,
                           .gap = c->spec->gap,
                           .space = c->spec->space};
    nm_master_result result;
    void *solver = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_master_clp.open(c->ctx, &spec, rows, &solver, err));
    NM_TRY(nm_master_clp.solve(solver, &result, err));
    *infeasible = result.outcome == NM_MASTER_INFEASIBLE;
    if (*infeasible)
        memcpy(c->y, result.y, (size_t)rows->m * sizeof *c->y);
done:
    if (solver)
        nm_master_clp.close(solver);
    return rc;
}

/* Are the candidates infeasible without those left out? If so, they shrink to what the proof uses.
 */
static nm_status test(conflict *c, bool *infeasible, nm_err *err)
{
    nm_master_outcome verdict;
    nm_rows rows = {.n = c->all->n, .factors = {.space = c->all->factors.space}};
    nm_status rc;

    *infeasible = false;
    NM_TRY(rows_of_test(c, &rows, err));
    NM_TRY(nm_find_proof(c->ctx, c->spec, &rows, c->y, &verdict, err));
    *infeasible = verdict == NM_MASTER_INFEASIBLE;
    if (verdict == NM_MASTER_FAILED)
        NM_TRY(ask_clp(c, &rows, infeasible, err));
    if (*infeasible)
        keep_support(c, c->y, rows.m);
done:
    nm_rows_free(&rows);
    return rc;
}

static int64_t count_open(const conflict *c)
{
    int64_t count = 0;

    for (int64_t g = 0; g < c->n_groups; g++)
        count += c->candidate[g] && !c->needed[g];
    return count;
}

/* Leaves out up to `size` candidates, from *from on, that are not known to be needed. *from moves
 * behind them. Returns the last one, -1 if there is none. */
static int64_t leave_out(conflict *c, int64_t size, int64_t *from)
{
    int64_t last = -1;

    memset(c->left_out, 0, (size_t)c->n_groups * sizeof *c->left_out);
    for (; *from < c->n_groups && size > 0; ++*from) {
        if (!c->candidate[*from] || c->needed[*from])
            continue;
        c->left_out[*from] = true;
        last = *from;
        size--;
    }
    return last;
}

/* One pass over the candidates in parts of `size`. */
static nm_status filter_pass(conflict *c, int64_t size, nm_err *err)
{
    int64_t from = 0, last;
    nm_status rc = NM_OK;

    while ((last = leave_out(c, size, &from)) >= 0) {
        bool infeasible;

        NM_TRY(test(c, &infeasible, err));
        if (!infeasible && size == 1)
            c->needed[last] = true;
    }
done:
    return rc;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static nm_status filter(conflict *c, nm_err *err)
{
    int64_t size = count_open(c) / 2;
    nm_status rc = NM_OK;

    while (size > 1) {
        NM_TRY(filter_pass(c, size, err));
        size = smaller(size, count_open(c)) / 2;
    }
    NM_TRY(filter_pass(c, 1, err));
done:
    return rc;
}

static nm_status open_conflict(conflict *c, nm_err *err)
{
    size_t groups = (size_t)c->n_groups, m = (size_t)c->all->m;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&c->left_out, groups, sizeof *c->left_out, err));
    NM_TRY(nm_alloc(&c->needed, groups, sizeof *c->needed, err));
    NM_TRY(nm_alloc(&c->y, m, sizeof *c->y, err));
    NM_TRY(nm_alloc(&c->source, m, sizeof *c->source, err));
done:
    return rc;
}

/* The caller's proof, or one of our own where it does not hold. */
static nm_status begin(conflict *c, const double *y, nm_err *err)
{
    bool infeasible;
    nm_status rc = NM_OK;

    for (int64_t g = 0; g < c->n_groups; g++)
        c->candidate[g] = true;
    if (nm_farkas_excess(c->spec, c->all, y) > 0) {
        for (int64_t r = 0; r < c->all->m; r++)
            c->source[r] = r;
        keep_support(c, y, c->all->m);
        return NM_OK;
    }
    NM_TRY(test(c, &infeasible, err));
    if (!infeasible)
        NM_THROW(err, NM_E_ARG, "the rows given as a conflict were not found to contradict");
done:
    return rc;
}

nm_status nm_conflict_groups(const nm_ctx *ctx, const nm_master_spec *spec, const nm_rows *rows,
                             const int64_t *group, int64_t n_groups, const double *y, bool *member,
                             nm_err *err)
{
    conflict c = {.ctx = ctx,
                  .spec = spec,
                  .all = rows,
                  .group = group,
                  .n_groups = n_groups,
                  .candidate = member};
    nm_err stop = {0};
    nm_status rc = NM_OK;

    NM_TRY(open_conflict(&c, err));
    NM_TRY(begin(&c, y, err));
    rc = filter(&c, &stop);
    if (rc == NM_E_LIMIT || rc == NM_E_CANCELLED)
        rc = NM_OK; /* what is left is a conflict, if not the smallest */
    else if (rc != NM_OK)
        NM_THROW(err, rc, "%s", stop.text);
done:
    nm_free(c.left_out);
    nm_free(c.needed);
    nm_free(c.y);
    nm_free(c.source);
    return rc;
}
