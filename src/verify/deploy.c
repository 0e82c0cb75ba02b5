#include "verify/deploy.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "net/tape.h"

/* The three bounds of deploy.h. */
enum model { RIGOROUS, FIRST_ORDER, PROBABLE, N_MODELS };

/* Values, radii and error sources of a chunk of points. */
struct chunk {
    const nm_ctx *ctx;
    const nm_net *net;
    const int64_t *target;
    bool plain;
    nm_tape *at;
    nm_tape *radius;           /* |d| <= radius, rigorous */
    nm_tape *source[N_MODELS]; /* |e| + |q| of each value; |e| for the first-order models */
};

/* -- radii and sources, forward ---------------------------------------------------------- */

static void add_into(double *to, const double *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] += from[i];
}

/* |e| + |q| at radius r, and the radius of the output. */
static void rigorous_errors(const nm_exec *ex, const struct chunk *c, int64_t first,
                            const double *const *in, const double *out, double *source)
{
    const nm_op *op = ex->op;
    int64_t size = ex->net->values[op->out].size, n = ex->n * size;
    double *radius = c->radius->val[op->out] + first * size;
    double *curvature = nm_scratch(ex, (size_t)n, sizeof *curvature);
    double *r[NM_OP_MAX_IN];
    const double *const *lent = (const double *const *)r;

    if (!curvature)
        return;
    nm_op_partners(ex->net, op, c->radius->val, first, r);
    op->kind->spread(ex, in, out, lent, radius);
    memset(source, 0, (size_t)n * sizeof *source);
    if (op->kind->local_error) {
        op->kind->local_error(ex, in, out, lent, source);
        add_into(radius, source, n);
    }
    if (op->kind->residual) {
        op->kind->residual(ex, in, out, lent, curvature);
        add_into(source, curvature, n);
    }
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(out[i]) + radius[i] <= NM_F32_RANGE)) /* nothing is known of it; NaN, too */
            source[i] = radius[i] = INFINITY;
}

/* |e| at the computed values alone. */
static void first_order_errors(const nm_exec *ex, const double *const *in, const double *out,
                               double *source)
{
    const nm_op *op = ex->op;
    const double *none[NM_OP_MAX_IN] = {NULL};
    int64_t n = ex->n * ex->net->values[op->out].size;

    if (op->kind->local_error)
        op->kind->local_error(ex, in, out, none, source);
    else
        memset(source, 0, (size_t)n * sizeof *source);
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(out[i]) <= NM_F32_RANGE))
            source[i] = INFINITY;
}

static void visit_errors(const nm_exec *given, int64_t first, void *user)
{
    const struct chunk *c = user;
    const nm_op *op = given->op;
    int64_t size = given->net->values[op->out].size;
    const double *in[NM_OP_MAX_IN];
    const double *out = c->at->val[op->out] + first * size;

    nm_op_inputs(given->net, op, c->at->val, first, in);
    for (int model = 0; model < N_MODELS; model++) {
        nm_exec ex = *given;
        double *source = c->source[model]->val[op->out] + first * size;

        ex.probable = model == PROBABLE;
        if (model == RIGOROUS)
            rigorous_errors(&ex, c, first, in, out, source);
        else
            first_order_errors(&ex, in, out, source);
    }
}

/* An input may be flushed to 0 if it is denormal, and must be a number. */
static void push_input(struct chunk *c)
{
    int v = c->net->input;
    int64_t n = c->at->n * c->net->values[v].size;
    const double *x = c->at->val[v];

    for (int64_t i = 0; i < n; i++) {
        double off = !(fabs(x[i]) <= NM_F32_RANGE)   ? INFINITY
                     : fabs(x[i]) < NM_F32_UNDERFLOW ? fabs(x[i])
                                                     : 0;

        c->radius->val[v][i] = off;
        for (int model = 0; model < N_MODELS; model++)
            c->source[model]->val[v][i] = off;
    }
}

static nm_status push_errors(struct chunk *c, nm_err *err)
{
    nm_pass pass = {
        .net = c->net, .n = c->at->n, .plain = c->plain, .visit = visit_errors, .user = c};

    push_input(c);
    return nm_pass_run(c->ctx, &pass, err);
}

/* -- pairs of classes that need the adjoint ---------------------------------------------- */

struct pair {
    int64_t point; /* in the chunk */
    int64_t other; /* class */
    double gap;    /* score[target] - score[other] */
    double bound[N_MODELS];
};

static const double *scores_of(const nm_tape *tape, int64_t p)
{
    return tape->val[tape->net->scores] + p * tape->net->values[tape->net->scores].size;
}

