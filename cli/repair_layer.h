/* Which parameters of the network `netmend repair` may change, and why those. */
#ifndef NM_CLI_REPAIR_LAYER_H
#define NM_CLI_REPAIR_LAYER_H

#include "repair_args.h"

/** How the layer came about. Start from {0}. */
typedef struct nm_layer_use {
    bool chosen;       /**< --layer auto or --edit auto: choice is filled in */
    bool by_heuristic; /**< another --edit: edit is filled in */
    nm_edit_choice edit;
    bool last; /**< no --layer is given, and the method does not allow choosing one */
    nm_choice choice;
    double start;
    int n_failed; /**< of its layers, how many did not do */
} nm_layer_use;

/** Applies --joint and --bound to a plan that is marked; NM_E_ARG if it frees nothing.
 *  @param from  what marked it, for the message */
nm_status nm_repair_plan_finish(const nm_repair_args *args, nm_plan *plan, const char *from,
                                nm_err *err);

/** Makes the plan from --layer and --mask; a layer that is to be chosen is left for
 *  nm_layer_use_choose(), which needs the points. */
nm_status nm_layer_use_open(nm_cli *cli, nm_repair_args *args, const nm_net *net, nm_layer_use *use,
                            nm_plan **plan, nm_err *err);
nm_status nm_layer_use_choose(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                              const nm_repair_task *task, const nm_points *pool,
                              const nm_repair_opts *opts, nm_layer_use *use, nm_plan **plan,
                              nm_err *err);

/** After a repair that did not succeed: the plan of the next layer of the choice.
 *  @return through *more: false if there is none to try (or none was chosen) */
nm_status nm_layer_use_next(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                            const nm_repair_report *report, nm_layer_use *use, nm_plan **plan,
                            bool *more, nm_err *err);
void nm_layer_use_close(nm_layer_use *use);

/** The end of the line that names the layer, and the scores behind the choice. */
void nm_layer_use_print(FILE *out, const nm_repair_args *args, const nm_layer_use *use);

/** The same for the document. */
void nm_layer_use_put(nm_cli *cli, const nm_repair_args *args, const nm_layer_use *use);

#endif
