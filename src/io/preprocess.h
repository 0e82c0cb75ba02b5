/* From the numbers of a file to the numbers the network receives. */
#ifndef NM_IO_PREPROCESS_H
#define NM_IO_PREPROCESS_H

#include "io/array.h"
#include "netmend/data.h"

/** v -> (v / scale - mean[c]) / std[c]; c is the channel that a column of the row belongs to. */
typedef struct nm_preprocess {
    double scale;
    int64_t n_cols;
    double *mean, *std; /* [n_cols], owned; NULL if there is nothing to do */
} nm_preprocess;

/** Works out the channel of every column: a single channel is for all; else the first axis of a
 *  point with n_channels entries counts them ([C, H, W]), or else the last ([H, W, C]).
 *  Messages carry no file name. @return NM_OK; NM_E_ARG for values that make no sense (std = 0);
 *  NM_E_SHAPE if neither axis has n_channels entries; NM_E_NOMEM */
nm_status nm_preprocess_init(nm_preprocess *out, const nm_data_opts *opts,
                             const nm_array_rows *rows, nm_err *err);
void nm_preprocess_free(nm_preprocess *p);

/** Applies it to one row in double, then rounds to float32.
 *  @param row  [n_cols], overwritten
 *  @return the first column that is not finite as float32, -1 if all are */
int64_t nm_preprocess_row(const nm_preprocess *p, double *row, float *out);

#endif
