/* Options of `netmend repair`. */
#ifndef NM_CLI_REPAIR_ARGS_H
#define NM_CLI_REPAIR_ARGS_H

#include "data_args.h"

typedef struct nm_repair_args {
    nm_common_opts common;
    const char *model, *output;
    nm_data_set inputs, keep, reference, validation, test, similar;
    nm_data_prep prep;
    const char *select, *target;
    int64_t size; /* INT64_MAX = all */
    const char *layer, *edit, *mask, *curve;
    int free_kind;
    nm_opt_bounds bound;
    int method, norm, norm_counts, refine, shift, safe, pins, solver;
    bool norm_includes_outputs, joint, elastic;
    double margin, gap, damping, label_share;
    int64_t max_rounds, copies;
    const char *claim, *report;
    int strategy, on_infeasible, bounds_from;
    int64_t batch, passes, patience;
    double max_drawdown;
    nm_opt_files properties, keep_properties;
    const char *spec;
    int pieces, decision, units;
    int64_t max_nodes;
    nm_opt_bounds range;
    const char *regions, *boxes;
    int64_t max_parts, regions_after;
} nm_repair_args;

/** Groups for a verb whose struct is nm_repair_args. */
extern const nm_opt_group nm_repair_groups[];

/** Rows of the same struct that other verbs share: the repair set; what `advise` asks. */
extern const nm_opt nm_repair_set_rows[], nm_advise_rows[], nm_strategy_rows[];

/** What --method chooses from, as in nm_method; NULL at the end. */
extern const char *const nm_repair_method_names[];

/** Options of the library call. */
nm_repair_opts nm_repair_args_opts(const nm_repair_args *args);

/** What --strategy and its options say. */
nm_strategy_opts nm_repair_args_strategy(const nm_repair_args *args);

/** Fills choices that were left open: the norm, what is free. */
void nm_repair_args_fill(nm_repair_args *args);

/** Sets one option by its name. */
nm_status nm_repair_args_set(nm_repair_args *args, const char *name, const char *value,
                             nm_err *err);

/** "pointwise", "aprnn" ... Static storage. */
const char *nm_repair_method_name(const nm_repair_args *args);

/** Whether the method changes several layers, all of them where none is named. */
bool nm_repair_args_many_layers(const nm_repair_args *args);

/** Whether a property is to be repaired: --property, or --spec. */
bool nm_repair_args_property(const nm_repair_args *args);

/** Whether --layer auto goes with the method and the pins. */
bool nm_repair_args_can_choose(const nm_repair_args *args);

/** NM_E_ARG for combinations that make no sense. */
nm_status nm_repair_args_check(const nm_repair_args *args, nm_err *err);

/** The sets of points of a nm_repair_args, for arrays of groups. */
#define NM_REPAIR_SETS                                                                             \
    {"Data", nm_inputs_rows, offsetof(nm_repair_args, inputs)},                                    \
        {"Data", nm_keep_rows, offsetof(nm_repair_args, keep)},                                    \
        {"Data", nm_reference_rows, offsetof(nm_repair_args, reference)},                          \
        {"Data", nm_validation_rows, offsetof(nm_repair_args, validation)},                        \
        {"Data", nm_test_rows, offsetof(nm_repair_args, test)},                                    \
    {                                                                                              \
        "Data", nm_similar_rows, offsetof(nm_repair_args, similar)                                 \
    }

#endif
