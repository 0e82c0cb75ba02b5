/* Any bytes read as .nnet text give a network or an error. What a network that was read is written
   as reads back and is written the same again. */
#include <stdlib.h>
#include <string.h>

#include "io/net_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nm_err err = {0};
    nm_net *net, *back;
    nm_buffer once, twice, onnx;

    if (nm_net_from_memory(data, size, NM_FORMAT_NNET, NULL, &net, &err) != NM_OK) {
        if (err.text[0] == 0 || net)
            abort();
        return 0;
    }
    if (nm_net_to_memory(net, NM_FORMAT_NNET, &once, &err) != NM_OK ||
        nm_net_from_memory(once.data, once.n_bytes, NM_FORMAT_NNET, NULL, &back, &err) != NM_OK ||
        nm_net_to_memory(back, NM_FORMAT_NNET, &twice, &err) != NM_OK)
        abort();
    if (once.n_bytes != twice.n_bytes || memcmp(once.data, twice.data, once.n_bytes) != 0)
        abort();
    if (nm_net_to_memory(net, NM_FORMAT_ONNX, &onnx, &err) != NM_OK)
        abort();
    nm_buffer_free(&once);
    nm_buffer_free(&twice);
    nm_buffer_free(&onnx);
    nm_net_free(net);
    nm_net_free(back);
    return 0;
}
