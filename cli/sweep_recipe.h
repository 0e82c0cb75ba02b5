/* What a row of a sweep does otherwise than the others: strategies and recipes, as texts and JSON
 * that stand for options of `netmend repair`. */
#ifndef NM_CLI_SWEEP_RECIPE_H
#define NM_CLI_SWEEP_RECIPE_H

#include "sweep_config.h"

/** The option of that name, NULL if there is none. */
const nm_opt *nm_sweep_option(const char *name);

/** Whether a sweep combines it itself, or it is about one repair only. */
bool nm_sweep_is_combined(const char *name);

/** A JSON text or number as on the command line, for free(); NULL for anything else. */
char *nm_sweep_option_text(const json_t *value);

/** Applies a strategy: "full", "elastic", "incremental:batch=5,passes=24,max-drawdown=2", ...
 *  @return NM_E_ARG for a name or an option that is none */
nm_status nm_sweep_set_strategy(nm_repair_args *args, const char *text, nm_err *err);

/** Applies the recipe of an edit heuristic. @return NM_E_ARG for a value out of range */
nm_status nm_sweep_set_recipe(nm_repair_args *args, const nm_sweep_item *item, nm_err *err);

#endif
