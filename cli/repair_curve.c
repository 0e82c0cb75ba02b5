#include "repair_curve.h"

#include <string.h>

#include "places.h"

static bool is_table(const char *text)
{
    return strcmp(text, "table") == 0;
}

nm_status nm_curve_check(const nm_repair_args *args, nm_err *err)
{
    size_t length = args->curve ? strlen(args->curve) : 0;

    if (!args->curve || is_table(args->curve))
        return NM_OK;
    if (length > 4 && strcmp(args->curve + length - 4, ".svg") == 0)
        return nm_cli_can_write(args->curve, err);
    return nm_cli_fail(err, NM_E_ARG, "--curve must be table or a file FILE.svg, got '%s'",
                       args->curve);
}

static bool any_repaired(const nm_curve *curve)
{
    for (int i = 0; i < curve->n; i++)
        if (curve->points[i].outcome == NM_REPAIRED)
            return true;
    return false;
}

static void put(nm_cli *cli, const nm_curve *curve)
{
    char *json = nm_curve_json(curve);

    nm_doc_merge(&cli->doc, json);
    nm_string_free(json);
}

nm_status nm_curve_trace(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                         const nm_plan *plan, const nm_repair_task *task,
                         const nm_repair_opts *opts, const nm_repair_report *report,
                         nm_curve *curve, nm_err *err)
{
    nm_curve_opts how = NM_CURVE_OPTS_INIT;
    nm_repair_opts like = *opts;
    nm_status rc = NM_OK;

    if (!args->curve)
        return NM_OK;
    if (report->outcome != NM_REPAIRED || !(report->margin > 0)) {
        nm_cli_warn(cli, "no curve: %s",
                    report->outcome != NM_REPAIRED ? "there is no repair to compare with"
                                                   : "no margin had to be asked for");
        return NM_OK;
    }
    how.margin = report->margin;
    if (!isnan(report->damping_in))
        like.damping_in = report->damping_in;
    NM_CLI_TRY(nm_curve_run(cli->ctx, net, plan, task, &like, &how, curve, err));
    put(cli, curve);
    if (is_table(args->curve))
        goto done;
    if (any_repaired(curve))
        NM_CLI_TRY(nm_curve_svg(curve, args->curve, err));
    else
        nm_cli_warn(cli, "%s is not drawn: no repair of the curve succeeded", args->curve);
done:
    return rc;
}

void nm_curve_print(FILE *out, const nm_repair_args *args, const nm_curve *curve)
{
    char *text = curve->n > 0 ? nm_curve_text(curve) : NULL;

    if (!text)
        return;
    (void)fputs(text, out);
    nm_string_free(text);
    if (!is_table(args->curve) && any_repaired(curve))
        (void)fprintf(out, "drew %s\n", args->curve);
}
