#include "repair_args.h"

#include <math.h>
#include <string.h>

#include "repair_property.h"
#include "repair_regions.h"

nm_repair_opts nm_repair_args_opts(const nm_repair_args *args)
{
    nm_repair_opts opts = NM_REPAIR_OPTS_INIT;

    opts.method = (nm_method)args->method;
    opts.norm = (nm_norm)args->norm;
    opts.norm_includes_outputs = args->norm_includes_outputs;
    opts.norm_counts_marked = args->norm_counts == 1;
    opts.margin = args->margin;
    opts.safe = (nm_safe)args->safe;
    opts.pins = (nm_pins)args->pins;
    opts.solver = (nm_solver)args->solver;
    opts.gap = args->gap;
    opts.max_rounds = (int)args->max_rounds;
    opts.certify = args->claim != NULL;
    opts.refine = (nm_refining)args->refine;
    opts.shift = (nm_shifting)args->shift;
    opts.label_share = args->label_share;
    opts.copies = (int)args->copies;
    opts.label_share = args->label_share;
    opts.seed = (uint64_t)args->common.seed;
    opts.elastic = args->elastic;
    if (!isnan(args->damping))
        opts.damping_in = opts.damping_out = args->damping;
    return opts;
}

void nm_repair_args_fill(nm_repair_args *args)
{
    if (args->norm < 0)
        args->norm = args->method == NM_METHOD_MINIMAL         ? NM_NORM_LINF
                     : nm_repair_args_many_layers(args)        ? NM_NORM_L2
                     : args->keep.path || args->reference.path ? NM_NORM_FUNCTION
                                                               : NM_NORM_L2;
    if (!args->mask && args->free_kind < 0)
        args->free_kind = NM_FREE_ALL;
}

nm_status nm_repair_args_set(nm_repair_args *args, const char *name, const char *value, nm_err *err)
{
    char option[256];
    char *argv[] = {option};

    (void)snprintf(option, sizeof option, "--%.100s%s%.100s", name, value ? "=" : "",
                   value ? value : "");
    return nm_opt_parse(nm_repair_groups, 1, argv, args, err);
}

nm_strategy_opts nm_repair_args_strategy(const nm_repair_args *args)
{
    nm_strategy_opts how = NM_STRATEGY_OPTS_INIT;

    how.strategy = (nm_strategy)args->strategy;
    how.batch = args->batch;
    how.passes = (int)args->passes;
    how.max_drawdown = args->max_drawdown;
    how.patience = (int)args->patience;
    how.on_infeasible = (nm_on_infeasible)args->on_infeasible;
    how.bounds_from_pass = args->bounds_from == 1;
    how.seed = (uint64_t)args->common.seed;
    return how;
}

const char *nm_repair_method_name(const nm_repair_args *args)
{
    return nm_repair_method_names[args->method];
}

bool nm_repair_args_property(const nm_repair_args *args)
{
    return args->properties.n > 0 || args->spec;
}

bool nm_repair_args_many_layers(const nm_repair_args *args)
{
    return args->method == NM_METHOD_LAYERWISE || args->method == NM_METHOD_MULTILAYER;
}

bool nm_repair_args_can_choose(const nm_repair_args *args)
{
    return args->method == NM_METHOD_POINTWISE && args->pins != NM_PINS_ALL && !args->joint;
}

static bool is_auto(const char *text)
{
    return text && strcmp(text, "auto") == 0;
}

/* Heuristics that do not exist are found before any file is read. */
static nm_status check_heuristics(const nm_repair_args *args, nm_err *err)
{
    nm_status rc = args->edit ? nm_heuristic_check(true, args->edit, err) : NM_OK;

    if (rc != NM_OK) {
        nm_cli_prefix(err, "--edit");
        return rc;
    }
    rc = nm_heuristic_check(false, args->select, err);
    nm_cli_prefix(err, "--select");
    return rc;
}

nm_status nm_repair_args_check(const nm_repair_args *args, nm_err *err)
{
    if (nm_repair_regions_asked(args))
        return nm_repair_regions_check(args, err);
    if (nm_repair_args_property(args))
        return nm_repair_property_check(args, err);
    if (args->keep_properties.n > 0)
        return nm_cli_fail(err, NM_E_ARG, "--keep-property goes with --property");
    if (!args->inputs.path)
        return nm_cli_fail(err, NM_E_ARG,
                           "--inputs is missing (the points to repair), or --property, --regions, "
                           "--boxes");
    if (args->mask && args->layer)
        return nm_cli_fail(err, NM_E_ARG, "--mask and --layer exclude each other");
    if (args->edit && (args->layer || args->mask))
        return nm_cli_fail(err, NM_E_ARG, "--edit and --%s exclude each other",
                           args->layer ? "layer" : "mask");
    if (is_auto(args->layer ? args->layer : args->edit) && !nm_repair_args_can_choose(args))
        return nm_cli_fail(err, NM_E_ARG,
                           "--%s auto goes with method pointwise, without --pins all and --joint; "
                           "name a layer",
                           args->layer ? "layer" : "edit");
    if (args->mask && args->free_kind >= 0)
        return nm_cli_fail(err, NM_E_ARG, "--mask says what is free, --free goes with --layer");
    if (args->strategy != NM_STRATEGY_FULL && (args->claim || args->curve))
        return nm_cli_fail(err, NM_E_ARG, "--%s goes with --strategy full only",
                           args->claim ? "claim" : "curve");
    return check_heuristics(args, err);
}
