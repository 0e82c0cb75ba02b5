/* Heuristics: rules that pick what a repair may change, and which points it should repair.
 * Experimental. */
#ifndef NETMEND_HEURISTIC_H
#define NETMEND_HEURISTIC_H

#include "netmend/repair.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { NM_HEURISTIC_MAX_PARAMS = 8 };

typedef enum nm_param_kind {
    NM_PARAM_REAL,
    NM_PARAM_INT,
    NM_PARAM_WORD, /**< one of `words` */
    NM_PARAM_LIST  /**< whole numbers joined by '+', A-B for a range: "3+7+20-24" */
} nm_param_kind;

/** A parameter of a heuristic: its name, and what it may be. */
typedef struct nm_heuristic_param {
    const char *name, *help;
    nm_param_kind kind;
    double initial, min, max;  /**< REAL and INT: default and limits (inclusive);
                                    WORD: default as index into words */
    bool above_min, below_max; /**< the limit itself is not allowed */
    const char *const *words;  /**< WORD: NULL-terminated */
    const char *shown;         /**< default in words, where `initial` does not say it */
} nm_heuristic_param;

/** What users may know of a heuristic. Static storage. */
typedef struct nm_heuristic {
    const char *name;    /**< as on the command line; "published:NAME" reproduces public code */
    const char *summary; /**< one line: the rule */
    const char *scope;   /**< what it looks at, and how ties are broken */
    const char *source;  /**< paper or definition */
    const nm_heuristic_param *params; /**< [n_params] */
    int n_params;
} nm_heuristic;

/** The i-th heuristic that picks parameters to change (or points to repair), NULL behind the last.
 */
NM_API const nm_heuristic *nm_edit_heuristic(int i);
NM_API const nm_heuristic *nm_set_heuristic(int i);

/** Checks "NAME" or "NAME:key=value,..." without running it.
 *  @param edit  an edit heuristic rather than a set heuristic
 *  @return NM_E_ARG with the parameter and its range in the message */
NM_API nm_status nm_heuristic_check(bool edit, const char *text, nm_err *err);

/* -- which points -------------------------------------------------------------------------- */

/** Points in the order in which they are wanted. Free with nm_selection_free(). */
typedef struct nm_selection {
    int64_t n;
    int64_t *indices; /**< [n] into the pool, each once */
    double *scores;   /**< [n] by which they are ordered; what they are says the heuristic */
} nm_selection;

/** Runs a set heuristic over a pool of labelled points.
 *  @param text  "NAME" or "NAME:key=value,..."
 *  @param size  at most so many points, >= 1
 *  @return NM_OK, also with n = 0 when no point qualifies; NM_E_ARG for a bad text */
NM_API nm_status nm_select(nm_ctx *ctx, const nm_net *net, const nm_points *pool, const char *text,
                           int64_t size, uint64_t seed, nm_selection *out, nm_err *err);

/** Scores of each point (what a final Softmax is applied to, else the outputs) in float32.
 *  @param scores  [n x outputs], caller's buffer */
NM_API nm_status nm_scores(nm_ctx *ctx, const nm_net *net, const float *x, int64_t n, float *scores,
                           nm_err *err);

/** nm_select() from the scores of the pool (nm_scores()), which serve many selections.
 *  @param scores  [pool->n x outputs]; NULL: computed where they are needed */
NM_API nm_status nm_select_scored(nm_ctx *ctx, const nm_net *net, const nm_points *pool,
                                  const float *scores, const char *text, int64_t size,
                                  uint64_t seed, nm_selection *out, nm_err *err);
NM_API void nm_selection_free(nm_selection *selection);

/* -- which parameters ---------------------------------------------------------------------- */

/** What an edit heuristic says. Free with nm_edit_choice_free(). */
typedef struct nm_edit_choice {
    int n_layers;
    double *scores; /**< [n_layers] higher is better; NAN: the heuristic has none for this layer */
    int best;       /**< layer with the best score after the tie rule */
    int n_order;
    int *order;    /**< [n_order] layers with a score, best first, after the tie rule */
    nm_plan *plan; /**< the parameters it picks, with its bounds if it has any of its own */
    char why[256]; /**< one sentence */
    double seconds;
} nm_edit_choice;

/** Runs an edit heuristic.
 *  @param task  repair set; reference points (else the keep set) where the heuristic looks at any
 *  @param opts  margin, norm and seed count
 *  @param pool  all points that the repair set was chosen from, for published heuristics; NULL =
 *               the repair set
 *  @return NM_E_ARG for a bad text, a layer that does not exist, or reference points that are
 *          needed and missing */
NM_API nm_status nm_edit_choose(nm_ctx *ctx, const nm_net *net, const nm_repair_task *task,
                                const nm_repair_opts *opts, const nm_points *pool,
                                nm_free_kind free, const char *text, nm_edit_choice *out,
                                nm_err *err);
NM_API void nm_edit_choice_free(nm_edit_choice *choice);

#ifdef __cplusplus
}
#endif
#endif
