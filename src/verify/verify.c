/* Deciding a property: box after box, attacks first, then the search. Whatever looks like a
 * counterexample, wherever it comes from, is replayed here before it counts. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "verify/attack.h"
#include "verify/prove.h"
#include "verify/region_proof.h"

/* Multiplications that attacks may take. The first, over all boxes, is over in some milliseconds:
   most violated properties fall to it, and easy ones are not kept from their proof. The long one,
   some 50 ms, is for boxes that turn out to be hard; from the search, many more come. */
#define FIRST_EFFORT 2.5e7
#define LONG_EFFORT 2.5e8
#define NEAR_EFFORT 1e7
#define LEAST_EFFORT 1e6

/* From this many free inputs on a box is taken for a neighbourhood of its centre. */
enum { MANY_INPUTS = 50 };

typedef struct decision {
    nm_ctx *ctx;
    const nm_net *net;
    const nm_property *property;
    const nm_verify_opts *opts;
    nm_verify_report *report;
    const nm_in_box *box; /* the one at hand */
    omp_lock_t lock;      /* on the report, for points that threads find */
    int64_t n_open_boxes;
    int n_near;        /* attacks within the search of this box so far */
    const char *phase; /* who is at work, for the reason */
} decision;

const char *nm_verdict_name(nm_verdict verdict)
{
    static const char *const names[] = {"holds", "violated", "unknown"};

    return names[verdict];
}

void nm_verify_report_free(nm_verify_report *report)
{
    nm_free(report->x);
    nm_free(report->y);
    for (int64_t i = 0; report->proofs && i < report->n_proofs; i++)
        nm_region_proof_free(report->proofs[i]);
    nm_free(report->proofs);
    *report = (nm_verify_report){0};
}

/* -- counterexamples -------------------------------------------------------------------------- */

/* By how much a pair is unsafe with both outputs; negative, or not a number, if it is not. */
static double margin_of(const nm_property *p, const float *x, const double *y32, const double *y64)
{
    double margin = -INFINITY;

    for (int64_t b = 0; b < p->n_boxes; b++) {
        if (!nm_in_box_holds(p, &p->boxes[b], x))
            continue;
        for (int64_t c = 0; c < p->boxes[b].n_cases; c++) {
            const nm_out_case *one = &p->cases[p->boxes[b].first_case + c];
            double e32 = nm_out_case_excess(p, one, y32), e64 = nm_out_case_excess(p, one, y64);

            if (e32 <= 0 && e64 <= 0 && -fmax(e32, e64) > margin)
                margin = -fmax(e32, e64);
        }
    }
    return margin;
}

static void keep_point(decision *d, const float *x, const float *y, double margin)
{
    nm_verify_report *r = d->report;

    omp_set_lock(&d->lock);
    if (r->verdict != NM_VERDICT_VIOLATED) {
        r->verdict = NM_VERDICT_VIOLATED;
        memcpy(r->x, x, (size_t)r->n_in * sizeof *x);
        memcpy(r->y, y, (size_t)r->n_out * sizeof *y);
        r->margin = margin;
        (void)snprintf(r->reason, sizeof r->reason, "counterexample found by the %s", d->phase);
    }
    omp_unset_lock(&d->lock);
}

/* Replays a point on its own, in float32 and in float64. */
static nm_status replay(decision *d, const float *x, bool *unsafe)
{
    const nm_property *p = d->property;
    size_t n_out = (size_t)p->n_out;
    nm_err ignored = {0};
    float *y = NULL;
    double *room = NULL, *x64, *y32, *y64, margin;
    nm_status rc = NM_OK;

    *unsafe = false;
    NM_TRY(nm_alloc(&y, n_out, sizeof *y, &ignored));
    NM_TRY(nm_alloc(&room, (size_t)p->n_in + 2 * n_out, sizeof *room, &ignored));
    x64 = room;
    y32 = room + p->n_in;
    y64 = y32 + n_out;
    for (int64_t i = 0; i < p->n_in; i++)
        x64[i] = (double)x[i];
    NM_TRY(nm_net_forward_f32(d->ctx, d->net, x, 1, y, &ignored));
    NM_TRY(nm_net_forward_f64(d->ctx, d->net, x64, 1, y64, &ignored));
    for (size_t o = 0; o < n_out; o++)
        y32[o] = (double)y[o];
    margin = margin_of(p, x, y32, y64);
    *unsafe = margin >= 0;
    if (*unsafe)
        keep_point(d, x, y, margin);
done:
    nm_free(y);
    nm_free(room);
    return rc;
}

