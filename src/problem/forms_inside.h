/* What rows of edited layers are kept as, shared by forms*.c. */
#ifndef NM_PROBLEM_FORMS_INSIDE_H
#define NM_PROBLEM_FORMS_INSIDE_H

#include "problem/forms.h"

/** What is kept of one layer. */
typedef struct nm_layer_forms {
    bool whole;     /* gradients as matrices: the layer has many places */
    int64_t places; /* outer products a row; 1 if whole */
    int64_t width;  /* numbers per u; if whole: n_out * width of the layer */
    int64_t n_out;  /* numbers per g; if whole: unused */
    double *u;      /* [n_slots x places x width], not if whole */
    double *su;     /* S^-1 u; u itself without a metric */
    double *g;      /* [m x places x n_out]; if whole: gradients [m x width] */
    double *sg;     /* G^-1 g; if whole: G^-1 A S^-1; g itself without a metric */
} nm_layer_forms;

struct nm_forms {
    const nm_ctx *ctx;
    const nm_edits *edits;
    const nm_metric *metric;
    nm_layer_forms *layer; /* [edits->n] */
    int64_t m, room;
    int64_t *slot; /* [m] where the row's inputs stand */
    int64_t n_slots, slot_room;
    int64_t *slot_of, n_slot_of; /* by point of the tail; -1 = none */
    bool fixed;                  /* no layer's input depends on the edit */
};

#endif
