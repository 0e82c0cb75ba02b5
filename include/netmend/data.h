/* Points: inputs with optional labels, from all the file formats users have. */
#ifndef NETMEND_DATA_H
#define NETMEND_DATA_H

#include "netmend/net.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Inputs, as the network receives them (float32), with labels where known. Plain data; arrays are
 *  owned by the struct, free with nm_points_free(). */
typedef struct nm_points {
    int64_t n;       /**< number of points */
    int64_t n_in;    /**< numbers per point */
    float *x;        /**< [n x n_in] */
    int64_t *labels; /**< [n], or NULL */
    int64_t *rows;   /**< [n] row of each point in the file it came from */
} nm_points;

/** How files become points. Set the defaults with NM_DATA_OPTS_INIT. */
typedef struct nm_data_opts {
    size_t size;
    int64_t first, last; /**< take rows first..last-1 of the file; last < 0: to the end */
    double scale;        /**< divisor of 8-bit images; 0 = default (255 for 8-bit, else 1) */
    const double *mean;  /**< per channel, subtracted after scaling; NULL = 0 */
    const double *std;   /**< per channel, divided by; NULL = 1 */
    int n_channels;      /**< entries of mean and std; 1 = the same for all */
    int label_column;    /**< CSV column that holds the label; NM_LABEL_NONE = no label */
    int64_t n_in;        /**< expected numbers per point (the net's); 0 = any */
    int64_t n_classes;   /**< labels must be below; 0 = any */
} nm_data_opts;

enum { NM_LABEL_NONE = INT32_MIN };

#define NM_DATA_OPTS_INIT                                                                          \
    {                                                                                              \
        .size = sizeof(nm_data_opts), .last = -1, .label_column = NM_LABEL_NONE                    \
    }

/** Reads points: .npy, .npz (arrays x and y; or else the first, unlabelled), .csv, IDX, CIFAR-10
 *  .bin; each may be gzipped. Content decides the format where it is unmistakable, else the name.
 *  Points are what the network receives: values are computed in double as
 *  (v / scale - mean[c]) / std[c] and rounded to float32 once, float64 data too.
 *  CSV: one point a line, ',', ';' or tab between numbers, decimal point '.', perhaps a first line
 *  of names or one that begins with '#'. Without a label column, the last column of n_in + 1 is the
 *  label.
 *  Channel c counts along the first axis of a point if that has n_channels entries, else the last.
 *  @param labels_path  file with the labels (any of the formats, one integer a row), NULL if `path`
 *                      holds them or there are none; wins over labels inside `path`
 *  @param opts         NULL = defaults
 *  @param out          rows count from 0 as in the file; free with nm_points_free()
 *  @return NM_OK; NM_E_IO; NM_E_FORMAT (damaged, a value not finite, a label out of range);
 *          NM_E_SHAPE (sizes that do not agree with n_in or each other, no points at all);
 *          NM_E_UNSUPPORTED; NM_E_ARG (range or options); NM_E_NOMEM; NM_E_CANCELLED, NM_E_LIMIT */
NM_API nm_status nm_points_load(nm_ctx *ctx, const char *path, const char *labels_path,
                                const nm_data_opts *opts, nm_points *out, nm_err *err);
NM_API void nm_points_free(nm_points *points);

/** Copy of the points at the given indices (each in 0..n-1), in that order. */
NM_API nm_status nm_points_subset(const nm_points *points, const int64_t *indices, int64_t n,
                                  nm_points *out, nm_err *err);

/** Points from arrays; everything is copied. labels may be NULL. */
NM_API nm_status nm_points_from_arrays(const float *x, int64_t n, int64_t n_in,
                                       const int64_t *labels, nm_points *out, nm_err *err);

/** Writes a float32 array [n x n_cols] (or int64 [n]) as .npy. */
NM_API nm_status nm_npy_write_f32(const char *path, const float *x, int64_t n, int64_t n_cols,
                                  nm_err *err);
NM_API nm_status nm_npy_write_i64(const char *path, const int64_t *x, int64_t n, nm_err *err);

#ifdef __cplusplus
}
#endif
#endif
