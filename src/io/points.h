/* Points from bytes in memory: what nm_points_load() does once the files are read. */
#ifndef NM_IO_POINTS_H
#define NM_IO_POINTS_H

#include "io/data_format.h"
#include "netmend/data.h"

/** A data file's bytes. format = NULL: find it out. */
typedef struct nm_data_bytes {
    const char *path; /* for messages, and to find the format */
    const nm_data_format *format;
    const unsigned char *data;
    size_t n_bytes;
} nm_data_bytes;

/** As nm_points_load(). @param labels  NULL if `inputs` holds them or there are none */
nm_status nm_points_parse(nm_ctx *ctx, const nm_data_bytes *inputs, const nm_data_bytes *labels,
                          const nm_data_opts *opts, nm_points *out, nm_err *err);

#endif
