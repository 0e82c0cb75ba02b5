/* What all edit heuristics that look at data say of the layers. */
#ifndef NM_CLI_LAYER_VOTES_H
#define NM_CLI_LAYER_VOTES_H

#include "cli.h"

enum { NM_N_VOTES = 10 };

/** Free with nm_layer_votes_free(). */
typedef struct nm_layer_votes {
    nm_edit_choice edit[NM_N_VOTES]; /**< n_layers = 0: has nothing to say ... */
    char why_not[NM_N_VOTES][160];   /**< ... and why */
} nm_layer_votes;

/** Asks them, each with few points where a point costs much. Fails only when time or memory runs
 *  out or on an interrupt. */
nm_status nm_layer_votes_ask(nm_cli *cli, const nm_net *net, const nm_repair_task *task,
                             const nm_repair_opts *opts, nm_free_kind free, nm_layer_votes *out,
                             nm_err *err);
void nm_layer_votes_free(nm_layer_votes *votes);

/** Object: heuristic -> score of the layer, null where it has none. */
json_t *nm_layer_votes_scores(const nm_layer_votes *votes, int layer);

/** Object: heuristic -> its best layer and why. */
json_t *nm_layer_votes_best(const nm_layer_votes *votes);

/** Names, with commas between, of those whose best layer it is. */
void nm_layer_votes_print(FILE *out, const nm_layer_votes *votes, int layer);

#endif
