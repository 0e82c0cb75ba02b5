#include "io/vnnlib_build.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"

enum {
    MOST_BOX_SIDES = 1 << 24, /* inputs of all boxes together */
    MOST_ROWS = 1 << 22       /* rows of all cases together */
};

/* A box while it is made; unbounded sides are infinite. */
typedef struct sides {
    double *lo_out, *hi_out, *lo_in, *hi_in;
} sides;

typedef struct builder {
    const nm_vnnlib *v;
    const nm_conj *common;
    const nm_dnf *dnf;
    nm_property *p;
    nm_err *err;
    sides all, one;  /* of the common atoms; of the disjunct at hand */
    int32_t *box_of; /* [dnf->n] -1 = empty */
    int32_t *table;  /* ... found by the hash of the box: [n_table] box, -1 = free */
    uint32_t n_table;
    uint32_t *hash; /* [n_boxes] */
    nm_in_box *boxes;
    int32_t n_boxes, room_boxes;
} builder;

/* -- boxes ------------------------------------------------------------------------------------ */

static void apply(const nm_vnnlib *v, const int32_t *atoms, int32_t n, const sides *s)
{
    for (int32_t i = 0; i < n; i++) {
        const nm_atom *a = &v->atoms[atoms[i]];

        if (a->kind == NM_ATOM_AT_LEAST) {
            s->lo_out[a->which] = fmax(s->lo_out[a->which], a->out);
            s->lo_in[a->which] = fmax(s->lo_in[a->which], a->in);
        } else if (a->kind == NM_ATOM_AT_MOST) {
            s->hi_out[a->which] = fmin(s->hi_out[a->which], a->out);
            s->hi_in[a->which] = fmin(s->hi_in[a->which], a->in);
        }
    }
}

static bool never(const nm_vnnlib *v, const nm_conj *conj)
{
    for (int32_t i = 0; i < conj->n; i++)
        if (v->atoms[conj->atom[i]].kind == NM_ATOM_NEVER)
            return true;
    return false;
}

/* NM_E_FORMAT names the first input that a disjunct leaves unbounded. */
static nm_status check_bounded(const builder *b, int32_t disjunct)
{
    for (int64_t i = 0; i < b->p->n_in; i++) {
        bool no_lower = !isfinite(b->one.lo_out[i]);
        char where[64] = "";

        if (!no_lower && isfinite(b->one.hi_out[i]))
            continue;
        if (b->dnf->n > 1)
            (void)snprintf(where, sizeof where, " in disjunct %d of %d", disjunct + 1, b->dnf->n);
        return nm_fail(b->err, NM_E_FORMAT, "X_%lld has no %s bound%s", (long long)i,
                       no_lower ? "lower" : "upper", where);
    }
    return NM_OK;
}

static bool is_empty(const builder *b)
{
    for (int64_t i = 0; i < b->p->n_in; i++)
        if (b->one.lo_out[i] > b->one.hi_out[i])
            return true;
    return false;
}

static uint32_t hash_box(const builder *b)
{
    const unsigned char *bytes[2] = {(const unsigned char *)b->one.lo_out,
                                     (const unsigned char *)b->one.hi_out};
    uint32_t h = 2166136261u; /* FNV-1a */

    for (int part = 0; part < 2; part++)
        for (size_t i = 0; i < (size_t)b->p->n_in * sizeof(double); i++)
            h = (h ^ bytes[part][i]) * 16777619u;
    return h;
}

/* The float32 numbers of one side. Fixed inputs are often float32 numbers printed with as many
   digits as a double has, and so not exactly what is printed: where no float32 number lies between
   the decimals, those between their neighbouring doubles count. */
static void float_sides(const builder *b, size_t i, float *lo, float *hi)
{
    *lo = nm_f32_up(b->one.lo_in[i]);
    *hi = nm_f32_down(b->one.hi_in[i]);
    if (*lo > *hi && nm_f32_up(b->one.lo_out[i]) <= nm_f32_down(b->one.hi_out[i])) {
        *lo = nm_f32_up(b->one.lo_out[i]);
        *hi = nm_f32_down(b->one.hi_out[i]);
    }
}

static bool same_box(const builder *b, const nm_in_box *box)
{
    const size_t bytes = (size_t)b->p->n_in * sizeof(double);

    if (memcmp(b->one.lo_out, box->lo_out, bytes) != 0 ||
        memcmp(b->one.hi_out, box->hi_out, bytes) != 0)
        return false;
    for (int64_t i = 0; i < b->p->n_in; i++) {
        float lo, hi;

        float_sides(b, (size_t)i, &lo, &hi);
        if (lo != box->lo_in[i] || hi != box->hi_in[i])
            return false;
    }
    return true;
}

