/* Repair: the smallest change of the planned parameters that makes the repair set right. */
#ifndef NETMEND_REPAIR_H
#define NETMEND_REPAIR_H

#include <math.h>

#include "netmend/data.h"
#include "netmend/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What is minimised, over the change v of the free parameters (P of them). */
typedef enum nm_norm {
    NM_NORM_LINF_L1N, /**< max |v| + sum |v| / P */
    NM_NORM_LINF,     /**< max |v| */
    NM_NORM_L1,       /**< sum |v| */
    NM_NORM_L2,       /**< sqrt(sum v^2) */
    NM_NORM_FUNCTION  /**< expected change of what the network does on reference data, by the
                           Kronecker-factored Gauss-Newton metric (docs/numerics.md) */
} nm_norm;

typedef enum nm_method {
    NM_METHOD_POINTWISE, /**< pins as asked, further linearisations where needed */
    NM_METHOD_APRNN,     /**< all pins, one program (Tao et al., PLDI 2023) */
    NM_METHOD_LAYERWISE, /**< gradient layer-wise recursive repair of any of the planned layers;
                              sound, no optimum (docs/methods.md) */
    NM_METHOD_MINIMAL,   /**< smallest change of one layer, with a lower bound (docs/methods.md) */
    NM_METHOD_MULTILAYER /**< values at separation layers by search, each part repaired by itself
                              (Refaeli & Katz, 2021); sound, no optimum (docs/methods.md) */
} nm_method;

/** Rows that hold a later activation on its present side. */
typedef enum nm_pins {
    NM_PINS_LAZY, /**< only where a flip spoilt a point */
    NM_PINS_ALL,  /**< every one holds in the result (generated lazily all the same) */
    NM_PINS_NONE
} nm_pins;

/** How sure a repaired point must be under float32 evaluation by another runtime. */
typedef enum nm_safe {
    NM_SAFE_ANY_ORDER, /**< margin above the bound that holds for any order of summation; where
                            the rigorous one is out of reach (very deep nets), above twice the
                            first-order one, and the report does not count the point as safe */
    NM_SAFE_PROBABLE,  /**< margin above the probabilistic bound (Higham & Mary 2019, lambda = 6) */
    NM_SAFE_NONE,      /**< right in float64 evaluation of the written file */
    NM_SAFE_FIRST_ORDER /**< margin above twice the any-order bound to first order */
} nm_safe;

typedef enum nm_solver { NM_SOLVER_AUTO, NM_SOLVER_CLP, NM_SOLVER_STRUCTURED } nm_solver;

/** Whether the function norm's optimum is followed by minimising the true drift on the reference
 *  data (docs/numerics.md). */
typedef enum nm_refining {
    NM_REFINE_AUTO, /**< where it is cheap, or the repair set so large that it pays */
    NM_REFINE_ON,
    NM_REFINE_OFF
} nm_refining;

/** Whether a repair starts from the change that reads the repair points like reference data, found
 *  from second moments without their labels (docs/numerics.md). */
typedef enum nm_shifting {
    NM_SHIFT_AUTO, /**< where it makes many of the points right and leaves the reference data alone
                    */
    NM_SHIFT_ON,   /**< wherever it leaves the reference data alone */
    NM_SHIFT_OFF
} nm_shifting;

/** Options; start from NM_REPAIR_OPTS_INIT. */
typedef struct nm_repair_opts {
    size_t size;
    nm_method method;
    nm_norm norm;
    bool norm_includes_outputs; /**< v also holds the output changes at the repair points */
    bool norm_counts_marked;    /**< P counts marked parameters that cannot act, too */
    double margin; /**< required y_label - y_other, output units, >= 0; NAN = the smallest that
                        survives deployment */
    nm_safe safe;
    nm_pins pins;
    nm_solver solver;
    double gap;                     /**< relative optimality gap asked of the solver, > 0 */
    int max_rounds;                 /**< judge rounds (margin raised, program solved again), >= 1 */
    bool certify;                   /**< keep in the report what a claim needs (nm_claim_write()) */
    double damping_in, damping_out; /**< function norm: damping of the second moments of a layer's
                                         inputs and of the curvature behind it, as shares of their
                                         mean diagonal entry, > 0; damping_in = NAN: as much as
                                         float32 evaluation blurs the outputs (docs/numerics.md) */
    nm_refining refine;
    nm_shifting shift;  /**< function norm, with reference or keep data */
    double label_share; /**< refining: weight of the labels of the reference data (where they are
                             known) against what the network said before, 0 .. 1 */
    int copies; /**< refining: shifted and mirrored copies of each reference image, colour images
                     only, 0 .. NM_MOST_COPIES; -1: 3 for large repair sets in front
                     of activations */
    uint64_t seed;
    bool elastic; /**< where not all points can be repaired: as many as possible (NM_PARTLY) */
} nm_repair_opts;

