/* netmend check: every statement of a claim again, from the files alone. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

typedef struct check_args {
    nm_common_opts common;
    const char *model, *fixed, *claim;
    nm_opt_files data;
} check_args;

#define AT(field) .offset = offsetof(check_args, field)

static const nm_opt rows[] = {
    {.name = "MODEL",
     .kind = NM_OPT_PATH,
     .positional = true,
     .required = true,
     AT(model),
     .help = "the network before the repair"},
    {.name = "FIXED",
     .kind = NM_OPT_PATH,
     .positional = true,
     .required = true,
     AT(fixed),
     .help = "the repaired network; - for claims that no repair exists"},
    {.name = "CLAIM",
     .kind = NM_OPT_PATH,
     .positional = true,
     .required = true,
     AT(claim),
     .help = "what `netmend repair --claim` wrote"},
    {.name = "data",
     .kind = NM_OPT_FILES,
     AT(data),
     .arg = "NAME=FILE",
     .help = "where a data file of the claim is (inputs, labels, target, keep, keep-labels), if "
             "not beside the claim or where the claim says; may be given several times"},
    {0}};

static const nm_opt_group groups[] = {{"Arguments", rows, 0}, NM_COMMON_GROUP, {0}};

/* -- files by name ------------------------------------------------------------------------ */

static void free_files(nm_check_file *files, int n)
{
    for (int i = 0; files && i < n; i++)
        free((char *)(uintptr_t)files[i].name);
    free(files);
}

static nm_status split_files(const nm_opt_files *given, nm_check_file **out, nm_err *err)
{
    nm_status rc = nm_cli_alloc(out, given->n, sizeof **out, err);

    for (int i = 0; rc == NM_OK && i < given->n; i++) {
        size_t length = strcspn(given->v[i], "=");
        char *name;

        rc = nm_cli_alloc(&name, (int64_t)length + 1, 1, err);
        if (rc != NM_OK)
            break;
        memcpy(name, given->v[i], length);
        (*out)[i] = (nm_check_file){.name = name, .path = given->v[i] + length + 1};
    }
    return rc;
}

/* -- output -------------------------------------------------------------------------------- */

static void put_report(nm_cli *cli, const nm_check_report *report)
{
    json_t *list = json_array();

    for (int i = 0; i < report->n_statements; i++) {
        const nm_check_statement *s = &report->statements[i];

        nm_doc_append(&cli->doc, list,
                      json_pack("{s:s, s:I, s:b, s:o}", "what", s->what, "n", (json_int_t)s->n,
                                "confirmed", (int)s->confirmed, s->confirmed ? "finding" : "reason",
                                nm_doc_text(s->finding)));
    }
    nm_doc_put(&cli->doc, "statements", list);
}

static void print_report(FILE *out, const check_args *args, const nm_check_report *report)
{
    int refuted = 0;

    for (int i = 0; i < report->n_statements; i++) {
        const nm_check_statement *s = &report->statements[i];

        (void)fprintf(out, "%-10s %-13s %s\n", s->confirmed ? "confirmed" : "REFUTED", s->what,
                      s->finding);
        refuted += !s->confirmed;
    }
    if (report->confirmed)
        (void)fprintf(out, "\nconfirmed: all %d statements of %s hold\n", report->n_statements,
                      args->claim);
    else
        (void)fprintf(out, "\nrefuted: %d of %d statements of %s do not hold\n", refuted,
                      report->n_statements, args->claim);
}

static nm_status run(nm_cli *cli, void *args_memory, nm_err *err)
{
    const check_args *args = args_memory;
    nm_check_report report = {0};
    nm_check_file *files = NULL;
    nm_status rc = NM_OK;

    NM_CLI_TRY(split_files(&args->data, &files, err));
    NM_CLI_TRY(nm_check(cli->ctx, args->model, args->fixed, args->claim, files, args->data.n,
                        &report, err));
    cli->status = report.confirmed ? "confirmed" : "refuted";
    cli->exit_code = report.confirmed ? NM_EXIT_DONE : NM_EXIT_NEGATIVE;
    put_report(cli, &report);
    if (nm_cli_text(cli))
        print_report(nm_cli_text(cli), args, &report);
done:
    nm_check_report_free(&report);
    free_files(files, args->data.n);
    return rc;
}

const nm_verb nm_verb_check = {
    .name = "check",
    .summary = "check what a repair claims, from the files alone",
    .synopsis = "MODEL FIXED CLAIM [OPTIONS]",
    .description = "Checks every statement of a claim again: that the files are those, what "
                   "changed, that points are\nright and safe, that no smaller change or none at "
                   "all exists. Shares no numerics with the repair.",
    .exit_codes = "  0 confirmed, 1 refuted, 2 wrong usage, 3 bad input, 4 limit reached,\n"
                  "  5 internal error, 130 interrupted\n",
    .examples = {"netmend check moons.onnx fixed.onnx claim.json",
                 "netmend check moons.onnx - claim.json --data inputs=points.npy   # no repair "
                 "exists"},
    .groups = groups,
    .args_bytes = sizeof(check_args),
    .run = run,
};
