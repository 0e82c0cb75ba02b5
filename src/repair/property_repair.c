/* Counterexample-guided repair of properties.
 *
 * Around and around: an attack collects points that are unsafe, or nearly so; the pointwise method
 * finds the smallest change under which all points collected so far are safe by a margin; when the
 * attack finds nothing any more, the verifier is asked about the network as it would be written.
 * What it finds is one more point. Where it gives up, margins grow: what lies further from the
 * unsafe outputs is proven in fewer parts. Points with a choice of conditions break the one that
 * they are nearest to breaking (Sotoudeh & Thakur, PLDI 2021, repair given points; the loop is
 * that of counterexample-guided synthesis). */
#include "netmend/property_repair.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "repair/hunt_corners.h"
#include "repair/property_job.h"

enum {
    PREYS_A_HUNT = 40,  /* points of one box */
    COMPLETE_EVERY = 5, /* repairs after which points get all demands that they can have */
    REGIONS_A_HUNT = 8, /* counterexamples whose surroundings are repaired with them */
};

/* Multiplications of the attack on one box: what the verifier finds after it calls for more. */
static const double first_effort = 1e9, most_effort = 6.4e10;
static const double first_margin = 0.02; /* of the typical distance */

/* A point is hunted that has lost half its margin: those that were repaired have all of it. */
static const double hunted_below = 0.5;

static nm_status out_of_reach(struct nm_property_job *j, const char *why)
{
    j->report->repair.outcome = NM_LIMIT;
    (void)snprintf(j->report->repair.reason, sizeof j->report->repair.reason, "%s", why);
    return NM_OK;
}

/* Where points do not come to an end: the worst of those that came since `before` stand for what is
   unsafe around them. */
static nm_status widen(struct nm_property_job *j, int64_t before, nm_err *err)
{
    const nm_net *net = j->fixed ? j->fixed : j->net;
    int64_t n = j->preys.n - before;
    nm_status rc = NM_OK;

    if (j->report->rounds < j->opts.regions_after)
        return NM_OK;
    n = n < REGIONS_A_HUNT ? n : REGIONS_A_HUNT;
    for (int64_t i = 0; rc == NM_OK && i < n; i++) {
        float *x = NULL; /* the list may move */

        NM_TRY(nm_memdup(&x, j->preys.x + (before + i) * j->preys.n_in, (size_t)j->preys.n_in,
                         sizeof *x, err));
        rc = nm_preys_add_corners(j->ctx, net, j->preys.at[before + i].property, x,
                                  hunted_below * j->margin, &j->preys, &j->report->n_regions, err);
        nm_free(x);
    }
done:
    return rc;
}

static nm_status hunt(struct nm_property_job *j, int64_t *found, nm_err *err)
{
    const nm_net *net = j->fixed ? j->fixed : j->net;
    double start = nm_now();
    int64_t before = j->preys.n;
    nm_status rc = NM_OK;

    for (int i = 0; rc == NM_OK && i < j->task->n_properties; i++)
        rc = nm_hunt(j->ctx, net, j->task->properties[i], hunted_below * j->margin,
                     j->opts.repair.seed, (uint64_t)(j->n_hunts * j->task->n_properties + i),
                     j->effort, PREYS_A_HUNT, &j->preys, err);
    j->n_hunts++;
    if (rc == NM_OK)
        rc = widen(j, before, err);
    *found = j->preys.n - before;
    j->report->s_hunt += nm_now() - start;
    return rc;
}

