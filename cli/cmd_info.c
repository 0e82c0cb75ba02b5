/* netmend info: what a network is made of. */
#include <inttypes.h>
#include <string.h>

#include "cli.h"

typedef struct info_args {
    nm_common_opts common;
    const char *model;
} info_args;

static const nm_opt rows[] = {{.name = "MODEL",
                               .kind = NM_OPT_PATH,
                               .positional = true,
                               .required = true,
                               .offset = offsetof(info_args, model),
                               .help = "network, .onnx or .nnet"},
                              {0}};

static const nm_opt_group groups[] = {{"Arguments", rows, 0}, NM_COMMON_GROUP, {0}};

enum { MAX_RANK = 8 };

static const char *shape_text(const int64_t *dims, int rank, char text[static 192])
{
    size_t used = 0;

    (void)snprintf(text, 192, "scalar");
    for (int i = 0; i < rank && used < 192; i++)
        used += (size_t)snprintf(text + used, 192 - used, "%s%" PRId64, i ? "x" : "", dims[i]);
    return text;
}

/* -- JSON -------------------------------------------------------------------------------------- */

static void put_operators(nm_cli *cli, const nm_net *net)
{
    json_t *list = json_array();

    for (int i = 0; i < nm_net_n_ops(net); i++) {
        const char *kind, *name;
        int64_t dims[MAX_RANK];
        int rank = nm_net_op_info(net, i, &kind, &name, dims);

        nm_doc_append(&cli->doc, list,
                      json_pack("{s:s, s:o, s:o}", "kind", kind, "name", nm_doc_text(name), "shape",
                                nm_doc_ints(dims, rank)));
    }
    nm_doc_put(&cli->doc, "operators", list);
}

static nm_status put_layers(nm_cli *cli, const nm_net *net, nm_err *err)
{
    json_t *list = json_array();
    nm_status rc = NM_OK;

    for (int i = 0; rc == NM_OK && i < nm_net_n_layers(net); i++) {
        nm_layer_info layer;

        rc = nm_net_layer_info(net, i, &layer, err);
        if (rc == NM_OK)
            nm_doc_append(&cli->doc, list,
                          json_pack("{s:i, s:o, s:s, s:I, s:I, s:I, s:I, s:o}", "layer", i, "name",
                                    nm_doc_text(layer.name), "kind", layer.kind, "n_weights",
                                    (json_int_t)layer.n_weights, "n_biases",
                                    (json_int_t)layer.n_biases, "n_in", (json_int_t)layer.n_in,
                                    "n_out", (json_int_t)layer.n_out, "locked",
                                    nm_doc_text(layer.locked)));
    }
    nm_doc_put(&cli->doc, "layers", list);
    return rc;
}

static nm_status put_net(nm_cli *cli, const nm_net *net, nm_err *err)
{
    int64_t dims[MAX_RANK];
    int rank = nm_net_in_shape(net, dims);

    nm_doc_put(&cli->doc, "n_in", json_integer(nm_net_n_in(net)));
    nm_doc_put(&cli->doc, "in_shape", nm_doc_ints(dims, rank));
    nm_doc_put(&cli->doc, "n_out", json_integer(nm_net_n_out(net)));
    nm_doc_put(&cli->doc, "n_params", json_integer(nm_net_n_params(net)));
    put_operators(cli, net);
    return put_layers(cli, net, err);
}

/* -- text -------------------------------------------------------------------------------------- */

/* Widths of the columns that hold names from the file. */
typedef struct widths {
    int op, layer, layer_kind;
} widths;

static int wider(int width, const char *text)
{
    int length = (int)strlen(text);

    return length <= width ? width : length < 40 ? length : 40;
}

static nm_status measure(const nm_net *net, widths *w, nm_err *err)
{
    nm_status rc = NM_OK;

    *w = (widths){4, 4, 4};
    for (int i = 0; i < nm_net_n_ops(net); i++) {
        const char *kind, *name;
        int64_t dims[MAX_RANK];

        (void)nm_net_op_info(net, i, &kind, &name, dims);
        w->op = wider(w->op, kind);
    }
    for (int i = 0; rc == NM_OK && i < nm_net_n_layers(net); i++) {
        nm_layer_info layer;

        rc = nm_net_layer_info(net, i, &layer, err);
        if (rc == NM_OK) {
            w->layer = wider(w->layer, layer.name);
            w->layer_kind = wider(w->layer_kind, layer.kind);
        }
    }
    return rc;
}

