/* Any bytes read as an ONNX file give a network or an error. A network that is read evaluates and
   writes back as the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/net_file.h"
#include "net/op.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Evaluation is worth trying where it is cheap: a few bytes can describe a very large network. */
static bool is_small(const nm_net *net)
{
    int64_t total = 0;

    for (int i = 0; i < net->n_values; i++)
        total += net->values[i].size;
    return total < 1 << 14 && net->n_ops < 64;
}

static void evaluate(const nm_net *net)
{
    nm_ctx *ctx;
    float *x, *y;
    nm_err err = {0};

    if (!is_small(net))
        return;
    if (nm_ctx_new(&ctx, &err) != NM_OK ||
        nm_alloc(&x, (size_t)nm_net_n_in(net), sizeof *x, NULL) ||
        nm_alloc(&y, (size_t)nm_net_n_out(net), sizeof *y, NULL))
        abort();
    nm_ctx_set_threads(ctx, 1);
    if (nm_net_forward_f32(ctx, net, x, 1, y, &err) != NM_OK && err.text[0] == 0)
        abort();
    nm_free(x);
    nm_free(y);
    nm_ctx_free(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nm_err err = {0};
    nm_net *net;
    nm_buffer out;

    if (nm_net_from_memory(data, size, NM_FORMAT_ONNX, NULL, &net, &err) != NM_OK) {
        if (err.text[0] == 0 || net)
            abort();
        return 0;
    }
    if (nm_net_to_memory(net, NM_FORMAT_ONNX, &out, &err) != NM_OK || out.n_bytes != size ||
        memcmp(out.data, data, size) != 0)
        abort();
    nm_buffer_free(&out);
    evaluate(net);
    nm_net_free(net);
    return 0;
}