nm_status nm_property_verify(struct nm_property_job *j, nm_verdict *verdict, nm_err *err)
{
    const nm_net *net = j->fixed ? j->fixed : j->net;
    nm_property_report *r = j->report;
    double start = nm_now();
    int n = j->task->n_properties;
    nm_status rc = NM_OK;

    *verdict = NM_VERDICT_HOLDS;
    r->n_proofs++;
    for (int k = 0; k < n && *verdict != NM_VERDICT_VIOLATED; k++) {
        int i = (j->first + k) % n;
        nm_verify_opts opts = NM_VERIFY_OPTS_INIT;
        nm_verify_report *report = &r->after[i];

        opts.certify = j->certify;
        opts.seed = j->opts.repair.seed;
        opts.max_nodes = j->max_nodes;
        nm_verify_report_free(report);
        NM_TRY(nm_verify(j->ctx, net, j->task->properties[i], &opts, report, err));
        nm_log(j->ctx, NM_LOG_DEBUG,
               "property %d: %s, %lld parts (%.4g of the volume, worst bound %.3g), %.1f s", i + 1,
               nm_verdict_name(report->verdict), (long long)report->n_nodes, report->share_proved,
               report->worst_bound, nm_now() - start);
        if (report->verdict == NM_VERDICT_HOLDS)
            continue;
        *verdict = report->verdict;
        j->first = i;
        if (report->verdict == NM_VERDICT_VIOLATED) {
            int64_t before = j->preys.n;

            NM_TRY(nm_preys_add(j->ctx, net, j->task->properties[i], report->x,
                                hunted_below * j->margin, &j->preys, err));
            NM_TRY(widen(j, before, err));
        } else {
            break;
        }
    }
done:
    r->s_verify += nm_now() - start;
    return rc;
}

/* -- the loop --------------------------------------------------------------------------------- */

static void show_progress(const struct nm_property_job *j, const char *what)
{
    nm_progress(j->ctx, what, j->report->rounds, 0, (double)j->preys.n);
}

/* Proofs that were given up: margins that make the next one shorter, and more patience. */
static void ask_for_more(struct nm_property_job *j)
{
    j->margin *= 1.5;
    j->max_nodes = j->max_nodes > INT64_MAX / 4 ? INT64_MAX : 4 * j->max_nodes;
    nm_log(j->ctx, NM_LOG_DEBUG, "proof given up: margin %g from now on", j->margin);
}

static nm_status say_what_is_left(struct nm_property_job *j, nm_verdict verdict)
{
    char text[200];

    j->report->verdict = verdict;
    (void)snprintf(text, sizeof text,
                   "stopped after %d repairs and %lld counterexamples: the last network is %s",
                   j->report->rounds, (long long)j->preys.n,
                   verdict == NM_VERDICT_VIOLATED ? "still violated" : "not proven");
    return out_of_reach(j, text);
}

static nm_status loop(struct nm_property_job *j, nm_err *err)
{
    nm_verdict verdict = NM_VERDICT_VIOLATED;
    int64_t found = 0;
    bool done, proof_given_up = false;
    nm_status rc = NM_OK;

    for (;;) {
        show_progress(j, "attack");
        NM_TRY(hunt(j, &found, err));
        nm_log(j->ctx, NM_LOG_DEBUG, "round %d: %lld new counterexamples", j->report->rounds + 1,
               (long long)found);
        verdict = NM_VERDICT_VIOLATED;
        if (found == 0 && !proof_given_up) {
            show_progress(j, "proof");
            NM_TRY(nm_property_verify(j, &verdict, err));
            if (verdict == NM_VERDICT_HOLDS)
                break;
            if (nm_ctx_must_stop(j->ctx) || verdict == NM_VERDICT_UNKNOWN)
                NM_TRY(nm_ctx_check(j->ctx, err));
            if (j->fixed && verdict == NM_VERDICT_VIOLATED)
                j->effort = fmin(4 * j->effort, most_effort);
            proof_given_up = verdict == NM_VERDICT_UNKNOWN;
            if (proof_given_up)
                ask_for_more(j);
            if (proof_given_up && j->preys.n == 0)
                continue; /* never violated, but not proven: points near it are repaired */
        }
        if (j->preys.n == 0)
            return say_what_is_left(j, NM_VERDICT_UNKNOWN);
        if (j->report->rounds >= j->opts.max_rounds)
            return say_what_is_left(j, verdict);
        proof_given_up = false;
        if (j->report->rounds % COMPLETE_EVERY == COMPLETE_EVERY - 1)
            NM_TRY(nm_preys_complete(j->ctx, j->fixed ? j->fixed : j->net, j->task->properties,
                                     j->task->n_properties, &j->preys, err));
        show_progress(j, "repair");
        NM_TRY(nm_property_repair_preys(j, &done, err));
        if (!done)
            return NM_OK;
        j->report->rounds++;
    }
    j->report->verdict = NM_VERDICT_HOLDS;
    j->report->repair.outcome = NM_REPAIRED;
done:
    return rc;
}

