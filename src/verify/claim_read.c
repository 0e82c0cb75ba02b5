/* Claim files into memory. Nothing in a file is trusted: every key has a type and a range, and all
   counts are those of the lists that are there. What indices refer to is checked by the checker,
   which knows the networks and the data. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "verify/claim_statements.h"
#include "verify/json.h"

enum { MAX_FILES = 64, MAX_CHANNELS = 1 << 16 };

/* -- files ------------------------------------------------------------------------------- */

static nm_status read_hash(const json_t *o, char *hex, nm_err *err)
{
    const char *text;
    nm_status rc = nm_json_text(o, "sha256", &text, err);

    if (rc != NM_OK)
        return rc;
    if (strlen(text) != NM_SHA256_TEXT - 1 ||
        strspn(text, "0123456789abcdef") != NM_SHA256_TEXT - 1)
        return nm_fail(err, NM_E_FORMAT, "'sha256' is no SHA-256, expected 64 hexadecimal digits");
    memcpy(hex, text, NM_SHA256_TEXT);
    return NM_OK;
}

static nm_status read_file(const json_t *o, nm_claim_file *out, nm_err *err)
{
    const char *text;
    nm_status rc = NM_OK;

    NM_TRY(nm_json_text(o, "name", &text, err));
    NM_TRY(nm_strdup(&out->name, text, err));
    NM_TRY(nm_json_text(o, "file", &text, err));
    NM_TRY(nm_strdup(&out->path, text, err));
    NM_TRY(nm_json_int(o, "bytes", 0, INT64_MAX, &out->n_bytes, err));
    NM_TRY(read_hash(o, out->sha256, err));
done:
    return rc;
}

nm_status nm_claim_open_list(const json_t *o, const char *key, int64_t most, size_t size, void *out,
                             int *n, const json_t **list, nm_err *err)
{
    nm_status rc = nm_json_array(o, key, list, err);

    if (rc != NM_OK)
        return rc;
    if ((int64_t)json_array_size(*list) > most)
        return nm_fail(err, NM_E_FORMAT, "'%s' has %zu entries, expected at most %lld", key,
                       json_array_size(*list), (long long)most);
    rc = nm_alloc(out, json_array_size(*list), size, err);
    if (rc == NM_OK)
        *n = (int)json_array_size(*list);
    return rc;
}

static nm_status read_files(const json_t *root, nm_claim *c, nm_err *err)
{
    const json_t *list;
    nm_status rc = nm_claim_open_list(root, "files", MAX_FILES, sizeof *c->files, &c->files,
                                      &c->n_files, &list, err);

    for (int i = 0; rc == NM_OK && i < c->n_files; i++) {
        rc = read_file(json_array_get(list, (size_t)i), &c->files[i], err);
        if (rc != NM_OK)
            nm_err_prefix(err, "file %d: ", i);
    }
    return rc;
}

/* -- sets -------------------------------------------------------------------------------- */

/* The name of a file that the claim lists. */
static nm_status read_file_name(const json_t *o, const char *key, const nm_claim *c, char **out,
                                nm_err *err)
{
    const char *text;
    nm_status rc = NM_OK;

    if (json_is_null(json_object_get(o, key)))
        return NM_OK;
    rc = nm_json_text(o, key, &text, err);
    if (rc == NM_OK && !nm_claim_find_file(c, text))
        rc = nm_fail(err, NM_E_FORMAT, "'%s' is '%.40s', which is not among the files", key, text);
    return rc == NM_OK ? nm_strdup(out, text, err) : rc;
}

