/* How a network stands between passes, and the report at their end. */
#ifndef NM_REPAIR_STRATEGY_END_H
#define NM_REPAIR_STRATEGY_END_H

#include "netmend/strategy.h"

/** Clear with nm_standing_clear(). */
typedef struct nm_standing {
    bool *right; /* [repair->n] */
    int64_t n_right, keep_right;
    double accuracy; /* on the test set; NAN without */
    double judged;   /* on the points of nm_strategy_judge(); NAN without */
} nm_standing;

nm_status nm_standing_of(nm_ctx *ctx, const nm_net *net, const nm_repair_task *task,
                         const int64_t *target, nm_standing *out, nm_err *err);
void nm_standing_clear(nm_standing *standing);

/** Points of accuracy lost on the points that passes are judged on; NAN without. */
double nm_standing_drawdown(const nm_standing *before, const nm_standing *after);

/** More repair points right, or as many and a higher accuracy where passes are judged. */
bool nm_standing_is_better(const nm_standing *a, const nm_standing *b);

typedef struct nm_end {
    nm_ctx *ctx;
    const nm_net *net;
    const nm_plan *plan;
    const nm_repair_task *task;
    const nm_repair_opts *opts;
    const int64_t *target;
} nm_end;

/** Writes the best network (NULL: none is better than the original), reads it back, and reports on
 *  what was read. */
nm_status nm_strategy_finish(const nm_end *end, const nm_net *best,
                             const nm_strategy_report *passes, const char *path, nm_net **fixed,
                             nm_repair_report *report, nm_err *err);

#endif
