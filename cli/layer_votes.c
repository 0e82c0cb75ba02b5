#include "layer_votes.h"

#include <string.h>

/* Asked of heuristics that look at data; few points where a point costs much. */
static const char *const heuristics[NM_N_VOTES] = {"ActivationBased:points=64",
                                                   "WeightsActivationBased:points=16",
                                                   "GradientBased:points=16",
                                                   "LayerImportance:points=16",
                                                   "NeuronPruning:points=16",
                                                   "Adversarial:points=2",
                                                   "FeatureSimilarity",
                                                   "ChangeBased:points=16",
                                                   "NeuronContribution:points=16",
                                                   "PredictedCost:points=4"};

static size_t name_length(const char *text)
{
    return strcspn(text, ":");
}

nm_status nm_layer_votes_ask(nm_cli *cli, const nm_net *net, const nm_repair_task *task,
                             const nm_repair_opts *opts, nm_free_kind free, nm_layer_votes *out,
                             nm_err *err)
{
    nm_repair_opts like = *opts;

    like.norm = NM_NORM_LINF_L1N; /* PredictedCost: the closed form */
    for (int i = 0; i < NM_N_VOTES; i++) {
        nm_err one = {0};
        nm_status rc = nm_edit_choose(cli->ctx, net, task, &like, NULL, free, heuristics[i],
                                      &out->edit[i], &one);

        if (rc == NM_E_CANCELLED || rc == NM_E_LIMIT || rc == NM_E_NOMEM)
            return nm_cli_fail(err, rc, "%s", one.text);
        if (rc != NM_OK)
            (void)snprintf(out->why_not[i], sizeof out->why_not[i], "%.150s", one.text);
    }
    return NM_OK;
}

void nm_layer_votes_free(nm_layer_votes *votes)
{
    for (int i = 0; i < NM_N_VOTES; i++)
        nm_edit_choice_free(&votes->edit[i]);
}

static void put_named(json_t *object, int i, json_t *value)
{
    char name[64];

    (void)snprintf(name, sizeof name, "%.*s", (int)name_length(heuristics[i]), heuristics[i]);
    (void)json_object_set_new(object, name, value);
}

json_t *nm_layer_votes_scores(const nm_layer_votes *votes, int layer)
{
    json_t *o = json_object();

    for (int i = 0; i < NM_N_VOTES; i++) {
        const nm_edit_choice *edit = &votes->edit[i];

        put_named(o, i, edit->n_layers ? nm_doc_number(edit->scores[layer]) : json_null());
    }
    return o;
}

json_t *nm_layer_votes_best(const nm_layer_votes *votes)
{
    json_t *o = json_object();

    for (int i = 0; i < NM_N_VOTES; i++) {
        const nm_edit_choice *edit = &votes->edit[i];

        put_named(o, i,
                  edit->n_layers ? json_pack("{s:s, s:i, s:s, s:f}", "edit", heuristics[i], "best",
                                             edit->best, "why", edit->why, "seconds", edit->seconds)
                                 : json_pack("{s:s, s:n, s:s}", "edit", heuristics[i], "best",
                                             "why", votes->why_not[i]));
    }
    return o;
}

void nm_layer_votes_print(FILE *out, const nm_layer_votes *votes, int layer)
{
    int n = 0;

    for (int i = 0; i < NM_N_VOTES; i++)
        if (votes->edit[i].n_layers && votes->edit[i].best == layer)
            (void)fprintf(out, "%s%.*s", n++ ? ", " : "  ", (int)name_length(heuristics[i]),
                          heuristics[i]);
}
