/* From a repair to its claim. Everything that is claimed is computed here from the files by the
   functions that will check it, so that a claim holds what a check confirms. */
#include <math.h>
#include <string.h>

#include "base/ctx.h"
#include "base/mem.h"
#include "problem/plan.h"
#include "verify/check.h"
#include "verify/deploy.h"

struct maker {
    nm_ctx *ctx;
    const nm_claim_facts *facts;
    nm_claim claim;
    nm_check_state state;
};

/* -- files and sets ------------------------------------------------------------------------ */

static nm_status copy_channels(const nm_data_opts *from, nm_claim_set *to, nm_err *err)
{
    size_t n = (size_t)from->n_channels;
    nm_status rc = NM_OK;

    if (n == 0)
        return NM_OK;
    NM_TRY(nm_alloc(&to->mean, n, sizeof *to->mean, err));
    NM_TRY(nm_alloc(&to->std, n, sizeof *to->std, err));
    for (size_t i = 0; i < n; i++) {
        to->mean[i] = from->mean ? from->mean[i] : 0;
        to->std[i] = from->std ? from->std[i] : 1;
    }
    to->opts.mean = to->mean;
    to->opts.std = to->std;
done:
    return rc;
}

static nm_status add_set(struct maker *m, nm_claim_set_id id, const nm_claim_source *source,
                         nm_err *err)
{
    nm_claim_set *set = &m->claim.sets[id];
    nm_status rc = NM_OK;

    if (!source->points_path)
        return NM_OK;
    NM_TRY(nm_claim_add_file(&m->claim, source->points, source->points_path, err));
    NM_TRY(nm_strdup(&set->points, source->points, err));
    if (source->labels_path) {
        NM_TRY(nm_claim_add_file(&m->claim, source->labels, source->labels_path, err));
        NM_TRY(nm_strdup(&set->labels, source->labels, err));
    }
    set->opts = source->opts;
    set->opts.mean = set->opts.std = NULL;
    set->wanted = source->wanted;
    NM_TRY(copy_channels(&source->opts, set, err));
    if (source->rows) {
        NM_TRY(nm_memdup(&set->rows, source->rows, (size_t)source->n, sizeof *set->rows, err));
        set->n_rows = source->n;
    }
done:
    return rc;
}

/* -- what may change ----------------------------------------------------------------------- */

/* Ascending entries as runs of neighbours. */
static nm_status make_runs(const nm_param_block *block, nm_claim_tensor *t, nm_err *err)
{
    nm_status rc = nm_alloc(&t->runs, (size_t)block->n, 2 * sizeof *t->runs, err);

    for (int64_t i = 0; rc == NM_OK && i < block->n; i++) {
        int64_t *run = t->runs + 2 * (t->n_runs - 1);

        if (t->n_runs > 0 && run[0] + run[1] == block->entry[i]) {
            run[1]++;
        } else {
            t->runs[2 * t->n_runs] = block->entry[i];
            t->runs[2 * t->n_runs + 1] = 1;
            t->n_runs++;
        }
    }
    return rc;
}

static nm_status add_edit(struct maker *m, nm_err *err)
{
    const nm_plan *plan = m->facts->plan;
    nm_params *params = NULL;
    nm_status rc = NM_OK;

    m->claim.lo = plan->lo;
    m->claim.hi = plan->hi;
    NM_TRY(nm_params_new(plan, &params, err));
    NM_TRY(nm_alloc(&m->claim.tensors, (size_t)params->n_blocks, sizeof *m->claim.tensors, err));
    for (int i = 0; i < params->n_blocks; i++) {
        nm_claim_tensor *t = &m->claim.tensors[m->claim.n_tensors++];

        t->layer = params->blocks[i].layer;
        t->bias = params->blocks[i].bias;
        if (params->blocks[i].entry)
            NM_TRY(make_runs(&params->blocks[i], t, err));
    }
done:
    nm_params_free(params);
    return rc;
}

/* -- statements of a repair ---------------------------------------------------------------- */

static nm_claim_statement *add_statement(struct maker *m, nm_claim_what what)
{
    nm_claim_statement *s = &m->claim.statements[m->claim.n_statements++];

    *s = (nm_claim_statement){.what = what};
    return s;
}

static nm_status claim_architecture(struct maker *m, nm_err *err)
{
    nm_claim_statement *s = add_statement(m, NM_CLAIM_ARCHITECTURE);
    nm_err ignored = {0};

    s->same_bytes = nm_check_same(&m->state, true, &ignored) == NM_OK;
    if (!s->same_bytes && nm_check_same(&m->state, false, err) != NM_OK) {
        nm_err_prefix(err, "no claim can be made of this file: ");
        return NM_E_UNSUPPORTED;
    }
    return nm_measure_architecture(&m->state, s, err);
}

