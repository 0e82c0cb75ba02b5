#include "repair_layer.h"

#include <string.h>

enum { MAX_LAYERS = 3 }; /* in which a repair is tried */

/* -- the plan ---------------------------------------------------------------------------------- */

static nm_status make_plan(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                           const char *layer, nm_plan **out, nm_err *err)
{
    nm_status rc = NM_OK;

    NM_CLI_TRY(nm_plan_new(net, out, err));
    if (args->mask) {
        NM_CLI_TRY(nm_plan_mark_file(cli->ctx, *out, args->mask, err));
    } else {
        rc = nm_plan_mark_text(*out, layer, (nm_free_kind)args->free_kind, err);
        nm_cli_prefix(err, args->model);
        if (rc != NM_OK)
            goto done;
    }
    if (args->joint)
        nm_plan_set_joint(*out, true);
    if (nm_plan_n_free(*out) == 0)
        NM_CLI_THROW(err, NM_E_ARG, "%s frees no parameter", args->mask ? args->mask : "--layer");
    NM_CLI_TRY(nm_plan_set_bounds(*out, args->bound.lo, args->bound.hi, err));
done:
    return rc;
}

nm_status nm_layer_use_open(nm_cli *cli, nm_repair_args *args, const nm_net *net, nm_layer_use *use,
                            nm_plan **plan, nm_err *err)
{
    use->start = nm_term_now();
    if (!args->mask && !args->layer) {
        use->last = !nm_repair_args_can_choose(args);
        args->layer = use->last ? "last" : "auto";
    }
    use->chosen = args->layer && strcmp(args->layer, "auto") == 0;
    return use->chosen ? NM_OK : make_plan(cli, args, net, args->layer, plan, err);
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
                              const nm_repair_task *task, const nm_repair_opts *opts,
                              nm_layer_use *use, nm_plan **plan, nm_err *err)
{
    nm_choose_opts how = NM_CHOOSE_OPTS_INIT;
    nm_status rc;

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
}

/* -- output ------------------------------------------------------------------------------------ */

void nm_layer_use_print(FILE *out, const nm_layer_use *use)
{
    char *text = use->chosen ? nm_choice_text(&use->choice) : NULL;

    if (use->last)
        (void)fprintf(out, "; the last one, since no --layer is given");
    if (use->chosen)
        (void)fprintf(out, ", chosen: %s", use->choice.reason);
    (void)fprintf(out, "\n\n%s", text ? text : "");
    nm_string_free(text);
}

void nm_layer_use_put(nm_cli *cli, const nm_layer_use *use)
{
    char *json;

    if (!use->chosen)
        return;
    json = nm_choice_json(&use->choice);
    nm_doc_merge(&cli->doc, json);
    nm_string_free(json);
}
