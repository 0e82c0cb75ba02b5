/* Numeric arrays as files hold them: typed, strided, perhaps in the other byte order; and the
   readers of .npy and .npz for whoever needs plain arrays (masks, reference results). */
#ifndef NM_IO_ARRAY_H
#define NM_IO_ARRAY_H

#include "base/err.h"

enum { NM_ARRAY_MAX_RANK = 8 };

typedef enum nm_array_dtype {
    NM_DTYPE_F16,
    NM_DTYPE_F32,
    NM_DTYPE_F64,
    NM_DTYPE_I8,
    NM_DTYPE_I16,
    NM_DTYPE_I32,
    NM_DTYPE_I64,
    NM_DTYPE_U8,
    NM_DTYPE_U16,
    NM_DTYPE_U32,
    NM_DTYPE_U64,
    NM_DTYPE_BOOL
} nm_array_dtype;

/** Bytes of one element. */
size_t nm_array_dtype_size(nm_array_dtype dtype);

/** Sizes of an array. rank 0 is a single number. */
typedef struct nm_array_shape {
    int rank;
    int64_t dims[NM_ARRAY_MAX_RANK];
} nm_array_shape;

/** Product of the sizes, 1 for rank 0. @return false if the product, or a part of it, overflows
 *  int64_t, or a size is negative. */
bool nm_array_shape_count(const nm_array_shape *shape, int64_t *count);

/** Writes "[3, 32, 32]" into a caller's buffer, cut off where it ends. @return `text` */
const char *nm_array_shape_text(const nm_array_shape *shape, char *text, size_t n_bytes);

/** Rows of equal length in memory that somebody else owns. data = NULL: there are none. */
typedef struct nm_array_rows {
    int64_t n;
    nm_array_shape shape; /* of one row */
    int64_t n_cols;       /* numbers in one row: the product of shape */
    const unsigned char *data;
    size_t stride; /* bytes from a row to the next */
    nm_array_dtype dtype;
    bool big_endian;
} nm_array_rows;

/** Converts one row. Integers beyond 2^53 are rounded; any non-zero bool is 1.
 *  @param out  [n_cols] */
void nm_array_rows_decode(const nm_array_rows *rows, int64_t row, double *out);

/** An array in memory that somebody else owns, as its file describes it. */
typedef struct nm_array_view {
    nm_array_dtype dtype;
    bool big_endian;
    bool fortran_order; /* first index runs fastest; else the last (C order) */
    nm_array_shape shape;
    int64_t n_values;
    const unsigned char *values; /* n_values elements, at any address */
} nm_array_view;

/** Computes n_values from the shape and holds it against the bytes that are there.
 *  @param n_bytes  at view->values
 *  @return NM_OK; NM_E_FORMAT if the elements would take more or less. As everywhere in this header
 *          but for archives, messages carry no file name: put it there with nm_err_prefix(). */
nm_status nm_array_view_check(nm_array_view *view, size_t n_bytes, nm_err *err);

/** The rows of an array: its first axis counts them, the others are the shape of one.
 *  @param copy  receives the elements in C order where the array is in Fortran order, else NULL;
 *               must outlive the rows, free with nm_free()
 *  @return NM_OK; NM_E_SHAPE for a single number or for rows of no numbers; NM_E_NOMEM */
nm_status nm_array_view_rows(const nm_array_view *view, unsigned char **copy, nm_array_rows *out,
                             nm_err *err);

/** An array, converted. Owns its members; free with nm_array_free(). */
typedef struct nm_array {
    char *name;           /* name in the archive without ".npy"; NULL for a lone .npy */
    nm_array_dtype dtype; /* what the file held */
    nm_array_shape shape;
    int64_t n_values;
    double *values; /* [n_values], C order */
} nm_array;

/** Converts an array to double, in C order. @param out  all zero on entry */
nm_status nm_array_convert(const nm_array_view *view, nm_array *out, nm_err *err);
void nm_array_free(nm_array *array);

/** Reads the header of a .npy file (format versions 1.0, 2.0, 3.0) and holds it against the bytes.
 *  The header is data: it is never evaluated, and has to hold each of its three keys once.
 *  @param out  lends `data`
 *  @return NM_OK; NM_E_FORMAT; NM_E_UNSUPPORTED for elements that are no real numbers
 *  Source of the format: NumPy Enhancement Proposal 1 and the documentation of numpy.lib.format. */
nm_status nm_npy_view(const unsigned char *data, size_t n_bytes, nm_array_view *out, nm_err *err);

/** nm_npy_view() and nm_array_convert(). */
nm_status nm_npy_parse(const unsigned char *data, size_t n_bytes, nm_array *out, nm_err *err);

/** The arrays of an archive, in its order. Owns its members; free with nm_npz_free(). */
typedef struct nm_npz {
    int n_arrays;
    nm_array *arrays;
} nm_npz;

/** Reads all arrays of an archive as numpy.savez and savez_compressed write it; members that are
 *  not called *.npy are passed over. Messages name file and array.
 *  @param max_unpacked  bytes that all arrays together may have in the archive, inflated: an
 * archive can promise anything, so the caller says what makes sense */
nm_status nm_npz_load_all(const char *path, size_t max_unpacked, nm_npz *out, nm_err *err);

/** The same from memory. @param path  what messages call it */
nm_status nm_npz_parse_all(const char *path, const unsigned char *data, size_t n_bytes,
                           size_t max_unpacked, nm_npz *out, nm_err *err);
void nm_npz_free(nm_npz *npz);

/** @return the array of that name, NULL if there is none. Lent by `npz`. */
const nm_array *nm_npz_find(const nm_npz *npz, const char *name);

#endif
