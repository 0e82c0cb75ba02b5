#include "io/source.h"

#include "base/mem.h"

static void destroy(nm_source *base)
{
    nm_file_source *source = (nm_file_source *)base;

    nm_buffer_free(&source->file);
    nm_free(source->stored);
    nm_free(source->comments);
    nm_free(source->minima);
    nm_free(source->maxima);
    nm_free(source);
}

nm_status nm_file_source_new(nm_format format, nm_file_source **out, nm_err *err)
{
    nm_status rc = nm_alloc(out, 1, sizeof **out, err);

    if (rc == NM_OK) {
        (*out)->base = (nm_source){.n_refs = 1, .destroy = destroy};
        (*out)->format = format;
    }
    return rc;
}

void nm_file_source_unref(nm_file_source *source)
{
    if (source && __atomic_sub_fetch(&source->base.n_refs, 1, __ATOMIC_ACQ_REL) == 0)
        destroy(&source->base);
}

const nm_file_source *nm_net_source(const nm_net *net, nm_format format)
{
    const nm_file_source *source = (const nm_file_source *)net->source;

    return source && source->format == format ? source : NULL;
}
