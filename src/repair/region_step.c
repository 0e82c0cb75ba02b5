#include "repair/region_step.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/order.h"
#include "repair/judge.h"
#include "repair/region_ties.h"

/* Asked of points that only have to be on their pieces: rows that no change breaks. */
static const double no_margin = -1e300;

/* The points of the program: each vertex of each part for its first case, which is pinned, then
   again for every other case. */
typedef struct step_points {
    int64_t n, n_pinned;
    float *x;      /* [n x n_in] */
    int64_t *part; /* [n] */
    int64_t *k;    /* [n] case */
    int64_t *target;
    const nm_out_row **rule;
    int64_t n_groups;
    int64_t *group;     /* [n] index of its reference */
    float *centre;      /* [n_groups x n_in] */
    int64_t *vertex_id; /* [n_pinned] shared vertices have one */
} step_points;

static void free_points(step_points *p)
{
    nm_free(p->x);
    nm_free(p->part);
    nm_free(p->k);
    nm_free(p->target);
    nm_free(p->rule);
    nm_free(p->group);
    nm_free(p->centre);
    nm_free(p->vertex_id);
}

static int64_t cases_of(const nm_region_step *s, int64_t part)
{
    return s->asserts && s->task->property
               ? nm_region_n_cases(s->conditions, s->parts->at[part].region)
               : 1;
}

static void add_vertices(const nm_region_step *s, int64_t part, int64_t k, step_points *p)
{
    const nm_region_part *from = &s->parts->at[part];
    int64_t n_in = s->parts->n_in;

    for (int64_t v = 0; v < from->n; v++) {
        for (int64_t i = 0; i < n_in; i++)
            p->x[p->n * n_in + i] = (float)from->vertex[v * n_in + i];
        p->part[p->n] = part;
        p->k[p->n] = k;
        if (k == 0)
            p->vertex_id[p->n] = from->shared[v];
        if (s->task->targets)
            p->target[p->n] = s->task->targets[from->region];
        else if (s->asserts)
            p->rule[p->n] = s->conditions->rule[nm_region_chosen(s->conditions, from, k)];
        p->n++;
    }
}

static nm_status list_references(const nm_region_step *s, step_points *p, nm_err *err)
{
    const nm_region_parts *parts = s->parts;
    size_t n_in = (size_t)parts->n_in;
    int64_t *index = NULL;
    double *centre = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&index, (size_t)parts->n, sizeof *index, err));
    NM_TRY(nm_alloc(&centre, n_in, sizeof *centre, err));
    NM_TRY(nm_alloc(&p->centre, (size_t)parts->n, n_in * sizeof *p->centre, err));
    for (int64_t i = 0; i < parts->n; i++) {
        if (parts->at[i].group != i)
            continue;
        nm_region_parts_centre(parts, i, centre);
        for (size_t k = 0; k < n_in; k++)
            p->centre[(size_t)p->n_groups * n_in + k] = (float)centre[k];
        index[i] = p->n_groups++;
    }
    for (int64_t i = 0; i < p->n; i++)
        p->group[i] = index[parts->at[p->part[i]].group];
done:
    nm_free(index);
    nm_free(centre);
    return rc;
}

static nm_status list_points(const nm_region_step *s, step_points *p, nm_err *err)
{
    int64_t most_cases = 1, n = 0;
    nm_status rc = NM_OK;

    for (int64_t i = 0; i < s->parts->n; i++) {
        n += s->parts->at[i].n * cases_of(s, i);
        p->n_pinned += s->parts->at[i].n;
        most_cases = cases_of(s, i) > most_cases ? cases_of(s, i) : most_cases;
    }
    NM_TRY(nm_alloc(&p->x, (size_t)n, (size_t)s->parts->n_in * sizeof *p->x, err));
    NM_TRY(nm_alloc(&p->part, (size_t)n, sizeof *p->part, err));
    NM_TRY(nm_alloc(&p->k, (size_t)n, sizeof *p->k, err));
    NM_TRY(nm_alloc(&p->target, (size_t)n, sizeof *p->target, err));
    NM_TRY(nm_alloc(&p->rule, (size_t)n, sizeof(const nm_out_row *), err));
    NM_TRY(nm_alloc(&p->group, (size_t)n, sizeof *p->group, err));
    NM_TRY(nm_alloc(&p->vertex_id, (size_t)p->n_pinned, sizeof *p->vertex_id, err));
    for (int64_t k = 0; k < most_cases; k++)
        for (int64_t i = 0; i < s->parts->n; i++)
            if (k < cases_of(s, i))
                add_vertices(s, i, k, p);
    NM_TRY(list_references(s, p, err));
done:
    return rc;
}