/** Copies of a reference image at most. */
enum { NM_MOST_COPIES = 16 };

/** What damping_in = NAN means at least. */
#define NM_DAMPING_LEAST 1e-3

#define NM_REPAIR_OPTS_INIT                                                                        \
    {                                                                                              \
        .size = sizeof(nm_repair_opts), .margin = NAN, .gap = 1e-6, .max_rounds = 20,              \
        .damping_in = NAN, .damping_out = 0.1, .label_share = 0.2, .copies = -1                    \
    }

/** The data of one repair. Only `repair` is required; all need labels. Arrays stay the caller's. */
typedef struct nm_repair_task {
    const nm_points *repair;     /**< inputs that must become right */
    const int64_t *targets;      /**< [repair->n] wanted classes; NULL = repair->labels */
    const nm_points *keep;       /**< inputs that must stay right (those that are right before) */
    const nm_points *reference;  /**< data of the function norm; labels are not needed, but help
                                      refining; NULL = the keep set, else the repair set */
    const nm_points *test;       /**< drawdown is measured here */
    const nm_points *similar;    /**< generalization is measured here */
    const nm_points *validation; /**< what passes of a strategy, and layers that are tried, are
                                    judged on; NULL = the reference data if they have labels, else
                                    the keep set, else (passes) the test set */
} nm_repair_task;

typedef enum nm_outcome {
    NM_REPAIRED,   /**< every point right and as safe as asked, in the file as written */
    NM_PARTLY,     /**< some points right and as safe as asked, in the file as written (elastic
                        repairs only) */
    NM_INFEASIBLE, /**< proven: no such change of these parameters exists */
    NM_LIMIT       /**< stopped by time, rounds or the user; nothing is claimed */
} nm_outcome;

/** Points of a set that are right, before and after. Bounds are on what float32 evaluation can take
 *  from a margin (output units); see docs/numerics.md. */
typedef struct nm_set_report {
    int64_t n, right_before, right_after;
    int64_t safe_after;        /**< margin above the rigorous any-order bound; this and the next two
                                    are -1 where not computed (large keep sets) */
    int64_t first_order_after; /**< margin above the any-order bound to first order */
    int64_t probable_after;    /**< margin above the probabilistic bound */
    double min_margin_after;
    double min_slack_after;       /**< smallest margin minus rigorous bound */
    double max_bound_after;       /**< largest rigorous bound */
    double max_first_order_after; /**< largest first-order bound */
} nm_set_report;

/** Accuracy on a held-out set, shares of 1; NAN without such a set. */
typedef struct nm_accuracy_report {
    int64_t n;
    double before, after;
} nm_accuracy_report;

/** What a certificate shows. */
typedef enum nm_certified {
    NM_CERTIFIED_OPTIMUM,    /**< multipliers: no smaller change satisfies these rows */
    NM_CERTIFIED_INFEASIBLE, /**< multipliers: no change satisfies these rows */
    NM_CERTIFIED_TWINS       /**< two rows with k = -1: points that no edit tells apart */
} nm_certified;

/** A row of a program by name, with its multiplier. */
typedef struct nm_certificate_row {
    bool keep; /**< `point` counts in the keep set, else in the repair set */
    int64_t point;
    int op; /**< operator whose pin it is; -1: score[wanted] - score[k] >= margin */
    int64_t k;
    double margin; /**< label rows: what they ask for */
    double y;      /**< > 0 */
} nm_certificate_row;

typedef struct nm_certificate {
    nm_certified kind;
    nm_certificate_row *rows; /**< [n_rows] in the order of their points */
    int64_t n_rows;
} nm_certificate;

/** What refining did: T^2 mean KL(before || after) on the reference data, T = 1.5. */
typedef struct nm_refine_report {
    int evaluations; /**< 0 = not refined */
    double drift_before, drift_after;
} nm_refine_report;

/** The change a repair started from (nm_shifting). */
typedef struct nm_shift_report {
    double weight; /**< of a reference point against a repair point in it; 0 = there was none */
    int64_t wrong_before, wrong_after; /**< points of the repair set; after: each half
                                           changed by the moments of the other, without labels */
    double moved;                      /**< share of the reference data whose class it changes */
} nm_shift_report;

/** How points are known to exclude each other. */
typedef enum nm_conflict_kind {
    NM_CONFLICT_TWINS, /**< two points of different classes that every edit gives the same scores */
    NM_CONFLICT_ROWS   /**< multipliers (checked) prove that their rows have no common solution */
} nm_conflict_kind;

/** Points of which not all can have the margins asked of them, by any change within the plan (with
 *  NM_PINS_ALL: any that keeps the later activations of those points on their sides). */