/* What cannot be replayed (no memory, no time left) does not count. */
static bool try_point(void *user, const float *x)
{
    bool unsafe;

    return replay(user, x, &unsafe) == NM_OK && unsafe;
}

/* Streams of random numbers: one for each attack. */
static nm_attack attack_on(decision *d, uint64_t stream)
{
    return (nm_attack){.ctx = d->ctx,
                       .net = d->net,
                       .property = d->property,
                       .box = d->box,
                       .seed = d->opts->seed,
                       .stream = (((uint64_t)(d->box - d->property->boxes) << 24) + stream) << 32,
                       .hit = try_point,
                       .user = d};
}

static double share_of_box(const decision *d, double effort)
{
    return fmax(effort / (double)d->property->n_boxes, LEAST_EFFORT);
}

static nm_status attack_whole(decision *d, uint64_t stream, double effort, bool *found, nm_err *err)
{
    nm_attack attack = attack_on(d, stream);

    *found = false;
    if (!d->box->has_points)
        return NM_OK;
    return nm_attack_box(&attack, share_of_box(d, effort), found, err);
}

/* When the search asks for the first time, the box is no easy one: then all of it is attacked. */
static bool attack_from(void *user, const float *x, const double *lo, const double *hi)
{
    decision *d = user;
    nm_err ignored = {0};
    nm_attack attack;
    bool found = false;
    int number;

#pragma omp atomic capture
    number = ++d->n_near;
    if (number == 1 && (attack_whole(d, 1, LONG_EFFORT, &found, &ignored) != NM_OK || found))
        return found;
    attack = attack_on(d, 1 + (uint64_t)number);
    return nm_attack_near(&attack, x, lo, hi, NEAR_EFFORT, &found, &ignored) == NM_OK && found;
}

/* -- a centre that is unsafe ------------------------------------------------------------------ */

static int64_t count_free(const nm_property *p, const nm_in_box *box)
{
    int64_t n = 0;

    for (int64_t i = 0; i < p->n_in; i++)
        n += box->lo_in[i] < box->hi_in[i];
    return n;
}

/* An image's neighbourhood that is violated at the image itself: the order or the scale of inputs
   is hardly what the property means. */
static nm_status look_at_centre(decision *d, nm_err *err)
{
    const nm_property *p = d->property;
    float *x;
    bool unsafe = false;
    nm_status rc;

    if (count_free(p, d->box) < MANY_INPUTS)
        return NM_OK;
    rc = nm_alloc(&x, (size_t)p->n_in, sizeof *x, err);
    if (rc != NM_OK)
        return rc;
    for (int64_t i = 0; i < p->n_in; i++) {
        float middle = (float)(0.5 * (double)d->box->lo_in[i] + 0.5 * (double)d->box->hi_in[i]);

        x[i] = fminf(fmaxf(middle, d->box->lo_in[i]), d->box->hi_in[i]);
    }
    rc = replay(d, x, &unsafe);
    d->report->centre_violates = d->report->centre_violates || unsafe;
    nm_free(x);
    return rc == NM_E_NOMEM ? nm_fail(err, rc, "out of memory") : NM_OK;
}

/* -- box after box ---------------------------------------------------------------------------- */

static bool decided(const decision *d)
{
    return d->report->verdict == NM_VERDICT_VIOLATED;
}

static nm_status attack_boxes(decision *d, nm_err *err)
{
    double start = nm_now();
    bool found;
    nm_status rc = NM_OK;

    d->phase = "attack";
    for (int64_t b = 0; b < d->property->n_boxes && !decided(d); b++) {
        d->box = &d->property->boxes[b];
        if (nm_ctx_must_stop(d->ctx))
            break;
        if (d->box->has_points)
            NM_TRY(look_at_centre(d, err));
        if (!decided(d))
            NM_TRY(attack_whole(d, 0, FIRST_EFFORT, &found, err));
    }
done:
    d->report->attack_s = nm_now() - start;
    return rc;
}

static void explain(decision *d, const nm_prove_result *result)
{
    nm_verify_report *r = d->report;

    if (d->n_open_boxes++ > 0)
        return;
    (void)snprintf(r->reason, sizeof r->reason, "%s%s%s",
                   result->why_open ? result->why_open : "the search ended without an answer",
                   result->detail[0] ? ": " : "", result->detail);
}

static void account(decision *d, int64_t b, const nm_prove_result *result)
{
    nm_verify_report *r = d->report;

    r->n_nodes += result->n_nodes;
    r->n_open += result->n_open;
    r->share_proved += (result->proved ? 1 : result->share_proved) / (double)d->property->n_boxes;
    if (!isnan(result->worst_bound) && !(result->worst_bound >= r->worst_bound))
        r->worst_bound = result->worst_bound;
    if (r->proofs)
        r->proofs[b] = result->proof;
    if (!result->proved && !decided(d))
        explain(d, result);
}

