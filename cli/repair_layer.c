#include "repair_layer.h"

#include <math.h>
#include <string.h>

enum { MAX_LAYERS = 3 }; /* in which a repair is tried */

/* -- the plan ---------------------------------------------------------------------------------- */

nm_status nm_repair_plan_finish(const nm_repair_args *args, nm_plan *plan, const char *from,
                                nm_err *err)
{
    if (args->joint || nm_repair_args_many_layers(args))
        nm_plan_set_joint(plan, true);
    if (nm_plan_n_free(plan) == 0)
        return nm_cli_fail(err, NM_E_ARG, "%s frees no parameter", from);
    if (isinf(args->bound.lo) && isinf(args->bound.hi))
        return NM_OK; /* heuristics may have bounds of their own */
    return nm_plan_set_bounds(plan, args->bound.lo, args->bound.hi, err);
}

/* Every layer that may be edited, together. */
static nm_status mark_editable(const nm_net *net, nm_plan *plan, nm_free_kind what, nm_err *err)
{
    nm_layer_info layer;
    nm_status rc = NM_OK;

    for (int i = 0; i < nm_net_n_layers(net); i++) {
        NM_CLI_TRY(nm_net_layer_info(net, i, &layer, err));
        if (!layer.locked && (what != NM_FREE_BIASES || layer.n_biases > 0))
            NM_CLI_TRY(nm_plan_mark(plan, i, what, err));
    }
done:
    return rc;
}

static nm_status make_plan(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                           const char *layer, nm_plan **out, nm_err *err)
{
    nm_status rc = NM_OK;

    NM_CLI_TRY(nm_plan_new(net, out, err));
    if (args->mask) {
        NM_CLI_TRY(nm_plan_mark_file(cli->ctx, *out, args->mask, err));
    } else if (!layer) {
        NM_CLI_TRY(mark_editable(net, *out, (nm_free_kind)args->free_kind, err));
    } else {
        rc = nm_plan_mark_text(*out, layer, (nm_free_kind)args->free_kind, err);
        nm_cli_prefix(err, args->model);
        if (rc != NM_OK)
            goto done;
    }
    NM_CLI_TRY(nm_repair_plan_finish(args, *out, args->mask ? args->mask : "--layer", err));
done:
    return rc;
}

static bool is_auto(const char *text)
{
    return text && strcmp(text, "auto") == 0;
}

nm_status nm_layer_use_open(nm_cli *cli, nm_repair_args *args, const nm_net *net, nm_layer_use *use,
                            nm_plan **plan, nm_err *err)
{
    use->start = nm_term_now();
    if (nm_repair_args_many_layers(args) && !args->edit)
        return make_plan(cli, args, net, args->layer, plan, err);
    if (!args->mask && !args->layer && !args->edit) {
        use->last = !nm_repair_args_can_choose(args);
        args->layer = use->last ? "last" : NULL;
        args->edit = use->last ? NULL : "auto";
    }
    use->chosen = is_auto(args->layer) || is_auto(args->edit);
    use->by_heuristic = args->edit && !use->chosen;
    return args->edit || use->chosen ? NM_OK : make_plan(cli, args, net, args->layer, plan, err);
}

/* Runs --edit, and takes the plan that it made. */
static nm_status plan_by_heuristic(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                                   const nm_repair_task *task, const nm_points *pool,
                                   const nm_repair_opts *opts, nm_layer_use *use, nm_plan **plan,
                                   nm_err *err)
{
    nm_status rc = nm_edit_choose(cli->ctx, net, task, opts, pool, (nm_free_kind)args->free_kind,
                                  args->edit, &use->edit, err);

    if (rc != NM_OK) {
        nm_cli_prefix(err, "--edit");
        return rc;
    }
    *plan = use->edit.plan;
    use->edit.plan = NULL;
    return nm_repair_plan_finish(args, *plan, args->edit, err);
}

/* The layer of the choice whose turn it is. */
static nm_status plan_chosen(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                             const nm_layer_use *use, nm_plan **plan, nm_err *err)
{
    char layer[16];

    (void)snprintf(layer, sizeof layer, "%d", use->choice.order[use->n_failed]);
    return make_plan(cli, args, net, layer, plan, err);
}