typedef struct nm_conflict_report {
    nm_conflict_kind kind;
    int64_t n_points;
    int64_t *points; /**< indices into the repair set, ascending */
    int64_t n_keep;
    int64_t *keep; /**< indices into the keep set, ascending */
} nm_conflict_report;

/** Why an elastic repair left a point out. */
typedef enum nm_unrepaired_why {
    NM_LEFT_CONFLICT,    /**< the conflict stands in the report */
    NM_LEFT_NOT_REACHED, /**< no change was found that makes it right, too; nothing is proven */
    NM_LEFT_NOT_SAFE,    /**< right, but not by as much as asked or as float32 may take away */
    NM_LEFT_OVERFLOW,    /**< values that may overflow in float32: no margin is safe */
    NM_LEFT_STOPPED      /**< a limit or an interrupt came first */
} nm_unrepaired_why;

typedef struct nm_unrepaired {
    int64_t point; /**< index into the repair set */
    nm_unrepaired_why why;
    int64_t conflict; /**< index into the report's conflicts, -1 = none */
} nm_unrepaired;

/** How the repair went. Free its arrays with nm_repair_report_free(). */
typedef struct nm_repair_report {
    nm_outcome outcome;
    char reason[256]; /**< one sentence: why infeasible, which limit; "" if repaired */
    int n_layers;     /**< layers whose parameters could change ... */
    int *layers;      /**< ... and their indices */
    double damping_in, damping_out;     /**< of the function norm, as shares; else NAN */
    double margin;                      /**< largest margin asked of a point in the last program */
    double objective, lower_bound, gap; /**< of the last program; NAN if none was solved */
    nm_set_report repair, keep;
    nm_accuracy_report test, similar;
    double change_linf, change_l1, change_l2; /**< of the written float32 parameters */
    int64_t n_changed, n_free, n_marked;
    int64_t rows, rows_total; /**< rows the solver saw, rows the program has */
    int solver_rounds;        /**< lazy row rounds, all programs together */
    int linearisations;       /**< 1 if the original one was enough */
    int judge_rounds;
    nm_refine_report refined;
    nm_shift_report shifted;
    const char *solver;      /**< name of the solver that found the result; static */
    int64_t n_conflict;      /**< when infeasible: points that cannot be satisfied together ... */
    int64_t *conflict;       /**< ... as indices into the repair set */
    int64_t n_conflict_keep; /**< keep points that take part in the conflict ... */
    int64_t *conflict_keep;  /**< ... as indices into the keep set */
    int64_t n_conflicts;     /**< elastic: all conflicts that were proven on the way ... */
    nm_conflict_report *conflicts;
    int64_t n_unrepaired; /**< elastic: points that were left out ... */
    nm_unrepaired *unrepaired;
    int64_t repairable_at_most; /**< elastic: proven by the conflicts; repair.n if nothing is */
    bool stopped; /**< a limit or an interrupt ended it; what is reported was found before */
    nm_certificate *certificates; /**< if asked for: of the optimum, or of infeasibility ... */
    int n_certificates;           /**< ... 0 when the outcome rests on none */
    double s_prepare, s_linearise, s_solve, s_judge, s_measure, s_write; /**< seconds */
    double s_certify; /**< seconds, if asked to certify */
} nm_repair_report;

/** Repairs a network and writes it.
 *
 *  The result is rounded to float32, written beside `path`, read back, and judged from the file:
 *  each repair point must be right with a margin above the chosen deviation bound, else its margin
 *  is raised and the program solved again. Only a file that passed appears under `path`.
 *
 *  @param plan  made for this net
 *  @param path  the repaired network; NULL = do not write (judged in memory)
 *  @param fixed receives the repaired network if not NULL (NULL unless repaired)
 *  @return NM_OK with the outcome in the report, also when infeasible or at a limit */
NM_API nm_status nm_repair(nm_ctx *ctx, const nm_net *net, const nm_plan *plan,
                           const nm_repair_task *task, const nm_repair_opts *opts, const char *path,
                           nm_net **fixed, nm_repair_report *report, nm_err *err);
NM_API void nm_repair_report_free(nm_repair_report *report);

/** Why the i-th point of report->unrepaired was left out, in half a sentence. Static storage. */
NM_API const char *nm_unrepaired_text(const nm_repair_report *report, int64_t i);

/** Names as used on the command line ("linf+l1n", "repaired", ...). Static storage. */
NM_API const char *nm_norm_name(nm_norm norm);
NM_API const char *nm_outcome_name(nm_outcome outcome);

/** The report as a JSON object with the keys of the command-line contract.
 *  @return a string to free with nm_string_free(), NULL when memory ran out */
NM_API char *nm_repair_report_json(const nm_repair_report *report);

/** The report as readable text. @return as above */
NM_API char *nm_repair_report_text(const nm_repair_report *report);
NM_API void nm_string_free(char *text);

#ifdef __cplusplus
}
#endif
#endif
