/* The file formats of points: one table, one reader each, one form of result. */
#ifndef NM_IO_DATA_FORMAT_H
#define NM_IO_DATA_FORMAT_H

#include "base/file.h"
#include "io/array.h"

/** No data file is read beyond this: what gzip and zip count with 32 bits. */
#define NM_DATA_MAX_BYTES ((size_t)UINT32_MAX)

/** What the caller knows, and how messages call the file. */
typedef struct nm_data_query {
    const char *path; /* for messages only */
    int label_column; /* CSV: as in nm_data_opts */
    int64_t n_in;     /* CSV: one column more than this means that the last holds labels; 0 = any */
    bool labels_only; /* this is a label file: a single column is a label, not an input */
} nm_data_query;

/** Points as a file holds them, before any conversion. Lends the bytes it was parsed from and owns
 *  what a reader had to unpack; free with nm_data_table_free(). */
typedef struct nm_data_table {
    nm_array_rows inputs;       /* data = NULL: the file holds labels only */
    nm_array_rows labels;       /* data = NULL: none */
    int64_t first_line;         /* text: line of the first row, counted from 1; 0 = no text */
    int label_column;           /* text: the column that `inputs` leaves out, -1 = none */
    unsigned char *unpacked[4]; /* owned; NULL where unused */
} nm_data_table;

void nm_data_table_free(nm_data_table *table);

typedef struct nm_data_format {
    const char *name;
    const char *const *suffixes; /* of file names, a ".gz" taken off; NULL-terminated */
    bool (*is_certain)(const unsigned char *data, size_t n_bytes); /* unmistakable; may be NULL */
    bool (*is_likely)(const unsigned char *data, size_t n_bytes);  /* may be NULL */
    /** Parses a whole file; messages start with query->path. *out is all zero on entry; what it
     *  owns is freed by the caller, also after a failure. */
    nm_status (*read)(const nm_data_query *query, const unsigned char *data, size_t n_bytes,
                      nm_data_table *out, nm_err *err);
} nm_data_format;

extern const nm_data_format nm_format_npy, nm_format_npz, nm_format_csv, nm_format_idx,
    nm_format_cifar;

/** Chooses the format: unmistakable content first, then the name, then likely content. */
nm_status nm_data_format_find(const char *path, const unsigned char *data, size_t n_bytes,
                              const nm_data_format **out, nm_err *err);

#endif
