/* Conditions on the outputs at given points, as JSON:
 *
 *     {"schema": "netmend-spec/1",
 *      "constraints": [
 *        {"points": [0, 3],                       rows of the points; left out: all
 *         "any": [                                at least one of these pieces ...
 *           {"all": [                             ... with all of these rows
 *             {"coef": {"0": 1, "2": -1}, "max": -0.001},
 *             {"coef": [0, 1, 0, 0, -1], "min": 0.5}]}]},
 *        {"all": [...]}]}                         one piece
 *
 * A property says what must not happen. That not all rows of any piece hold is, by distribution,
 * that for some choice of a row in each piece all chosen rows are broken: one case for each choice.
 * Every point is a box of its own, points with the same constraints share their cases. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/ctx.h"
#include "base/file.h"
#include "base/mem.h"
#include "netmend/property_repair.h"
#include "spec/property.h"

enum {
    MOST_BYTES = 1 << 26,
    MOST_CASES = 4096,    /* of one constraint */
    MOST_TERMS = 1 << 22, /* rows of all cases together, and sides of all boxes */
};

typedef struct terms {
    int32_t n, *output;
    double *coef;
} terms;

typedef struct piece {
    int64_t first, n; /* rows */
} piece;

typedef struct constraint {
    bool *at; /* [n_points] NULL: at all */
    piece *pieces;
    size_t n_pieces;
    int64_t n_cases, n_case_rows; /* one choice of a row from each piece */
} constraint;

typedef struct reader {
    const nm_points *points;
    int64_t n_out;
    nm_property *p;
    nm_out_row *rows; /* broken rows: what is unsafe */
    int64_t n_rows, room;
    constraint *list;
    size_t n;
    nm_err *err;
} reader;

/* -- rows ----------------------------------------------------------------------------------------
 */

static nm_status one_term(reader *r, size_t where, int64_t output, const json_t *value, double sign,
                          terms *t)
{
    double c = json_number_value(value);

    if (output < 0 || output >= r->n_out)
        return nm_fail(r->err, NM_E_FORMAT,
                       "constraint %zu: output %lld, the network has %lld (0 to %lld)", where,
                       (long long)output, (long long)r->n_out, (long long)r->n_out - 1);
    if (!json_is_number(value) || !isfinite(c))
        return nm_fail(r->err, NM_E_FORMAT,
                       "constraint %zu: the coefficient of output %lld is no number", where,
                       (long long)output);
    if (c != 0) {
        t->output[t->n] = (int32_t)output;
        t->coef[t->n++] = sign * c;
    }
    return NM_OK;
}

/* The index of an output as text; -1 if it is none. */
static int64_t output_of(const char *key)
{
    int64_t value = 0;

    if (!*key || strlen(key) > 9 || strspn(key, "0123456789") != strlen(key))
        return -1;
    for (; *key; key++)
        value = 10 * value + (*key - '0');
    return value;
}

static nm_status read_terms(reader *r, size_t where, json_t *coef, double sign, terms *t)
{
    const char *key;
    json_t *value;
    size_t i;
    nm_status rc = NM_OK;

    if (json_is_array(coef)) {
        if ((int64_t)json_array_size(coef) != r->n_out)
            return nm_fail(r->err, NM_E_FORMAT,
                           "constraint %zu: a list of %zu coefficients, expected one for each of "
                           "the %lld outputs",
                           where, json_array_size(coef), (long long)r->n_out);
        json_array_foreach(coef, i, value) if (rc == NM_OK) rc =
            one_term(r, where, (int64_t)i, value, sign, t);
    } else if (json_is_object(coef)) {
        json_object_foreach(coef, key, value) if (rc == NM_OK) rc =
            one_term(r, where, output_of(key), value, sign, t);
    } else {
        return nm_fail(r->err, NM_E_FORMAT,
                       "constraint %zu: a row without \"coef\", expected an object {\"output\": "
                       "number} or a list of numbers",
                       where);
    }
    return rc;
}

