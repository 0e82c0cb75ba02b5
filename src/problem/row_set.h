/* The names of the rows that a program has so far, in its order, and looked up by name. */
#ifndef NM_PROBLEM_ROW_SET_H
#define NM_PROBLEM_ROW_SET_H

#include "problem/rows.h"

/** Start from {0}. */
typedef struct nm_row_set {
    nm_row_id *at; /* [n] in the order in which they came */
    int64_t n, room;
    nm_row_id *sorted; /* [n] by name */
    bool has_pins;
} nm_row_set;

void nm_row_set_free(nm_row_set *set);

bool nm_row_set_has(const nm_row_set *set, const nm_row_id *row);

/** Appends rows that are not in the set. */
nm_status nm_row_set_append(nm_row_set *set, const nm_row_id *rows, int64_t n, nm_err *err);

/** Those of `rows` that are new, each once. @param fresh  out, [n] @return how many */
int64_t nm_row_set_fresh(const nm_row_set *set, const nm_row_id *rows, int64_t n, nm_row_id *fresh);

#endif