/* The forward radius already bounds a gap's deviation. Only pairs for which it is not good enough
   need their own backward pass; of each point the closest pair always gets one, so that the figure
   reported is the sharp one. */
static int64_t list_pairs(const struct chunk *c, int64_t p, struct pair *pairs)
{
    int64_t n_classes = c->net->values[c->net->scores].size, n = 0, closest = -1;
    int64_t target = c->target[p];
    const double *s = scores_of(c->at, p), *r = scores_of(c->radius, p);

    for (int64_t j = 0; j < n_classes; j++)
        if (j != target && (closest < 0 || s[j] > s[closest]))
            closest = j;
    for (int64_t j = 0; j < n_classes; j++) {
        double gap = s[target] - s[j];

        if (j != target && (j == closest || !(gap > r[target] + r[j])))
            pairs[n++] = (struct pair){.point = p, .other = j, .gap = gap};
    }
    return n;
}

/* The adjoint, the values and the sum itself are computed in double: their own rounding is below
   2^-29 of what float32 does along the same paths, which the pushed radius bounds. */
static double allowance(const struct chunk *c, const struct pair *pair)
{
    const double *r = scores_of(c->radius, pair->point);

    return 1e-8 * (r[c->target[pair->point]] + r[pair->other]);
}

/* A source that is not finite spoils the sum even where the adjoint is 0: a runtime's infinity
   times 0 is not a number. */
static double weighted_sum(const struct chunk *c, const nm_tape *adjoint, int64_t row, int64_t p,
                           int model)
{
    double sum = 0;

    for (int v = 0; v < c->net->n_values; v++) {
        int64_t size = c->net->values[v].size;
        const double *adj, *source;

        if (c->net->values[v].constant)
            continue;
        adj = adjoint->val[v] + row * size;
        source = c->source[model]->val[v] + p * size;
        for (int64_t k = 0; k < size; k++)
            sum += source[k] < INFINITY ? fabs(adj[k]) * source[k] : INFINITY;
    }
    return isnan(sum) ? INFINITY : sum;
}

struct backward {
    const struct chunk *c;
    nm_tape *at, *adjoint;
    int64_t *points;
    int64_t room;
};

static nm_status bound_pairs(struct backward *b, struct pair *pairs, int64_t n, nm_err *err)
{
    const struct chunk *c = b->c;
    int64_t n_classes = c->net->values[c->net->scores].size;
    nm_status rc;

    b->at->n = b->adjoint->n = n;
    for (int64_t i = 0; i < n; i++)
        b->points[i] = pairs[i].point;
    nm_tape_gather(b->at, c->at, b->points, n);
    nm_tape_zero(b->adjoint);
    for (int64_t i = 0; i < n; i++) {
        double *seed = b->adjoint->val[c->net->scores] + i * n_classes;

        seed[c->target[pairs[i].point]] = 1;
        seed[pairs[i].other] = -1;
    }
    rc = nm_tape_vjp(c->ctx, b->at, b->adjoint, NULL, c->plain, err);
    for (int64_t i = 0; rc == NM_OK && i < n; i++)
        for (int model = 0; model < N_MODELS; model++)
            pairs[i].bound[model] = weighted_sum(c, b->adjoint, i, pairs[i].point, model) +
                                    (model == RIGOROUS ? allowance(c, &pairs[i]) : 0);
    return rc;
}

/* -- one chunk of points ----------------------------------------------------------------- */

static void judge_pair(const struct pair *pair, nm_deploy *out, int64_t p)
{
    if (pair->gap < out->margin[p] || isnan(pair->gap))
        out->margin[p] = pair->gap;
    if (!(pair->gap - pair->bound[RIGOROUS] >= out->slack[p])) {
        out->slack[p] = pair->gap - pair->bound[RIGOROUS];
        out->rigorous[p] = pair->bound[RIGOROUS];
    }
    out->first_order[p] = fmax(out->first_order[p], pair->bound[FIRST_ORDER]);
    out->probable[p] = fmax(out->probable[p], pair->bound[PROBABLE]);
    out->safe[p] = out->safe[p] && pair->gap > pair->bound[RIGOROUS];
    out->safe_first_order[p] = out->safe_first_order[p] && pair->gap > pair->bound[FIRST_ORDER];
    out->safe_probable[p] = out->safe_probable[p] && pair->gap > pair->bound[PROBABLE];
}

