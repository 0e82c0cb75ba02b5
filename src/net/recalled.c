/* Evaluating with what is recalled: points are put into groups by how far towards the wanted values
 * they are known, and each group goes on from there. */
#include <string.h>

#include "base/mem.h"
#include "net/recall.h"

/* Points evaluated at once: enough for the blocks of all threads, little enough to copy. */
enum { CHUNK = 2048 };

struct job {
    const nm_ctx *ctx;
    const nm_partial *asked;
    nm_recall *recall;
    int n_same;
    nm_print *prints; /* [asked->n] */
    int64_t *pending; /* [n_pending] points that wait */
    int64_t n_pending;
    int64_t *group; /* [n_group] points that go on from the same values */
    int64_t n_group;
    /* One way to the wanted values. */
    bool *ops;           /* [n_ops] what runs */
    bool *needed;        /* [n_values] */
    bool from_input;     /* it begins at the input */
    uint64_t from;       /* kept values it begins at, bits */
    uint64_t new;        /* kept values it comes by, bits */
    int limit;           /* operators in front of which kept values may be taken */
    const float **given; /* [n_values] */
    float **wanted;      /* [n_values] */
    float **room;        /* [n_values] of a chunk; NULL = not used */
};

static void close_job(struct job *j)
{
    for (int v = 0; j->room && v < j->asked->net->n_values; v++)
        nm_free(j->room[v]);
    nm_free(j->room);
    nm_free(j->prints);
    nm_free(j->pending);
    nm_free(j->group);
    nm_free(j->ops);
    nm_free(j->needed);
    nm_free(j->given);
    nm_free(j->wanted);
}

static nm_status open_job(struct job *j, nm_err *err)
{
    size_t n = (size_t)j->asked->n, n_values = (size_t)j->asked->net->n_values;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&j->prints, n, sizeof *j->prints, err));
    NM_TRY(nm_alloc(&j->pending, n, sizeof *j->pending, err));
    NM_TRY(nm_alloc(&j->group, n, sizeof *j->group, err));
    NM_TRY(nm_alloc(&j->ops, (size_t)j->asked->net->n_ops, sizeof *j->ops, err));
    NM_TRY(nm_alloc(&j->needed, n_values, sizeof *j->needed, err));
    NM_TRY(nm_alloc(&j->given, n_values, sizeof *j->given, err));
    NM_TRY(nm_alloc(&j->wanted, n_values, sizeof *j->wanted, err));
    NM_TRY(nm_alloc(&j->room, n_values, sizeof *j->room, err));
done:
    return rc;
}

static nm_status hash_block(void *user, int64_t first, int64_t n, nm_arena *arena)
{
    const struct job *j = user;
    const nm_net *net = j->asked->net;
    int64_t n_in = net->values[net->input].size;

    (void)arena;
    for (int64_t p = first; p < first + n; p++)
        j->prints[p] = nm_recall_print(j->recall, j->asked->given[net->input] + p * n_in);
    return NM_OK;
}

/* -- the way ----------------------------------------------------------------------------------- */

/* Bit of a value that is kept and made by an operator in front of `limit`; 0 if it is not. */
static uint64_t bit_of(const struct job *j, int value, int limit)
{
    const nm_recall *r = j->recall;

    for (int i = 0; i < r->n_kept; i++)
        if (r->kept[i] == value && j->asked->net->values[value].producer < limit)
            return (uint64_t)1 << i;
    return 0;
}

static void need(struct job *j, int value)
{
    uint64_t bit = bit_of(j, value, j->limit);

    if (j->asked->net->values[value].constant || j->needed[value])
        return;
    j->needed[value] = true;
    j->from |= bit;
    j->from_input = j->from_input || value == j->asked->net->input;
}

/* From the wanted values backwards to kept ones in front of j->limit, or the input. Operators are
   sorted: their readers have been looked at before them. */
static void look_back(struct job *j)
{
    const nm_net *net = j->asked->net;

    memset(j->needed, 0, (size_t)net->n_values * sizeof *j->needed);
    j->from_input = false;
    j->from = j->new = 0;
    for (int v = 0; v < net->n_values; v++)
        if (j->asked->wanted[v])
            need(j, v);
    for (int k = net->n_ops - 1; k >= 0; k--) {
        const nm_op *op = &net->ops[k];

        j->ops[k] = j->asked->op_mask[k] && j->needed[op->out] && !bit_of(j, op->out, j->limit);
        if (!j->ops[k])
            continue;
        j->new |= bit_of(j, op->out, j->n_same);
        for (int i = 0; i < op->n_in; i++)
            if (op->in[i] >= 0)
                need(j, op->in[i]);
    }
}

/* A way that begins at the input begins nowhere else: points that are new know nothing else. */
static void find_way(struct job *j)
{
    look_back(j);
    if (!j->from_input && j->from)
        return;
    j->limit = 0;
    look_back(j);
    j->from_input = true;
}

/* The last operator that made one of the values the way begins at. */
static int last_maker(const struct job *j)
{
    int last = 0;

    for (int i = 0; i < j->recall->n_kept; i++) {
        int producer = j->asked->net->values[j->recall->kept[i]].producer;

        if ((j->from >> i & 1) && producer > last)
            last = producer;
    }
    return last;
}

