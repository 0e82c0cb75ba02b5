#include "io/onnx_graph.h"

#include <stdlib.h>
#include <string.h>

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const nm_def *)a)->name, ((const nm_def *)b)->name);
}

nm_def *nm_onnx_find_def(const nm_onnx_graph *graph, const char *name)
{
    nm_def key = {.name = name};

    return bsearch(&key, graph->defs, graph->n_defs, sizeof key, compare_names);
}

/* -- definitions ------------------------------------------------------------------------- */

static void add_def(nm_onnx_graph *graph, const char *name, size_t at, nm_origin origin,
                    size_t index, size_t slot)
{
    graph->defs[graph->n_defs++] = (nm_def){
        .name = name, .at = at, .origin = origin, .index = index, .slot = slot, .value = -1};
}

static nm_status check_unique(const nm_onnx_graph *graph, nm_err *err)
{
    for (size_t i = 1; i < graph->n_defs; i++) {
        const nm_def *a = &graph->defs[i - 1], *b = &graph->defs[i];

        if (strcmp(a->name, b->name) == 0)
            return nm_fail(err, NM_E_FORMAT,
                           "tensor " NM_NAME " is defined twice (bytes %zu and %zu)", a->name,
                           a->at < b->at ? a->at : b->at, a->at < b->at ? b->at : a->at);
    }
    return NM_OK;
}

static nm_status sort_defs(nm_onnx_graph *graph, nm_err *err)
{
    qsort(graph->defs, graph->n_defs, sizeof *graph->defs, compare_names);
    return check_unique(graph, err);
}

static nm_status check_initializer_names(const nm_onnx_model *m, nm_err *err)
{
    for (size_t i = 0; i < m->n_initializers; i++)
        if (!*m->initializers[i].name)
            return nm_fail(err, NM_E_FORMAT, "byte %zu: an initializer without a name",
                           m->initializers[i].at);
    return NM_OK;
}

/* Inputs that have an initializer are constants with a default, not inputs; of the others there
   must be one. */
static nm_status find_real_input(const nm_onnx_graph *initializers, size_t *index, nm_err *err)
{
    const nm_onnx_model *m = initializers->model;
    size_t n = 0;

    for (size_t i = 0; i < m->n_inputs; i++) {
        if (nm_onnx_find_def(initializers, m->inputs[i].name))
            continue;
        if (n++ > 0)
            return nm_fail(err, NM_E_UNSUPPORTED,
                           "the graph has inputs " NM_NAME " and " NM_NAME ", expected one",
                           m->inputs[*index].name, m->inputs[i].name);
        *index = i;
    }
    return n == 1 ? NM_OK : nm_fail(err, NM_E_FORMAT, "the graph has no input, expected one");
}

static size_t count_defs(const nm_onnx_model *m)
{
    size_t n = m->n_initializers + 1;

    for (size_t i = 0; i < m->n_nodes; i++)
        n += m->nodes[i].n_out;
    return n;
}

static void add_node_outputs(nm_onnx_graph *graph)
{
    const nm_onnx_model *m = graph->model;

    for (size_t i = 0; i < m->n_nodes; i++)
        for (size_t k = 0; k < m->nodes[i].n_out; k++)
            if (*m->nodes[i].out[k])
                add_def(graph, m->nodes[i].out[k], m->nodes[i].at, NM_FROM_NODE, i, k);
}

static nm_status collect_defs(nm_onnx_graph *graph, nm_pool *pool, nm_err *err)
{
    nm_status rc = NM_OK;
    const nm_onnx_model *m = graph->model;
    size_t input = 0;

    NM_TRY(nm_pool_alloc(pool, &graph->defs, count_defs(m), sizeof *graph->defs, err));
    NM_TRY(check_initializer_names(m, err));
    for (size_t i = 0; i < m->n_initializers; i++)
        add_def(graph, m->initializers[i].name, m->initializers[i].at, NM_FROM_INITIALIZER, i, 0);
    NM_TRY(sort_defs(graph, err));
    NM_TRY(find_real_input(graph, &input, err));
    add_def(graph, m->inputs[input].name, m->inputs[input].at, NM_FROM_INPUT, input, 0);
    add_node_outputs(graph);
    NM_TRY(sort_defs(graph, err));
    graph->input = nm_onnx_find_def(graph, m->inputs[input].name);
done:
    return rc;
}

/* -- reads ------------------------------------------------------------------------------- */

static nm_status note_read(nm_onnx_graph *graph, size_t node, const char *name, nm_err *err)
{
    nm_def *def = nm_onnx_find_def(graph, name);

    if (!def)
        return nm_fail(err, NM_E_FORMAT,
                       "reads tensor " NM_NAME ", which no input, initializer or node defines",
                       name);
    if (def->slot > 0)
        return nm_fail(err, NM_E_UNSUPPORTED,
                       "reads " NM_NAME ", output %zu of a %.40s node; only output 0 is supported",
                       name, def->slot, graph->model->nodes[def->index].op_type);
    def->n_reads++;
    def->reader = node;
    return NM_OK;
}