static nm_status judge_chunk(struct chunk *c, struct backward *b, struct pair *pairs, int64_t first,
                             nm_deploy *out, nm_err *err)
{
    int64_t n_pairs = 0;
    nm_status rc = nm_tape_forward(c->ctx, c->at, NULL, c->plain, err);

    if (rc == NM_OK)
        rc = push_errors(c, err);
    for (int64_t p = 0; rc == NM_OK && p < c->at->n; p++)
        n_pairs += list_pairs(c, p, pairs + n_pairs);
    for (int64_t i = 0; rc == NM_OK && i < n_pairs; i += b->room)
        rc = bound_pairs(b, pairs + i, n_pairs - i < b->room ? n_pairs - i : b->room, err);
    for (int64_t i = 0; rc == NM_OK && i < n_pairs; i++)
        judge_pair(&pairs[i], out, first + pairs[i].point);
    return rc;
}

static nm_status open_chunk(struct chunk *c, struct backward *b, int64_t n, nm_err *err)
{
    nm_status rc = nm_tape_new(c->net, n, NULL, &c->at, err);

    if (rc == NM_OK)
        rc = nm_tape_new(c->net, n, NULL, &c->radius, err);
    for (int model = 0; rc == NM_OK && model < N_MODELS; model++)
        rc = nm_tape_new(c->net, n, NULL, &c->source[model], err);
    b->c = c;
    b->room = n;
    if (rc == NM_OK)
        rc = nm_tape_new(c->net, n, NULL, &b->at, err);
    if (rc == NM_OK)
        rc = nm_tape_new(c->net, n, NULL, &b->adjoint, err);
    if (rc == NM_OK)
        rc = nm_alloc(&b->points, (size_t)n, sizeof *b->points, err);
    return rc;
}

static void set_chunk_size(struct chunk *c, int64_t n)
{
    c->at->n = c->radius->n = n;
    for (int model = 0; model < N_MODELS; model++)
        c->source[model]->n = n;
}

static void close_chunk(struct chunk *c, struct backward *b)
{
    nm_tape_free(c->at);
    nm_tape_free(c->radius);
    for (int model = 0; model < N_MODELS; model++)
        nm_tape_free(c->source[model]);
    nm_tape_free(b->at);
    nm_tape_free(b->adjoint);
    nm_free(b->points);
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
    for (int64_t p = 0; p < n; p++) {
        out->margin[p] = out->slack[p] = INFINITY;
        out->safe[p] = out->safe_first_order[p] = out->safe_probable[p] = true;
    }
done:
    return rc;
}

/* Points that are in work at once: blocks that take about a gigabyte together. Not a matter of the
   number of threads, since what shares a matrix product with what can change its last bit. */
static int64_t chunk_size(const nm_net *net)
{
    const int64_t most_blocks = 16, wanted = (int64_t)1 << 30, tapes = N_MODELS + 4;
    int64_t block = nm_pass_block(net), n_bytes = 1, n_blocks;

    for (int v = 0; v < net->n_values; v++)
        n_bytes += net->values[v].constant ? 0 : net->values[v].size * (int64_t)sizeof(double);
    n_blocks = wanted / (n_bytes * block * tapes);
    return block * (n_blocks < 1 ? 1 : n_blocks > most_blocks ? most_blocks : n_blocks);
}

nm_status nm_deploy_check(const nm_ctx *ctx, const nm_net *net, const float *x,
                          const int64_t *target, int64_t n, bool plain, nm_deploy *out, nm_err *err)
{
    int64_t room = chunk_size(net);
    int64_t n_classes = net->values[net->scores].size;
    struct chunk c = {.ctx = ctx, .net = net, .plain = plain};
    struct backward b = {0};
    struct pair *pairs = NULL;
    nm_status rc = NM_OK;

    room = room < n ? room : n;
    NM_TRY(deploy_new(out, n, err));
    NM_TRY(open_chunk(&c, &b, room, err));
    NM_TRY(nm_alloc(&pairs, (size_t)room, (size_t)n_classes * sizeof *pairs, err));
    for (int64_t first = 0; first < n; first += room) {
        set_chunk_size(&c, n - first < room ? n - first : room);
        c.target = target + first;
        nm_tape_set_input(c.at, x + first * net->values[net->input].size);
        NM_TRY(judge_chunk(&c, &b, pairs, first, out, err));
        nm_progress(ctx, "checking", first + c.at->n, n, NAN);
    }
done:
    close_chunk(&c, &b);
    nm_free(pairs);
    if (rc != NM_OK)
        nm_deploy_clear(out);
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
    memset(deploy, 0, sizeof *deploy);
}