/* Takes the pending points that are known where the way begins. */
static void form_group(struct job *j)
{
    int64_t rest = 0;

    j->n_group = 0;
    for (int64_t i = 0; i < j->n_pending; i++) {
        int64_t p = j->pending[i], known = nm_recall_find(j->recall, j->prints[p]);

        if (j->from_input || (known >= 0 && (j->recall->have[known] & j->from) == j->from))
            j->group[j->n_group++] = p;
        else
            j->pending[rest++] = p;
    }
    j->n_pending = rest;
}

/* -- going it ---------------------------------------------------------------------------------- */

static size_t row_bytes(const struct job *j, int value)
{
    return (size_t)j->asked->net->values[value].size * sizeof(float);
}

/* Where value v is made or taken from, for a chunk. */
static nm_status make_room(struct job *j, int v, int64_t n, nm_err *err)
{
    return j->room[v] ? NM_OK : nm_alloc(&j->room[v], (size_t)n, row_bytes(j, v), err);
}

static nm_status set_ends(struct job *j, int64_t most, nm_err *err)
{
    const nm_net *net = j->asked->net;
    nm_status rc = NM_OK;

    for (int v = 0; v < net->n_values; v++) {
        bool begins = v == net->input ? j->from_input : (j->from & bit_of(j, v, j->limit)) != 0;
        bool ends = !begins && (j->asked->wanted[v] || (j->new &bit_of(j, v, j->n_same)));

        j->given[v] = NULL;
        j->wanted[v] = NULL;
        if ((!begins && !ends) || (!begins && !j->needed[v]))
            continue;
        NM_TRY(make_room(j, v, most, err));
        if (begins)
            j->given[v] = j->room[v];
        else
            j->wanted[v] = j->room[v];
    }
done:
    return rc;
}

static void take_known(const struct job *j, const int64_t *points, int64_t n)
{
    const nm_net *net = j->asked->net;
    size_t in_bytes = row_bytes(j, net->input);

    for (int64_t i = 0; i < n; i++) {
        int64_t known = nm_recall_find(j->recall, j->prints[points[i]]);

        if (j->from_input)
            memcpy((char *)j->room[net->input] + (size_t)i * in_bytes,
                   (const char *)j->asked->given[net->input] + (size_t)points[i] * in_bytes,
                   in_bytes);
        for (int k = 0; k < j->recall->n_kept; k++) {
            int v = j->recall->kept[k];

            if (j->from >> k & 1)
                memcpy((char *)j->room[v] + (size_t)i * row_bytes(j, v),
                       nm_recall_at(j->recall, known, k), row_bytes(j, v));
        }
    }
}

static void hand_over(const struct job *j, const int64_t *points, int64_t n)
{
    for (int v = 0; v < j->asked->net->n_values; v++)
        for (int64_t i = 0; j->asked->wanted[v] && i < n; i++)
            memcpy((char *)j->asked->wanted[v] + (size_t)points[i] * row_bytes(j, v),
                   (const char *)j->room[v] + (size_t)i * row_bytes(j, v), row_bytes(j, v));
}

static void keep_new(struct job *j, const int64_t *points, int64_t n)
{
    for (int64_t i = 0; j->new &&i < n; i++) {
        int64_t at = nm_recall_add(j->recall, j->prints[points[i]]);

        if (at < 0)
            return;
        for (int k = 0; k < j->recall->n_kept; k++) {
            int v = j->recall->kept[k];

            if (j->new >> k & 1)
                memcpy(nm_recall_at(j->recall, at, k),
                       (const char *)j->room[v] + (size_t)i * row_bytes(j, v), row_bytes(j, v));
        }
        j->recall->have[at] |= j->new;
    }
}

static nm_status run_group(struct job *j, nm_err *err)
{
    int64_t most = j->asked->n < CHUNK ? j->asked->n : CHUNK;
    nm_status rc = NM_OK;

    if (j->n_group == 0)
        return NM_OK;
    NM_TRY(set_ends(j, most, err));
    for (int64_t first = 0; first < j->n_group; first += CHUNK) {
        int64_t n = j->n_group - first < CHUNK ? j->n_group - first : CHUNK;
        nm_partial part = {.net = j->asked->net,
                           .op_mask = j->ops,
                           .n = n,
                           .given = j->given,
                           .wanted = j->wanted};

        take_known(j, j->group + first, n);
        NM_TRY(nm_partial_run_plain(j->ctx, &part, err));
        hand_over(j, j->group + first, n);
        keep_new(j, j->group + first, n);
    }
done:
    return rc;
}

nm_status nm_recall_run(const nm_ctx *ctx, const nm_partial *partial, nm_recall *r, int n_same,
                        nm_err *err)
{
    struct job j = {.ctx = ctx, .asked = partial, .recall = r, .n_same = n_same, .limit = n_same};
    nm_status rc = NM_OK;

    NM_TRY(open_job(&j, err));
    NM_TRY(nm_blocks_run(ctx, partial->n, nm_pass_block(partial->net), hash_block, &j, err));
    for (int64_t p = 0; p < partial->n; p++)
        j.pending[j.n_pending++] = p;
    while (j.n_pending > 0) {
        find_way(&j);
        form_group(&j);
        NM_TRY(run_group(&j, err));
        j.limit = last_maker(&j);
    }
done:
    close_job(&j);
    return rc;
}
