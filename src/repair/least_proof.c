/* What the end of a least-change program proves: conflicts, and multipliers of its rows. */
#include <string.h>

#include "base/mem.h"
#include "repair/least.h"

/* Whether rows contradict each other does not depend on the norm: the explicit program over the
 * rows of the ray proves it again, in arithmetic that is checked.
 * @param out  NULL where it does not */
static nm_status prove_again(const nm_least *s, nm_program **out, nm_err *err)
{
    nm_repair_opts repair = *s->opts.repair;
    nm_program_opts opts = s->opts;
    nm_row_id *used = NULL;
    nm_master_outcome outcome = NM_MASTER_FAILED;
    int64_t n = 0, added;
    nm_status rc = NM_OK;

    *out = NULL;
    repair.norm = NM_NORM_L2;
    opts.repair = &repair;
    NM_TRY(nm_alloc(&used, (size_t)s->rows.n, sizeof *used, err));
    for (int64_t r = 0; r < s->rows.n; r++)
        if (s->gram.ldp.ray[r] > 0 &&
            (s->rows.at[r].kind == NM_ROW_LABEL || s->rows.at[r].kind == NM_ROW_PIN))
            used[n++] = s->rows.at[r];
    NM_TRY(nm_program_open(s->ctx, s->tail, s->demand, &opts, out, err));
    NM_TRY(nm_program_add(*out, used, n, &added, err));
    NM_TRY(nm_program_solve(*out, &outcome, err));
done:
    if (rc != NM_OK || outcome != NM_MASTER_INFEASIBLE) {
        nm_program_close(*out);
        *out = NULL;
    }
    nm_free(used);
    return rc;
}

nm_status nm_least_conflict(void *state, bool *member, nm_err *err)
{
    const nm_least *s = state;
    nm_program *program;
    nm_status rc = prove_again(s, &program, err);

    memset(member, 0, (size_t)s->tail->at->n * sizeof *member);
    if (rc == NM_OK && program)
        rc = nm_program_conflict(program, member, err);
    nm_program_close(program);
    return rc;
}

/* Multipliers of |d|^2 / 2, without those of bounds. */
static nm_status copy_solution(const nm_least *s, nm_row_id *rows, double *y, int64_t *n,
                               nm_err *err)
{
    double *all;
    nm_status rc = nm_alloc(&all, (size_t)s->gram.m, sizeof *all, err);

    if (rc != NM_OK)
        return rc;
    nm_gram_multipliers(&s->gram, all);
    for (int64_t r = 0; r < s->rows.n; r++)
        if (s->rows.at[r].kind == NM_ROW_LABEL || s->rows.at[r].kind == NM_ROW_PIN) {
            rows[*n] = s->rows.at[r];
            y[(*n)++] = all[r];
        }
    nm_free(all);
    return NM_OK;
}

nm_status nm_least_multipliers(void *state, bool infeasible, nm_row_id **out, double **y,
                               int64_t *n, nm_err *err)
{
    const nm_least *s = state;
    nm_program *program = NULL;
    nm_status rc = NM_OK;

    *n = 0;
    if (infeasible) {
        NM_TRY(prove_again(s, &program, err));
        if (program)
            NM_TRY(nm_program_copy_multipliers(program, out, y, n, err));
    } else {
        NM_TRY(nm_alloc(out, (size_t)s->rows.n, sizeof **out, err));
        NM_TRY(nm_alloc(y, (size_t)s->rows.n, sizeof **y, err));
        NM_TRY(copy_solution(s, *out, *y, n, err));
    }
done:
    nm_program_close(program);
    return rc;
}
