/* LayerPosition: a layer by its place in the graph. */
#include <stdio.h>

#include "choose/edit/edit.h"
#include "net/op.h"

enum { POSITION };
enum { FIRST_DENSE, PENULTIMATE, LAST, BEFORE_POOLING };
static const char *const positions[] = {"first-dense", "penultimate", "last", "before-pooling",
                                        NULL};
static const nm_heuristic_param params[] = {
    {.name = "position",
     .kind = NM_PARAM_WORD,
     .words = positions,
     .initial = PENULTIMATE,
     .help = "the first dense layer (behind convolutions, if there are any), the last but one, the "
             "last, or the last one in front of a pooling"}};

static const nm_op *op_of(const nm_net *net, int layer)
{
    return &net->ops[net->layers[layer].op];
}

/* The first dense layer with no convolution behind it. */
static int first_dense(const nm_edit_job *job)
{
    int found = -1;

    for (int i = job->net->n_layers - 1; i >= 0; i--) {
        const nm_op_kind *kind = op_of(job->net, i)->kind;

        if (kind == &nm_op_conv || kind == &nm_op_conv_transpose)
            break;
        if (kind == &nm_op_dense && !nm_edit_refusal(job->net, i, job->free))
            found = i;
    }
    return found;
}

static int from_the_end(const nm_edit_job *job, int skip)
{
    for (int i = job->net->n_layers - 1; i >= 0; i--)
        if (!nm_edit_refusal(job->net, i, job->free) && skip-- == 0)
            return i;
    return -1;
}

static bool feeds_pooling(const nm_net *net, int layer)
{
    int value = nm_layer_activation(net, layer);

    for (int k = 0; k < net->n_ops; k++)
        if (net->ops[k].in[0] == value &&
            (net->ops[k].kind == &nm_op_max_pool || net->ops[k].kind == &nm_op_average_pool))
            return true;
    return false;
}

static int before_pooling(const nm_edit_job *job)
{
    for (int i = job->net->n_layers - 1; i >= 0; i--)
        if (feeds_pooling(job->net, i) && !nm_edit_refusal(job->net, i, job->free))
            return i;
    return -1;
}

static nm_status run(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    int which = (int)job->values->v[POSITION];
    int layer = which == FIRST_DENSE   ? first_dense(job)
                : which == PENULTIMATE ? from_the_end(job, 1)
                : which == LAST        ? from_the_end(job, 0)
                                       : before_pooling(job);

    if (layer < 0)
        return nm_fail(err, NM_E_ARG, "%s: position=%s, but the network has no such layer",
                       job->name, positions[which]);
    for (int i = 0; i < job->net->n_layers; i++)
        out->scores[i] = i == layer;
    (void)snprintf(out->why, sizeof out->why, "it is the %s layer", positions[which]);
    return NM_OK;
}

const nm_edit_kind nm_edit_position = {
    .info = {.name = "LayerPosition",
             .summary = "a layer by its place: first dense, penultimate, last, before pooling",
             .scope = "the graph; score: 1 for that layer",
             .source = "Adsule et al. 2025",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
};
