/* Which rows and terms are equations of one neuron, and room for what becomes of them. */
#include <string.h>

#include "base/mem.h"
#include "solve/ipm_neurons.h"

/* -- which ------------------------------------------------------------------------------------ */

/* Extra e has the coefficient of neuron i everywhere. */
static bool is_bias_of(const nm_groups *groups, int64_t e, int64_t i)
{
    int64_t width = nm_factor_width(groups->space), at = groups->space->n_out + e;
    bool same = true;

    for (int64_t place = 0; place < groups->m && same; place++)
        same = groups->g[place * width + at] == groups->g[place * width + i];
    return same;
}

/* The first row or term that uses extra e, -1 = none. */
static int64_t user_of(const nm_groups *groups, int64_t e)
{
    int64_t width = nm_factor_width(groups->space), at = groups->space->n_out + e, place = 0;

    while (place < groups->m && groups->g[place * width + at] == 0)
        place++;
    return place < groups->m ? place : -1;
}

static void find_biases(const nm_groups *groups, struct nm_ipm_neurons *s)
{
    int64_t width = nm_factor_width(groups->space);

    for (int64_t i = 0; i < s->n_out; i++)
        s->bias[i] = -1;
    for (int64_t e = 0; e < groups->space->n_extra; e++) {
        int64_t user = user_of(groups, e);

        for (int64_t i = 0; i < s->n_out && user >= 0 && !s->absorbed[e]; i++) {
            const double *g = groups->g + user * width;

            if (g[i] == g[s->n_out + e] && s->bias[i] < 0 && is_bias_of(groups, e, i)) {
                s->bias[i] = e;
                s->absorbed[e] = true;
            }
        }
    }
}

/* The neuron that row or term at a place of the groups sees, -1 if several, none, or extras. */
static int64_t lone_neuron(const nm_groups *groups, const struct nm_ipm_neurons *s, int64_t place)
{
    int64_t width = nm_factor_width(groups->space), found = -1;
    const double *g = groups->g + place * width;

    for (int64_t i = 0; i < width; i++) {
        if (g[i] == 0 || (i >= s->n_out && s->absorbed[i - s->n_out]))
            continue;
        if (found >= 0 || i >= s->n_out)
            return -1;
        found = i;
    }
    return found;
}

/* Sorts the equations into own ones and the rest. */
static void sort_equations(const nm_groups *groups, struct nm_ipm_neurons *s, int64_t *next)
{
    int64_t width = nm_factor_width(groups->space);

    memcpy(next, s->first, (size_t)s->n_out * sizeof *next);
    s->rest.m = 0;
    for (int64_t p = 0; p < groups->n_points; p++) {
        s->rest.first[p] = s->rest.m;
        for (int64_t place = groups->first[p]; place < groups->first[p + 1]; place++) {
            int64_t i = lone_neuron(groups, s, place);

            if (i >= 0) {
                s->list[next[i]++] = (nm_ipm_own){
                    .equation = groups->row[place], .point = p, .g = groups->g[place * width + i]};
                continue;
            }
            memcpy(s->rest.g + s->rest.m * width, groups->g + place * width,
                   (size_t)width * sizeof(double));
            s->equation[s->rest.m] = groups->row[place];
            s->rest.row[s->rest.m] = s->rest.m;
            s->rest.m++;
        }
    }
    s->rest.first[groups->n_points] = s->rest.m;
}

static void count_own(const nm_groups *groups, struct nm_ipm_neurons *s)
{
    for (int64_t place = 0; place < groups->m; place++) {
        int64_t i = lone_neuron(groups, s, place);

        if (i >= 0)
            s->first[i + 1]++;
    }
    for (int64_t i = 0; i < s->n_out; i++) {
        int64_t count = s->first[i + 1];

        s->most = count > s->most ? count : s->most;
        s->square[i + 1] = s->square[i] + count * count;
        s->first[i + 1] += s->first[i];
    }
}

/* Multiplications of either way, without what both have to do. */
static bool is_worth_it(const nm_groups *groups, const struct nm_ipm_neurons *s)
{
    double all = (double)groups->m, lone = (double)s->first[s->n_out], rest = all - lone;
    double points = (double)groups->n_points, n_out = (double)s->n_out;
    double cost = rest * rest * rest / 6 + points * points * (lone + 4 * n_out);

    for (int64_t i = 0; i < s->n_out; i++) {
        double count = (double)(s->first[i + 1] - s->first[i]);

        cost += count * count * (count + points);
    }
    return lone > 0 && cost < 0.5 * all * all * all / 6;
}

