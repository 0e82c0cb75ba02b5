#include "verify/deploy.h"

#include <limits.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/mem.h"
#include "net/op/facet.h"
#include "net/pass.h"
#include "verify/deploy_session.h"

/* Points that share matrix products. */
enum { BLOCK = 16 };

/* -- a block ----------------------------------------------------------------------------- */

/* Arrays for the values made by operators from..; those of a record are lent. */
static bool open_values(nm_block *b, const nm_record *record, int from)
{
    const nm_net *net = b->net;
    size_t n_values = (size_t)net->n_values;

    b->val = nm_arena_zeroed(b->arena, n_values, sizeof *b->val);
    b->radius = nm_arena_zeroed(b->arena, n_values, sizeof *b->radius);
    b->sharp = nm_arena_zeroed(b->arena, n_values, sizeof *b->sharp);
    for (int m = 0; m < NM_N_SOURCES; m++)
        b->source[m] = nm_arena_zeroed(b->arena, n_values, sizeof *b->source[m]);
    for (int m = 0; m < NM_N_MODELS; m++) {
        b->infinite[m] = nm_arena_zeroed(b->arena, (size_t)b->n, sizeof *b->infinite[m]);
    }
    b->skipped = nm_arena_zeroed(b->arena, (size_t)b->n, sizeof *b->skipped);
    b->points = nm_arena_zeroed(b->arena, (size_t)b->n, sizeof *b->points);
    b->point_val = nm_arena_zeroed(b->arena, (size_t)b->n * n_values, sizeof *b->point_val);
    for (int v = 0; !b->arena->failed && v < net->n_values; v++) {
        size_t size = (size_t)(b->n * net->values[v].size);

        if (net->values[v].constant)
            continue;
        if (net->values[v].producer < from && record) {
            b->val[v] = record->val[v];
            b->radius[v] = record->radius[v];
            for (int m = 0; m < NM_N_MODELS; m++)
                b->source[m][v] = record->source[m][v];
            continue;
        }
        b->val[v] = nm_arena_take(b->arena, size, sizeof **b->val);
        b->radius[v] = nm_arena_take(b->arena, size, sizeof **b->radius);
        for (int m = 0; m < NM_N_SOURCES; m++)
            b->source[m][v] = nm_arena_take(b->arena, size, sizeof ***b->source);
    }
    return !b->arena->failed;
}

static void find_point_values(nm_block *b)
{
    const nm_net *net = b->net;

    for (int64_t p = 0; p < b->n; p++)
        for (int v = 0; v < net->n_values; v++)
            b->point_val[p * net->n_values + v] =
                b->val[v] ? b->val[v] + p * net->values[v].size : NULL;
}

static bool open_points(nm_block *b, const nm_record *record)
{
    const nm_net *net = b->net;
    bool ok = true;

    for (int64_t p = 0; ok && p < b->n; p++) {
        const double *const *val = b->point_val + p * net->n_values;

        ok = record ? nm_linear_fork(&b->points[p], &record->points[p], b->weights, val,
                                     b->s->first, b->keep, b->rows)
                    : nm_linear_open(&b->points[p], b->plan, b->weights, val, b->keep, b->rows);
    }
    return ok;
}

/* Values of operators from .. end - 1. */
static bool find_values(nm_block *b, int from, int end)
{
    bool ok = true;

    for (int k = from; ok && k < end; k++)
        ok = nm_block_forward(b, k);
    return ok;
}

/* Their bounds. */
static bool find_bounds(nm_block *b, int from, int end)
{
    bool ok = true;

    for (int k = from; ok && k < end; k++)
        ok = nm_block_bound_op(b, k);
    return ok;
}

static bool take_points(nm_block *b)
{
    int64_t n_in = b->net->values[b->net->input].size;
    const float *x = b->s->x + b->first * n_in;

    for (int64_t i = 0; i < b->n * n_in; i++)
        b->val[b->net->input][i] = (double)x[i];
    return nm_block_bound_input(b);
}

/* -- a session ----------------------------------------------------------------------------- */

/* One pass over the blocks: either to keep records, or to judge a net. */
struct pass {
    nm_deploy_session *s;
    const nm_net *net;
    nm_linear_net weights;
    nm_deploy *out; /* NULL: keep records */
    /* At most one of the two: */
    const double *enough; /* nm_deploy_run_again() */
    bool rest;            /* nm_deploy_run_rest() */
    int64_t first;        /* point */
};

static bool run_record(nm_block *b, nm_record *record)
{
    if (!record) /* a pass without judgement is there to make records */
        return true;
    b->keep = b->arena;
    if (!open_values(b, NULL, 0))
        return false;
    find_point_values(b);
    return open_points(b, NULL) && take_points(b) && find_values(b, 0, b->s->first) &&
           find_bounds(b, 0, b->s->first) && nm_record_keep(b, record);
}