/* -- the search's points on pieces of the references ------------------------------------------- */

typedef struct held {
    nm_tail *references;
    nm_tape *shift;
    double *pin_margin;
    nm_region_ties ties;
    nm_hold hold;
} held;

static void release(held *h)
{
    nm_tail_free(h->references);
    nm_tape_free(h->shift);
    nm_free(h->pin_margin);
    nm_region_ties_free(&h->ties);
}

/* Of the values that each pinned operator reads, the size in the middle. */
static nm_status set_pin_margins(const nm_region_step *s, held *h, nm_err *err)
{
    const nm_net *net = s->net;
    nm_status rc = nm_alloc(&h->pin_margin, (size_t)net->n_ops, sizeof *h->pin_margin, err);

    for (int op = 0; rc == NM_OK && op < net->n_ops; op++) {
        int v = net->ops[op].in[0];
        int64_t n = h->references->at->n * net->values[v].size;
        double *size = NULL;

        if (!s->pinned[op] || !h->references->at->val[v])
            continue;
        rc = nm_alloc(&size, (size_t)n, sizeof *size, err);
        for (int64_t i = 0; rc == NM_OK && i < n; i++)
            size[i] = fabs(h->references->at->val[v][i]);
        if (rc == NM_OK)
            h->pin_margin[op] = s->pin_margin * nm_median(size, n);
        nm_free(size);
    }
    return rc;
}

/* @param delta  where the pieces of the references are looked at; NULL: as they are */
static nm_status hold_points(const nm_region_step *s, const step_points *p, const double *delta,
                             nm_search *search, held *h, nm_err *err)
{
    nm_status rc = NM_OK;

    NM_TRY(nm_tail_new(s->ctx, s->net, search->params, p->centre, p->n_groups, false,
                       &h->references, err));
    if (delta) {
        NM_TRY(nm_tail_move(s->ctx, h->references, delta, err));
        NM_TRY(nm_tail_move(s->ctx, search->active, delta, err));
    }
    NM_TRY(nm_tail_tangent_new(search->active, &h->shift, err));
    NM_TRY(nm_tail_refer(s->ctx, search->active, h->references, p->group, h->shift, err));
    NM_TRY(set_pin_margins(s, h, err));
    NM_TRY(nm_region_ties_new(search->active, s->pinned, p->vertex_id, p->group, p->n_pinned,
                              &h->ties, err));
    h->hold = (nm_hold){.shift = h->shift,
                        .op = s->pinned,
                        .pin_margin = h->pin_margin,
                        .tied = (const bool *const *)h->ties.tied};
    search->demand.hold = &h->hold;
done:
    return rc;
}

/* -- the program ------------------------------------------------------------------------------ */

static nm_status open_search(const nm_region_step *s, const step_points *p, const nm_params *params,
                             nm_search **out, nm_err *err)
{
    bool rules = s->asserts && s->task->property;
    nm_search_data data = {.x = p->x,
                           .target = p->target,
                           .rule = rules ? p->rule : NULL,
                           .n = p->n,
                           .least = s->task->decision == NM_DECISION_MIN,
                           .reference_x = s->reference ? s->reference : p->x,
                           .n_reference = s->reference ? s->n_reference : p->n_pinned};
    nm_status rc = nm_search_open(s->ctx, s->net, s->plan, params, s->opts, &data, out, err);

    for (int64_t i = 0; rc == NM_OK && i < p->n; i++) {
        const nm_region_part *part = &s->parts->at[p->part[i]];
        int64_t row = s->task->property && s->asserts
                          ? nm_region_chosen(s->conditions, part, p->k[i])
                          : s->conditions->first_row[s->conditions->first_case[part->region]];

        (*out)->demand.margin[i] = s->asserts ? part->margin * s->conditions->norm[row] : no_margin;
    }
    if (rc == NM_OK)
        (*out)->demand.n_pinned = p->n_pinned;
    return rc;
}

static nm_status note_conflict(const nm_region_step *s, const step_points *p,
                               const nm_search *search, void *program,
                               nm_region_step_report *report, nm_err *err)
{
    bool *member = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&member, (size_t)p->n, sizeof *member, err));
    nm_free(report->conflict);
    report->conflict = NULL;
    NM_TRY(nm_alloc(&report->conflict, (size_t)s->parts->n, sizeof *report->conflict, err));
    NM_TRY(search->engine->conflict(program, member, err));
    for (int64_t i = 0; i < p->n; i++)
        report->conflict[p->part[i]] = report->conflict[p->part[i]] || member[i];
