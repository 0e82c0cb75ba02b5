/* What a set heuristic is: one file each in this folder, one line each in registry.c. */
#ifndef NM_CHOOSE_SET_SET_H
#define NM_CHOOSE_SET_SET_H

#include "base/ctx.h"
#include "choose/values.h"
#include "net/graph.h"

/** What the network says of one point of the pool. */
typedef struct nm_facts {
    int64_t index;
    int64_t label, predicted; /* predicted: first of the largest scores, -1 if one is no number */
    double top;               /* probability of the predicted class */
    double p_true;            /* probability of the label */
    double loss;              /* cross entropy */
    double gap;               /* largest score minus the second largest */
} nm_facts;

/** A run of one heuristic; everything is lent. */
typedef struct nm_set_job {
    const nm_ctx *ctx;
    const nm_net *net;
    const nm_points *pool; /* labelled */
    int64_t size;          /* wanted, >= 1 */
    uint64_t seed;
    const nm_values *values;
    const float *scores;   /* [pool->n x outputs] if they are known already, else NULL */
    const nm_facts *facts; /* [pool->n] */
} nm_set_job;

typedef enum nm_set_order { NM_SET_AS_FOUND, NM_SET_ASCENDING, NM_SET_DESCENDING } nm_set_order;

/** Either keep and key (of single points), or run. */
typedef struct nm_set_kind {
    nm_heuristic info;

    /** Whether a point qualifies (NULL: all do), its score (NULL: its index), and how points are
     *  ordered by it: of equal scores the one that comes first in the file. */
    bool (*keep)(const nm_facts *point, const nm_values *values);
    double (*key)(const nm_facts *point, const nm_values *values);
    nm_set_order order;

    /** Fills out->indices, scores and n (room for all of the pool is there). */
    nm_status (*run)(const nm_set_job *job, nm_selection *out, nm_err *err);

    bool reads_scores; /* facts beyond index and label are needed */
} nm_set_kind;

/** Appends a point to a selection that has room. */
static inline void nm_selection_add(nm_selection *s, int64_t index, double score)
{
    s->indices[s->n] = index;
    s->scores[s->n++] = score;
}

/** Puts a selection in order of its scores; NAN goes last, equal scores as they stand. */
nm_status nm_selection_sort(nm_selection *s, nm_set_order order, nm_err *err);

/** Of more than `most` points keeps the first most * share (rounded down) and then the last ones.
 */
void nm_selection_keep_ends(nm_selection *s, int64_t most, double share);

/* -- shared parameters and their meaning ------------------------------------------------------ */

extern const char *const nm_set_of_words[];    /* all, misclassified */
extern const char *const nm_set_space_words[]; /* penultimate, input */
enum { NM_OF_ALL, NM_OF_MISCLASSIFIED };
enum { NM_SPACE_PENULTIMATE, NM_SPACE_INPUT };

#define NM_SET_PARAM_OF(preset)                                                                    \
    {                                                                                              \
        .name = "of", .kind = NM_PARAM_WORD, .words = nm_set_of_words, .initial = (preset),        \
        .help = "which points of the pool may be taken"                                            \
    }
#define NM_SET_PARAM_SPACE                                                                         \
    {                                                                                              \
        .name = "space", .kind = NM_PARAM_WORD, .words = nm_set_space_words,                       \
        .help = "where points are compared: what the last layer receives, or the input"            \
    }
#define NM_SET_PARAM_POOL(preset)                                                                  \
    {                                                                                              \
        .name = "pool", .kind = NM_PARAM_INT, .initial = (preset), .min = 2, .max = 20000,         \
        .help = "so many points at most are compared, evenly spaced"                               \
    }

/** Indices of the points that qualify for `of`, at most `most` of them, evenly spaced.
 *  @param out  for nm_free(), in the order of the file */
nm_status nm_set_candidates(const nm_set_job *job, bool misclassified, int64_t most, int64_t **out,
                            int64_t *n, nm_err *err);

/** Features of these points, [n x *width], in the space chosen; for nm_free(). */
nm_status nm_set_features(const nm_set_job *job, int space, const int64_t *points, int64_t n,
                          double **out, int64_t *width, nm_err *err);

/** Squared Euclidean distance, sums in order. */
double nm_set_distance2(const double *a, const double *b, int64_t width);

/** One entry a heuristic. NULL behind the last. */
const nm_set_kind *nm_set_kind_at(int i);

/** Facts of all points of the job's pool. @param with_scores  else index and label only */
nm_status nm_facts_of(const nm_set_job *job, bool with_scores, nm_facts *out, nm_err *err);

/* The heuristics. */
extern const nm_set_kind nm_set_all, nm_set_misclassified, nm_set_by_class, nm_set_full_dataset,
    nm_set_similarity, nm_set_confidence, nm_set_boundary, nm_set_clustering, nm_set_hard_negative,
    nm_set_progressive, nm_set_confident_wrong, nm_set_closest, nm_set_diverse, nm_set_random,
    nm_set_subset;
extern const nm_set_kind nm_set_published[]; /* [NM_N_SET_PUBLISHED] */
enum { NM_N_SET_PUBLISHED = 10 };

#endif
