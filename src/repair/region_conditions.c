#include "repair/region_conditions.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "net/tape.h"

void nm_region_conditions_free(nm_region_conditions *c)
{
    nm_free(c->first_case);
    nm_free(c->first_row);
    nm_free(c->rows);
    nm_free(c->norm);
    nm_free(c->rule);
    nm_free(c->coef);
    *c = (nm_region_conditions){0};
}

static nm_status make_room(int64_t n_cases, int64_t n_rows, nm_region_conditions *c, nm_err *err)
{
    nm_status rc = NM_OK;

    c->n_rows = n_rows;
    NM_TRY(nm_alloc(&c->first_case, (size_t)c->n_regions + 1, sizeof *c->first_case, err));
    NM_TRY(nm_alloc(&c->first_row, (size_t)n_cases + 1, sizeof *c->first_row, err));
    NM_TRY(nm_alloc(&c->rows, (size_t)n_rows, sizeof *c->rows, err));
    NM_TRY(nm_alloc(&c->norm, (size_t)n_rows, sizeof *c->norm, err));
    NM_TRY(nm_alloc(&c->rule, (size_t)n_rows, sizeof(const nm_out_row *), err));
    NM_TRY(nm_alloc(&c->coef, (size_t)n_rows, (size_t)c->n_scores * sizeof *c->coef, err));
    for (int64_t r = 0; r < n_rows; r++)
        c->rows[r].coef = c->coef + r * c->n_scores;
done:
    return rc;
}

/* Margins of classes are differences of two outputs, those of rows distances. */
static void find_norms(nm_region_conditions *c, bool classes)
{
    for (int64_t r = 0; r < c->n_rows; r++) {
        double sum = 0;

        for (int64_t i = 0; i < c->n_scores; i++)
            sum += c->rows[r].coef[i] * c->rows[r].coef[i];
        c->norm[r] = classes ? 1 : sqrt(sum);
    }
}

/* -- classes ---------------------------------------------------------------------------------- */

static nm_status from_classes(const nm_regions_task *task, nm_region_conditions *c, nm_err *err)
{
    double sign = task->decision == NM_DECISION_MIN ? -1 : 1;
    int64_t n = c->n_scores, row = 0;
    nm_status rc = NM_OK;

    if (n < 2)
        return nm_fail(err, NM_E_ARG, "the network has one output, a class needs two");
    NM_TRY(make_room(c->n_regions * (n - 1), c->n_regions * (n - 1), c, err));
    for (int64_t r = 0; r < c->n_regions; r++) {
        int64_t wanted = task->targets[r];

        if (wanted < 0 || wanted >= n)
            NM_THROW(err, NM_E_ARG, "region %lld: class %lld, expected 0 to %lld", (long long)r,
                     (long long)wanted, (long long)n - 1);
        for (int64_t other = 0; other < n; other++) {
            if (other == wanted)
                continue;
            c->coef[row * n + wanted] = sign;
            c->coef[row * n + other] = -sign;
            c->first_row[row] = row;
            row++;
        }
        c->first_case[r + 1] = row;
    }
    c->first_row[row] = row;
done:
    return rc;
}

/* -- a property ------------------------------------------------------------------------------- */

static void copy_row(const nm_out_row *from, int64_t row, nm_region_conditions *c)
{
    for (int32_t i = 0; i < from->n_terms; i++)
        c->coef[row * c->n_scores + from->output[i]] = from->coef[i];
    c->rows[row].limit = from->limit_out;
    c->rule[row] = from;
}

/* One box: its cases are those of all regions. As many boxes as regions: one each. */
static const nm_in_box *box_of(const nm_regions_task *task, int64_t region)
{
    return &task->property->boxes[task->property->n_boxes == 1 ? 0 : region];
}

static nm_status check_property(const nm_net *net, const nm_regions_task *task, nm_err *err)
{
    const nm_property *p = task->property;

    if (net->scores != net->output)
        return nm_fail(err, NM_E_UNSUPPORTED,
                       "the network ends with a softmax, whose outputs are no affine functions of "
                       "the last layer; expected one that gives scores");
    if (p->n_in != nm_net_n_in(net) || p->n_out != nm_net_n_out(net))
        return nm_fail(err, NM_E_SHAPE,
                       "the property declares %lld inputs and %lld outputs, the network has %lld "
                       "and %lld",
                       (long long)p->n_in, (long long)p->n_out, (long long)nm_net_n_in(net),
                       (long long)nm_net_n_out(net));
    if (p->n_boxes != 1 && p->n_boxes != task->regions->n)
        return nm_fail(err, NM_E_ARG,
                       "the property has %lld boxes; expected one, or one for each of the %lld "
                       "regions",
                       (long long)p->n_boxes, (long long)task->regions->n);
    return NM_OK;
}

