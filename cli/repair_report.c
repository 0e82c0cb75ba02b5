#include "repair_report.h"

#include <math.h>
#include <stdlib.h>

#include "layer_votes.h"

static nm_status put_details(nm_cli *cli, const nm_net *net, const nm_net *fixed,
                             const nm_repair_task *task, nm_err *err)
{
    char *json;
    nm_status rc = nm_report_details(cli->ctx, net, fixed, task, &json, err);

    if (rc == NM_OK)
        nm_doc_put_page(&cli->doc, "details", json_loads(json, 0, NULL));
    nm_string_free(json);
    return rc;
}

static json_t *votes_entry(const nm_net *net, const nm_layer_votes *votes, int layer)
{
    nm_layer_info info;
    nm_err ignored = {0};

    if (nm_net_layer_info(net, layer, &info, &ignored) != NM_OK)
        return NULL;
    return json_pack("{s:i, s:o, s:I, s:o}", "layer", layer, "name", nm_doc_text(info.name),
                     "n_params", (json_int_t)(info.n_weights + info.n_biases), "scores",
                     nm_layer_votes_scores(votes, layer));
}

nm_status nm_report_put_votes(nm_cli *cli, const nm_net *net, const nm_repair_task *task,
                              const nm_repair_opts *opts, nm_free_kind free, nm_err *err)
{
    nm_layer_votes votes = {0};
    json_t *list;
    nm_status rc = nm_layer_votes_ask(cli, net, task, opts, free, &votes, err);

    if (rc == NM_OK) {
        list = json_array();
        for (int i = 0; i < nm_net_n_layers(net); i++)
            nm_doc_append(&cli->doc, list, votes_entry(net, &votes, i));
        nm_doc_put_page(&cli->doc, "layer_votes", list);
        nm_doc_put_page(&cli->doc, "heuristics", nm_layer_votes_best(&votes));
    }
    nm_layer_votes_free(&votes);
    return rc;
}

nm_status nm_repair_report_put(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                               const nm_net *fixed, const nm_repair_task *task,
                               const nm_repair_opts *opts, nm_err *err)
{
    double start = nm_term_now();
    nm_free_kind free = args->free_kind < 0 ? NM_FREE_ALL : (nm_free_kind)args->free_kind;
    nm_status rc = NM_OK;

    cli->report = args->report;
    if (!args->report)
        return NM_OK;
    nm_ctx_set_time_limit(cli->ctx, INFINITY); /* it is about the repair */
    if (fixed)
        rc = put_details(cli, net, fixed, task, err);
    if (rc == NM_OK)
        rc = nm_report_put_votes(cli, net, task, opts, free, err);
    nm_doc_put_time(&cli->doc, "report", nm_term_now() - start);
    if (rc != NM_E_CANCELLED)
        return rc;
    nm_cli_warn(cli, "%s: interrupted, so not all is in it", args->report);
    *err = (nm_err){0};
    return NM_OK;
}
