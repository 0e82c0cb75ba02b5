#include "repair/hunt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "verify/attack.h"

void nm_preys_clear(nm_preys *preys)
{
    nm_free(preys->x);
    nm_free(preys->at);
    *preys = (nm_preys){.n_in = preys->n_in};
}

const nm_out_row *nm_prey_rule(const nm_prey *prey)
{
    return &prey->property->rows[prey->property->cases[prey->c].first + prey->piece];
}

double nm_rule_norm(const nm_out_row *rule)
{
    double sum = 0;

    for (int32_t i = 0; i < rule->n_terms; i++)
        sum += rule->coef[i] * rule->coef[i];
    return sqrt(sum);
}

double nm_case_slack(const nm_property *p, int64_t c, const double *y, int32_t *piece)
{
    double best = -INFINITY;

    *piece = -1;
    for (int32_t r = 0; r < p->cases[c].n_rows; r++) {
        const nm_out_row *row = &p->rows[p->cases[c].first + r];
        double sum = -row->limit_out;

        for (int32_t i = 0; i < row->n_terms; i++)
            sum += row->coef[i] * y[row->output[i]];
        sum /= nm_rule_norm(row);
        if (*piece < 0 || sum > best) {
            best = sum;
            *piece = r;
        }
    }
    return best;
}

static nm_status push(nm_preys *preys, const float *x, const nm_prey *prey, nm_err *err)
{
    nm_status rc = NM_OK;
    size_t n_in = (size_t)preys->n_in;

    if (preys->n == preys->room) {
        int64_t room = preys->room ? 2 * preys->room : 64;

        NM_TRY(nm_realloc(&preys->x, (size_t)room, n_in * sizeof *x, err));
        NM_TRY(nm_realloc(&preys->at, (size_t)room, sizeof *prey, err));
        preys->room = room;
    }
    memcpy(preys->x + preys->n * preys->n_in, x, n_in * sizeof *x);
    preys->at[preys->n++] = *prey;
done:
    return rc;
}

nm_status nm_preys_add_in_box(const nm_property *p, const nm_in_box *box, const float *x,
                              const double *y, double near, nm_preys *preys, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int64_t c = box->first_case; rc == NM_OK && c < box->first_case + box->n_cases; c++) {
        nm_prey prey = {.property = p, .c = c};

        if (!(nm_case_slack(p, c, y, &prey.piece) >= near))
            rc = push(preys, x, &prey, err);
    }
    return rc;
}

nm_status nm_preys_evaluate(nm_ctx *ctx, const nm_net *net, const float *x, int64_t n, double *y,
                            nm_err *err)
{
    size_t size = (size_t)(n * nm_net_n_in(net));
    double *x64 = NULL;
    nm_status rc = nm_alloc(&x64, size, sizeof *x64, err);

    for (size_t i = 0; rc == NM_OK && i < size; i++)
        x64[i] = (double)x[i];
    if (rc == NM_OK)
        rc = nm_net_forward_f64(ctx, net, x64, n, y, err);
    nm_free(x64);
    return rc;
}

nm_status nm_preys_add(nm_ctx *ctx, const nm_net *net, const nm_property *p, const float *x,
                       double near, nm_preys *preys, nm_err *err)
{
    double *y = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&y, (size_t)p->n_out, sizeof *y, err));
    NM_TRY(nm_preys_evaluate(ctx, net, x, 1, y, err));
    for (int64_t b = 0; b < p->n_boxes; b++)
        if (nm_in_box_holds(p, &p->boxes[b], x))
            NM_TRY(nm_preys_add_in_box(p, &p->boxes[b], x, y, near, preys, err));
done:
    nm_free(y);
    return rc;
}

static bool has_case(const nm_preys *preys, const float *x, const nm_property *p, int64_t c)
{
    for (int64_t i = 0; i < preys->n; i++)
        if (preys->at[i].property == p && preys->at[i].c == c &&
            memcmp(preys->x + i * preys->n_in, x, (size_t)preys->n_in * sizeof *x) == 0)
            return true;
    return false;
}