static nm_status from_property(const nm_net *net, const nm_regions_task *task,
                               nm_region_conditions *c, nm_err *err)
{
    const nm_property *p = task->property;
    int64_t n_cases = 0, n_rows = 0, at_case = 0, row = 0;
    nm_status rc = NM_OK;

    NM_TRY(check_property(net, task, err));
    for (int64_t r = 0; r < c->n_regions; r++)
        for (int64_t k = 0; k < box_of(task, r)->n_cases; k++, n_cases++)
            n_rows += p->cases[box_of(task, r)->first_case + k].n_rows;
    NM_TRY(make_room(n_cases, n_rows, c, err));
    for (int64_t r = 0; r < c->n_regions; r++) {
        for (int64_t k = 0; k < box_of(task, r)->n_cases; k++) {
            const nm_out_case *from = &p->cases[box_of(task, r)->first_case + k];

            c->first_row[at_case++] = row;
            for (int32_t i = 0; i < from->n_rows; i++)
                copy_row(&p->rows[from->first + i], row++, c);
        }
        c->first_case[r + 1] = at_case;
    }
    c->first_row[at_case] = row;
done:
    return rc;
}

nm_status nm_region_conditions_new(const nm_net *net, const nm_regions_task *task,
                                   nm_region_conditions *out, nm_err *err)
{
    nm_status rc = NM_OK;

    *out = (nm_region_conditions){.n_scores = net->values[net->scores].size,
                                  .n_regions = task->regions->n};
    if (!task->targets == !task->property)
        return nm_fail(err, NM_E_ARG, "expected either classes of the regions or a property");
    if (task->regions->n_in != nm_net_n_in(net))
        return nm_fail(err, NM_E_SHAPE, "regions of %lld inputs, the network has %lld",
                       (long long)task->regions->n_in, (long long)nm_net_n_in(net));
    rc = task->targets ? from_classes(task, out, err) : from_property(net, task, out, err);
    if (rc == NM_OK)
        find_norms(out, task->targets != NULL);
    return rc;
}

bool nm_region_conditions_hopeless(const nm_region_conditions *c)
{
    for (int64_t k = 0; k < c->first_case[c->n_regions]; k++)
        if (c->first_row[k] == c->first_row[k + 1])
            return true;
    return false;
}

nm_status nm_region_scores(const nm_ctx *ctx, const nm_net *net, const double *x, int64_t n,
                           double *scores, nm_err *err)
{
    int64_t n_in = net->values[net->input].size, size = net->values[net->scores].size;
    int64_t chunk = nm_pass_block(net) * nm_ctx_threads(ctx);
    nm_tape *tape = NULL;
    nm_status rc = NM_OK;

    chunk = chunk < n ? chunk : n;
    NM_TRY(nm_tape_new(net, chunk, NULL, &tape, err));
    for (int64_t first = 0; first < n; first += chunk) {
        tape->n = n - first < chunk ? n - first : chunk;
        memcpy(tape->val[net->input], x + first * n_in, (size_t)(tape->n * n_in) * sizeof *x);
        NM_TRY(nm_tape_forward(ctx, tape, NULL, false, err));
        memcpy(scores + first * size, tape->val[net->scores],
               (size_t)(tape->n * size) * sizeof *scores);
    }
done:
    nm_tape_free(tape);
    return rc;
}

/* -- choices ---------------------------------------------------------------------------------- */

double nm_region_row_slack(const nm_region_conditions *c, int64_t row, const double *y)
{
    double sum = -c->rows[row].limit;

    for (int64_t i = 0; i < c->n_scores; i++)
        sum += c->rows[row].coef[i] * y[i];
    return sum / c->norm[row];
}

nm_status nm_region_choose(const nm_region_conditions *c, const double *y, nm_region_part *part,
                           nm_err *err)
{
    int64_t n_cases = nm_region_n_cases(c, part->region), first = c->first_case[part->region];
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&part->choice, (size_t)n_cases, sizeof *part->choice, err));
    NM_TRY(nm_alloc(&part->tried, (size_t)n_cases, sizeof *part->tried, err));
    for (int64_t k = 0; k < n_cases; k++) {
        double best = -INFINITY;

        for (int64_t r = c->first_row[first + k]; r < c->first_row[first + k + 1]; r++) {
            double least = INFINITY;

            for (int64_t v = 0; v < part->n; v++)
                least = fmin(least, nm_region_row_slack(c, r, y + v * c->n_scores));
            if (least > best) {
                best = least;
                part->choice[k] = (int32_t)(r - c->first_row[first + k]);
            }
        }
    }
done:
    return rc;
}

bool nm_region_choose_next(const nm_region_conditions *c, nm_region_part *part)
{
    int64_t n_cases = nm_region_n_cases(c, part->region), first = c->first_case[part->region];
    bool any = false;

    for (int64_t k = 0; k < n_cases; k++) {
        int32_t n_rows = (int32_t)(c->first_row[first + k + 1] - c->first_row[first + k]);

        if (part->tried[k] + 1 >= n_rows)
            continue;
        part->tried[k]++;
        part->choice[k] = (part->choice[k] + 1) % n_rows;
        any = true;
    }
    return any;
}

int64_t nm_region_chosen(const nm_region_conditions *c, const nm_region_part *part, int64_t k)
{
    return c->first_row[c->first_case[part->region] + k] + part->choice[k];
}
