/* Splitting neurons (region.h): each relu whose sign is open is one side or the other.
 *
 * A *scope* is a region with some signs given, for which all neurons were bounded, with slopes of
 * their own (tighten.h). Within it, a part is a case and more signs; parts are bounded side by side
 * (parts.h), depth first, with the neurons' bounds of the scope. What a scope does not close with
 * some times the effort that its bounds took is split into two scopes, whose neurons are bounded
 * anew. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "verify/parts.h"

enum { TIGHTEN_STEPS = 20, SEARCH_PER_TIGHTEN = 1, LEAST_PASSES = 1000, LONGEST = 12000 };

struct search {
    nm_parts parts;
    nm_region_proof *proof; /* NULL = not kept */
    nm_bounder root;
    nm_region_report *report;
    nm_scope **scopes; /* a stack */
    int n_scopes, room;
    double least;
};

/* -- scopes ---------------------------------------------------------------------------------- */

static nm_scope *scope_new(const nm_region *r, int n_literals)
{
    size_t n = (size_t)r->v->n_neurons;
    nm_err ignored = {0};
    nm_scope *s;
    char *room;

    if (nm_alloc(&room, 1,
                 sizeof *s + 2 * n * sizeof(double) + (size_t)n_literals * sizeof(nm_literal) +
                     (size_t)r->n_cases * sizeof(bool),
                 &ignored) != NM_OK)
        return NULL;
    s = (nm_scope *)(void *)room;
    s->lo = (double *)(void *)(room + sizeof *s);
    s->hi = s->lo + n;
    s->literals = (nm_literal *)(void *)(s->hi + n);
    s->open = (bool *)(void *)(s->literals + n_literals);
    s->n_literals = n_literals;
    return s;
}

static bool push_scope(struct search *s, nm_scope *scope)
{
    nm_err ignored = {0};

    if (!scope)
        return false;
    if (s->n_scopes == s->room) {
        int more = s->room > 0 ? 2 * s->room : 32;

        if (nm_realloc(&s->scopes, (size_t)more, sizeof(nm_scope *), &ignored) != NM_OK)
            return false;
        s->room = more;
    }
    s->scopes[s->n_scopes++] = scope;
    return true;
}

static nm_scope *whole_scope(struct search *s)
{
    const nm_region *r = s->parts.region;
    nm_scope *scope = scope_new(r, 0);

    if (!scope)
        return NULL;
    nm_bound_copy(&s->root, scope->lo, scope->hi);
    for (int c = 0; c < r->n_cases; c++)
        scope->open[c] = true;
    scope->volume = 1;
    return scope;
}

static nm_scope *child_scope(struct search *s, const nm_scope *parent, int32_t neuron, bool active)
{
    const nm_region *r = s->parts.region;
    nm_scope *scope = scope_new(r, parent->n_literals + 1);

    if (!scope)
        return NULL;
    nm_bound_copy(&s->root, scope->lo, scope->hi);
    memcpy(scope->literals, parent->literals, (size_t)parent->n_literals * sizeof(nm_literal));
    memcpy(scope->open, parent->open, (size_t)r->n_cases * sizeof(bool));
    scope->literals[parent->n_literals] = (nm_literal){neuron, active};
    scope->volume = 0.5 * parent->volume;
    return scope;
}

/* -- the proof ------------------------------------------------------------------------------ */

/* A tree of parts, depth first. */
static void emit_tree(struct search *s, int64_t node)
{
    const nm_part_node *n = &s->parts.nodes[node];

    if (n->neuron >= 0) {
        nm_proof_int(s->proof, n->neuron - (int32_t)s->parts.region->v->nodes[0].n);
        emit_tree(s, n->child);
        emit_tree(s, n->child + 1);
        return;
    }
    nm_proof_int(s->proof, -1);
    for (int32_t i = 0; i < n->n_floats; i++)
        nm_proof_float(s->proof, n->floats[i]);
    for (int64_t i = 0; i < s->parts.n_open; i++)
        nm_proof_byte(s->proof, n->bytes[i]);
}

/* What became of each case of the scope. */
static void emit_cases(struct search *s, const nm_scope *scope, bool can_be_at_all)
{
    for (int c = 0; s->proof && c < s->parts.region->n_cases; c++) {
        if (!scope->open[c])
            continue;
        nm_proof_int(s->proof, s->parts.n_parts[c] == 0 ? 1 : 0);
        if (s->parts.n_parts[c] == 0 && can_be_at_all)
            emit_tree(s, s->parts.root_node[c]);
        else if (s->parts.n_parts[c] == 0)
            nm_proof_int(s->proof, -2);
    }
}

/* -- one scope ------------------------------------------------------------------------------- */

/* False if no input has these signs: a neuron's bounds exclude each other. */
static bool can_be(const nm_bounder *b)
{
    for (int64_t i = 0; i < b->v->n_neurons; i++)
        if (b->lines.lo[i] > b->lines.hi[i])
            return false;
    return true;
}