static void forget_point(nm_deploy *out, int64_t p)
{
    out->margin[p] = out->slack[p] = (double)INFINITY;
    out->safe[p] = out->safe_first_order[p] = out->safe_probable[p] = true;
    out->stale[p] = false;
}

/* Which points of the block need no bounds. @return how many do */
static int64_t find_skipped(nm_block *b, const struct pass *pass)
{
    nm_deploy *out = pass->out;
    int64_t n = b->n;

    for (int64_t p = 0; p < b->n; p++) {
        int64_t at = b->first + p;
        double margin = nm_block_margin(b, p, b->s->target[at]);

        if (pass->enough && margin > pass->enough[at]) {
            out->margin[at] = margin;
            out->slack[at] = margin - out->rigorous[at];
            out->stale[at] = b->skipped[p] = true;
        } else if (pass->rest && !out->stale[at]) {
            b->skipped[p] = true;
        } else {
            forget_point(out, at);
        }
        n -= b->skipped[p];
    }
    return n;
}

static bool run_judge(nm_block *b, const nm_record *record, const struct pass *pass)
{
    int from = record ? b->s->first : 0;
    bool ok;

    b->keep = b->arena;
    ok = open_values(b, record, from);
    if (ok)
        find_point_values(b);
    ok = ok && open_points(b, record) && (record || take_points(b)) &&
         find_values(b, from, b->net->n_ops);
    if (ok && find_skipped(b, pass) > 0) {
        ok = find_bounds(b, from, b->net->n_ops);
        for (int m = 0; ok && record && m < NM_N_MODELS; m++)
            for (int64_t p = 0; p < b->n; p++)
                b->infinite[m][p] = b->infinite[m][p] || record->infinite[m * b->n + p];
        for (int64_t p = 0; ok && p < b->n; p++)
            ok = b->skipped[p] || nm_block_judge(b, p, b->s->target[b->first + p], pass->out);
    }
    if (record)
        nm_store_rest(b->s->store, record->room);
    return ok;
}

static nm_status run_block(void *user, int64_t first, int64_t n, nm_arena *arena)
{
    const struct pass *pass = user;
    nm_deploy_session *s = pass->s;
    nm_room *room = &s->rooms[omp_get_thread_num() % s->n_rooms];
    nm_block b = {.s = s,
                  .plan = s->plan,
                  .plain = s->plain,
                  .net = pass->net,
                  .weights = &pass->weights,
                  .first = pass->first + first,
                  .n = n,
                  .arena = arena,
                  .rows = &room->rows,
                  .scratch = &room->scratch,
                  .carried = &room->carried};
    nm_record *record = s->records ? &s->records[b.first / BLOCK] : NULL;
    bool ok = pass->out ? run_judge(&b, record && record->points ? record : NULL, pass)
                        : run_record(&b, record);

    (void)nm_arena_reset(b.scratch, NULL);
    (void)nm_arena_reset(b.carried, NULL);
    return nm_arena_reset(b.rows, NULL) == NM_OK && ok ? NM_OK : NM_E_NOMEM;
}

static nm_status run_blocks(struct pass *pass, nm_err *err)
{
    const int64_t stretch = 64 * BLOCK; /* between two signs of life */
    nm_deploy_session *s = pass->s;
    nm_status rc =
        nm_linear_net_open(&pass->weights, s->plan, pass->net, &s->weights, s->first, err);

    for (pass->first = 0; rc == NM_OK && pass->first < s->n; pass->first += stretch) {
        int64_t n = s->n - pass->first < stretch ? s->n - pass->first : stretch;

        rc = nm_blocks_run(s->ctx, n, BLOCK, run_block, pass, err);
        nm_progress(s->ctx, "checking", pass->first + n, s->n, (double)NAN);
    }
    nm_linear_net_close(&pass->weights);
    return rc;
}

nm_status nm_deploy_open(const nm_ctx *ctx, const nm_net *net, const float *x,
                         const int64_t *target, int64_t n, int first_op, bool plain,
                         size_t most_bytes, nm_deploy_session **out, nm_err *err)
{
    nm_deploy_session *s;
    nm_status rc = nm_alloc(&s, 1, sizeof *s, err);

    *out = NULL;
    if (rc != NM_OK)
        return rc;
    s->ctx = ctx;
    s->net = net;
    s->x = x;
    s->target = target;
    s->n = n;
    s->first = first_op;
    s->plain = plain;
    NM_TRY(nm_linear_plan_new(net, &s->plan, err));
    NM_TRY(nm_record_find_cut(s, err));
    s->n_rooms = nm_ctx_threads(ctx) > 1 ? nm_ctx_threads(ctx) : 1;
    NM_TRY(nm_alloc(&s->rooms, (size_t)s->n_rooms, sizeof *s->rooms, err));
    if (first_op > 0) {
        struct pass pass = {.s = s, .net = net};

        NM_TRY(nm_store_open(most_bytes, &s->store, err));
        NM_TRY(nm_linear_net_open(&s->weights, s->plan, net, NULL, 0, err));
        NM_TRY(nm_alloc(&s->records, (size_t)((n + BLOCK - 1) / BLOCK), sizeof *s->records, err));
        NM_TRY(run_blocks(&pass, err));
    }
    *out = s;
    s = NULL;
done:
    nm_deploy_close(s);
    return rc;
}

