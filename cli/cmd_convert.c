/* netmend convert: .nnet to .onnx and back. */
#include <inttypes.h>

#include "cli.h"

typedef struct convert_args {
    nm_common_opts common;
    const char *in, *out;
} convert_args;

static const nm_opt rows[] = {{.name = "IN",
                               .kind = NM_OPT_PATH,
                               .positional = true,
                               .required = true,
                               .offset = offsetof(convert_args, in),
                               .help = "network to read, .onnx or .nnet"},
                              {.name = "OUT",
                               .kind = NM_OPT_PATH,
                               .positional = true,
                               .required = true,
                               .offset = offsetof(convert_args, out),
                               .help = "file to write, .onnx or .nnet by its name"},
                              {0}};

static const nm_opt_group groups[] = {{"Arguments", rows, 0}, NM_COMMON_GROUP, {0}};

static nm_status run(nm_cli *cli, void *args_memory, nm_err *err)
{
    const convert_args *args = args_memory;
    nm_status rc = NM_OK;
    nm_net *net = NULL;

    NM_CLI_TRY(nm_net_load(cli->ctx, args->in, &net, err));
    NM_CLI_TRY(nm_net_save(cli->ctx, net, args->out, err));
    nm_doc_put(&cli->doc, "output", nm_doc_text(args->out));
    nm_doc_put(&cli->doc, "n_in", json_integer(nm_net_n_in(net)));
    nm_doc_put(&cli->doc, "n_out", json_integer(nm_net_n_out(net)));
    nm_doc_put(&cli->doc, "n_params", json_integer(nm_net_n_params(net)));
    if (nm_cli_text(cli))
        (void)fprintf(nm_cli_text(cli),
                      "wrote %s: %" PRId64 " inputs, %" PRId64 " outputs, %" PRId64 " parameters\n",
                      args->out, nm_net_n_in(net), nm_net_n_out(net), nm_net_n_params(net));
done:
    nm_net_free(net);
    return rc;
}

const nm_verb nm_verb_convert = {
    .name = "convert",
    .summary = "convert a network between .nnet and .onnx",
    .synopsis = "IN OUT [OPTIONS]",
    .description = "Reads a network in one format and writes it in another; the names decide.",
    .examples = {"netmend convert ACASXU_experimental_v2a_2_9.nnet acasxu_2_9.onnx",
                 "netmend convert acasxu_2_9.onnx acasxu_2_9.nnet"},
    .groups = groups,
    .args_bytes = sizeof(convert_args),
    .run = run,
};