static nm_status prove_boxes(decision *d, nm_err *err)
{
    double start = nm_now();
    bool found;
    nm_status rc = NM_OK;

    d->phase = "search";
    if (d->opts->certify) {
        NM_TRY(nm_alloc(&d->report->proofs, (size_t)d->property->n_boxes,
                        sizeof(struct nm_region_proof *), err));
        d->report->n_proofs = d->property->n_boxes;
    }
    for (int64_t b = 0; b < d->property->n_boxes && !decided(d); b++) {
        nm_prove_result result = {.worst_bound = (double)NAN};
        nm_prove_job job = {.net = d->net,
                            .property = d->property,
                            .box = &d->property->boxes[b],
                            .semantics = d->opts->semantics,
                            .certify = d->opts->certify,
                            .max_nodes = d->opts->max_nodes - d->report->n_nodes,
                            .try_point = try_point,
                            .attack_from = d->opts->attack ? attack_from : NULL,
                            .user = d};

        d->box = job.box;
        d->n_near = 0;
        rc = nm_prove_box(d->ctx, &job, &result, err);
        if (rc == NM_OK && !result.proved && !decided(d) && d->opts->attack && d->n_near == 0)
            rc = attack_whole(d, 1, LONG_EFFORT, &found, err);
        account(d, b, &result);
        NM_TRY(rc);
    }
done:
    d->report->search_s = nm_now() - start;
    return rc;
}

/* -- the whole -------------------------------------------------------------------------------- */

static nm_status check_sizes(const nm_net *net, const nm_property *p, nm_err *err)
{
    if (p->n_in != nm_net_n_in(net))
        return nm_fail(err, NM_E_SHAPE,
                       "the property declares %lld inputs (X_0 to X_%lld), the network has %lld",
                       (long long)p->n_in, (long long)p->n_in - 1, (long long)nm_net_n_in(net));
    if (p->n_out != nm_net_n_out(net))
        return nm_fail(err, NM_E_SHAPE,
                       "the property declares %lld outputs (Y_0 to Y_%lld), the network has %lld",
                       (long long)p->n_out, (long long)p->n_out - 1, (long long)nm_net_n_out(net));
    return NM_OK;
}

static void conclude(decision *d)
{
    nm_verify_report *r = d->report;

    if (decided(d))
        return;
    nm_free(r->x);
    nm_free(r->y);
    r->x = r->y = NULL;
    if (d->n_open_boxes > 0) {
        r->timed_out = nm_ctx_must_stop(d->ctx) && !nm_ctx_cancelled(d->ctx);
        return;
    }
    r->verdict = NM_VERDICT_HOLDS;
    (void)snprintf(r->reason, sizeof r->reason, "%s",
                   d->property->n_boxes > 0 ? "every part of the inputs was bounded away from the "
                                              "unsafe outputs"
                                            : "no input meets the conditions on inputs: the set is "
                                              "empty");
}

nm_status nm_verify(nm_ctx *ctx, const nm_net *net, const nm_property *property,
                    const nm_verify_opts *opts, nm_verify_report *report, nm_err *err)
{
    decision d = {.ctx = ctx, .net = net, .property = property, .opts = opts, .report = report};
    nm_status rc = NM_OK;

    *report = (nm_verify_report){.verdict = NM_VERDICT_UNKNOWN,
                                 .reason = "stopped before the search",
                                 .n_in = property->n_in,
                                 .n_out = property->n_out,
                                 .margin = (double)NAN,
                                 .worst_bound = (double)NAN,
                                 .share_proved = property->n_boxes > 0 ? 0 : 1};
    rc = check_sizes(net, property, err);
    if (rc != NM_OK)
        return rc;
    omp_init_lock(&d.lock);
    NM_TRY(nm_alloc(&report->x, (size_t)report->n_in, sizeof *report->x, err));
    NM_TRY(nm_alloc(&report->y, (size_t)report->n_out, sizeof *report->y, err));
    if (opts->attack)
        NM_TRY(attack_boxes(&d, err));
    if (!decided(&d))
        NM_TRY(prove_boxes(&d, err));
    conclude(&d);
done:
    omp_destroy_lock(&d.lock);
    if (rc != NM_OK && !decided(&d)) {
        nm_free(report->x);
        nm_free(report->y);
        report->x = report->y = NULL;
    }
    return rc;
}