static nm_status keep_box(builder *b, uint32_t hash)
{
    size_t n_in = (size_t)b->p->n_in;
    double *lo = nm_arena_take(&b->p->arena, n_in, sizeof *lo);
    double *hi = nm_arena_take(&b->p->arena, n_in, sizeof *hi);
    float *lo_in = nm_arena_take(&b->p->arena, n_in, sizeof *lo_in);
    float *hi_in = nm_arena_take(&b->p->arena, n_in, sizeof *hi_in);
    bool has_points = true;

    if (!lo || !hi || !lo_in || !hi_in)
        return nm_fail(b->err, NM_E_NOMEM, "out of memory");
    memcpy(lo, b->one.lo_out, n_in * sizeof *lo);
    memcpy(hi, b->one.hi_out, n_in * sizeof *hi);
    for (size_t i = 0; i < n_in; i++) {
        float_sides(b, i, &lo_in[i], &hi_in[i]);
        has_points = has_points && lo_in[i] <= hi_in[i];
    }
    b->hash[b->n_boxes] = hash;
    b->boxes[b->n_boxes++] = (nm_in_box){
        .lo_out = lo, .hi_out = hi, .lo_in = lo_in, .hi_in = hi_in, .has_points = has_points};
    return NM_OK;
}

/* The box at hand, new or met before. */
static nm_status find_box(builder *b, int32_t *number)
{
    uint32_t hash = hash_box(b), at = hash & (b->n_table - 1);
    nm_status rc;

    for (; b->table[at] >= 0; at = (at + 1) & (b->n_table - 1))
        if (b->hash[b->table[at]] == hash && same_box(b, &b->boxes[b->table[at]])) {
            *number = b->table[at];
            return NM_OK;
        }
    if ((int64_t)(b->n_boxes + 1) * b->p->n_in > MOST_BOX_SIDES)
        return nm_fail(b->err, NM_E_UNSUPPORTED,
                       "the disjuncts have more than %d boxes of %lld inputs, too many to keep",
                       b->n_boxes, (long long)b->p->n_in);
    *number = b->table[at] = b->n_boxes;
    rc = keep_box(b, hash);
    return rc;
}

static nm_status place_disjunct(builder *b, int32_t d)
{
    const nm_conj *conj = &b->dnf->conj[d];
    const size_t bytes = (size_t)b->p->n_in * sizeof(double);
    nm_status rc;

    memcpy(b->one.lo_out, b->all.lo_out, bytes);
    memcpy(b->one.hi_out, b->all.hi_out, bytes);
    memcpy(b->one.lo_in, b->all.lo_in, bytes);
    memcpy(b->one.hi_in, b->all.hi_in, bytes);
    apply(b->v, conj->atom, conj->n, &b->one);
    rc = check_bounded(b, d);
    if (rc != NM_OK)
        return rc;
    b->box_of[d] = -1;
    if (is_empty(b) || never(b->v, conj) || never(b->v, b->common)) {
        b->p->n_empty++;
        return NM_OK;
    }
    return find_box(b, &b->box_of[d]);
}

/* -- cases ------------------------------------------------------------------------------------ */

static int32_t count_rows(const nm_vnnlib *v, const nm_conj *conj)
{
    int32_t n = 0;

    for (int32_t i = 0; i < conj->n; i++)
        n += v->atoms[conj->atom[i]].kind == NM_ATOM_ROW;
    return n;
}

static void put_rows(const nm_vnnlib *v, const nm_conj *conj, nm_out_row **to)
{
    for (int32_t i = 0; i < conj->n; i++)
        if (v->atoms[conj->atom[i]].kind == NM_ATOM_ROW)
            *(*to)++ = v->rows[v->atoms[conj->atom[i]].which];
}