/* -- before ----------------------------------------------------------------------------------- */

static nm_status check_task(const struct nm_property_job *j, nm_err *err)
{
    const nm_property_task *t = j->task;

    if (j->net->scores != j->net->output)
        return nm_fail(err, NM_E_UNSUPPORTED,
                       "the network ends with a softmax, whose outputs are no affine functions of "
                       "the last layer; expected one that gives scores");
    for (int i = 0; i < t->n_properties; i++) {
        const nm_property *p = t->properties[i];

        if (p->n_in != nm_net_n_in(j->net) || p->n_out != nm_net_n_out(j->net))
            return nm_fail(err, NM_E_SHAPE,
                           "property %d declares %lld inputs and %lld outputs, the network has "
                           "%lld and %lld",
                           i + 1, (long long)p->n_in, (long long)p->n_out,
                           (long long)nm_net_n_in(j->net), (long long)nm_net_n_out(j->net));
    }
    return NM_OK;
}

/* Asks the verifier about what is to be repaired; the proof of what holds is short or given up. */
static nm_status ask_before(struct nm_property_job *j, bool *all_hold, nm_err *err)
{
    nm_verdict verdict;
    nm_status rc = NM_OK;

    NM_TRY(nm_property_verify(j, &verdict, err));
    for (int i = 0; i < j->task->n_properties; i++) {
        bool asked = j->report->after[i].n_in > 0;

        j->report->before[i] = asked ? j->report->after[i].verdict : NM_VERDICT_UNKNOWN;
    }
    *all_hold = verdict == NM_VERDICT_HOLDS;
done:
    return rc;
}

/* Where usual inputs lie. */
static nm_status find_range(struct nm_property_job *j, nm_err *err)
{
    const nm_property_task *t = j->task;
    nm_status rc = nm_random_inputs_new(j->net, t->lo, t->hi, j->opts.repair.seed, &j->inputs, err);

    for (int k = 0; rc == NM_OK && k < t->n_properties; k++)
        for (int64_t b = 0; b < t->properties[k]->n_boxes; b++) {
            nm_random_inputs_cover(&j->inputs, t->properties[k]->boxes[b].lo_out);
            nm_random_inputs_cover(&j->inputs, t->properties[k]->boxes[b].hi_out);
        }
    j->inputs.excluded = nm_property_covers;
    j->inputs.user = j;
    return rc;
}

/* What the network decides on the reference data is held where that is possible. */
static nm_status note_decisions(struct nm_property_job *j, nm_err *err)
{
    int64_t n_out = nm_net_n_out(j->net);
    float *y = NULL;
    nm_status rc = NM_OK;

    j->held = n_out > 1;
    NM_TRY(nm_alloc(&j->decisions, (size_t)j->n_reference, sizeof *j->decisions, err));
    NM_TRY(nm_alloc(&y, (size_t)j->n_reference, (size_t)n_out * sizeof *y, err));
    NM_TRY(nm_net_forward_f32(j->ctx, j->net, j->reference, j->n_reference, y, err));
    for (int64_t p = 0; p < j->n_reference; p++)
        j->decisions[p] = nm_decide(j->opts.decision, n_out, y + p * n_out);
done:
    nm_free(y);
    return rc;
}

static nm_status open_job(struct nm_property_job *j, nm_err *err)
{
    const nm_property_task *t = j->task;
    size_t n = (size_t)t->n_properties, n_in = (size_t)nm_net_n_in(j->net);
    double scale;
    nm_status rc = NM_OK;

    NM_TRY(check_task(j, err));
    NM_TRY(find_range(j, err));
    NM_TRY(nm_alloc(&j->report->before, n, sizeof *j->report->before, err));
    NM_TRY(nm_alloc(&j->report->after, n, sizeof *j->report->after, err));
    j->report->n_properties = t->n_properties;
    NM_TRY(nm_params_new(j->plan, &j->params, err));
    NM_TRY(nm_alloc(&j->rounded, (size_t)j->params->n, sizeof *j->rounded, err));
    j->reference = t->reference;
    j->n_reference = t->n_reference;
    if (!j->reference) {
        j->n_reference = j->opts.n_random;
        NM_TRY(nm_alloc(&j->random, (size_t)j->n_reference, n_in * sizeof *j->random, err));
        nm_random_inputs_draw(&j->inputs, 0, j->n_reference, j->random);
        j->reference = j->random;
    }
    NM_TRY(note_decisions(j, err));
    NM_TRY(nm_property_scale(j, &scale, err));
    j->margin = isnan(j->opts.repair.margin) ? first_margin * scale : j->opts.repair.margin;
    j->margin = fmax(j->margin, 1e-6 * scale);
done:
    return rc;
}

