/* What the threads of the neuron search share: parts, the stack of those that wait, the proof tree.
 */
#include "verify/parts.h"

#include "base/mem.h"

nm_part *nm_part_new(const nm_parts *s, int c, int n_splits)
{
    int m = s->region->first[c + 1] - s->region->first[c];
    nm_err ignored = {0};
    nm_part *p;
    char *room;
    size_t bytes = sizeof *p + (size_t)n_splits * sizeof *p->splits +
                   ((size_t)s->n_open + (size_t)m) * sizeof(float);

    if (nm_alloc(&room, 1, bytes, &ignored) != NM_OK)
        return NULL;
    p = (nm_part *)(void *)room;
    p->c = c;
    p->n_splits = n_splits;
    p->splits = (nm_part_split *)(void *)(room + sizeof *p);
    p->slope = (float *)(void *)(p->splits + n_splits);
    p->weight = p->slope + s->n_open;
    return p;
}

int64_t nm_parts_nodes(nm_parts *s, int n)
{
    nm_err ignored = {0};
    int64_t first = 0;

    if (!s->opts->keep_tree)
        return 0;
    omp_set_lock(&s->lock);
    if (s->n_nodes_kept + n > s->room_nodes) {
        int64_t more = 2 * s->room_nodes + 256;

        if (nm_realloc(&s->nodes, (size_t)more, sizeof *s->nodes, &ignored) != NM_OK)
            first = -1;
        else
            s->room_nodes = more;
    }
    if (first == 0) {
        first = s->n_nodes_kept;
        s->n_nodes_kept += n;
        for (int i = 0; i < n; i++)
            s->nodes[first + i] = (nm_part_node){.neuron = -2};
    }
    omp_unset_lock(&s->lock);
    return first;
}

void nm_parts_clear_nodes(nm_parts *s)
{
    for (int64_t i = 0; i < s->n_nodes_kept; i++)
        nm_free(s->nodes[i].floats);
    s->n_nodes_kept = 0;
}

void nm_parts_fail(nm_parts *s, nm_status rc)
{
    omp_set_lock(&s->lock);
    if (s->rc == NM_OK) {
        s->rc = rc;
        if (rc == NM_E_NOMEM)
            (void)nm_fail(s->err, rc, "out of memory");
    }
    s->stop = true;
    omp_unset_lock(&s->lock);
}

bool nm_parts_push(nm_parts *s, nm_part *p)
{
    nm_err ignored = {0};
    bool ok = true;

    omp_set_lock(&s->lock);
    if (s->n_stack == s->room) {
        int64_t more = s->room > 0 ? 2 * s->room : 256;

        ok = nm_realloc(&s->stack, (size_t)more, sizeof(nm_part *), &ignored) == NM_OK;
        s->room = ok ? more : s->room;
    }
    if (ok) {
        s->stack[s->n_stack++] = p;
        s->n_parts[p->c]++;
    }
    omp_unset_lock(&s->lock);
    return ok;
}