static nm_status note_reads(nm_onnx_graph *graph, nm_err *err)
{
    const nm_onnx_model *m = graph->model;

    for (size_t i = 0; i < m->n_nodes; i++)
        for (size_t k = 0; k < m->nodes[i].n_in; k++) {
            nm_status rc = *m->nodes[i].in[k] ? note_read(graph, i, m->nodes[i].in[k], err) : NM_OK;

            if (rc != NM_OK) {
                nm_onnx_blame(&m->nodes[i], err);
                return rc;
            }
        }
    return NM_OK;
}

static nm_status find_output(nm_onnx_graph *graph, nm_err *err)
{
    const nm_onnx_model *m = graph->model;

    if (m->n_outputs == 0)
        return nm_fail(err, NM_E_FORMAT, "the graph has no output, expected one");
    if (m->n_outputs > 1)
        return nm_fail(err, NM_E_UNSUPPORTED,
                       "the graph has outputs " NM_NAME " and " NM_NAME ", expected one",
                       m->outputs[0].name, m->outputs[1].name);
    graph->output = nm_onnx_find_def(graph, m->outputs[0].name);
    if (!graph->output || graph->output->origin != NM_FROM_NODE || graph->output->slot > 0)
        return nm_fail(err, NM_E_FORMAT, "output " NM_NAME " is not the first output of any node",
                       m->outputs[0].name);
    graph->output->n_reads++;
    return NM_OK;
}

/* -- order ------------------------------------------------------------------------------- */

/* Depth-first search with its own stack: a chain of a million nodes must not use ours. */
typedef struct search {
    nm_onnx_graph *graph;
    enum { NEW, OPEN, DONE } * state; /* [n_nodes] */
    struct frame {
        size_t node, next_in;
    } * stack;
    size_t depth, n_ordered;
} search;

/* The node that defines input k of a node; false if that is no node. */
static bool predecessor(const search *s, const nm_onnx_node *node, size_t k, size_t *out)
{
    const nm_def *def = *node->in[k] ? nm_onnx_find_def(s->graph, node->in[k]) : NULL;

    if (!def || def->origin != NM_FROM_NODE)
        return false;
    *out = def->index;
    return true;
}

static void open_node(search *s, size_t node)
{
    s->state[node] = OPEN;
    s->stack[s->depth++] = (struct frame){.node = node};
}

/* One step from the newest open node: into its next input, or done with it. */
static nm_status step(search *s, nm_err *err)
{
    const nm_onnx_model *m = s->graph->model;
    struct frame *top = &s->stack[s->depth - 1];
    const nm_onnx_node *node = &m->nodes[top->node];
    size_t from;

    if (top->next_in == node->n_in) {
        s->state[top->node] = DONE;
        s->graph->order[s->n_ordered++] = top->node;
        s->depth--;
        return NM_OK;
    }
    if (!predecessor(s, node, top->next_in++, &from) || s->state[from] == DONE)
        return NM_OK;
    if (s->state[from] == OPEN) {
        (void)nm_fail(err, NM_E_FORMAT, "reads what depends on it: the graph has a cycle");
        nm_onnx_blame(&m->nodes[from], err);
        return NM_E_FORMAT;
    }
    open_node(s, from);
    return NM_OK;
}

static nm_status sort_nodes(nm_onnx_graph *graph, nm_pool *pool, nm_err *err)
{
    nm_status rc = NM_OK;
    size_t n = graph->model->n_nodes;
    search s = {.graph = graph};

    NM_TRY(nm_pool_alloc(pool, &graph->order, n, sizeof *graph->order, err));
    NM_TRY(nm_pool_alloc(pool, &s.state, n, sizeof *s.state, err));
    NM_TRY(nm_pool_alloc(pool, &s.stack, n, sizeof *s.stack, err));
    for (size_t i = 0; i < n; i++) {
        if (s.state[i] == NEW)
            open_node(&s, i);
        while (s.depth > 0)
            NM_TRY(step(&s, err));
    }
done:
    return rc;
}

nm_status nm_onnx_link(const nm_onnx_model *model, nm_pool *pool, nm_onnx_graph *out, nm_err *err)
{
    nm_status rc = NM_OK;

    *out = (nm_onnx_graph){.model = model};
    NM_TRY(collect_defs(out, pool, err));
    NM_TRY(note_reads(out, err));
    NM_TRY(find_output(out, err));
    NM_TRY(sort_nodes(out, pool, err));
done:
    return rc;
}
