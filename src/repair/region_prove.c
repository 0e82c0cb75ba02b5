#include "repair/region_prove.h"

#include <math.h>

#include "base/mem.h"
#include "net/pass.h"

/* Middles of edges are rounded: hulls of parts that were cut there are so much larger. */
static const double cut_blur = 0x1p-48;

/* -- by linear regions ------------------------------------------------------------------------ */

struct hulls {
    const nm_region_prove *prove;
    nm_region_parts *parts;
};

/* Of each case the row that is broken most surely, and of these the case that is least sure. */
static void judge(const nm_region_conditions *c, const nm_hull_bound *bounds, nm_region_part *part)
{
    int64_t first = c->first_case[part->region], first_row = c->first_row[first];

    part->least = INFINITY;
    part->lost = part->bends = 0;
    for (int64_t k = first; k < c->first_case[part->region + 1]; k++) {
        double best = -INFINITY;
        int64_t row = c->first_row[k];

        for (int64_t r = c->first_row[k]; r < c->first_row[k + 1]; r++)
            if (bounds[r - first_row].least / c->norm[r] > best) {
                best = bounds[r - first_row].least / c->norm[r];
                row = r;
            }
        if (best >= part->least)
            continue;
        part->least = best;
        part->bends = bounds[row - first_row].bends / c->norm[row];
        part->lost = part->bends + bounds[row - first_row].rounding / c->norm[row];
    }
    part->proof = part->least > 0 ? NM_REGION_LINEAR : NM_REGION_UNPROVEN;
}

static nm_status check_hulls(void *user, int64_t first, int64_t n, nm_arena *arena)
{
    const struct hulls *h = user;
    const nm_region_conditions *c = h->prove->conditions;
    nm_status rc = NM_OK;

    for (int64_t p = first; rc == NM_OK && p < first + n; p++) {
        nm_region_part *part = &h->parts->at[p];
        int64_t first_row = c->first_row[c->first_case[part->region]];
        nm_hull hull = {.vertex = part->vertex,
                        .n = part->n,
                        .rows = c->rows + first_row,
                        .n_rows = c->first_row[c->first_case[part->region + 1]] - first_row,
                        .blur = cut_blur,
                        .float32 = h->prove->float32};
        nm_hull_bound *bounds = nm_arena_take(arena, (size_t)hull.n_rows + 1, sizeof *bounds);

        rc = bounds ? nm_hull_check(h->prove->net, &hull, bounds, NULL) : NM_E_NOMEM;
        if (rc == NM_OK)
            judge(c, bounds, part);
        if (rc == NM_OK)
            rc = nm_arena_reset(arena, NULL);
    }
    return rc;
}

/* -- by the verifier -------------------------------------------------------------------------- */

/* Rows of a property name only the outputs that count. */
static void thin_row(const nm_hull_row *row, int64_t n_scores, int32_t *output, double *coef,
                     nm_out_row *out)
{
    *out = (nm_out_row){
        .output = output, .coef = coef, .limit_out = row->limit, .limit_in = row->limit};
    for (int32_t i = 0; i < n_scores; i++)
        if (row->coef[i] != 0) {
            output[out->n_terms] = i;
            coef[out->n_terms++] = row->coef[i];
        }
}

static nm_status make_property(const nm_region_prove *s, const nm_region_part *part,
                               nm_property **out, nm_err *err)
{
    const nm_region_conditions *c = s->conditions;
    int64_t first = c->first_case[part->region], n_cases = nm_region_n_cases(c, part->region);
    int64_t first_row = c->first_row[first], n_rows = c->first_row[first + n_cases] - first_row;
    size_t n_scores = (size_t)c->n_scores;
    nm_out_case *cases = NULL;
    nm_out_row *rows = NULL;
    int32_t *output = NULL;
    double *coef = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&cases, (size_t)n_cases, sizeof *cases, err));
    NM_TRY(nm_alloc(&rows, (size_t)n_rows, sizeof *rows, err));
    NM_TRY(nm_alloc(&output, (size_t)n_rows, n_scores * sizeof *output, err));
    NM_TRY(nm_alloc(&coef, (size_t)n_rows, n_scores * sizeof *coef, err));
    for (int64_t k = 0; k < n_cases; k++)
        cases[k] = (nm_out_case){
            .first = c->first_row[first + k] - first_row,
            .n_rows = (int32_t)(c->first_row[first + k + 1] - c->first_row[first + k])};
    for (int64_t r = 0; r < n_rows; r++)
        thin_row(&c->rows[first_row + r], c->n_scores, output + r * c->n_scores,
                 coef + r * c->n_scores, &rows[r]);
    NM_TRY(nm_property_from_box(part->lo, part->hi, nm_net_n_in(s->net), c->n_scores, cases,
                                n_cases, rows, n_rows, out, err));
done:
    nm_free(cases);
    nm_free(rows);
    nm_free(output);
    nm_free(coef);
    return rc;
}

static nm_status ask_verifier(const nm_region_prove *s, nm_region_part *part, nm_err *err)
{
    nm_verify_opts opts = NM_VERIFY_OPTS_INIT;
    nm_verify_report report = {0};
    nm_property *property = NULL;
    nm_status rc = NM_OK;

    opts.semantics = s->float32 ? NM_SEMANTICS_FLOAT32 : NM_SEMANTICS_REAL;
    opts.max_nodes = s->max_nodes;
    opts.seed = s->seed;
    NM_TRY(make_property(s, part, &property, err));
    NM_TRY(nm_verify(s->ctx, s->net, property, &opts, &report, err));
    if (report.verdict == NM_VERDICT_HOLDS)
        part->proof = NM_REGION_SEARCH;
    part->violated = report.verdict == NM_VERDICT_VIOLATED;
done:
    nm_verify_report_free(&report);
    nm_property_free(property);
    return rc;
}

nm_status nm_region_prove_parts(const nm_region_prove *s, nm_region_parts *parts, int64_t *n_open,
                                nm_err *err)
{
    struct hulls h = {.prove = s, .parts = parts};
    bool can_search = s->max_nodes > 0 && s->net->scores == s->net->output;
    nm_status rc = NM_OK;

    *n_open = 0;
    NM_TRY(nm_blocks_run(s->ctx, parts->n, 1, check_hulls, &h, err));
    for (int64_t p = 0; p < parts->n; p++) {
        nm_region_part *part = &parts->at[p];

        part->violated = false;
        if (part->proof == NM_REGION_UNPROVEN && can_search && part->lo)
            NM_TRY(ask_verifier(s, part, err));
        *n_open += part->proof == NM_REGION_UNPROVEN;
    }
done:
    return rc;
}
