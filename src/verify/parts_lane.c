/* One part in a lane: put in, weighed, taken out. */
#include "verify/parts_lane.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

enum { MOST_WEIGHED = 64 };

bool nm_lane_note_leaf(nm_part_worker *w, int lane)
{
    nm_parts *s = w->s;
    const nm_part *p = w->lane[lane];
    int m = s->region->first[p->c + 1] - s->region->first[p->c];
    size_t n_floats = (size_t)(m + p->n_splits);
    nm_part_node leaf = {.neuron = -1, .n_floats = (int32_t)n_floats};
    nm_err ignored = {0};

    if (!s->opts->keep_tree)
        return true;
    if (nm_alloc(&leaf.floats, n_floats * sizeof(float) + (size_t)s->n_open, 1, &ignored) != NM_OK)
        return false;
    leaf.bytes = (unsigned char *)(leaf.floats + n_floats);
    memcpy(leaf.floats, p->weight, (size_t)m * sizeof(float));
    for (int i = 0; i < p->n_splits; i++)
        leaf.floats[m + i] =
            (float)w->batch.multiplier[(int64_t)p->splits[i].neuron * NM_MOST_LANES + lane];
    for (int64_t i = 0; i < s->n_open; i++)
        leaf.bytes[i] = (unsigned char)lrint(
            fmin(1, w->batch.below[(int64_t)s->open[i] * NM_MOST_LANES + lane]) * NM_SLOPE_STEPS);
    omp_set_lock(&s->lock);
    s->nodes[p->node] = leaf;
    omp_unset_lock(&s->lock);
    return true;
}

void nm_lane_put_down(nm_part_worker *w, int lane, bool closed, bool stuck)
{
    nm_parts *s = w->s;
    nm_part *p = w->lane[lane];

    omp_set_lock(&s->lock);
    s->n_busy--;
    if (closed) {
        s->case_least[p->c] = fmin(s->case_least[p->c], w->best[lane]);
        s->proved += p->volume;
    }
    if (stuck) {
        s->worst = fmin(s->worst, w->best[lane]);
        s->n_stuck++;
    } else
        s->n_parts[p->c]--;
    omp_unset_lock(&s->lock);
    nm_free(p);
    w->lane[lane] = NULL;
    w->batch.rate[lane] = 0;
}

/* Rows of a case with weights, as one row on the output. */
static void set_row(nm_part_worker *w, int lane)
{
    const nm_region *r = w->s->region;
    const nm_part *p = w->lane[lane];
    nm_batch *b = &w->batch;
    int64_t n_out = nm_vnet_output(r->v)->n;
    int first = r->first[p->c], m = r->first[p->c + 1] - first;
    double size = 0;

    b->at_0[lane] = 0;
    for (int64_t o = 0; o < n_out; o++)
        b->start[o * NM_MOST_LANES + lane] = 0;
    for (int k = 0; k < m; k++) {
        const nm_vrow *row = &r->rows[first + k];
        double weight = (double)p->weight[k];

        b->at_0[lane] += weight * row->at_0;
        size += weight * fabs(row->at_0);
        for (int64_t o = 0; o < n_out; o++) {
            b->start[o * NM_MOST_LANES + lane] += weight * row->c[o];
            size += weight * fabs(row->c[o]) * nm_vnet_output(r->v)->size[o];
        }
    }
    /* What the sums round, on outputs as large as they may be; one row is taken as it is. */
    if (m > 1)
        b->at_0[lane] -= (m + 2) * 0x1p-52 * size;
}

void nm_lane_load(nm_part_worker *w, int lane)
{
    const nm_parts *s = w->s;
    const nm_part *p = w->lane[lane];
    nm_batch *b = &w->batch;

    nm_batch_clear_lane(b, lane);
    for (int64_t i = 0; i < s->n_open; i++)
        b->below[(int64_t)s->open[i] * NM_MOST_LANES + lane] = (double)p->slope[i];
    for (int i = 0; i < p->n_splits; i++)
        nm_batch_split(b, lane, p->splits[i].neuron, p->splits[i].active,
                       (double)p->splits[i].multiplier, (double)p->splits[i].reach);
    set_row(w, lane);
    if (s->opts->keep_tree)
        nm_batch_round(b);
    w->step[lane] = 0;
    w->best[lane] = -(double)INFINITY;
    w->n_nodes++;
}

void nm_lane_weigh_rows(nm_part_worker *w, int lane)
{
    const nm_region *r = w->s->region;
    const double *z = w->batch.z + nm_vnet_output(r->v)->first * NM_MOST_LANES + lane;
    nm_part *p = w->lane[lane];
    int first = r->first[p->c], m = r->first[p->c + 1] - first;
    double value[MOST_WEIGHED], largest = 1e-30, sum = 0;

    if (m < 2 || m > MOST_WEIGHED)
        return;
    for (int k = 0; k < m; k++) {
        value[k] = r->rows[first + k].at_0;
        for (int64_t o = 0; o < nm_vnet_output(r->v)->n; o++)
            value[k] += r->rows[first + k].c[o] * z[o * NM_MOST_LANES];
        largest = fmax(largest, fabs(value[k]));
    }
    for (int k = 0; k < m; k++) {
        p->weight[k] *= (float)exp(w->batch.rate[lane] * value[k] / largest);
        sum += (double)p->weight[k];
    }
    for (int k = 0; k < m; k++)
        p->weight[k] /= (float)sum;
    set_row(w, lane);
}