/* Names come from the file: what a terminal could act on is shown as '?'. */
static void print_name(FILE *out, const char *name, int width)
{
    int n = 0;

    for (const unsigned char *c = (const unsigned char *)name; *c; c++, n++)
        (void)fputc(*c < 0x20 || *c == 0x7f ? '?' : *c, out);
    (void)fprintf(out, "%*s", width > n ? width - n : 0, "");
}

static void print_operators(FILE *out, const nm_net *net, const widths *w)
{
    (void)fprintf(out, "\nOperators\n   #  %-*s  %-14s  name\n", w->op, "kind", "output");
    for (int i = 0; i < nm_net_n_ops(net); i++) {
        const char *kind, *name;
        int64_t dims[MAX_RANK];
        char shape[192];
        int rank = nm_net_op_info(net, i, &kind, &name, dims);

        (void)fprintf(out, "%4d  %-*s  %-14s  ", i, w->op, kind, shape_text(dims, rank, shape));
        print_name(out, name, 0);
        (void)fputc('\n', out);
    }
}

static nm_status print_layers(FILE *out, const nm_net *net, const widths *w, nm_err *err)
{
    nm_status rc = NM_OK;

    (void)fprintf(out, "\nLayers with parameters\n   #  %-*s  %-*s  %8s  %8s  %10s  %8s\n",
                  w->layer_kind, "kind", w->layer, "name", "in", "out", "weights", "biases");
    for (int i = 0; i < nm_net_n_layers(net); i++) {
        nm_layer_info layer;

        rc = nm_net_layer_info(net, i, &layer, err);
        if (rc != NM_OK)
            return rc;
        (void)fprintf(out, "%4d  %-*s  ", i, w->layer_kind, layer.kind);
        print_name(out, layer.name, w->layer);
        (void)fprintf(out, "  %8" PRId64 "  %8" PRId64 "  %10" PRId64 "  %8" PRId64 "%s%s%s\n",
                      layer.n_in, layer.n_out, layer.n_weights, layer.n_biases,
                      layer.locked ? "  (locked: " : "", layer.locked ? layer.locked : "",
                      layer.locked ? ")" : "");
    }
    return rc;
}

static nm_status print_net(FILE *out, const char *path, const nm_net *net, nm_err *err)
{
    widths w;
    int64_t dims[MAX_RANK];
    char shape[192];
    nm_status rc = measure(net, &w, err);

    if (rc != NM_OK)
        return rc;
    (void)fprintf(out, "%s\n  inputs      %" PRId64 " (%s)\n", path, nm_net_n_in(net),
                  shape_text(dims, nm_net_in_shape(net, dims), shape));
    (void)fprintf(out, "  outputs     %" PRId64 "\n", nm_net_n_out(net));
    (void)fprintf(out, "  parameters  %" PRId64 "\n", nm_net_n_params(net));
    print_operators(out, net, &w);
    return print_layers(out, net, &w, err);
}

static nm_status run(nm_cli *cli, void *args_memory, nm_err *err)
{
    const info_args *args = args_memory;
    nm_status rc = NM_OK;
    nm_net *net = NULL;

    NM_CLI_TRY(nm_net_load(cli->ctx, args->model, &net, err));
    NM_CLI_TRY(put_net(cli, net, err));
    if (nm_cli_text(cli))
        NM_CLI_TRY(print_net(nm_cli_text(cli), args->model, net, err));
done:
    nm_net_free(net);
    return rc;
}

const nm_verb nm_verb_info = {
    .name = "info",
    .summary = "show operators, layers and parameters of a network",
    .synopsis = "MODEL [OPTIONS]",
    .description = "Shows what a network is made of: its operators, the layers whose parameters a "
                   "repair can\nchange with their index and name, and the shapes in between.",
    .examples = {"netmend info mnist.onnx", "netmend info --json ACASXU_experimental_v2a_2_9.nnet"},
    .groups = groups,
    .args_bytes = sizeof(info_args),
    .run = run,
};