static nm_status complete_point(const nm_property *p, const float *x, const double *y,
                                nm_preys *preys, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int64_t b = 0; b < p->n_boxes; b++) {
        const nm_in_box *box = &p->boxes[b];

        for (int64_t c = box->first_case;
             nm_in_box_holds(p, box, x) && rc == NM_OK && c < box->first_case + box->n_cases; c++) {
            nm_prey prey = {.property = p, .c = c};

            (void)nm_case_slack(p, c, y, &prey.piece);
            if (!has_case(preys, x, p, c))
                rc = push(preys, x, &prey, err);
        }
    }
    return rc;
}

nm_status nm_preys_complete(nm_ctx *ctx, const nm_net *net, const nm_property *const *properties,
                            int n_properties, nm_preys *preys, nm_err *err)
{
    int64_t n = preys->n, n_out = nm_net_n_out(net);
    double *y = NULL;
    float *x = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&y, (size_t)n, (size_t)n_out * sizeof *y, err));
    NM_TRY(nm_memdup(&x, preys->x, (size_t)n, (size_t)preys->n_in * sizeof *x, err));
    NM_TRY(nm_preys_evaluate(ctx, net, x, n, y, err));
    for (int i = 0; i < n_properties; i++)
        for (int64_t p = 0; p < n; p++)
            NM_TRY(complete_point(properties[i], x + p * preys->n_in, y + p * n_out, preys, err));
done:
    nm_free(x);
    nm_free(y);
    return rc;
}

/* -- the hunt --------------------------------------------------------------------------------- */

enum { MOST_CAUGHT = 1 << 14, MOST_CAUGHT_NUMBERS = 1 << 24 };

/* What an attack passed by. It is never told to stop. */
typedef struct net_of_points {
    float *x;
    int64_t n, room, n_in;
} net_of_points;

static bool take(void *user, const float *x)
{
    net_of_points *bag = user;

    if (bag->n < bag->room)
        memcpy(bag->x + bag->n++ * bag->n_in, x, (size_t)bag->n_in * sizeof *x);
    return false;
}

/* The property with conditions that are met already by outputs that are `near` to meeting them. */
static nm_status loosen(const nm_property *p, double near, nm_property *out, nm_out_row **rows,
                        nm_err *err)
{
    nm_status rc = nm_memdup(rows, p->rows, (size_t)p->n_rows, sizeof **rows, err);

    *out = *p;
    for (int64_t r = 0; rc == NM_OK && r < p->n_rows; r++)
        (*rows)[r].limit_in += near * nm_rule_norm(&p->rows[r]);
    out->rows = *rows;
    return rc;
}

typedef struct ranked {
    int64_t point;
    double slack;
} ranked;

static int by_slack(const void *a, const void *b)
{
    const ranked *ra = a, *rb = b;

    if (ra->slack != rb->slack)
        return ra->slack < rb->slack ? -1 : 1;
    return ra->point < rb->point ? -1 : ra->point > rb->point;
}

/* Closer than this share of the box in every direction: the same place. */
static const double same_place = 0.02;

static bool is_new(const nm_in_box *box, const float *bag, int64_t n_in, const int64_t *chosen,
                   int64_t n_chosen, const float *x)
{
    for (int64_t i = 0; i < n_chosen; i++) {
        const float *other = bag + chosen[i] * n_in;
        bool close = true;

        for (int64_t j = 0; close && j < n_in; j++)
            close = fabs((double)x[j] - (double)other[j]) <=
                    same_place * (box->hi_out[j] - box->lo_out[j]);
        if (close)
            return false;
    }
    return true;
}

