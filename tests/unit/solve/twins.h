/* Random programs in two forms: rows as outer products, and the same rows written out. */
#ifndef NM_TESTS_SOLVE_TWINS_H
#define NM_TESTS_SOLVE_TWINS_H

#include "instances.h"

#include "solve/factors.h"

/* A program whose rows and terms are known in both forms. */
typedef struct twin {
    instance dense;
    nm_factor_space space;
    nm_factors rows, terms;
    int64_t n_points, *column, *extra_column;
    double *x;
} twin;

typedef struct twin_shape {
    int n_out, n_in, n_extra, points, rows_per_point, outputs;
    double box, masked; /* share of weights that are not free */
} twin_shape;

/* Unknowns in an order of their own: extras first, then the free weights, input by input. */
static inline void map_columns(twin *t, nm_rng *rng, double masked)
{
    int64_t next = t->space.n_extra;

    t->column = test_calloc((size_t)(t->space.n_out * t->space.n_in), sizeof *t->column);
    t->extra_column = test_calloc((size_t)t->space.n_extra + 1, sizeof *t->extra_column);
    for (int64_t e = 0; e < t->space.n_extra; e++)
        t->extra_column[e] = t->space.n_extra - 1 - e;
    for (int64_t k = 0; k < t->space.n_in; k++)
        for (int64_t i = 0; i < t->space.n_out; i++)
            t->column[i * t->space.n_in + k] = nm_rng_uniform(rng) < masked ? -1 : next++;
    t->space.column = t->column;
    t->space.extra_column = t->extra_column;
    t->dense.spec.n = next;
}

/* Points in an order in which they come up again and again. Every third row is like a pin on a
 * neuron of the edited layer: one number only. */
static inline void draw_factors(twin *t, nm_rng *rng, int per_point, nm_factors *list)
{
    nm_err err = {0};
    int64_t width = nm_factor_width(&t->space);

    nm_assert_ok(nm_factors_room(&t->space, per_point * t->n_points, list, &err), &err);
    for (int64_t r = 0; r < list->m; r++) {
        list->point[r] = t->n_points - 1 - r % t->n_points;
        for (int64_t i = 0; i < width; i++)
            list->g[r * width + i] = r % 3 == 2 && i != r % t->space.n_out ? 0 : nm_rng_normal(rng);
    }
}

static inline double *write_out(const twin *t, const nm_factors *list)
{
    const nm_factor_space *s = &t->space;
    int64_t n = t->dense.spec.n;
    double *a = new_array(list->m * n);

    for (int64_t r = 0; r < list->m; r++) {
        const double *g = list->g + r * nm_factor_width(s);
        const double *x = t->x + list->point[r] * s->n_in;

        for (int64_t w = 0; w < s->n_out * s->n_in; w++)
            if (t->column[w] >= 0)
                a[r * n + t->column[w]] = g[w / s->n_in] * x[w % s->n_in];
        for (int64_t e = 0; e < s->n_extra; e++)
            a[r * n + t->extra_column[e]] = g[s->n_out + e];
    }
    return a;
}

static inline twin *new_twin(nm_norm norm, twin_shape s, uint64_t seed)
{
    twin *t = test_calloc(1, sizeof *t);
    nm_rng rng = {.seed = seed};

    t->space = (nm_factor_space){.n_out = s.n_out, .n_in = s.n_in, .n_extra = s.n_extra};
    t->n_points = s.points;
    t->dense.spec = (nm_master_spec){.norm = norm, .gap = 1e-9};
    map_columns(t, &rng, s.masked);
    t->x = new_array(t->n_points * s.n_in);
    for (int64_t k = 0; k < t->n_points * s.n_in; k++)
        t->x[k] = nm_rng_normal(&rng);
    t->space.x = t->x;
    draw_factors(t, &rng, s.rows_per_point, &t->rows);
    draw_factors(t, &rng, s.outputs, &t->terms);
    t->dense.m = t->rows.m;
    t->dense.a = write_out(t, &t->rows);
    t->dense.terms = write_out(t, &t->terms);
    t->dense.h = new_array(t->rows.m);
    t->dense.offset = new_array(t->terms.m);
    for (int64_t r = 0; r < t->rows.m; r++)
        t->dense.h[r] = 0.3 + 0.5 * nm_rng_normal(&rng);
    t->dense.spec.n_terms = t->terms.m;
    t->dense.spec.terms = t->dense.terms;
    t->dense.spec.offset = t->dense.offset;
    t->dense.spec.l1_weight = 1 / (double)t->dense.spec.n;
    if (s.box > 0)
        set_box(&t->dense, s.box);
    return t;
}

static inline void free_twin(twin *t)
{
    free_instance(&t->dense);
    nm_factors_free(&t->rows);
    nm_factors_free(&t->terms);
    test_free(t->column);
    test_free(t->extra_column);
    free(t->x);
    test_free(t);
}

static inline nm_master_spec factored_spec(const twin *t)
{
    nm_master_spec spec = t->dense.spec;

    spec.space = &t->space;
    spec.term_factors = &t->terms;
    return spec;
}

/* After a change of inputs, factors or right-hand sides. */
static inline void write_out_again(twin *t)
{
    free(t->dense.a);
    free(t->dense.terms);
    t->dense.a = write_out(t, &t->rows);
    t->dense.terms = write_out(t, &t->terms);
    t->dense.spec.terms = t->dense.terms;
}

/* Half the rows, then all. In between the inputs move to another place, as appended points make
 * them do. Failures go to the caller. */
static inline nm_status solve_factored(nm_ctx *ctx, twin *t, answer *got, nm_err *err)
{
    nm_master_spec spec = factored_spec(t);
    int64_t half = t->rows.m / 2, n = spec.n;
    size_t inputs = (size_t)(t->n_points * t->space.n_in);
    nm_master *master = NULL;
    nm_master_result result = {0};
    nm_status rc = NM_OK;

    NM_TRY(nm_master_open(ctx, &spec, NM_SOLVER_STRUCTURED, &master, err));
    for (int64_t first = 0; first < t->rows.m; first = first == 0 && half > 0 ? half : t->rows.m) {
        int64_t m = first == 0 && half > 0 ? half : t->rows.m - first;
        nm_factors batch = nm_factors_slice(&t->rows, first, m);
        double *moved = copy_of(t->x, (int64_t)inputs);

        memset(t->x, 0xff, inputs * sizeof *t->x);
        free(t->x);
        t->space.x = t->x = moved;
        nm_rows rows = {.n = n, .m = m, .h = t->dense.h + first, .factors = batch};
        NM_TRY(nm_master_add(master, &rows, err));
        NM_TRY(nm_master_solve(master, &result, err));
    }
    *got = (answer){.outcome = result.outcome,
                    .objective = result.objective,
                    .lower_bound = result.lower_bound,
                    .iterations = result.iterations,
                    .d = copy_of(result.d, n),
                    .y = copy_of(result.y, t->rows.m)};
done:
    nm_master_close(master);
    return rc;
}

#endif
