/* A claim in memory: what claim files hold (docs/claims.md), read and written. */
#ifndef NM_VERIFY_CLAIM_H
#define NM_VERIFY_CLAIM_H

#include "base/file.h"
#include "base/hash.h"
#include "netmend/check.h"
#include "verify/region_proof.h"

#define NM_CLAIM_FORMAT "netmend-claim/1"

/** Larger claim files are refused. */
#define NM_MAX_CLAIM_BYTES ((size_t)1 << 28)

typedef struct nm_claim_file {
    char *name; /* "model", "fixed", "inputs", "labels", "keep", "keep-labels", "property" */
    char *path; /* as it was given */
    char sha256[NM_SHA256_TEXT];
    int64_t n_bytes;
} nm_claim_file;

typedef enum nm_claim_set_id { NM_SET_REPAIR, NM_SET_KEEP, NM_N_SETS } nm_claim_set_id;

/** A set of points: files, how they are read, which points are taken. */
typedef struct nm_claim_set {
    char *points, *labels; /* names of files; points NULL = no such set, labels NULL = no file */
    nm_data_opts opts;     /* mean and std are lent from the arrays below */
    double *mean, *std;    /* [opts.n_channels] */
    int64_t wanted;        /* -1 = the labels */
    int64_t *rows;         /* [n_rows] rows of the file, ascending; NULL = all */
    int64_t n_rows;
} nm_claim_set;

/** Free entries of one tensor, as runs of neighbours. */
typedef struct nm_claim_tensor {
    int layer;
    bool bias;
    int64_t *runs; /* [2 * n_runs] first entry, count; ascending; NULL = all entries */
    int64_t n_runs;
} nm_claim_tensor;

/** In which linear pieces of the network a proof holds. */
typedef enum nm_claim_pieces {
    NM_PIECES_ANY,   /* there are none behind the edited layers: rows are exact */
    NM_PIECES_MODEL, /* for changes under which the named points keep the pieces of MODEL */
    NM_PIECES_FIXED  /* ... the pieces of FIXED */
} nm_claim_pieces;

typedef struct nm_claim_row {
    int op;    /* operator whose pin it is; -1: a label row */
    int64_t k; /* other class, or number of the pin */
    double y;  /* multiplier, >= 0 */
} nm_claim_row;

/** The rows of one point. */
typedef struct nm_claim_point {
    nm_claim_set_id set;
    int64_t point;    /* index into the set */
    double margin;    /* that its label rows ask for */
    int64_t first, n; /* its rows */
} nm_claim_point;

typedef struct nm_claim_proof {
    nm_claim_pieces pieces;
    nm_claim_point *points;
    int64_t n_points;
    nm_claim_row *rows;
    int64_t n_rows;
} nm_claim_proof;

typedef enum nm_claim_what {
    NM_CLAIM_FILES,
    NM_CLAIM_ARCHITECTURE,
    NM_CLAIM_REPAIR_SET,
    NM_CLAIM_KEEP_SET,
    NM_CLAIM_OPTIMALITY,
    NM_CLAIM_INFEASIBLE,
    NM_CLAIM_TWINS,
    NM_CLAIM_HOLDS,
    NM_CLAIM_VIOLATED,
    NM_N_CLAIMS
} nm_claim_what;

typedef struct nm_claim_statement {
    nm_claim_what what;
    bool same_bytes; /* architecture: of the files; else the same graph */
    int64_t n_changed;
    double linf, l1, l2;
    int64_t *points; /* repair_set: [n_points] indices into the set; NULL = all */
    int64_t n_points;
    double margin; /* at least */
    nm_safe safe;  /* what was asked for */
    int64_t n_any_order, n_first_order, n_probable;
    int64_t n_right;  /* keep_set: right in MODEL ... */
    int64_t n_kept;   /* ... and so many of these in FIXED */
    nm_norm norm;     /* optimality */
    double mean_over; /* P of linf+l1n */
    double objective, lower_bound, gap;
    double box; /* infeasible: unbounded parameters change by no more than this */
    nm_claim_proof proof;
    int64_t twins[2];         /* points of the repair set */
    nm_region_proof *regions; /* property_holds: [n_regions] one for each box */
    int64_t n_regions;
    double *x; /* property_violated: [n_x] the counterexample */
    int64_t n_x;
} nm_claim_statement;

typedef struct nm_claim {
    bool is_intact; /* the hash that it carries is that of its content */
    nm_claim_file *files;
    int n_files;
    nm_claim_set sets[NM_N_SETS];
    double lo, hi; /* bounds on the change of each free parameter */
    nm_claim_tensor *tensors;
    int n_tensors;
    nm_claim_statement *statements;
    int n_statements;
} nm_claim;

/** Reads a claim from bytes. Every count is bounded by what is there; messages say where.
 *  Free with nm_claim_free(), also after a failure. */
nm_status nm_claim_parse(const char *text, size_t n_bytes, nm_claim *out, nm_err *err);

/** Writes a claim, with the hash of its content. */
nm_status nm_claim_save(const nm_claim *claim, const char *path, nm_err *err);
void nm_claim_free(nm_claim *claim);

/** One more file, with its hash; claim->files must have room. path NULL: none. */
nm_status nm_claim_add_file(nm_claim *claim, const char *name, const char *path, nm_err *err);

/** The file of that name, or NULL. */
const nm_claim_file *nm_claim_find_file(const nm_claim *claim, const char *name);

/* Words of the format, in the order of the enums; NULL-terminated. */
extern const char *const nm_claim_whats[], *const nm_claim_sets[], *const nm_claim_pieces_words[],
                                                                       *const nm_claim_norms[],
                                                                           *const nm_claim_safes[];

#endif