static nm_status read_channels(const json_t *o, nm_claim_set *s, nm_err *err)
{
    nm_status rc = NM_OK;
    int64_t n_mean, n_std;

    NM_TRY(nm_json_numbers(o, "mean", &s->mean, &n_mean, err));
    NM_TRY(nm_json_numbers(o, "std", &s->std, &n_std, err));
    if (n_mean != n_std || n_mean > MAX_CHANNELS)
        NM_THROW(err, NM_E_FORMAT, "'mean' has %lld entries and 'std' %lld, expected as many",
                 (long long)n_mean, (long long)n_std);
    s->opts.n_channels = (int)n_mean;
    s->opts.mean = n_mean > 0 ? s->mean : NULL;
    s->opts.std = n_std > 0 ? s->std : NULL;
done:
    return rc;
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* In any order (heuristics have theirs), but each row once: counts are of points. */
static nm_status check_rows(const nm_claim_set *s, nm_err *err)
{
    int64_t *sorted = NULL;
    nm_status rc = nm_memdup(&sorted, s->rows, (size_t)s->n_rows, sizeof *sorted, err);

    if (rc != NM_OK)
        return rc;
    qsort(sorted, (size_t)s->n_rows, sizeof *sorted, by_number);
    for (int64_t i = 0; rc == NM_OK && i < s->n_rows; i++)
        if (sorted[i] < 0 || (i > 0 && sorted[i] == sorted[i - 1]))
            rc = nm_fail(err, NM_E_FORMAT, "'rows' has a negative number, or one twice");
    nm_free(sorted);
    return rc;
}

static nm_status read_rows(const json_t *o, nm_claim_set *s, nm_err *err)
{
    nm_status rc;

    if (json_is_null(json_object_get(o, "rows")))
        return NM_OK;
    rc = nm_json_ints(o, "rows", 1, &s->rows, &s->n_rows, err);
    return rc == NM_OK ? check_rows(s, err) : rc;
}

static nm_status read_set(const json_t *o, const nm_claim *c, nm_claim_set *s, nm_err *err)
{
    nm_status rc = NM_OK;
    int64_t column = NM_LABEL_NONE;

    s->opts = (nm_data_opts)NM_DATA_OPTS_INIT;
    NM_TRY(read_file_name(o, "points", c, &s->points, err));
    if (!s->points)
        NM_THROW(err, NM_E_FORMAT, "'points' names no file");
    NM_TRY(read_file_name(o, "labels", c, &s->labels, err));
    NM_TRY(nm_json_int(o, "first", 0, INT64_MAX, &s->opts.first, err));
    NM_TRY(nm_json_int(o, "last", -1, INT64_MAX, &s->opts.last, err));
    NM_TRY(nm_json_number(o, "scale", NAN, &s->opts.scale, err));
    NM_TRY(read_channels(o, s, err));
    if (!json_is_null(json_object_get(o, "label_column")))
        NM_TRY(nm_json_int(o, "label_column", -INT_MAX, INT_MAX, &column, err));
    s->opts.label_column = (int)column;
    NM_TRY(nm_json_int(o, "wanted", -1, INT_MAX, &s->wanted, err));
    NM_TRY(read_rows(o, s, err));
done:
    return rc;
}

static nm_status read_sets(const json_t *root, nm_claim *c, nm_err *err)
{
    const json_t *sets, *set;
    nm_status rc = nm_json_object(root, "sets", &sets, err);

    for (int i = 0; rc == NM_OK && i < NM_N_SETS; i++) {
        if (!json_object_get(sets, nm_claim_sets[i]))
            continue;
        rc = nm_json_object(sets, nm_claim_sets[i], &set, err);
        if (rc == NM_OK)
            rc = read_set(set, c, &c->sets[i], err);
        if (rc != NM_OK)
            nm_err_prefix(err, "set '%s': ", nm_claim_sets[i]);
    }
    return rc;
}

/* -- what may change --------------------------------------------------------------------- */

static nm_status read_tensor(const json_t *o, nm_claim_tensor *t, nm_err *err)
{
    static const char *const tensors[] = {"weights", "biases", NULL};
    const json_t *list = json_object_get(o, "free");
    int64_t layer, end = 0;
    int word = 0;
    nm_status rc = NM_OK;

    NM_TRY(nm_json_int(o, "layer", 0, INT_MAX, &layer, err));
    NM_TRY(nm_json_word(o, "tensor", tensors, &word, err));
    t->layer = (int)layer;
    t->bias = word == 1;
    if (json_is_null(list))
        return NM_OK;
    NM_TRY(nm_json_ints(o, "free", 2, &t->runs, &t->n_runs, err));
    for (int64_t i = 0; i < t->n_runs; i++) {
        const int64_t *run = t->runs + 2 * i;

        if (run[0] < end || run[1] < 1 || run[1] > INT64_MAX / 4 || run[0] > INT64_MAX / 4)
            NM_THROW(err, NM_E_FORMAT, "'free' is no list of ascending runs [first, count]");
        end = run[0] + run[1];
    }
done:
    return rc;
}

static nm_status read_edit(const json_t *root, nm_claim *c, nm_err *err)
{
    const json_t *o, *list;
    nm_status rc = NM_OK;

    NM_TRY(nm_json_object(root, "edit", &o, err));
    NM_TRY(nm_json_number(o, "lo", -INFINITY, &c->lo, err));
    NM_TRY(nm_json_number(o, "hi", INFINITY, &c->hi, err));
    if (!(c->lo <= 0 && c->hi >= 0))
        NM_THROW(err, NM_E_FORMAT, "bounds %g to %g, expected that they hold 0", c->lo, c->hi);
    NM_TRY(nm_claim_open_list(o, "tensors", 1 << 20, sizeof *c->tensors, &c->tensors, &c->n_tensors,
                              &list, err));
    for (int i = 0; i < c->n_tensors; i++) {
        NM_TRY(read_tensor(json_array_get(list, (size_t)i), &c->tensors[i], err));
        if (i > 0 && (c->tensors[i].layer < c->tensors[i - 1].layer ||
                      (c->tensors[i].layer == c->tensors[i - 1].layer &&
                       c->tensors[i].bias <= c->tensors[i - 1].bias)))
            NM_THROW(err, NM_E_FORMAT, "'tensors' is not in the order of the layers");
    }
done:
    if (rc != NM_OK)
        nm_err_prefix(err, "edit: ");
    return rc;
}

/* -- the whole --------------------------------------------------------------------------- */

static nm_status check_format(const json_t *root, nm_err *err)
{
    const char *text = json_string_value(json_object_get(root, "format"));

    if (text && strcmp(text, NM_CLAIM_FORMAT) == 0)
        return NM_OK;
    return nm_fail(err, NM_E_FORMAT, "'format' is %s%.40s%s, expected '%s'", text ? "'" : "",
                   text ? text : "missing", text ? "'" : "", NM_CLAIM_FORMAT);
}

/* A hash over everything else in the file, so that edits are noticed. */
static nm_status check_intact(json_t *root, nm_claim *c, nm_err *err)
{
    char carried[NM_SHA256_TEXT], found[NM_SHA256_TEXT];
    nm_status rc = read_hash(root, carried, err);

    if (rc != NM_OK)
        return rc;
    (void)json_object_del(root, "sha256");
    rc = nm_json_hash(root, found, err);
    c->is_intact = rc == NM_OK && memcmp(carried, found, NM_SHA256_TEXT) == 0;
    return rc;
}

nm_status nm_claim_parse(const char *text, size_t n_bytes, nm_claim *out, nm_err *err)
{
    nm_status rc = NM_OK;
    json_error_t where;
    json_t *root = json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES, &where);

    memset(out, 0, sizeof *out);
    if (!root)
        return nm_fail(err, NM_E_FORMAT, "line %d, column %d: %s", where.line, where.column,
                       where.text);
    if (!json_is_object(root))
        NM_THROW(err, NM_E_FORMAT, "is no JSON object, expected a claim");
    NM_TRY(check_format(root, err));
    NM_TRY(read_files(root, out, err));
    NM_TRY(read_sets(root, out, err));
    NM_TRY(read_edit(root, out, err));
    NM_TRY(nm_claim_read_statements(root, out, err));
    NM_TRY(check_intact(root, out, err));
done:
    json_decref(root);
    return rc;
}