done:
    nm_free(member);
    return rc;
}

/* @param delta  where it is linearised; NULL: the network as it is. The change counts from there in
   any case. */
static nm_status solve(const nm_region_step *s, const step_points *p, const nm_params *params,
                       const double *delta, nm_net **next, nm_region_step_report *report,
                       nm_err *err)
{
    nm_search *search = NULL;
    held h = {0};
    void *program = NULL;
    double *rounded = NULL;
    nm_master_outcome outcome;
    nm_status rc = NM_OK;

    NM_TRY(open_search(s, p, params, &search, err));
    NM_TRY(hold_points(s, p, delta, search, &h, err));
    nm_program_opts opts = {.plan = s->plan,
                            .repair = s->opts,
                            .original_scores = search->original_scores,
                            .all_pins = true,
                            .gap = 0.01 * s->opts->gap};
    nm_engine_room room = {.edits = search->edits, .forms = search->forms};

    NM_TRY(
        search->engine->open(s->ctx, search->active, &search->demand, &opts, &room, &program, err));
    NM_TRY(search->engine->solve(program, &outcome, err));
    report->figures = search->engine->report(program);
    report->damping_in = search->metric ? search->damping_in : NAN;
    report->exact = search->active->affine;
    report->linearisations++;
    report->outcome = outcome == NM_MASTER_SOLVED       ? NM_SEARCH_FOUND
                      : outcome == NM_MASTER_INFEASIBLE ? NM_SEARCH_INFEASIBLE
                                                        : NM_SEARCH_GAVE_UP;
    if (outcome == NM_MASTER_INFEASIBLE)
        NM_TRY(note_conflict(s, p, search, program, report, err));
    if (outcome != NM_MASTER_SOLVED)
        goto done;
    NM_TRY(nm_alloc(&rounded, (size_t)params->n, sizeof *rounded, err));
    NM_TRY(nm_round_repair(s->net, s->plan, params, search->engine->delta(program), rounded, next,
                           err));
done:
    if (program)
        search->engine->close(program);
    release(&h); /* its tape is one of the search's network */
    nm_search_close(search);
    nm_free(rounded);
    return rc;
}

/* Pieces on which the wanted outputs are within reach: those that the references have in a network
   whose vertices were repaired one by one. */
static nm_status find_pieces(const nm_region_step *s, const step_points *p, const nm_params *params,
                             double **delta, nm_err *err)
{
    nm_repair_opts opts = *s->opts;
    nm_region_step loose = *s;
    nm_search *search = NULL;
    nm_search_outcome outcome;
    nm_status rc = NM_OK;

    *delta = NULL;
    opts.method = NM_METHOD_POINTWISE;
    opts.pins = NM_PINS_LAZY;
    loose.opts = &opts;
    NM_TRY(open_search(&loose, p, params, &search, err));
    NM_TRY(nm_search_run(search, &outcome, err));
    if (outcome == NM_SEARCH_FOUND)
        NM_TRY(nm_memdup(delta, search->delta, (size_t)params->n, sizeof **delta, err));
done:
    nm_search_close(search);
    return rc;
}

nm_status nm_region_step_run(const nm_region_step *s, nm_net **next, nm_region_step_report *report,
                             nm_err *err)
{
    step_points p = {0};
    nm_params *params = NULL;
    double *delta = NULL;
    nm_status rc = NM_OK;

    *next = NULL;
    *report = (nm_region_step_report){.outcome = NM_SEARCH_GAVE_UP, .damping_in = NAN};
    NM_TRY(nm_params_new(s->plan, &params, err));
    NM_TRY(list_points(s, &p, err));
    NM_TRY(solve(s, &p, params, NULL, next, report, err));
    if (report->outcome == NM_SEARCH_INFEASIBLE && s->asserts && !report->exact) {
        NM_TRY(find_pieces(s, &p, params, &delta, err));
        if (delta)
            NM_TRY(solve(s, &p, params, delta, next, report, err));
    }
    if (report->outcome != NM_SEARCH_FOUND)
        (void)snprintf(report->reason, sizeof report->reason, "%s",
                       report->outcome == NM_SEARCH_INFEASIBLE
                           ? "the vertices' pieces and outputs contradict each other"
                           : "the solver failed");
done:
    if (rc != NM_OK) {
        nm_free(report->conflict);
        report->conflict = NULL;
    }
    free_points(&p);
    nm_params_free(params);
    nm_free(delta);
    return rc;
}