/* Outputs ascending, as rows have them. */
static void sort_terms(terms *t)
{
    for (int32_t i = 1; i < t->n; i++) {
        int32_t o = t->output[i], k = i;
        double c = t->coef[i];

        for (; k > 0 && t->output[k - 1] > o; k--) {
            t->output[k] = t->output[k - 1];
            t->coef[k] = t->coef[k - 1];
        }
        t->output[k] = o;
        t->coef[k] = c;
    }
}

/* "coef . y <= max" is broken by coef . y >= max: -coef . y <= -max. */
static nm_status read_row(reader *r, size_t where, json_t *from)
{
    json_t *max = json_object_get(from, "max"), *min = json_object_get(from, "min");
    json_t *limit = max ? max : min;
    double sign = max ? -1 : 1, at_most;
    terms t = {0};
    nm_status rc = NM_OK;

    if (!json_is_number(limit) || (max && min) || !isfinite(json_number_value(limit)))
        return nm_fail(r->err, NM_E_FORMAT,
                       "constraint %zu: a row needs a number \"max\" or \"min\", one of them",
                       where);
    t.output = nm_arena_take(&r->p->arena, (size_t)r->n_out, sizeof *t.output);
    t.coef = nm_arena_take(&r->p->arena, (size_t)r->n_out, sizeof *t.coef);
    if (!t.output || !t.coef)
        return nm_fail(r->err, NM_E_NOMEM, "out of memory");
    NM_TRY(read_terms(r, where, json_object_get(from, "coef"), sign, &t));
    if (t.n == 0)
        return nm_fail(r->err, NM_E_FORMAT, "constraint %zu: a row without outputs", where);
    sort_terms(&t);
    at_most = sign * json_number_value(limit);
    if (r->n_rows == r->room) {
        r->room = 2 * r->room + 64;
        NM_TRY(nm_realloc(&r->rows, (size_t)r->room, sizeof *r->rows, r->err));
    }
    r->rows[r->n_rows++] = (nm_out_row){.n_terms = t.n,
                                        .output = t.output,
                                        .coef = t.coef,
                                        .limit_out = at_most,
                                        .limit_in = at_most};
done:
    return rc;
}

static nm_status read_piece(reader *r, size_t where, json_t *rows, piece *out)
{
    json_t *row;
    size_t i;

    *out = (piece){.first = r->n_rows};
    if (!json_is_array(rows))
        return nm_fail(r->err, NM_E_FORMAT, "constraint %zu: \"all\" is no list of rows", where);
    json_array_foreach(rows, i, row)
    {
        nm_status rc = read_row(r, where, row);

        if (rc != NM_OK)
            return rc;
    }
    out->n = r->n_rows - out->first;
    return NM_OK;
}

/* -- constraints ---------------------------------------------------------------------------------
 */

static nm_status read_points(reader *r, size_t where, json_t *list, constraint *out)
{
    json_t *value;
    size_t i;
    nm_status rc;

    if (!list)
        return NM_OK;
    if (!json_is_array(list))
        return nm_fail(r->err, NM_E_FORMAT, "constraint %zu: \"points\" is no list of indices",
                       where);
    rc = nm_alloc(&out->at, (size_t)r->points->n, sizeof *out->at, r->err);
    json_array_foreach(list, i, value)
    {
        json_int_t p = json_is_integer(value) ? json_integer_value(value) : -1;

        if (rc == NM_OK && (p < 0 || p >= r->points->n))
            rc = nm_fail(r->err, NM_E_FORMAT, "constraint %zu: no such point, expected 0 to %lld",
                         where, (long long)r->points->n - 1);
        if (rc == NM_OK)
            out->at[p] = true;
    }
    return rc;
}

static nm_status count_cases(reader *r, size_t where, constraint *c)
{
    double cases = 1;

    for (size_t i = 0; i < c->n_pieces; i++)
        cases *= (double)c->pieces[i].n;
    if (cases > MOST_CASES)
        return nm_fail(r->err, NM_E_UNSUPPORTED,
                       "constraint %zu: %.0f ways to choose a row of each piece, more than %d",
                       where, cases, MOST_CASES);
    c->n_cases = (int64_t)cases;
    c->n_case_rows = (int64_t)c->n_pieces;
    return NM_OK;
}