/* Cases in the order of the file, box after box. */
static nm_status put_cases(builder *b, int64_t n_cases, int64_t n_rows)
{
    nm_property *p = b->p;
    nm_out_case *cases = nm_arena_take(&p->arena, (size_t)n_cases, sizeof *cases);
    nm_out_row *rows = nm_arena_take(&p->arena, (size_t)n_rows, sizeof *rows), *to = rows;
    nm_in_box *boxes = nm_arena_take(&p->arena, (size_t)b->n_boxes, sizeof *boxes);
    int64_t *next;
    nm_status rc;

    if (!cases || !rows || !boxes)
        return nm_fail(b->err, NM_E_NOMEM, "out of memory");
    rc = nm_alloc(&next, (size_t)b->n_boxes + 1, sizeof *next, b->err);
    if (rc != NM_OK)
        return rc;
    if (b->n_boxes > 0)
        memcpy(boxes, b->boxes, (size_t)b->n_boxes * sizeof *boxes);
    for (int32_t d = 0; d < b->dnf->n; d++)
        if (b->box_of[d] >= 0)
            boxes[b->box_of[d]].n_cases++;
    for (int32_t i = 0; i < b->n_boxes; i++) {
        boxes[i].first_case = next[i];
        next[i + 1] = next[i] + boxes[i].n_cases;
    }
    for (int32_t d = 0; d < b->dnf->n; d++) {
        const nm_conj *conj = &b->dnf->conj[d];

        if (b->box_of[d] < 0)
            continue;
        cases[next[b->box_of[d]]++] = (nm_out_case){
            .first = to - rows, .n_rows = count_rows(b->v, b->common) + count_rows(b->v, conj)};
        put_rows(b->v, b->common, &to);
        put_rows(b->v, conj, &to);
    }
    nm_free(next);
    p->boxes = boxes;
    p->n_boxes = b->n_boxes;
    p->cases = cases;
    p->n_cases = n_cases;
    p->rows = rows;
    p->n_rows = n_rows;
    return NM_OK;
}

static nm_status count_and_put_cases(builder *b)
{
    int64_t n_cases = 0, n_rows = 0;

    for (int32_t d = 0; d < b->dnf->n; d++)
        if (b->box_of[d] >= 0) {
            n_cases++;
            n_rows += count_rows(b->v, b->common) + count_rows(b->v, &b->dnf->conj[d]);
        }
    if (n_rows > MOST_ROWS)
        return nm_fail(b->err, NM_E_UNSUPPORTED, "the disjuncts have %lld rows, more than %d",
                       (long long)n_rows, MOST_ROWS);
    return put_cases(b, n_cases, n_rows);
}

/* -- all -------------------------------------------------------------------------------------- */

static nm_status sides_new(sides *s, int64_t n, nm_err *err)
{
    double *room;
    nm_status rc = nm_alloc(&room, 4 * (size_t)n, sizeof *room, err);

    if (rc != NM_OK)
        return rc;
    *s = (sides){room, room + n, room + 2 * n, room + 3 * n};
    for (int64_t i = 0; i < n; i++) {
        s->lo_out[i] = s->lo_in[i] = -INFINITY;
        s->hi_out[i] = s->hi_in[i] = INFINITY;
    }
    return NM_OK;
}

static nm_status builder_new(builder *b)
{
    size_t n = (size_t)b->dnf->n;
    nm_status rc = NM_OK;

    for (b->n_table = 16; b->n_table < 2 * n; b->n_table *= 2)
        continue;
    NM_TRY(sides_new(&b->all, b->p->n_in, b->err));
    NM_TRY(sides_new(&b->one, b->p->n_in, b->err));
    NM_TRY(nm_alloc(&b->box_of, n, sizeof *b->box_of, b->err));
    NM_TRY(nm_alloc(&b->hash, n, sizeof *b->hash, b->err));
    NM_TRY(nm_alloc(&b->boxes, n, sizeof *b->boxes, b->err));
    NM_TRY(nm_alloc(&b->table, b->n_table, sizeof *b->table, b->err));
    memset(b->table, -1, b->n_table * sizeof *b->table);
done:
    return rc;
}

static void builder_free(builder *b)
{
    nm_free(b->all.lo_out);
    nm_free(b->one.lo_out);
    nm_free(b->box_of);
    nm_free(b->hash);
    nm_free(b->boxes);
    nm_free(b->table);
}

nm_status nm_vnnlib_build(const nm_vnnlib *v, const nm_conj *common, const nm_dnf *dnf,
                          nm_property *property, nm_err *err)
{
    builder b = {.v = v, .common = common, .dnf = dnf, .p = property, .err = err};
    nm_status rc = NM_OK;

    if (v->n_rows == 0)
        return nm_fail(err, NM_E_FORMAT, "nothing is asserted of the outputs");
    NM_TRY(builder_new(&b));
    apply(v, common->atom, common->n, &b.all);
    for (int32_t d = 0; d < dnf->n; d++)
        NM_TRY(place_disjunct(&b, d));
    rc = count_and_put_cases(&b);
done:
    builder_free(&b);
    return rc;
}