/* After a partial repair: the points that are as sure as asked. */
static nm_status list_repaired(struct maker *m, nm_claim_statement *s, nm_err *err)
{
    const nm_points *set = &m->state.sets[NM_SET_REPAIR];
    nm_deploy d = {0};
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&s->points, (size_t)set->n, sizeof *s->points, err));
    NM_TRY(nm_deploy_check(m->ctx, m->state.fixed, set->x, set->labels, set->n, true, &d, err));
    for (int64_t p = 0; p < set->n; p++)
        if (d.margin[p] > 0 && (s->safe != NM_SAFE_ANY_ORDER || d.safe_first_order[p]) &&
            (s->safe != NM_SAFE_PROBABLE || d.safe_probable[p]))
            s->points[s->n_points++] = p;
done:
    nm_deploy_clear(&d);
    return rc;
}

static nm_status claim_points(struct maker *m, nm_err *err)
{
    nm_claim_statement *s = add_statement(m, NM_CLAIM_REPAIR_SET);
    nm_check_statement found = {0};
    nm_status rc = NM_OK;

    s->safe = m->facts->opts->safe;
    if (m->facts->report->outcome == NM_PARTLY)
        NM_TRY(list_repaired(m, s, err));
    NM_TRY(nm_measure_repair_set(&m->state, s, &found, err));
    s->margin *= 1 - 1e-9; /* exp and its like differ in the last bit between C libraries */
    if (m->claim.sets[NM_SET_KEEP].points) {
        s = add_statement(m, NM_CLAIM_KEEP_SET);
        NM_TRY(nm_measure_keep_set(&m->state, &s->n_right, &s->n_kept, err));
    }
done:
    return rc;
}

/* -- proofs -------------------------------------------------------------------------------- */

static nm_status copy_proof(const nm_certificate *c, nm_claim_proof *out, nm_err *err)
{
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&out->points, (size_t)c->n_rows, sizeof *out->points, err));
    NM_TRY(nm_alloc(&out->rows, (size_t)c->n_rows, sizeof *out->rows, err));
    for (int64_t r = 0; r < c->n_rows; r++) {
        const nm_certificate_row *row = &c->rows[r];

        if (r == 0 || row->keep != c->rows[r - 1].keep || row->point != c->rows[r - 1].point)
            out->points[out->n_points++] =
                (nm_claim_point){.set = row->keep ? NM_SET_KEEP : NM_SET_REPAIR,
                                 .point = row->point,
                                 .margin = row->margin,
                                 .first = r};
        out->points[out->n_points - 1].n++;
        out->rows[out->n_rows++] = (nm_claim_row){.op = row->op, .k = row->k, .y = row->y};
    }
done:
    return rc;
}

/* A statement that could not be proven is taken back; that is news where it was to be expected. */
static void drop_statement(struct maker *m, nm_log_level level, const char *why)
{
    nm_claim_statement *s = &m->claim.statements[--m->claim.n_statements];

    nm_log(m->ctx, level, "the claim does not hold '%s': %s", nm_claim_whats[s->what], why);
    nm_free(s->proof.points);
    nm_free(s->proof.rows);
    *s = (nm_claim_statement){0};
}

static bool is_lack(nm_status rc)
{
    return rc == NM_E_NOMEM || rc == NM_E_CANCELLED || rc == NM_E_LIMIT;
}

/* The bound in the pieces in which it is best: any, where there are none behind the edited layer;
   else those of FIXED, or of MODEL, from which FIXED may differ in neurons that do not matter. */
static nm_status find_pieces(struct maker *m, nm_claim_statement *s, char *why, size_t room,
                             nm_err *err)
{
    static const nm_claim_pieces tries[] = {NM_PIECES_ANY, NM_PIECES_FIXED, NM_PIECES_MODEL};
    nm_claim_pieces best = NM_PIECES_ANY;

    s->lower_bound = -INFINITY;
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        double objective, bound;
        nm_err ignored = {0};
        nm_status rc;

        s->proof.pieces = tries[i];
        rc = nm_measure_optimality(&m->state, s, &objective, &bound, &ignored);
        if (is_lack(rc))
            return nm_fail(err, rc, "%s", ignored.text);
        if (rc != NM_OK)
            (void)snprintf(why, room, "%s", ignored.text);
        if (rc != NM_OK || bound <= s->lower_bound || bound > objective * (1 + 1e-6))
            continue;
        best = tries[i];
        s->objective = objective;
        s->lower_bound = bound;
        if (best == NM_PIECES_ANY || objective - bound <= 1e-3 * objective)
            break;
    }
    s->proof.pieces = best;
    return NM_OK;
}

