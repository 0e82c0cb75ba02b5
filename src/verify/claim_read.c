/* Claim files into memory. Nothing in a file is trusted: every key has a type and a range, and all
   counts are those of the lists that are there. What indices refer to is checked by the checker,
   which knows the networks and the data. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "verify/claim.h"
#include "verify/json.h"

enum { MAX_FILES = 64, MAX_STATEMENTS = 4096, MAX_CHANNELS = 1 << 16 };

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

/* The list under a key, and room for its entries. */
static nm_status open_list(const json_t *o, const char *key, int64_t most, size_t size, void *out,
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
    nm_status rc =
        open_list(root, "files", MAX_FILES, sizeof *c->files, &c->files, &c->n_files, &list, err);

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
    const json_t *list = json_object_get(o, "rows");
    nm_status rc;

    if (json_is_null(list))
        return NM_OK;
    rc = nm_json_array(o, "rows", &list, err);
    if (rc == NM_OK)
        rc = nm_json_ints(list, "rows", 1, &s->rows, &s->n_rows, err);
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
    NM_TRY(nm_json_array(o, "free", &list, err));
    NM_TRY(nm_json_ints(list, "free", 2, &t->runs, &t->n_runs, err));
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
    NM_TRY(open_list(o, "tensors", 1 << 20, sizeof *c->tensors, &c->tensors, &c->n_tensors, &list,
                     err));
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

/* -- proofs ------------------------------------------------------------------------------ */

/* One entry [class, y], or of pins [operator, number, y]. */
static nm_status read_proof_row(const json_t *entry, bool pin, nm_claim_row *out, nm_err *err)
{
    const json_t *y = json_array_get(entry, pin ? 2 : 1), *op = json_array_get(entry, 0),
                 *k = json_array_get(entry, pin ? 1 : 0);

    if (json_array_size(entry) != (pin ? 3 : 2) || !json_is_integer(k) || !json_is_number(y) ||
        (pin && !json_is_integer(op)))
        return nm_fail(err, NM_E_FORMAT, "'%s' has an entry that is not %s",
                       pin ? "pins" : "labels",
                       pin ? "[operator, number, multiplier]" : "[class, multiplier]");
    if (pin && (json_integer_value(op) < 0 || json_integer_value(op) > INT_MAX))
        return nm_fail(err, NM_E_FORMAT, "'pins' names operator %lld",
                       (long long)json_integer_value(op));
    *out = (nm_claim_row){.op = pin ? (int)json_integer_value(op) : -1,
                          .k = (int64_t)json_integer_value(k),
                          .y = json_number_value(y)};
    if (!(out->y >= 0 && out->y < INFINITY))
        return nm_fail(err, NM_E_FORMAT, "a multiplier is %g, expected a number >= 0", out->y);
    return NM_OK;
}

static nm_status read_proof_rows(const json_t *list, bool pins, nm_claim_proof *p, nm_err *err)
{
    size_t n = json_array_size(list);
    nm_status rc = nm_realloc(&p->rows, (size_t)p->n_rows + n, sizeof *p->rows, err);

    for (size_t i = 0; rc == NM_OK && i < n; i++) {
        rc = read_proof_row(json_array_get(list, i), pins, &p->rows[p->n_rows], err);
        p->n_rows += rc == NM_OK;
    }
    return rc;
}

static nm_status read_proof_point(const json_t *o, nm_claim_proof *p, nm_claim_point *out,
                                  nm_err *err)
{
    const json_t *labels, *pins;
    int set;
    nm_status rc = NM_OK;

    NM_TRY(nm_json_word(o, "set", nm_claim_sets, &set, err));
    out->set = (nm_claim_set_id)set;
    NM_TRY(nm_json_int(o, "point", 0, INT64_MAX, &out->point, err));
    NM_TRY(nm_json_number(o, "margin", NAN, &out->margin, err));
    NM_TRY(nm_json_array(o, "labels", &labels, err));
    NM_TRY(nm_json_array(o, "pins", &pins, err));
    out->first = p->n_rows;
    NM_TRY(read_proof_rows(labels, false, p, err));
    NM_TRY(read_proof_rows(pins, true, p, err));
    out->n = p->n_rows - out->first;
done:
    return rc;
}

static nm_status read_proof(const json_t *o, nm_claim_proof *p, nm_err *err)
{
    const json_t *list;
    int pieces, n = 0;
    nm_status rc = NM_OK;

    NM_TRY(nm_json_word(o, "pieces", nm_claim_pieces_words, &pieces, err));
    p->pieces = (nm_claim_pieces)pieces;
    NM_TRY(open_list(o, "points", INT_MAX, sizeof *p->points, &p->points, &n, &list, err));
    p->n_points = n;
    for (int64_t i = 0; i < n; i++) {
        const json_t *point = json_array_get(list, (size_t)i);

        rc = read_proof_point(point, p, &p->points[i], err);
        if (rc != NM_OK) {
            nm_err_prefix(err, "point %lld: ", (long long)i);
            goto done;
        }
    }
done:
    return rc;
}

/* -- statements -------------------------------------------------------------------------- */

static nm_status read_nothing(const json_t *o, nm_claim_statement *s, nm_err *err)
{
    (void)o;
    (void)s;
    (void)err;
    return NM_OK;
}

static nm_status read_architecture(const json_t *o, nm_claim_statement *s, nm_err *err)
{
    nm_status rc = NM_OK;

    NM_TRY(nm_json_bool(o, "same_bytes", &s->same_bytes, err));
    NM_TRY(nm_json_int(o, "n_changed", 0, INT64_MAX, &s->n_changed, err));
    NM_TRY(nm_json_number(o, "linf", NAN, &s->linf, err));
    NM_TRY(nm_json_number(o, "l1", NAN, &s->l1, err));
    NM_TRY(nm_json_number(o, "l2", NAN, &s->l2, err));
done:
    return rc;
}

static nm_status read_points(const json_t *o, nm_claim_statement *s, nm_err *err)
{
    const json_t *list = json_object_get(o, "points");
    nm_status rc;

    if (json_is_null(list))
        return NM_OK;
    rc = nm_json_array(o, "points", &list, err);
    return rc == NM_OK ? nm_json_ints(list, "points", 1, &s->points, &s->n_points, err) : rc;
}

static nm_status read_repair_set(const json_t *o, nm_claim_statement *s, nm_err *err)
{
    nm_status rc = NM_OK;
    int safe;

    NM_TRY(read_points(o, s, err));
    NM_TRY(nm_json_number(o, "margin", NAN, &s->margin, err));
    NM_TRY(nm_json_word(o, "safe", nm_claim_safes, &safe, err));
    s->safe = (nm_safe)safe;
    NM_TRY(nm_json_int(o, "n_any_order", 0, INT64_MAX, &s->n_any_order, err));
    NM_TRY(nm_json_int(o, "n_first_order", 0, INT64_MAX, &s->n_first_order, err));
    NM_TRY(nm_json_int(o, "n_probable", 0, INT64_MAX, &s->n_probable, err));
done:
    return rc;
}

static nm_status read_keep_set(const json_t *o, nm_claim_statement *s, nm_err *err)
{
    nm_status rc = nm_json_int(o, "n_right", 0, INT64_MAX, &s->n_right, err);

    return rc == NM_OK ? nm_json_int(o, "n_kept", 0, s->n_right, &s->n_kept, err) : rc;
}

static nm_status read_optimality(const json_t *o, nm_claim_statement *s, nm_err *err)
{
    nm_status rc = NM_OK;
    int norm;

    NM_TRY(nm_json_word(o, "norm", nm_claim_norms, &norm, err));
    s->norm = (nm_norm)norm;
    NM_TRY(nm_json_number(o, "mean_over", NAN, &s->mean_over, err));
    if (s->mean_over < 1)
        NM_THROW(err, NM_E_FORMAT, "'mean_over' is %g, expected at least 1", s->mean_over);
    NM_TRY(nm_json_number(o, "objective", NAN, &s->objective, err));
    NM_TRY(nm_json_number(o, "lower_bound", NAN, &s->lower_bound, err));
    NM_TRY(nm_json_number(o, "gap", NAN, &s->gap, err));
    NM_TRY(read_proof(o, &s->proof, err));
done:
    return rc;
}

static nm_status read_infeasible(const json_t *o, nm_claim_statement *s, nm_err *err)
{
    nm_status rc = nm_json_number(o, "box", NAN, &s->box, err);

    if (rc == NM_OK && s->box <= 0)
        rc = nm_fail(err, NM_E_FORMAT, "'box' is %g, expected a number above 0", s->box);
    return rc == NM_OK ? read_proof(o, &s->proof, err) : rc;
}

static nm_status read_twins(const json_t *o, nm_claim_statement *s, nm_err *err)
{
    const json_t *list;
    int64_t *pair = NULL, n = 0;
    nm_status rc = NM_OK;

    NM_TRY(nm_json_array(o, "points", &list, err));
    NM_TRY(nm_json_ints(list, "points", 1, &pair, &n, err));
    if (n != 2)
        NM_THROW(err, NM_E_FORMAT, "'points' has %lld entries, expected 2", (long long)n);
    memcpy(s->twins, pair, sizeof s->twins);
done:
    nm_free(pair);
    return rc;
}

static nm_status read_step(const json_t *entry, nm_region_proof *p, nm_proof_step *out, nm_err *err)
{
    const json_t *kind = json_array_get(entry, 0), *dim = json_array_get(entry, 1);
    const json_t *at = json_array_get(entry, 2), *n = json_array_get(entry, 3);

    if (json_array_size(entry) != 4 || !json_is_integer(kind) || !json_is_integer(dim) ||
        !json_is_number(at) || !json_is_integer(n))
        return nm_fail(err, NM_E_FORMAT, "a step is no list of kind, input, place and count");
    out->dim = (int64_t)json_integer_value(dim);
    out->at = json_number_value(at);
    out->n = (int64_t)json_integer_value(n);
    if (json_integer_value(kind) < NM_PROOF_CLOSED || json_integer_value(kind) > NM_PROOF_SPLIT)
        return nm_fail(err, NM_E_FORMAT, "a step is of kind %lld, expected 0 to 2",
                       (long long)json_integer_value(kind));
    out->kind = (nm_proof_step_kind)json_integer_value(kind);
    out->first = p->n_steps > 0 ? out[-1].first + out[-1].n : 0;
    if (out->n < 0 || out->n > p->n_numbers - out->first)
        return nm_fail(err, NM_E_FORMAT, "a step has %lld numbers, and %lld are left",
                       (long long)out->n, (long long)(p->n_numbers - out->first));
    p->n_steps++;
    return NM_OK;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static nm_status read_bytes(const json_t *o, nm_region_proof *out, nm_err *err)
{
    const char *text;
    nm_status rc = nm_json_text(o, "bytes", &text, err);
    size_t n = rc == NM_OK ? strlen(text) : 0;

    if (rc == NM_OK && n % 2 != 0)
        rc = nm_fail(err, NM_E_FORMAT, "'bytes' has an odd number of digits");
    if (rc == NM_OK)
        rc = nm_alloc(&out->bytes, n / 2, 1, err);
    for (size_t i = 0; rc == NM_OK && i < n / 2; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

        if (high < 0 || low < 0)
            rc = nm_fail(err, NM_E_FORMAT, "'bytes' has more than hexadecimal digits");
        out->bytes[i] = (unsigned char)(16 * (high & 15) + (low & 15));
    }
    out->n_bytes = rc == NM_OK ? (int64_t)(n / 2) : 0;
    return rc;
}

static nm_status read_streams(const json_t *o, nm_region_proof *out, nm_err *err)
{
    const json_t *list;
    double *floats = NULL;
    int64_t *ints = NULL, n;
    nm_status rc = NM_OK;

    NM_TRY(nm_json_array(o, "ints", &list, err));
    NM_TRY(nm_json_ints(list, "ints", 1, &ints, &n, err));
    NM_TRY(nm_alloc(&out->ints, (size_t)n, sizeof *out->ints, err));
    for (int64_t i = 0; i < n; i++) {
        if (ints[i] < -2 || ints[i] > INT32_MAX)
            NM_THROW(err, NM_E_FORMAT, "'ints' has the entry %lld", (long long)ints[i]);
        out->ints[i] = (int32_t)ints[i];
    }
    out->n_ints = n;
    NM_TRY(nm_json_numbers(o, "floats", &floats, &n, err));
    NM_TRY(nm_alloc(&out->floats, (size_t)n, sizeof *out->floats, err));
    for (int64_t i = 0; i < n; i++)
        out->floats[i] = (float)floats[i];
    out->n_floats = n;
    NM_TRY(read_bytes(o, out, err));
done:
    nm_free(ints);
    nm_free(floats);
    return rc;
}

static nm_status read_region(const json_t *o, nm_region_proof *out, nm_err *err)
{
    const json_t *list;
    int n;
    nm_status rc = NM_OK;

    NM_TRY(nm_json_numbers(o, "numbers", &out->numbers, &out->n_numbers, err));
    NM_TRY(open_list(o, "steps", INT_MAX, sizeof *out->steps, &out->steps, &n, &list, err));
    for (int i = 0; i < n; i++)
        NM_TRY(read_step(json_array_get(list, (size_t)i), out, &out->steps[i], err));
    if (json_object_get(o, "ints"))
        NM_TRY(read_streams(o, out, err));
done:
    return rc;
}

static nm_status read_holds(const json_t *o, nm_claim_statement *s, nm_err *err)
{
    const json_t *list;
    int n = 0;
    nm_status rc = open_list(o, "boxes", INT_MAX, sizeof *s->regions, &s->regions, &n, &list, err);

    s->n_regions = n;
    for (int i = 0; rc == NM_OK && i < n; i++) {
        rc = read_region(json_array_get(list, (size_t)i), &s->regions[i], err);
        if (rc != NM_OK)
            nm_err_prefix(err, "box %d: ", i);
    }
    return rc;
}

static nm_status read_violated(const json_t *o, nm_claim_statement *s, nm_err *err)
{
    return nm_json_numbers(o, "x", &s->x, &s->n_x, err);
}

static nm_status read_statement(const json_t *o, nm_claim_statement *s, nm_err *err)
{
    static nm_status (*const readers[NM_N_CLAIMS])(const json_t *, nm_claim_statement *,
                                                   nm_err *) = {
        [NM_CLAIM_FILES] = read_nothing,         [NM_CLAIM_ARCHITECTURE] = read_architecture,
        [NM_CLAIM_REPAIR_SET] = read_repair_set, [NM_CLAIM_KEEP_SET] = read_keep_set,
        [NM_CLAIM_OPTIMALITY] = read_optimality, [NM_CLAIM_INFEASIBLE] = read_infeasible,
        [NM_CLAIM_TWINS] = read_twins,           [NM_CLAIM_HOLDS] = read_holds,
        [NM_CLAIM_VIOLATED] = read_violated,
    };
    int what;
    nm_status rc = nm_json_word(o, "what", nm_claim_whats, &what, err);

    if (rc != NM_OK)
        return rc;
    s->what = (nm_claim_what)what;
    rc = readers[what](o, s, err);
    if (rc != NM_OK)
        nm_err_prefix(err, "'%s': ", nm_claim_whats[what]);
    return rc;
}

static nm_status read_statements(const json_t *root, nm_claim *c, nm_err *err)
{
    const json_t *list;
    nm_status rc = open_list(root, "statements", MAX_STATEMENTS, sizeof *c->statements,
                             &c->statements, &c->n_statements, &list, err);

    for (int i = 0; rc == NM_OK && i < c->n_statements; i++) {
        rc = read_statement(json_array_get(list, (size_t)i), &c->statements[i], err);
        if (rc != NM_OK)
            nm_err_prefix(err, "statement %d: ", i);
    }
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
    NM_TRY(read_statements(root, out, err));
    NM_TRY(check_intact(root, out, err));
done:
    json_decref(root);
    return rc;
}