/* One part for each open case; none if no input is in the scope. */
static nm_status open_parts(struct search *s, const nm_scope *scope, bool can_be_at_all,
                            nm_err *err)
{
    nm_parts *p = &s->parts;
    const nm_vnet *v = p->region->v;
    const nm_lines *l = &s->root.lines;

    p->n_open = 0;
    p->worst_case = -1;
    for (int k = 0; k < v->n_nodes; k++)
        for (int64_t i = v->nodes[k].first; i < v->nodes[k].first + v->nodes[k].n; i++)
            if (v->nodes[k].kind == NM_VNODE_RELU && l->lo[i] < 0 && l->hi[i] > 0)
                p->open[p->n_open++] = (int32_t)i;
    for (int c = p->region->n_cases - 1; c >= 0; c--) {
        int m = p->region->first[c + 1] - p->region->first[c];
        nm_part *part;
        int64_t root;

        p->n_parts[c] = 0;
        p->first_split[c] = -1;
        p->first_bound[c] = p->case_least[c] = (double)INFINITY;
        if (!scope->open[c] || !can_be_at_all)
            continue;
        part = nm_part_new(p, c, scope->n_literals);
        root = nm_parts_nodes(p, 1);
        if (!part || root < 0 || !nm_parts_push(p, part)) {
            nm_free(part);
            return nm_fail(err, NM_E_NOMEM, "out of memory");
        }
        part->node = p->root_node[c] = root;
        part->bound = -(double)INFINITY;
        part->volume = scope->volume / p->region->n_cases;
        for (int i = 0; i < scope->n_literals; i++)
            part->splits[i] = (nm_part_split){.neuron = scope->literals[i].neuron,
                                              .active = scope->literals[i].active};
        for (int k = 0; k < m; k++)
            part->weight[k] = 1.0F / (float)m;
        for (int64_t i = 0; i < p->n_open; i++)
            part->slope[i] = (float)l->below[p->open[i]];
    }
    return NM_OK;
}

/* What is left on the stack; the worst bound of it. */
static double drain(nm_parts *p, int64_t *n)
{
    double worst = (double)INFINITY;

    *n = p->n_stack;
    while (p->n_stack > 0) {
        nm_part *part = p->stack[--p->n_stack];

        worst = fmin(worst, part->bound);
        nm_free(part);
    }
    return worst;
}

static double open_volume(const struct search *s, const nm_scope *scope)
{
    int n_cases = s->parts.region->n_cases, n = 0;

    for (int c = 0; c < n_cases; c++)
        n += scope->open[c];
    return scope->volume * n / n_cases;
}

/* Bounds neurons anew, then parts, as far as the effort goes. */
static nm_status run_scope(struct search *s, nm_scope *scope, nm_err *err)
{
    nm_parts *p = &s->parts;
    size_t bytes = (size_t)p->region->v->n_neurons * sizeof(double);
    int64_t n_passes;
    nm_status rc;

    memcpy(s->root.lines.lo, scope->lo, bytes);
    memcpy(s->root.lines.hi, scope->hi, bytes);
    rc = nm_tighten(p->ctx, &s->root, TIGHTEN_STEPS, scope->literals, scope->n_literals, s->proof,
                    &n_passes, err);
    if (rc == NM_OK)
        rc = open_parts(s, scope, can_be(&s->root), err);
    if (rc != NM_OK)
        return rc;
    p->n_passes = 0;
    p->most_passes = SEARCH_PER_TIGHTEN * n_passes + LEAST_PASSES;
    p->longest_passes = LONGEST;
    p->proved = 0;
    p->scope_volume = open_volume(s, scope);
    p->stop = p->spent = false;
#pragma omp parallel num_threads(nm_ctx_threads(p->ctx))
    nm_parts_run(p);
    return p->rc;
}

/* Cases without parts left are closed in this scope. Returns whether any case is open. */
static bool close_cases(struct search *s, nm_scope *scope)
{
    bool any = false;

    for (int c = 0; c < s->parts.region->n_cases; c++) {
        if (!scope->open[c])
            continue;
        if (s->parts.n_parts[c] > 0) {
            any = true;
            continue;
        }
        scope->open[c] = false;
        s->least = fmin(s->least, s->parts.case_least[c]);
        s->report->share_proved += scope->volume / s->parts.region->n_cases;
    }
    return any;
}

/* By the neuron that others' bounds depend on most, else by what the worst case was split by. */
static bool split_scope(struct search *s, const nm_scope *scope)
{
    const nm_parts *p = &s->parts;
    nm_batch batch;
    nm_err ignored = {0};
    int32_t neuron;

    if (p->worst_case < 0 || nm_batch_open(&batch, p->region->v, &s->root.lines, &ignored) != NM_OK)
        return false;
    neuron = nm_branch_scope(p, scope, &batch);
    nm_batch_close(&batch);
    if (neuron < 0)
        neuron = p->first_split[p->worst_case];
    if (s->proof)
        nm_proof_int(s->proof, neuron - (int32_t)p->region->v->nodes[0].n);
    return push_scope(s, child_scope(s, scope, neuron, true)) && /* the other one is next */
           push_scope(s, child_scope(s, scope, neuron, false));
}