static nm_status choose(nm_ctx *ctx, const nm_net *net, const nm_property *p, const nm_in_box *box,
                        double near, const net_of_points *bag, int64_t most, nm_preys *preys,
                        nm_err *err)
{
    nm_status rc = NM_OK;
    double *y = NULL;
    ranked *order = NULL;
    int64_t *chosen = NULL, n_chosen = 0;

    NM_TRY(nm_alloc(&y, (size_t)bag->n, (size_t)p->n_out * sizeof *y, err));
    NM_TRY(nm_alloc(&order, (size_t)bag->n, sizeof *order, err));
    NM_TRY(nm_alloc(&chosen, (size_t)most, sizeof *chosen, err));
    NM_TRY(nm_preys_evaluate(ctx, net, bag->x, bag->n, y, err));
    for (int64_t i = 0; i < bag->n; i++) {
        order[i] = (ranked){.point = i, .slack = INFINITY};
        for (int64_t c = 0; c < box->n_cases; c++) {
            int32_t piece;

            order[i].slack = fmin(order[i].slack,
                                  nm_case_slack(p, box->first_case + c, y + i * p->n_out, &piece));
        }
    }
    qsort(order, (size_t)bag->n, sizeof *order, by_slack);
    for (int64_t i = 0; i < bag->n && n_chosen < most && order[i].slack < near; i++) {
        const float *x = bag->x + order[i].point * bag->n_in;

        if (!is_new(box, bag->x, bag->n_in, chosen, n_chosen, x))
            continue;
        chosen[n_chosen++] = order[i].point;
        NM_TRY(nm_preys_add_in_box(p, box, x, y + order[i].point * p->n_out, near, preys, err));
    }
done:
    nm_free(y);
    nm_free(order);
    nm_free(chosen);
    return rc;
}

static bool is_point(const nm_in_box *box, int64_t n_in)
{
    return memcmp(box->lo_in, box->hi_in, (size_t)n_in * sizeof *box->lo_in) == 0;
}

/* A box that is one point needs no attack: what it asks for and was not asked for yet. */
static nm_status hunt_point(nm_ctx *ctx, const nm_net *net, const nm_property *p,
                            const nm_in_box *box, double near, nm_preys *preys, nm_err *err)
{
    double *y = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&y, (size_t)p->n_out, sizeof *y, err));
    NM_TRY(nm_preys_evaluate(ctx, net, box->lo_in, 1, y, err));
    for (int64_t c = box->first_case; c < box->first_case + box->n_cases; c++) {
        nm_prey prey = {.property = p, .c = c};

        if (!(nm_case_slack(p, c, y, &prey.piece) >= near) && !has_case(preys, box->lo_in, p, c))
            NM_TRY(push(preys, box->lo_in, &prey, err));
    }
done:
    nm_free(y);
    return rc;
}

nm_status nm_hunt(nm_ctx *ctx, const nm_net *net, const nm_property *p, double near, uint64_t seed,
                  uint64_t stream, double effort, int64_t most, nm_preys *preys, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_property loose;
    nm_out_row *rows = NULL;
    net_of_points bag = {.n_in = p->n_in};

    bag.room = MOST_CAUGHT_NUMBERS / p->n_in + 1;
    bag.room = bag.room < MOST_CAUGHT ? bag.room : MOST_CAUGHT;
    NM_TRY(nm_alloc(&bag.x, (size_t)bag.room, (size_t)p->n_in * sizeof *bag.x, err));
    NM_TRY(loosen(p, near, &loose, &rows, err));
    for (int64_t b = 0; b < p->n_boxes; b++) {
        nm_attack attack = {.ctx = ctx,
                            .net = net,
                            .property = &loose,
                            .box = &p->boxes[b],
                            .seed = seed,
                            .stream = (stream << 40) + ((uint64_t)b << 24),
                            .hit = take,
                            .user = &bag};
        bool found;

        if (!p->boxes[b].has_points)
            continue;
        if (is_point(&p->boxes[b], p->n_in)) {
            NM_TRY(hunt_point(ctx, net, p, &p->boxes[b], near, preys, err));
            continue;
        }
        bag.n = 0;
        NM_TRY(nm_attack_box(&attack, effort, &found, err));
        if (bag.n > 0)
            NM_TRY(choose(ctx, net, p, &p->boxes[b], near, &bag, most, preys, err));
    }
done:
    nm_free(bag.x);
    nm_free(rows);
    return rc;
}
