#include "repair/branches.h"

#include <string.h>

#include "base/mem.h"

void nm_branch_clear(nm_branch *node)
{
    nm_free(node->side);
    nm_free(node->piece);
    *node = (nm_branch){0};
}

nm_status nm_branch_copy(const nm_branch_heap *heap, const nm_branch *from, nm_branch *to,
                         nm_err *err)
{
    nm_status rc = NM_OK;

    *to = (nm_branch){.bound = from ? from->bound : 0};
    NM_TRY(nm_alloc(&to->side, (size_t)heap->n_sides, sizeof *to->side, err));
    NM_TRY(nm_alloc(&to->piece, (size_t)heap->n_points, sizeof *to->piece, err));
    if (from) {
        memcpy(to->side, from->side, (size_t)heap->n_sides * sizeof *to->side);
        memcpy(to->piece, from->piece, (size_t)heap->n_points * sizeof *to->piece);
    } else {
        for (int64_t p = 0; p < heap->n_points; p++)
            to->piece[p] = -1;
    }
done:
    if (rc != NM_OK)
        nm_branch_clear(to);
    return rc;
}

static void swap(nm_branch *a, nm_branch *b)
{
    nm_branch t = *a;

    *a = *b;
    *b = t;
}

nm_status nm_branch_heap_push(nm_branch_heap *h, nm_branch *node, nm_err *err)
{
    int64_t i = h->n;

    if (i == h->room) {
        int64_t room = 2 * h->room + 64;
        nm_status rc = nm_realloc(&h->at, (size_t)room, sizeof *h->at, err);

        if (rc != NM_OK) {
            nm_branch_clear(node);
            return rc;
        }
        h->room = room;
    }
    h->at[h->n++] = *node;
    for (; i > 0 && h->at[i].bound < h->at[(i - 1) / 2].bound; i = (i - 1) / 2)
        swap(&h->at[i], &h->at[(i - 1) / 2]);
    return NM_OK;
}

nm_branch nm_branch_heap_pop(nm_branch_heap *h)
{
    nm_branch top = h->at[0];
    int64_t i = 0;

    h->at[0] = h->at[--h->n];
    for (;;) {
        int64_t least = i;

        for (int64_t child = 2 * i + 1; child <= 2 * i + 2 && child < h->n; child++)
            if (h->at[child].bound < h->at[least].bound)
                least = child;
        if (least == i)
            return top;
        swap(&h->at[i], &h->at[least]);
        i = least;
    }
}

uint64_t nm_branch_hash(const nm_branch_heap *heap, const nm_branch *node)
{
    uint64_t h = 1469598103934665603U;

    for (int64_t i = 0; i < heap->n_sides; i++)
        h = (h ^ (uint64_t)(node->side[i] + 1)) * 1099511628211U;
    for (int64_t p = 0; p < heap->n_points; p++)
        h = (h ^ (uint64_t)(node->piece[p] + 7)) * 1099511628211U;
    return h;
}

void nm_branch_heap_clear(nm_branch_heap *h)
{
    for (int64_t i = 0; i < h->n; i++)
        nm_branch_clear(&h->at[i]);
    nm_free(h->at);
    *h = (nm_branch_heap){0};
}