static nm_status read_constraint(reader *r, size_t where, json_t *from, constraint *c)
{
    json_t *any = json_object_get(from, "any"), *all = json_object_get(from, "all"), *value;
    size_t i;
    nm_status rc = NM_OK;

    if (!json_is_object(from) || !any == !all || (any && !json_is_array(any)))
        return nm_fail(r->err, NM_E_FORMAT,
                       "constraint %zu: expected an object with a list \"any\" of pieces, or a "
                       "list \"all\" of rows",
                       where);
    NM_TRY(read_points(r, where, json_object_get(from, "points"), c));
    c->n_pieces = any ? json_array_size(any) : 1;
    NM_TRY(nm_alloc(&c->pieces, c->n_pieces, sizeof *c->pieces, r->err));
    if (all)
        NM_TRY(read_piece(r, where, all, &c->pieces[0]));
    json_array_foreach(any, i, value)
        NM_TRY(read_piece(r, where, json_object_get(value, "all"), &c->pieces[i]));
    NM_TRY(count_cases(r, where, c));
done:
    return rc;
}

static nm_status read_document(reader *r, json_t *root)
{
    const char *schema = json_string_value(json_object_get(root, "schema"));
    json_t *list = json_object_get(root, "constraints"), *value;
    size_t i;
    nm_status rc = NM_OK;

    if (!schema || strcmp(schema, "netmend-spec/1") != 0)
        return nm_fail(r->err, NM_E_FORMAT, "\"schema\" is %s%s, expected \"netmend-spec/1\"",
                       schema ? "" : "missing", schema ? schema : "");
    if (!json_is_array(list) || json_array_size(list) == 0)
        return nm_fail(r->err, NM_E_FORMAT, "\"constraints\" is no list of at least one");
    NM_TRY(nm_alloc(&r->list, json_array_size(list), sizeof *r->list, r->err));
    r->n = json_array_size(list);
    json_array_foreach(list, i, value) NM_TRY(read_constraint(r, i, value, &r->list[i]));
done:
    return rc;
}

/* -- the property --------------------------------------------------------------------------------
 */

static bool holds_at(const constraint *c, int64_t p)
{
    return !c->at || c->at[p];
}

static bool same_constraints(const reader *r, int64_t p, int64_t q)
{
    for (size_t i = 0; i < r->n; i++)
        if (holds_at(&r->list[i], p) != holds_at(&r->list[i], q))
            return false;
    return true;
}

static int64_t cases_at(const reader *r, int64_t p, int64_t *n_rows)
{
    int64_t n = 0;

    *n_rows = 0;
    for (size_t i = 0; i < r->n; i++)
        if (holds_at(&r->list[i], p)) {
            n += r->list[i].n_cases;
            *n_rows += r->list[i].n_cases * r->list[i].n_case_rows;
        }
    return n;
}

/* Every choice of one row from each piece; the first piece changes fastest. */
static void put_cases(const reader *r, const constraint *c, nm_out_case *cases, nm_out_row *rows)
{
    for (int64_t choice = 0; choice < c->n_cases; choice++) {
        int64_t rest = choice;

        cases[r->p->n_cases++] =
            (nm_out_case){.first = r->p->n_rows, .n_rows = (int32_t)c->n_case_rows};
        for (size_t i = 0; i < c->n_pieces; i++) {
            rows[r->p->n_rows++] = r->rows[c->pieces[i].first + rest % c->pieces[i].n];
            rest /= c->pieces[i].n;
        }
    }
}

static nm_status put_box(reader *r, int64_t p, nm_in_box *box)
{
    size_t n_in = (size_t)r->p->n_in;
    float *x = nm_arena_take(&r->p->arena, n_in, sizeof *x);
    double *at = nm_arena_take(&r->p->arena, n_in, sizeof *at);

    if (!x || !at)
        return nm_fail(r->err, NM_E_NOMEM, "out of memory");
    memcpy(x, r->points->x + p * r->p->n_in, n_in * sizeof *x);
    for (size_t i = 0; i < n_in; i++)
        at[i] = (double)x[i];
    *box = (nm_in_box){.lo_out = at, .hi_out = at, .lo_in = x, .hi_in = x, .has_points = true};
    return NM_OK;
}