void nm_deploy_close(nm_deploy_session *s)
{
    if (!s)
        return;
    for (int64_t i = 0; s->records && i < (s->n + BLOCK - 1) / BLOCK; i++)
        nm_arena_clear(&s->records[i].arena);
    for (int i = 0; s->rooms && i < s->n_rooms; i++) {
        nm_arena_clear(&s->rooms[i].rows);
        nm_arena_clear(&s->rooms[i].scratch);
        nm_arena_clear(&s->rooms[i].carried);
    }
    nm_free(s->rooms);
    nm_free(s->records);
    nm_store_close(s->store);
    nm_free(s->cut);
    nm_linear_net_close(&s->weights);
    nm_linear_plan_free(s->plan);
    nm_free(s);
}

static nm_status deploy_new(nm_deploy *out, int64_t n, nm_err *err)
{
    nm_status rc = NM_OK;
    size_t count = (size_t)n;

    memset(out, 0, sizeof *out);
    out->n = n;
    NM_TRY(nm_alloc(&out->margin, count, sizeof *out->margin, err));
    NM_TRY(nm_alloc(&out->rigorous, count, sizeof *out->rigorous, err));
    NM_TRY(nm_alloc(&out->first_order, count, sizeof *out->first_order, err));
    NM_TRY(nm_alloc(&out->probable, count, sizeof *out->probable, err));
    NM_TRY(nm_alloc(&out->slack, count, sizeof *out->slack, err));
    NM_TRY(nm_alloc(&out->safe, count, sizeof *out->safe, err));
    NM_TRY(nm_alloc(&out->safe_first_order, count, sizeof *out->safe_first_order, err));
    NM_TRY(nm_alloc(&out->safe_probable, count, sizeof *out->safe_probable, err));
    NM_TRY(nm_alloc(&out->stale, count, sizeof *out->stale, err));
done:
    return rc;
}

nm_status nm_deploy_run(nm_deploy_session *s, const nm_net *net, nm_deploy *out, nm_err *err)
{
    struct pass pass = {.s = s, .net = net, .out = out};
    nm_status rc = deploy_new(out, s->n, err);

    if (rc == NM_OK)
        rc = run_blocks(&pass, err);
    if (rc != NM_OK)
        nm_deploy_clear(out);
    return rc;
}

nm_status nm_deploy_run_again(nm_deploy_session *s, const nm_net *net, const double *enough,
                              nm_deploy *inout, nm_err *err)
{
    struct pass pass = {.s = s, .net = net, .out = inout, .enough = enough};
    nm_status rc = run_blocks(&pass, err);

    if (rc != NM_OK)
        nm_deploy_clear(inout);
    return rc;
}

nm_status nm_deploy_run_rest(nm_deploy_session *s, const nm_net *net, nm_deploy *inout, nm_err *err)
{
    struct pass pass = {.s = s, .net = net, .out = inout, .rest = true};
    nm_status rc = run_blocks(&pass, err);

    if (rc != NM_OK)
        nm_deploy_clear(inout);
    return rc;
}

bool nm_deploy_any_stale(const nm_deploy *deploy)
{
    for (int64_t p = 0; p < deploy->n; p++)
        if (deploy->stale[p])
            return true;
    return false;
}

nm_status nm_deploy_check(const nm_ctx *ctx, const nm_net *net, const float *x,
                          const int64_t *target, int64_t n, bool plain, nm_deploy *out, nm_err *err)
{
    nm_deploy_session *s = NULL;
    nm_status rc;

    memset(out, 0, sizeof *out);
    rc = nm_deploy_open(ctx, net, x, target, n, 0, plain, 0, &s, err);
    if (rc == NM_OK)
        rc = nm_deploy_run(s, net, out, err);
    nm_deploy_close(s);
    return rc;
}

void nm_deploy_clear(nm_deploy *deploy)
{
    nm_free(deploy->margin);
    nm_free(deploy->rigorous);
    nm_free(deploy->first_order);
    nm_free(deploy->probable);
    nm_free(deploy->slack);
    nm_free(deploy->safe);
    nm_free(deploy->safe_first_order);
    nm_free(deploy->safe_probable);
    nm_free(deploy->stale);
    memset(deploy, 0, sizeof *deploy);
}