void nm_ipm_neurons_free(struct nm_ipm_neurons *s)
{
    if (!s)
        return;
    nm_free(s->bias);
    nm_free(s->absorbed);
    nm_free(s->extra);
    nm_free(s->list);
    nm_free(s->first);
    nm_free(s->count);
    nm_free(s->square);
    nm_free(s->factor);
    nm_free(s->panel);
    nm_free(s->inner);
    nm_free(s->diagonal);
    nm_free(s->coupling);
    nm_free(s->rest.first);
    nm_free(s->rest.row);
    nm_free(s->rest.g);
    nm_free(s->waiting);
    nm_free(s->waiting_at);
    nm_free(s->equation);
    nm_free(s->rest_coupling);
    nm_free(s->whole);
    nm_free(s->right);
    nm_free(s->layer);
    nm_free(s->solution);
    nm_free(s);
}

static nm_status room(const nm_groups *groups, struct nm_ipm_neurons *s, nm_err *err)
{
    size_t own_ones = (size_t)s->first[s->n_out], points = (size_t)s->n_points;
    size_t all = (size_t)groups->m, n_out = (size_t)s->n_out;
    nm_status rc = NM_OK;

    s->rest = *groups;
    s->rest.first = s->rest.row = NULL;
    s->rest.g = NULL;
    NM_TRY(nm_alloc(&s->rest.first, points + 1, sizeof *s->rest.first, err));
    NM_TRY(nm_alloc(&s->rest.row, all, sizeof *s->rest.row, err));
    NM_TRY(nm_alloc(&s->rest.g, all - own_ones,
                    (size_t)nm_factor_width(groups->space) * sizeof(double), err));
    NM_TRY(nm_alloc(&s->list, own_ones, sizeof *s->list, err));
    NM_TRY(nm_alloc(&s->count, n_out, sizeof *s->count, err));
    NM_TRY(nm_alloc(&s->factor, (size_t)s->square[n_out], sizeof(double), err));
    NM_TRY(nm_alloc(&s->panel, own_ones, points * sizeof(double), err));
    NM_TRY(nm_alloc(&s->inner, points * points, n_out * sizeof(double), err));
    NM_TRY(nm_alloc(&s->diagonal, points, n_out * sizeof(double), err));
    NM_TRY(nm_alloc(&s->coupling, own_ones, sizeof(double), err));
    NM_TRY(nm_alloc(&s->solution, own_ones, sizeof(double), err));
    NM_TRY(nm_alloc(&s->waiting, own_ones, sizeof *s->waiting, err));
    NM_TRY(nm_alloc(&s->waiting_at, own_ones, sizeof *s->waiting_at, err));
    NM_TRY(nm_alloc(&s->equation, all, sizeof *s->equation, err));
    NM_TRY(nm_alloc(&s->rest_coupling, all, sizeof(double), err));
    NM_TRY(nm_alloc(&s->whole, all, sizeof(double), err));
    NM_TRY(nm_alloc(&s->right, all, sizeof(double), err));
    NM_TRY(nm_alloc(&s->layer, points, n_out * sizeof(double), err));
done:
    return rc;
}

nm_status nm_ipm_neurons_open(nm_ipm *ipm, nm_err *err)
{
    const nm_groups *groups = &ipm->groups;
    size_t n_out = (size_t)groups->space->n_out, n_extra = (size_t)groups->space->n_extra;
    struct nm_ipm_neurons *s = NULL;
    int64_t *next = NULL;
    nm_status rc = NM_OK;

    nm_ipm_neurons_free(ipm->neurons);
    ipm->neurons = NULL;
    NM_TRY(nm_alloc(&s, 1, sizeof *s, err));
    s->n_out = groups->space->n_out;
    s->n_points = groups->n_points;
    NM_TRY(nm_alloc(&s->first, n_out + 1, sizeof *s->first, err));
    NM_TRY(nm_alloc(&s->square, n_out + 1, sizeof *s->square, err));
    NM_TRY(nm_alloc(&s->bias, n_out, sizeof *s->bias, err));
    NM_TRY(nm_alloc(&s->absorbed, n_extra, sizeof *s->absorbed, err));
    NM_TRY(nm_alloc(&s->extra, n_extra, sizeof *s->extra, err));
    find_biases(groups, s);
    count_own(groups, s);
    if (!is_worth_it(groups, s))
        goto done;
    NM_TRY(room(groups, s, err));
    NM_TRY(nm_alloc(&next, n_out, sizeof *next, err));
    sort_equations(groups, s, next);
    nm_log(ipm->ctx, NM_LOG_DEBUG, "interior point: %lld of %lld equations see one neuron",
           (long long)s->first[s->n_out], (long long)groups->m);
    ipm->neurons = s;
    s = NULL;
done:
    nm_ipm_neurons_free(s);
    nm_free(next);
    return rc;
}
