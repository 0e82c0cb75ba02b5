#include "problem/row_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int compare_rows(const void *a, const void *b)
{
    const nm_row_id *ra = a, *rb = b;

    if (ra->point != rb->point)
        return ra->point < rb->point ? -1 : 1;
    if (ra->kind != rb->kind)
        return ra->kind < rb->kind ? -1 : 1;
    if (ra->op != rb->op)
        return ra->op < rb->op ? -1 : 1;
    return ra->k < rb->k ? -1 : ra->k > rb->k;
}

void nm_row_set_free(nm_row_set *set)
{
    nm_free(set->at);
    nm_free(set->sorted);
    *set = (nm_row_set){0};
}

bool nm_row_set_has(const nm_row_set *set, const nm_row_id *row)
{
    return set->n > 0 &&
           bsearch(row, set->sorted, (size_t)set->n, sizeof *row, compare_rows) != NULL;
}

nm_status nm_row_set_append(nm_row_set *set, const nm_row_id *rows, int64_t n, nm_err *err)
{
    nm_status rc = NM_OK;

    if (n == 0)
        return NM_OK;
    if (set->n + n > set->room) {
        int64_t room = 2 * (set->n + n);

        NM_TRY(nm_realloc(&set->at, (size_t)room, sizeof *set->at, err));
        NM_TRY(nm_realloc(&set->sorted, (size_t)room, sizeof *set->sorted, err));
        set->room = room;
    }
    for (int64_t i = 0; i < n; i++)
        set->has_pins = set->has_pins || rows[i].kind == NM_ROW_PIN;
    memcpy(set->at + set->n, rows, (size_t)n * sizeof *rows);
    set->n += n;
    memcpy(set->sorted, set->at, (size_t)set->n * sizeof *rows);
    qsort(set->sorted, (size_t)set->n, sizeof *rows, compare_rows);
done:
    return rc;
}

int64_t nm_row_set_fresh(const nm_row_set *set, const nm_row_id *rows, int64_t n, nm_row_id *fresh)
{
    int64_t count = 0, kept = 0;

    for (int64_t i = 0; i < n; i++)
        if (!nm_row_set_has(set, &rows[i]))
            fresh[count++] = rows[i];
    if (count > 1)
        qsort(fresh, (size_t)count, sizeof *fresh, compare_rows);
    for (int64_t i = 0; i < count; i++)
        if (i == 0 || compare_rows(&fresh[i], &fresh[i - 1]) != 0)
            fresh[kept++] = fresh[i];
    return kept;
}
