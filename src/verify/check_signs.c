/* The streams of a proof by signs, and the lines that they ask to be bounded. */
#include "verify/check_signs.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/mem.h"

/* -- reading ---------------------------------------------------------------------------------- */

nm_status nm_signs_refuse(const nm_sign_check *c, nm_err *err, const char *why)
{
    return nm_fail(err, NM_E_ARG, "number %lld of the proof: %s", (long long)c->at_int, why);
}

nm_status nm_signs_int(nm_sign_check *c, int64_t lo, int64_t hi, int64_t *out, nm_err *err)
{
    if (c->at_int >= c->proof->n_ints)
        return nm_signs_refuse(c, err, "parts are missing");
    *out = c->proof->ints[c->at_int++];
    return *out < lo || *out > hi ? nm_signs_refuse(c, err, "a number is out of range") : NM_OK;
}

nm_status nm_signs_pass(nm_sign_check *c, int64_t n_floats, int64_t n_bytes, nm_err *err)
{
    if (n_floats > c->proof->n_floats - c->at_float || n_bytes > c->proof->n_bytes - c->at_byte)
        return nm_signs_refuse(c, err, "multipliers or slopes are missing");
    for (int64_t i = c->at_float; i < c->at_float + n_floats; i++)
        if (!(c->proof->floats[i] >= 0 && isfinite(c->proof->floats[i])))
            return nm_signs_refuse(c, err, "a multiplier is negative");
    c->at_float += n_floats;
    c->at_byte += n_bytes;
    return NM_OK;
}

int64_t nm_signs_n_hidden(const nm_sign_check *c)
{
    return c->chain->n_neurons - c->chain->layers[c->chain->n_layers - 1].n_out;
}

nm_status nm_signs_open(nm_sign_check *c, nm_err *err)
{
    int64_t last = -1, neuron = 0;
    nm_status rc = nm_signs_int(c, 0, nm_signs_n_hidden(c), &c->n_open, err);

    for (int64_t i = 0; rc == NM_OK && i < c->n_open; i++) {
        rc = nm_signs_int(c, last + 1, nm_signs_n_hidden(c) - 1, &neuron, err);
        c->open[i] = (int32_t)neuron;
        last = neuron;
    }
    return rc;
}

nm_status nm_signs_add(nm_sign_check *c, nm_sign_task t, int n_path, nm_err *err)
{
    nm_status rc = NM_OK;

    if (c->n_tasks == c->room_tasks) {
        c->room_tasks = 2 * c->room_tasks + 256;
        rc = nm_realloc(&c->tasks, (size_t)c->room_tasks, sizeof *c->tasks, err);
    }
    if (rc == NM_OK && c->n_literals + n_path > c->room_literals) {
        c->room_literals = 2 * (c->room_literals + n_path) + 256;
        rc = nm_realloc(&c->literals, (size_t)c->room_literals, sizeof *c->literals, err);
    }
    if (rc != NM_OK)
        return rc;
    t.n_literals = n_path;
    t.first_literal = c->n_literals;
    if (n_path > 0)
        memcpy(c->literals + c->n_literals, c->path, (size_t)n_path * sizeof *c->path);
    c->n_literals += n_path;
    c->tasks[c->n_tasks++] = t;
    return NM_OK;
}

/* -- bounding --------------------------------------------------------------------------------- */

/* Slopes of open neurons before `until`, and given signs with their multipliers. */
static void load_lines(const nm_sign_check *c, nm_check_bounds *b, const nm_sign_task *t,
                       int64_t until, const float *multiplier)
{
    for (int64_t i = 0; i < c->n_open && c->open[i] < until; i++)
        if (b->lo[c->open[i]] < 0 && b->hi[c->open[i]] > 0)
            b->below[c->open[i]] = c->proof->bytes[t->first_byte + i] / 255.0;
    for (int i = 0; i < t->n_literals; i++) {
        const nm_sign *l = &c->literals[t->first_literal + i];

        b->below[l->neuron] = b->above[l->neuron] = l->active ? 1 : 0;
        b->above_at[l->neuron] = 0;
        b->push[l->neuron] = l->active ? -(double)multiplier[i] : (double)multiplier[i];
    }
}

static void run_neuron(const nm_sign_check *c, nm_sign_hand *h, nm_sign_task *t, int64_t first)
{
    double constant;

    load_lines(c, &h->bounds, t, first, c->proof->floats + t->first_float);
    nm_check_unit_line(&h->bounds, t->neuron, t->side == 0 ? 1 : -1, h->slope, &constant);
    t->least = nm_check_least(c->chain->n_in, h->slope, constant, c->box->lo_out, c->box->hi_out);
}

/* The weighted sum of the case's rows, "unsafe when <= 0". */
static void run_leaf(const nm_sign_check *c, nm_sign_hand *h, nm_sign_task *t)
{
    const nm_out_case *cs = &c->property->cases[c->box->first_case + t->c];
    const float *weight = c->proof->floats + t->first_float;
    const nm_chain_layer *out = &c->chain->layers[c->chain->n_layers - 1];
    double at_0 = 0, size = 0, constant;

    memset(h->coef, 0, (size_t)c->property->n_out * sizeof *h->coef);
    for (int k = 0; k < cs->n_rows; k++) {
        const nm_out_row *row = &c->property->rows[cs->first + k];

        at_0 -= (double)weight[k] * row->limit_out;
        size += (double)weight[k] * fabs(row->limit_out);
        for (int i = 0; i < row->n_terms; i++) {
            int32_t o = row->output[i];

            h->coef[o] += (double)weight[k] * row->coef[i];
            size +=
                (double)weight[k] * fabs(row->coef[i]) * fmax(fabs(out->lo[o]), fabs(out->hi[o]));
        }
    }
    /* What the sums round, on outputs as large as they may be. */
    at_0 -= (cs->n_rows + 2) * 0x1p-52 * size;
    load_lines(c, &h->bounds, t, c->chain->n_neurons, weight + cs->n_rows);
    nm_check_line(&h->bounds, h->coef, at_0, h->slope, &constant);
    t->least = nm_check_least(c->chain->n_in, h->slope, constant, c->box->lo_out, c->box->hi_out);
    t->closed = t->least > 0 && isfinite(t->least);
}

/* Where the literals of one task were, the lines are those of the scope again. */
static void reset_lines(const nm_sign_check *c, nm_check_bounds *b, const nm_sign_task *t)
{
    for (int i = 0; i < t->n_literals; i++)
        b->push[c->literals[t->first_literal + i].neuron] = 0;
    nm_check_set_lines(b);
}

void nm_signs_run(nm_sign_check *c, int64_t first, int64_t layer)
{
    size_t bytes = (size_t)c->chain->n_neurons * sizeof(double);

#pragma omp parallel num_threads(c->n_hands)
    {
        nm_sign_hand *h = &c->hands[omp_get_thread_num()];

        memcpy(h->bounds.lo, c->lo, bytes);
        memcpy(h->bounds.hi, c->hi, bytes);
        nm_check_set_lines(&h->bounds);
#pragma omp for schedule(dynamic, 8)
        for (int64_t i = first; i < c->n_tasks; i++) {
            nm_sign_task *t = &c->tasks[i];

            if (nm_ctx_must_stop(c->ctx))
                continue;
            if (t->neuron >= 0)
                run_neuron(c, h, t, layer);
            else
                run_leaf(c, h, t);
            reset_lines(c, &h->bounds, t);
        }
    }
}