/* The first point with the constraints of each point. */
static nm_status find_first(const reader *r, int64_t **first)
{
    nm_status rc = nm_alloc(first, (size_t)r->points->n, sizeof **first, r->err);

    for (int64_t p = 0; rc == NM_OK && p < r->points->n; p++) {
        int64_t q = 0;

        if (p > 0 && same_constraints(r, p, p - 1)) {
            (*first)[p] = (*first)[p - 1];
            continue;
        }
        while (!same_constraints(r, p, q))
            q++;
        (*first)[p] = q;
    }
    return rc;
}

static nm_status build(reader *r)
{
    int64_t *first = NULL, *case_of = NULL, n_cases = 0, n_rows = 0;
    nm_in_box *boxes;
    nm_out_case *cases;
    nm_out_row *rows;
    nm_status rc = NM_OK;

    NM_TRY(find_first(r, &first));
    NM_TRY(nm_alloc(&case_of, (size_t)r->points->n, sizeof *case_of, r->err));
    for (int64_t p = 0; p < r->points->n; p++) {
        int64_t more;

        n_cases += first[p] == p ? cases_at(r, p, &more) : 0;
        n_rows += first[p] == p ? more : 0;
    }
    if (n_rows > MOST_TERMS || r->points->n > MOST_TERMS / (r->p->n_in + 1))
        NM_THROW(r->err, NM_E_UNSUPPORTED, "too many points or rows for a specification");
    boxes = nm_arena_take(&r->p->arena, (size_t)r->points->n, sizeof *boxes);
    cases = nm_arena_take(&r->p->arena, (size_t)n_cases + 1, sizeof *cases);
    rows = nm_arena_take(&r->p->arena, (size_t)n_rows + 1, sizeof *rows);
    if (!boxes || !cases || !rows)
        NM_THROW(r->err, NM_E_NOMEM, "out of memory");
    r->p->boxes = boxes;
    r->p->cases = cases;
    r->p->rows = rows;
    for (int64_t p = 0; p < r->points->n; p++) {
        int64_t ignored, n = cases_at(r, p, &ignored);

        if (first[p] == p)
            case_of[p] = r->p->n_cases;
        for (size_t i = 0; first[p] == p && i < r->n; i++)
            if (holds_at(&r->list[i], p))
                put_cases(r, &r->list[i], cases, rows);
        if (n == 0)
            continue;
        NM_TRY(put_box(r, p, &boxes[r->p->n_boxes]));
        boxes[r->p->n_boxes].first_case = case_of[first[p]];
        boxes[r->p->n_boxes++].n_cases = n;
    }
done:
    nm_free(first);
    nm_free(case_of);
    return rc;
}

/* -- all together --------------------------------------------------------------------------------
 */

static void close_reader(reader *r)
{
    for (size_t i = 0; r->list && i < r->n; i++) {
        nm_free(r->list[i].at);
        nm_free(r->list[i].pieces);
    }
    nm_free(r->list);
    nm_free(r->rows);
}

nm_status nm_property_from_spec(nm_ctx *ctx, const char *path, const nm_points *points,
                                int64_t n_out, nm_property **out, nm_err *err)
{
    reader r = {.points = points, .n_out = n_out, .err = err};
    nm_buffer file = {0};
    json_error_t where;
    json_t *root = NULL;
    nm_status rc = NM_OK;

    *out = NULL;
    NM_TRY(nm_ctx_check(ctx, err));
    NM_TRY(nm_file_read(path, MOST_BYTES, &file, err));
    root = json_loadb((const char *)file.data, file.n_bytes, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        NM_THROW(err, NM_E_FORMAT, "%s:%d:%d: %s", path, where.line, where.column, where.text);
    NM_TRY(nm_alloc(&r.p, 1, sizeof *r.p, err));
    r.p->n_in = points->n_in;
    r.p->n_out = n_out;
    rc = read_document(&r, root);
    if (rc == NM_OK)
        rc = build(&r);
    if (rc != NM_OK)
        nm_err_prefix(err, "%s: ", path);
    if (rc == NM_OK) {
        *out = r.p;
        r.p = NULL;
    }
done:
    close_reader(&r);
    nm_property_free(r.p);
    json_decref(root);
    nm_buffer_free(&file);
    return rc;
}
