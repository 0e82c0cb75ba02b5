/* netmend advise: which layer to change and which points to repair, before a repair. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "layer_votes.h"
#include "repair_data.h"

struct advice {
    nm_choice choice; /* of the advisor */
    nm_layer_votes votes;
    nm_set_analysis set;
    const char *recommended_set, *norm;
    char why[512];
};

static const nm_opt model_rows[] = {{.name = "MODEL",
                                     .kind = NM_OPT_PATH,
                                     .positional = true,
                                     .required = true,
                                     .offset = offsetof(nm_repair_args, model),
                                     .help = "network to repair, .onnx or .nnet"},
                                    {0}};

static const nm_opt_group groups[] = {
    {"Arguments", model_rows, 0},
    {"Data", nm_inputs_rows, offsetof(nm_repair_args, inputs)},
    {"Data", nm_keep_rows, offsetof(nm_repair_args, keep)},
    {"Data", nm_reference_rows, offsetof(nm_repair_args, reference)},
    {"Data", nm_validation_rows, offsetof(nm_repair_args, validation)},
    {"Data", nm_data_prep_rows, offsetof(nm_repair_args, prep)},
    {"What must become right", nm_repair_set_rows, 0},
    {"What is asked", nm_advise_rows, 0},
    NM_COMMON_GROUP,
    {0}};

/* -- recommending ---------------------------------------------------------------------------- */

static const char *recommend_set(const nm_repair_data *data, const nm_set_analysis *set)
{
    if (data->n_candidates > data->repair.n)
        return NULL; /* what --select picked */
    return set->n_wrong < set->n && set->n_wrong > 0 ? "Misclassified" : "All";
}

static void recommend(const nm_repair_args *args, const nm_repair_data *data, struct advice *advice)
{
    const nm_set_analysis *set = &advice->set;
    const char *own = recommend_set(data, set);
    size_t used;

    advice->norm = data->keep.n > 0 || data->reference.n > 0 ? "function" : "l2";
    advice->recommended_set = own ? own : args->select;
    used = (size_t)snprintf(advice->why, sizeof advice->why, "layer %d: %.200s",
                            advice->choice.layer, advice->choice.reason);
    if (strcmp(advice->recommended_set, "Misclassified") == 0 && own)
        used += (size_t)snprintf(advice->why + used, sizeof advice->why - used,
                                 "; points that are right already serve better as --keep");
    if (set->n_conflicts > 0)
        used += (size_t)snprintf(advice->why + used, sizeof advice->why - used,
                                 "; some points exclude each other, use --elastic");
    if (data->keep.n == 0 && data->reference.n == 0)
        (void)snprintf(advice->why + used, sizeof advice->why - used,
                       "; with --keep or --reference the change would be measured by what it "
                       "does elsewhere");
}

/* Place of a layer in the advisor's order, from 1; 0: not in it. */
static int rank_of(const nm_choice *choice, int layer)
{
    for (int i = 0; i < choice->n_order; i++)
        if (choice->order[i] == layer)
            return i + 1;
    return 0;
}

/* -- output ---------------------------------------------------------------------------------- */

static json_t *layer_entry(const struct advice *advice, const nm_layer_score *s)
{
    int rank = rank_of(&advice->choice, s->layer);
    json_t *o =
        json_pack("{s:i, s:o, s:I, s:o, s:o, s:o, s:o}", "layer", s->layer, "name",
                  nm_doc_text(s->name), "n_params", (json_int_t)s->n_params, "scores",
                  nm_layer_votes_scores(&advice->votes, s->layer), "predicted_cost",
                  nm_doc_number(s->predicted_cost), "measured_kl", nm_doc_number(s->measured_kl),
                  "rank", rank ? json_integer(rank) : json_null());

    if (s->skipped)
        (void)json_object_set_new(o, "skipped", nm_doc_text(s->skipped));
    return o;
}

/* Best first; layers without a rank behind, in the order of the net. */
static json_t *layer_list(const struct advice *advice)
{
    const nm_choice *choice = &advice->choice;
    json_t *list = json_array();

    for (int i = 0; i < choice->n_order; i++)
        (void)json_array_append_new(list, layer_entry(advice, &choice->scores[choice->order[i]]));
    for (int i = 0; i < choice->n_scores; i++)
        if (!rank_of(choice, i))
            (void)json_array_append_new(list, layer_entry(advice, &choice->scores[i]));
    return list;
}

static void put(nm_cli *cli, const struct advice *advice)
{
    char *set = nm_set_analysis_json(&advice->set);
    json_t *analysis = set ? json_loads(set, 0, NULL) : NULL;
    char edit[48];

    (void)snprintf(edit, sizeof edit, "SingleLayer:layer=%d", advice->choice.layer);
    nm_doc_put(&cli->doc, "layers", layer_list(advice));
    nm_doc_put(&cli->doc, "heuristics", nm_layer_votes_best(&advice->votes));
    nm_doc_put(&cli->doc, "set", analysis);
    nm_doc_put(&cli->doc, "recommendation",
               json_pack("{s:i, s:s, s:s, s:s, s:s}", "layer", advice->choice.layer, "edit", edit,
                         "set", advice->recommended_set, "norm", advice->norm, "why", advice->why));
    nm_string_free(set);
}

