/* Strategies: a repair set in passes instead of all at once. Experimental. */
#ifndef NETMEND_STRATEGY_H
#define NETMEND_STRATEGY_H

#include "netmend/repair.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum nm_strategy {
    NM_STRATEGY_FULL,        /**< all points in one repair */
    NM_STRATEGY_INCREMENTAL, /**< batch after batch, each from the last accepted network */
    NM_STRATEGY_ACCUMULATED /**< the same; points of earlier passes stay right and as safe as asked,
                                 and others that are right by themselves stay right */
} nm_strategy;

/** What to do with a batch that has no repair. */
typedef enum nm_on_infeasible {
    NM_INFEASIBLE_SKIP,   /**< go on without it */
    NM_INFEASIBLE_SPLIT,  /**< repair its halves, and theirs, one after the other */
    NM_INFEASIBLE_ELASTIC /**< repair as many of its points as possible */
} nm_on_infeasible;

/** Options; start from NM_STRATEGY_OPTS_INIT. */
typedef struct nm_strategy_opts {
    size_t size;
    nm_strategy strategy;
    int64_t batch;       /**< points of a pass, >= 1 */
    int passes;          /**< at most; 0 = each point once */
    double max_drawdown; /**< a pass that leaves more of the accuracy lost on the points that passes
                              are judged on (nm_strategy_judge()), or on the test set, is undone,
                              points; INFINITY = any */
    int patience;        /**< so many passes without a better network end it; 0 = never */
    nm_on_infeasible on_infeasible;
    bool bounds_from_pass; /**< bounds count from the network of the pass, not from the original */
    uint64_t seed;         /**< of the order of the points */
} nm_strategy_opts;

#define NM_STRATEGY_OPTS_INIT                                                                      \
    {                                                                                              \
        .size = sizeof(nm_strategy_opts), .batch = 10, .max_drawdown = INFINITY                    \
    }

/** One pass, or a part of one whose batch was split. */
typedef struct nm_pass_report {
    int pass; /**< from 1 */
    int64_t n_batch;
    nm_outcome outcome;     /**< of its repair */
    bool accepted;          /**< the network goes on from here */
    bool best;              /**< the network that is written */
    char reason[160];       /**< why not accepted; "" */
    int64_t set_right;      /**< points of the whole repair set that are right then */
    int64_t keep_right;     /**< keep points that are right then */
    double accuracy;        /**< on the test set then; NAN without */
    double drawdown_points; /**< against the original, on the points passes are judged on; NAN */
    double objective;
    double change_l2; /**< of this pass */
    double seconds;
} nm_pass_report;

/** Free with nm_strategy_report_free(). */
typedef struct nm_strategy_report {
    nm_pass_report *passes;
    int n_passes, room;
    int best;              /**< index into passes; -1: the original network */
    const char *stopped;   /**< "all points right", "passes", "patience", "drawdown", "limit" */
    const char *judged_on; /**< "validation", "reference", "keep", "test"; "" = nothing */
} nm_strategy_report;

/** The points that passes are judged on: the validation set, else labelled reference data, else the
 *  keep set, else the test set, which then takes part in the choice; NULL: there are none.
 *  @param name  out, as in nm_strategy_report */
NM_API const nm_points *nm_strategy_judge(const nm_repair_task *task, const char **name);

/** Repairs in passes and keeps the best network seen: most points of the repair set right, then the
 *  highest accuracy on the points that passes are judged on. FULL is nm_repair() itself.
 *
 *  The report is about the network that is written: REPAIRED if all points are right and as safe as
 *  asked, PARTLY if more are than before (unrepaired: the others), LIMIT if no pass was accepted.
 *  Objective and bounds of single passes stand in the list of passes. */
NM_API nm_status nm_strategy_run(nm_ctx *ctx, const nm_net *net, const nm_plan *plan,
                                 const nm_repair_task *task, const nm_repair_opts *opts,
                                 const nm_strategy_opts *how, const char *path, nm_net **fixed,
                                 nm_repair_report *report, nm_strategy_report *passes, nm_err *err);
NM_API void nm_strategy_report_free(nm_strategy_report *report);

/** The passes as a JSON object ("passes": a list, "strategy": how it ended), and as readable text.
 *  @return a string to free with nm_string_free(), NULL when memory ran out */
NM_API char *nm_strategy_json(const nm_strategy_report *report);
NM_API char *nm_strategy_text(const nm_strategy_report *report);

#ifdef __cplusplus
}
#endif
#endif