static void leave_open(struct search *s, double bound, int64_t n)
{
    if (s->report->outcome == NM_REGION_SAFE)
        s->report->outcome = NM_REGION_OPEN;
    s->report->worst_bound = fmin(s->report->worst_bound, bound);
    s->report->n_open += n;
}

/* -- all ------------------------------------------------------------------------------------- */

static nm_status run_scopes(struct search *s, nm_err *err)
{
    nm_parts *p = &s->parts;
    nm_status rc = NM_OK;

    if (!push_scope(s, whole_scope(s)))
        return nm_fail(err, NM_E_NOMEM, "out of memory");
    while (rc == NM_OK && s->n_scopes > 0 && !p->found && p->n_stuck == 0) {
        nm_scope *scope = s->scopes[--s->n_scopes];
        double worst;
        int64_t n;

        p->proved_before = s->report->share_proved;
        rc = run_scope(s, scope, err);
        worst = drain(p, &n);
        emit_cases(s, scope, can_be(&s->root));
        nm_parts_clear_nodes(p);
        if (!p->found && (close_cases(s, scope) || rc != NM_OK)) {
            if (rc != NM_OK || p->n_stuck > 0)
                leave_open(s, fmin(worst, p->worst), n + p->n_stuck);
            else if (!split_scope(s, scope))
                rc = nm_fail(err, NM_E_NOMEM, "out of memory");
        }
        nm_free(scope);
    }
    for (int i = 0; i < s->n_scopes; i++) {
        if (!p->found)
            leave_open(s, -(double)INFINITY, 1);
        nm_free(s->scopes[i]);
    }
    nm_free(s->scopes);
    return rc;
}

static nm_status open_search(struct search *s, nm_err *err)
{
    size_t n_cases = (size_t)s->parts.region->n_cases;
    nm_arena *arena = &s->root.arena;

    s->parts.open =
        nm_arena_take(arena, (size_t)s->parts.region->v->n_neurons, sizeof *s->parts.open);
    s->parts.n_parts = nm_arena_take(arena, n_cases, sizeof *s->parts.n_parts);
    s->parts.root_node = nm_arena_take(arena, n_cases, sizeof *s->parts.root_node);
    s->parts.first_split = nm_arena_take(arena, n_cases, sizeof *s->parts.first_split);
    s->parts.first_bound = nm_arena_take(arena, n_cases, sizeof *s->parts.first_bound);
    s->parts.importance =
        nm_arena_take(arena, (size_t)s->parts.region->v->n_neurons, sizeof *s->parts.importance);
    s->parts.case_least = nm_arena_take(arena, n_cases, sizeof *s->parts.case_least);
    return arena->failed ? nm_fail(err, NM_E_NOMEM, "out of memory") : NM_OK;
}

nm_status nm_search_neurons(nm_ctx *ctx, const nm_region *region, const nm_search_opts *opts,
                            nm_region_report *report, nm_err *err)
{
    nm_region_proof proof = {0};
    struct search s = {
        .proof = opts->keep_tree ? &proof : NULL, .report = report, .least = (double)INFINITY};
    nm_status rc = nm_bounder_open(&s.root, region->v, false, err);

    s.parts = (nm_parts){.ctx = ctx,
                         .region = region,
                         .opts = opts,
                         .root = &s.root,
                         .worst = (double)INFINITY,
                         .err = err};
    *report = (nm_region_report){.outcome = NM_REGION_SAFE, .worst_bound = (double)INFINITY};
    if (rc == NM_OK)
        rc = open_search(&s, err);
    if (rc != NM_OK) {
        nm_bounder_close(&s.root);
        return rc;
    }
    omp_init_lock(&s.parts.lock);
    if (nm_bound_neurons(&s.root, region->lo, region->hi, NULL, NULL))
        rc = run_scopes(&s, err);
    omp_destroy_lock(&s.parts.lock);
    nm_free(s.parts.stack);
    nm_free(s.parts.nodes);
    if (rc == NM_OK && s.proof && report->outcome == NM_REGION_SAFE && !proof.incomplete)
        rc = nm_memdup(&report->proof, &proof, 1, sizeof proof, err);
    if (!report->proof)
        nm_region_proof_clear(&proof);
    nm_bounder_close(&s.root);
    report->n_nodes = s.parts.n_nodes;
    if (report->outcome == NM_REGION_SAFE)
        report->worst_bound = s.least;
    if (s.parts.found) {
        report->outcome = NM_REGION_UNSAFE;
        return NM_OK;
    }
    if (rc == NM_E_LIMIT)
        return nm_ctx_cancelled(ctx) ? nm_ctx_check(ctx, err) : NM_OK;
    return rc;
}