static void print_layer(FILE *out, const struct advice *advice, const nm_layer_score *s)
{
    int rank = rank_of(&advice->choice, s->layer);

    if (rank)
        (void)fprintf(out, "  %3d", rank);
    else
        (void)fprintf(out, "    -");
    (void)fprintf(out, "  %3d  %-28.28s %10" PRId64, s->layer, s->name, s->n_params);
    if (isfinite(s->predicted_cost))
        (void)fprintf(out, " %10.2e", s->predicted_cost);
    else
        (void)fprintf(out, " %10s", "-");
    if (isfinite(s->measured_kl))
        (void)fprintf(out, " %10.2e", s->measured_kl);
    else
        (void)fprintf(out, " %10s", "-");
    nm_layer_votes_print(out, &advice->votes, s->layer);
    (void)fputc('\n', out);
}

static void print(FILE *out, const nm_repair_args *args, const struct advice *advice)
{
    const nm_choice *choice = &advice->choice;
    char *set = nm_set_analysis_text(&advice->set);

    (void)fprintf(out, "%s\n\n%s\n", args->model, set ? set : "");
    (void)fprintf(out, " rank layer%27s parameters  predicted divergence  best by\n", "");
    for (int i = 0; i < choice->n_order; i++)
        print_layer(out, advice, &choice->scores[choice->order[i]]);
    for (int i = 0; i < choice->n_scores; i++)
        if (!rank_of(choice, i) && !choice->scores[i].skipped)
            print_layer(out, advice, &choice->scores[i]);
    (void)fprintf(out, "\nadvice: --layer %d --norm %s --select %s\n  %s\n", choice->layer,
                  advice->norm, advice->recommended_set, advice->why);
    nm_string_free(set);
}

/* -- the verb -------------------------------------------------------------------------------- */

static void close_advice(struct advice *advice)
{
    nm_layer_votes_free(&advice->votes);
    nm_choice_free(&advice->choice);
    nm_set_analysis_free(&advice->set);
    free(advice);
}

static nm_status run(nm_cli *cli, void *args_memory, nm_err *err)
{
    nm_repair_args *args = args_memory;
    nm_repair_opts opts = NM_REPAIR_OPTS_INIT;
    nm_choose_opts how = NM_CHOOSE_OPTS_INIT;
    nm_repair_data data = {0};
    nm_repair_task task;
    nm_net *net = NULL;
    struct advice *advice = NULL;
    double start = nm_term_now();
    nm_status rc = NM_OK;

    if (!args->inputs.path)
        return nm_cli_fail(err, NM_E_ARG, "--inputs is missing (the points to repair)");
    rc = nm_heuristic_check(false, args->select, err);
    nm_cli_prefix(err, "--select");
    if (rc != NM_OK)
        return rc;
    args->test.rows = args->similar.rows = (nm_opt_rows){0, -1}; /* no options of this verb */
    args->free_kind = args->free_kind < 0 ? NM_FREE_ALL : args->free_kind;
    NM_CLI_TRY(nm_cli_alloc(&advice, 1, sizeof *advice, err));
    NM_CLI_TRY(nm_net_load(cli->ctx, args->model, &net, err));
    NM_CLI_TRY(nm_repair_data_load(cli, args, net, &data, err));
    nm_doc_put_time(&cli->doc, "load", nm_term_now() - start);
    task = nm_repair_data_task(&data);
    opts.margin = args->margin;
    opts.norm = data.keep.n > 0 || data.reference.n > 0 ? NM_NORM_FUNCTION : NM_NORM_L2;
    opts.seed = (uint64_t)args->common.seed;
    how.free = (nm_free_kind)args->free_kind;
    NM_CLI_TRY(nm_set_analyse(cli->ctx, net, &task, &advice->set, err));
    NM_CLI_TRY(nm_choose_layer(cli->ctx, net, &task, &opts, &how, &advice->choice, err));
    NM_CLI_TRY(nm_layer_votes_ask(cli, net, &task, &opts, how.free, &advice->votes, err));
    nm_doc_put_time(&cli->doc, "analyse", advice->set.seconds);
    nm_doc_put_time(&cli->doc, "choose", advice->choice.seconds);
    recommend(args, &data, advice);
    put(cli, advice);
    if (nm_cli_text(cli))
        print(nm_cli_text(cli), args, advice);
done:
    if (advice)
        close_advice(advice);
    nm_repair_data_free(&data);
    nm_net_free(net);
    return rc;
}

const nm_verb nm_verb_advise = {
    .name = "advise",
    .summary = "tell which layer to change and what the repair set is like, before a repair",
    .synopsis = "MODEL -x FILE [-y FILE] [OPTIONS]",
    .description =
        "Scores the layers by all heuristics that look at data, analyses the repair set, "
        "and recommends\na layer, a set and a norm; costs less than one repair.",
    .examples = {"netmend advise mnist.onnx -x fog.npy -y fog_labels.npy --keep train.npz",
                 "netmend advise moons.onnx -x bad_x.npy -y bad_y.npy --json"},
    .groups = groups,
    .args_bytes = sizeof(nm_repair_args),
    .run = run,
};
