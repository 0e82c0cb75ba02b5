/* What a claim states, and its proofs, into memory. As in claim_read.c nothing is trusted. */
#include "verify/claim_statements.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "verify/json.h"

enum { MAX_STATEMENTS = 4096 };

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
    NM_TRY(nm_claim_open_list(o, "points", INT_MAX, sizeof *p->points, &p->points, &n, &list, err));
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
    if (json_is_null(json_object_get(o, "points")))
        return NM_OK;
    return nm_json_ints(o, "points", 1, &s->points, &s->n_points, err);
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
    int64_t *pair = NULL, n = 0;
    nm_status rc = NM_OK;

    NM_TRY(nm_json_ints(o, "points", 1, &pair, &n, err));
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
    double *floats = NULL;
    int64_t *ints = NULL, n;
    nm_status rc = NM_OK;

    NM_TRY(nm_json_ints(o, "ints", 1, &ints, &n, err));
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
    NM_TRY(
        nm_claim_open_list(o, "steps", INT_MAX, sizeof *out->steps, &out->steps, &n, &list, err));
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
    nm_status rc =
        nm_claim_open_list(o, "boxes", INT_MAX, sizeof *s->regions, &s->regions, &n, &list, err);

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

nm_status nm_claim_read_statements(const json_t *root, nm_claim *c, nm_err *err)
{
    const json_t *list;
    nm_status rc = nm_claim_open_list(root, "statements", MAX_STATEMENTS, sizeof *c->statements,
                                      &c->statements, &c->n_statements, &list, err);

    for (int i = 0; rc == NM_OK && i < c->n_statements; i++) {
        rc = read_statement(json_array_get(list, (size_t)i), &c->statements[i], err);
        if (rc != NM_OK)
            nm_err_prefix(err, "statement %d: ", i);
    }
    return rc;
}
