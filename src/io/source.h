/* What a net remembers of the file it was read from, so that it can be written back. */
#ifndef NM_IO_SOURCE_H
#define NM_IO_SOURCE_H

#include "base/file.h"
#include "net/graph.h"

/** Where the file keeps the elements of one constant. */
typedef struct nm_stored {
    int value;         /* index of the value in the net */
    size_t start, end; /* the message in the file ... */
    uint32_t field;    /* ... whose fields of this number hold the elements */
} nm_stored;

typedef enum nm_format { NM_FORMAT_ONNX, NM_FORMAT_NNET } nm_format;

/** `base` comes first: nm_net.source points at it. */
typedef struct nm_file_source {
    nm_source base;
    nm_format format;

    /* ONNX: the whole file; constants that can be edited in it; whether it has external data. */
    nm_buffer file;
    nm_stored *stored;
    size_t n_stored;
    bool external;

    /* .nnet: what the graph does not hold. */
    char *comments;          /* leading comment lines, each with its line end */
    double *minima, *maxima; /* [n_in] of the inputs */
} nm_file_source;

/** New, one reference; free with nm_file_source_unref(). */
nm_status nm_file_source_new(nm_format format, nm_file_source **out, nm_err *err);
void nm_file_source_unref(nm_file_source *source);

/** The source of a net if it came from a file of that format, else NULL. */
const nm_file_source *nm_net_source(const nm_net *net, nm_format format);

#endif