static nm_status claim_optimum(struct maker *m, const nm_certificate *c, nm_err *err)
{
    const nm_repair_opts *opts = m->facts->opts;
    nm_claim_statement *s = add_statement(m, NM_CLAIM_OPTIMALITY);
    char why[NM_ERR_TEXT] = "the bound is not proven";
    nm_status rc = NM_OK;

    s->norm = opts->norm;
    s->mean_over = (double)(opts->norm_counts_marked ? nm_plan_n_marked(m->facts->plan)
                                                     : nm_plan_n_free(m->facts->plan));
    if (opts->norm_includes_outputs || opts->norm == NM_NORM_FUNCTION) {
        drop_statement(m, NM_LOG_INFO,
                       opts->norm_includes_outputs ? "the norm includes outputs"
                                                   : "bounds on the function norm are not proven");
        return NM_OK;
    }
    NM_TRY(copy_proof(c, &s->proof, err));
    NM_TRY(find_pieces(m, s, why, sizeof why, err));
    if (!(s->lower_bound > 0))
        drop_statement(m, NM_LOG_WARNING, why);
    else
        s->gap = fmax(s->objective - s->lower_bound, 0) / s->objective;
done:
    return rc;
}

/* The largest box in which the proof survives rounding. */
static nm_status claim_infeasible(struct maker *m, const nm_certificate *c, nm_err *err)
{
    static const double boxes[] = {1e9, 1e8, 1e7, 1e6, 1e5, 1e4, 1e3, 100, 10, 1};
    enum { N_BOXES = sizeof boxes / sizeof *boxes };
    static const nm_claim_pieces tries[] = {NM_PIECES_ANY, NM_PIECES_MODEL};
    nm_claim_statement *s = add_statement(m, NM_CLAIM_INFEASIBLE);
    nm_err why = {0};
    nm_status rc = NM_OK;

    NM_TRY(copy_proof(c, &s->proof, err));
    for (int i = 0; i < 2 && s->box == 0; i++) {
        why = (nm_err){0};
        s->proof.pieces = tries[i];
        rc = nm_measure_infeasible(&m->state, &s->proof, boxes, N_BOXES, &s->box, &why);
        if (is_lack(rc))
            return nm_fail(err, rc, "%s", why.text);
    }
    if (s->box == 0)
        drop_statement(m, NM_LOG_WARNING,
                       rc != NM_OK ? why.text : "the proof does not survive rounding");
    rc = NM_OK;
done:
    return rc;
}

static nm_status claim_certificates(struct maker *m, nm_err *err)
{
    const nm_repair_report *r = m->facts->report;
    nm_status rc = NM_OK;

    for (int i = 0; rc == NM_OK && i < r->n_certificates; i++) {
        const nm_certificate *c = &r->certificates[i];

        if (c->kind == NM_CERTIFIED_TWINS) {
            nm_claim_statement *s = add_statement(m, NM_CLAIM_TWINS);

            s->twins[0] = c->rows[0].point;
            s->twins[1] = c->rows[1].point;
        } else {
            rc = c->kind == NM_CERTIFIED_OPTIMUM ? claim_optimum(m, c, err)
                                                 : claim_infeasible(m, c, err);
        }
    }
    return rc;
}

/* -- the whole ----------------------------------------------------------------------------- */

static nm_status make_claim(struct maker *m, nm_err *err)
{
    const nm_claim_facts *f = m->facts;
    size_t most = 4 + (size_t)f->report->n_certificates;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&m->claim.files, 8, sizeof *m->claim.files, err));
    NM_TRY(nm_alloc(&m->claim.statements, most, sizeof *m->claim.statements, err));
    NM_TRY(nm_claim_add_file(&m->claim, "model", f->model_path, err));
    NM_TRY(nm_claim_add_file(&m->claim, "fixed", f->fixed_path, err));
    NM_TRY(add_set(m, NM_SET_REPAIR, &f->repair, err));
    NM_TRY(add_set(m, NM_SET_KEEP, &f->keep, err));
    NM_TRY(add_edit(m, err));
    NM_TRY(nm_check_open(m->ctx, &m->claim, NULL, &m->state, err));
    (void)add_statement(m, NM_CLAIM_FILES);
    if (f->fixed_path) {
        NM_TRY(claim_architecture(m, err));
        NM_TRY(claim_points(m, err));
    }
    NM_TRY(claim_certificates(m, err));
    if (m->claim.n_statements < 2)
        NM_THROW(err, NM_E_ARG, "there is nothing to claim");
done:
    return rc;
}

nm_status nm_claim_write(nm_ctx *ctx, const nm_claim_facts *facts, const char *path, nm_err *err)
{
    struct maker m = {.ctx = ctx, .facts = facts};
    nm_err local = {0};
    nm_status rc;

    err = err ? err : &local;
    rc = make_claim(&m, err);
    if (rc != NM_OK)
        nm_err_prefix(err, "%s: ", path);
    else
        rc = nm_claim_save(&m.claim, path, err);
    nm_check_close(&m.state);
    nm_claim_free(&m.claim);
    return rc;
}
