#include "io/net_file.h"

#include <string.h>
#include <strings.h>

#include "base/ctx.h"
#include "base/mem.h"
#include "io/nnet.h"
#include "io/onnx_read.h"
#include "io/onnx_write.h"

static bool ends_with(const char *path, const char *suffix)
{
    size_t n = strlen(path), n_suffix = strlen(suffix);

    return n > n_suffix && strcasecmp(path + n - n_suffix, suffix) == 0;
}

/* Every ONNX file starts with a protobuf tag, a control character in practice. */
static bool looks_like_text(const nm_buffer *content)
{
    size_t i = 0;

    while (i < content->n_bytes && strchr(" \t\r\n", content->data[i]) && content->data[i])
        i++;
    return i < content->n_bytes && content->data[i] && strchr("/0123456789", content->data[i]);
}

nm_format nm_format_of(const char *path, const nm_buffer *content)
{
    if (ends_with(path, ".onnx"))
        return NM_FORMAT_ONNX;
    if (ends_with(path, ".nnet") || looks_like_text(content))
        return NM_FORMAT_NNET;
    return NM_FORMAT_ONNX;
}

/* Takes the buffer over. */
static nm_status read_buffer(nm_buffer *file, nm_format format, const char *folder, nm_net **out,
                             nm_err *err)
{
    nm_status rc;

    if (format == NM_FORMAT_ONNX)
        return nm_onnx_read(file, folder, out, err);
    rc = nm_nnet_read(file, out, err);
    nm_buffer_free(file);
    return rc;
}

nm_status nm_net_from_memory(const unsigned char *data, size_t n_bytes, nm_format format,
                             const char *folder, nm_net **out, nm_err *err)
{
    nm_buffer copy = {.n_bytes = n_bytes};
    nm_status rc = nm_alloc(&copy.data, n_bytes + 1, 1, err);

    *out = NULL;
    if (rc != NM_OK)
        return rc;
    if (n_bytes > 0)
        memcpy(copy.data, data, n_bytes);
    return read_buffer(&copy, format, folder, out, err);
}

static nm_status folder_of(const char *path, char **out, nm_err *err)
{
    const char *slash = strrchr(path, '/');
    nm_status rc = nm_strdup(out, slash ? path : ".", err);

    if (rc == NM_OK && slash)
        (*out)[slash == path ? 1 : slash - path] = 0;
    return rc;
}

nm_status nm_net_load(nm_ctx *ctx, const char *path, nm_net **out, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_buffer file = {0};
    char *folder = NULL;

    *out = NULL;
    NM_TRY(nm_ctx_check(ctx, err));
    NM_TRY(folder_of(path, &folder, err));
    NM_TRY(nm_file_read(path, NM_MAX_MODEL_BYTES, &file, err));
    rc = read_buffer(&file, nm_format_of(path, &file), folder, out, err);
    if (rc != NM_OK)
        nm_err_prefix(err, "%s: ", path);
done:
    nm_free(folder);
    return rc;
}

nm_status nm_net_load_normalised(nm_ctx *ctx, const char *path, nm_net **out, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_buffer file = {0};

    *out = NULL;
    NM_TRY(nm_ctx_check(ctx, err));
    NM_TRY(nm_file_read(path, NM_MAX_MODEL_BYTES, &file, err));
    if (nm_format_of(path, &file) != NM_FORMAT_NNET)
        NM_THROW(err, NM_E_UNSUPPORTED, "%s: only .nnet files hold a normalisation", path);
    rc = nm_nnet_read_normalised(&file, out, err);
    if (rc != NM_OK)
        nm_err_prefix(err, "%s: ", path);
done:
    nm_buffer_free(&file);
    return rc;
}

bool nm_net_in_range(const nm_net *net, double *lo, double *hi)
{
    const nm_file_source *source = nm_net_source(net, NM_FORMAT_NNET);

    if (!source || !source->minima || !source->maxima)
        return false;
    memcpy(lo, source->minima, (size_t)nm_net_n_in(net) * sizeof *lo);
    memcpy(hi, source->maxima, (size_t)nm_net_n_in(net) * sizeof *hi);
    return true;
}

nm_status nm_net_to_memory(const nm_net *net, nm_format format, nm_buffer *out, nm_err *err)
{
    if (format == NM_FORMAT_NNET)
        return nm_nnet_write(net, out, err);
    if (nm_net_source(net, NM_FORMAT_ONNX))
        return nm_onnx_patch(net, out, err);
    return nm_onnx_export(net, out, err);
}

nm_status nm_save_format(const char *path, nm_format *format, nm_err *err)
{
    *format = ends_with(path, ".nnet") ? NM_FORMAT_NNET : NM_FORMAT_ONNX;
    if (*format == NM_FORMAT_ONNX && !ends_with(path, ".onnx"))
        return nm_fail(err, NM_E_ARG, "%s: unknown kind of network file, expected .onnx or .nnet",
                       path);
    return NM_OK;
}

nm_status nm_net_save(nm_ctx *ctx, const nm_net *net, const char *path, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_buffer file = {0};
    nm_format format;

    NM_TRY(nm_ctx_check(ctx, err));
    NM_TRY(nm_save_format(path, &format, err));
    rc = nm_net_to_memory(net, format, &file, err);
    if (rc != NM_OK)
        nm_err_prefix(err, "%s: ", path);
    else
        rc = nm_file_write(path, file.data, file.n_bytes, err);
done:
    nm_buffer_free(&file);
    return rc;
}