nm_status nm_layer_use_choose(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                              const nm_repair_task *task, const nm_points *pool,
                              const nm_repair_opts *opts, nm_layer_use *use, nm_plan **plan,
                              nm_err *err)
{
    nm_choose_opts how = NM_CHOOSE_OPTS_INIT;
    nm_status rc;

    if (use->by_heuristic)
        return plan_by_heuristic(cli, args, net, task, pool, opts, use, plan, err);
    if (!use->chosen)
        return NM_OK;
    how.free = (nm_free_kind)args->free_kind;
    rc = nm_choose_layer(cli->ctx, net, task, opts, &how, &use->choice, err);
    nm_cli_prefix(err, args->model);
    if (rc != NM_OK)
        return rc;
    return plan_chosen(cli, args, net, use, plan, err);
}

/* The choice is what was found by doing, too. */
static void move_choice(nm_choice *choice, int layer)
{
    (void)snprintf(choice->reason, sizeof choice->reason,
                   "the next best, as there was no repair in layer %d", choice->layer);
    choice->layer = layer;
    for (int i = 0; i < choice->n_scores; i++)
        choice->scores[i].chosen = choice->scores[i].layer == layer;
}

nm_status nm_layer_use_next(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                            const nm_repair_report *report, nm_layer_use *use, nm_plan **plan,
                            bool *more, nm_err *err)
{
    bool failed = report->outcome == NM_INFEASIBLE || report->outcome == NM_LIMIT;

    *more = use->chosen && failed && use->n_failed + 1 < use->choice.n_order &&
            use->n_failed + 1 < MAX_LAYERS && !nm_ctx_cancelled(cli->ctx) &&
            nm_term_now() - use->start < cli->common->time_limit_s;
    if (!*more)
        return NM_OK;
    nm_cli_warn(cli, "no repair in layer %d (%s), trying layer %d",
                use->choice.order[use->n_failed], report->reason,
                use->choice.order[use->n_failed + 1]);
    use->n_failed++;
    move_choice(&use->choice, use->choice.order[use->n_failed]);
    nm_plan_free(*plan);
    *plan = NULL;
    return plan_chosen(cli, args, net, use, plan, err);
}

void nm_layer_use_close(nm_layer_use *use)
{
    nm_choice_free(&use->choice);
    nm_edit_choice_free(&use->edit);
}

/* -- output ------------------------------------------------------------------------------------ */

void nm_layer_use_print(FILE *out, const nm_repair_args *args, const nm_layer_use *use)
{
    char *text = use->chosen ? nm_choice_text(&use->choice) : NULL;

    if (use->last)
        (void)fprintf(out, "; the last one, since no --layer is given");
    if (use->chosen)
        (void)fprintf(out, ", chosen: %s", use->choice.reason);
    if (use->by_heuristic)
        (void)fprintf(out, ", by %s: %s", args->edit, use->edit.why);
    (void)fprintf(out, "\n\n%s", text ? text : "");
    nm_string_free(text);
}

static json_t *edit_choice(const nm_repair_args *args, const nm_edit_choice *edit)
{
    json_t *scores = json_array(), *order = json_array();

    for (int i = 0; i < edit->n_layers; i++)
        (void)json_array_append_new(scores, nm_doc_number(edit->scores[i]));
    for (int i = 0; i < edit->n_order; i++)
        (void)json_array_append_new(order, json_integer(edit->order[i]));
    return json_pack("{s:s, s:i, s:s, s:o, s:o}", "heuristic", args->edit, "best", edit->best,
                     "why", edit->why, "scores", scores, "order", order);
}

void nm_layer_use_put(nm_cli *cli, const nm_repair_args *args, const nm_layer_use *use)
{
    char *json;

    if (use->by_heuristic) {
        nm_doc_put(&cli->doc, "edit_choice", edit_choice(args, &use->edit));
        nm_doc_put_time(&cli->doc, "choose", use->edit.seconds);
    }
    if (!use->chosen)
        return;
    json = nm_choice_json(&use->choice);
    nm_doc_merge(&cli->doc, json);
    nm_string_free(json);
}