static void close_job(struct nm_property_job *j)
{
    nm_preys_clear(&j->preys);
    nm_free(j->random);
    nm_free(j->decisions);
    nm_random_inputs_clear(&j->inputs);
    nm_free(j->rounded);
    nm_net_free(j->fixed);
    nm_params_free(j->params);
}

static nm_status run(struct nm_property_job *j, nm_err *err)
{
    nm_property_report *r = j->report;
    nm_status rc = NM_OK;

    NM_TRY(open_job(j, err));
    NM_TRY(ask_before(j, &r->already, err));
    if (r->already) {
        r->verdict = NM_VERDICT_HOLDS;
        r->repair.outcome = NM_REPAIRED;
    } else {
        NM_TRY(loop(j, err));
    }
    NM_TRY(nm_property_settle(j, err));
done:
    return rc;
}

/* A limit or an interrupt is an outcome; nothing was written. */
static nm_status stop_early(struct nm_property_job *j, nm_status stop, nm_err *err)
{
    nm_status rc;

    *err = (nm_err){0};
    j->report->repair.stopped = true;
    say_what_is_left(j, NM_VERDICT_UNKNOWN);
    (void)snprintf(j->report->repair.reason, sizeof j->report->repair.reason,
                   "%s after %d repairs, %lld counterexamples and %d proofs that were tried: no "
                   "network was proven",
                   stop == NM_E_LIMIT ? "time limit" : "interrupted", j->report->rounds,
                   (long long)j->preys.n, j->report->n_proofs);
    nm_ctx_grant(j->ctx, true);
    rc = nm_property_settle(j, err);
    nm_ctx_grant(j->ctx, false);
    return rc;
}

nm_status nm_repair_property(nm_ctx *ctx, const nm_net *net, const nm_plan *plan,
                             const nm_property_task *task, const nm_property_opts *opts,
                             const char *path, nm_property_report *report, nm_err *err)
{
    nm_err local = {0};
    struct nm_property_job j = {.ctx = ctx,
                                .net = net,
                                .plan = plan,
                                .task = task,
                                .opts = *opts,
                                .path = path,
                                .preys = {.n_in = nm_net_n_in(net)},
                                .max_nodes = opts->max_nodes,
                                .effort = first_effort,
                                .report = report};
    nm_status rc;

    *report = (nm_property_report){.verdict = NM_VERDICT_UNKNOWN, .changed = (double)NAN};
    report->repair.outcome = NM_LIMIT;
    report->repair.damping_in = report->repair.damping_out = (double)NAN;
    report->repair.objective = report->repair.lower_bound = report->repair.gap = (double)NAN;
    j.opts.repair.refine = NM_REFINE_OFF;
    j.opts.repair.certify = false;
    j.opts.repair.elastic = false;
    j.certify = opts->repair.certify;
    err = err ? err : &local;
    rc = run(&j, err);
    if (rc == NM_E_LIMIT || rc == NM_E_CANCELLED)
        rc = stop_early(&j, rc, err);
    close_job(&j);
    if (rc != NM_OK)
        nm_property_report_free(report);
    return rc;
}

void nm_property_report_free(nm_property_report *report)
{
    nm_repair_report_free(&report->repair);
    for (int i = 0; report->after && i < report->n_properties; i++)
        nm_verify_report_free(&report->after[i]);
    nm_free(report->after);
    nm_free(report->before);
    *report = (nm_property_report){0};
}
