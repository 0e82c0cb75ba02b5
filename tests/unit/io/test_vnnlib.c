#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "io/vnnlib.h"

static nm_status read_text(const char *text, nm_property **out, nm_err *err)
{
    nm_buffer file = {.data = (unsigned char *)(uintptr_t)text, .n_bytes = strlen(text)};

    return nm_vnnlib_read(&file, out, err);
}

static nm_property *property_of(const char *text)
{
    nm_err err = {0};
    nm_property *p = NULL;

    if (read_text(text, &p, &err) != NM_OK)
        fail_msg("%s\nof\n%s", err.text, text);
    return p;
}

#define DECLARE                                                                                    \
    "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)(declare-const Y_1 "  \
    "Real)\n"
#define BOX "(assert (and (<= X_0 1) (>= X_0 -1) (<= X_1 1) (>= X_1 -1)))\n"

/* -- what is read ----------------------------------------------------------------------------- */

static void decimals_are_kept_on_both_sides(void **state)
{
    nm_property *p = property_of(DECLARE "(assert (<= X_0 0.679857769)) (assert (>= X_0 0.1))"
                                         "(assert (<= X_1 0.5)) (assert (>= X_1 -0.5))"
                                         "(assert (>= Y_0 0.1)) (assert (<= Y_0 Y_1))");
    const nm_in_box *box = &p->boxes[0];
    const nm_out_row *rows = p->rows;

    (void)state;
    assert_int_equal(p->n_boxes, 1);
    assert_int_equal(p->n_rows, 2);
    assert_true(box->lo_in[0] == 0.1F); /* 0.100000001490116 */
    assert_true((double)box->hi_in[0] < 0.679857769 && 0.679857769F > box->hi_in[0]);
    assert_true(box->lo_out[0] == nextafter(0.1, 0)); /* the double is above */
    assert_true(box->hi_out[1] == 0.5 && box->lo_out[1] == -0.5);
    assert_true(rows[0].n_terms == 1 && rows[0].coef[0] == -1);
    assert_true(rows[0].limit_out == -nextafter(0.1, 0) && rows[0].limit_in == -0.1);
    assert_true(rows[1].n_terms == 2 && rows[1].coef[0] == 1 && rows[1].coef[1] == -1);
    assert_true(rows[1].limit_out == 0 && rows[1].limit_in == 0);
    nm_property_free(p);
}

static void linear_terms_are_read(void **state)
{
    static const struct {
        const char *text;
        double coef[2], limit;
    } cases[] = {
        {"(<= (+ Y_0 (* 2 Y_1)) 3)", {1, 2}, 3},
        {"(>= (+ Y_0 (* Y_1 2)) 3)", {-1, -2}, -3},
        {"(<= (- Y_0 Y_1 1) 0.5)", {1, -1}, 1.5},
        {"(<= (- Y_0) (- 2))", {-1, 0}, -2},
        {"(<= (- (+ Y_0 1)) (- (- Y_1 4)))", {-1, 1}, 5},
        {"(<= (+ Y_0 Y_0 Y_1) Y_1)", {2, 0}, 0},
        {"(<= (* 0.1 Y_0) 0.5)", {1, 0}, 5},
        {"(<= (* 0.25 Y_0) 0.5)", {0.25, 0}, 0.5},
        {"(<= (+ (* 0.3 Y_0) (* -0.25 Y_1)) 1)", {30, -25}, 100},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        nm_property *p;
        double coef[2] = {0, 0};

        (void)snprintf(text, sizeof text, DECLARE BOX "(assert %s)", cases[i].text);
        p = property_of(text);
        for (int32_t k = 0; k < p->rows[0].n_terms; k++)
            coef[p->rows[0].output[k]] = p->rows[0].coef[k];
        if (coef[0] != cases[i].coef[0] || coef[1] != cases[i].coef[1] ||
            p->rows[0].limit_in != cases[i].limit || p->rows[0].limit_out != cases[i].limit)
            fail_msg("%s: %g %g <= %.17g", cases[i].text, coef[0], coef[1], p->rows[0].limit_in);
        nm_property_free(p);
    }
}

static void disjuncts_over_the_same_box_stand_together(void **state)
{
    nm_property *p = property_of(
        DECLARE BOX "(assert (or (<= Y_0 1) (and (<= X_0 0.5) (<= Y_0 2)) (and (<= Y_0 3)) "
                    "(and (<= Y_0 4) (<= X_0 0.5)) (and (<= X_0 -2) (<= Y_0 5))))");

    (void)state;
    assert_int_equal(p->n_boxes, 2);
    assert_int_equal(p->n_cases, 4);
    assert_int_equal(p->n_empty, 1);
    assert_int_equal(p->boxes[0].n_cases, 2);
    assert_int_equal(p->boxes[1].n_cases, 2);
    assert_true(p->boxes[1].hi_out[0] == 0.5);
    assert_true(p->rows[p->cases[0].first].limit_in == 1);
    assert_true(p->rows[p->cases[1].first].limit_in == 3);
    assert_true(p->rows[p->cases[2].first].limit_in == 2);
    assert_true(p->rows[p->cases[3].first].limit_in == 4);
    nm_property_free(p);
}

static void a_box_between_two_floats_has_no_points(void **state)
{
    nm_property *p =
        property_of(DECLARE "(assert (<= X_0 0.10000000001)) (assert (>= X_0 0.1))"
                            "(assert (<= X_1 1)) (assert (>= X_1 -1)) (assert (<= Y_0 0))");

    (void)state;
    assert_int_equal(p->n_boxes, 1);
    assert_true(!p->boxes[0].has_points);
    nm_property_free(p);
}

/* 0.3f printed as a double: 0.30000001192092896, a little more than it is. */
static void a_printed_float_is_a_point(void **state)
{
    nm_property *p =
        property_of(DECLARE "(assert (<= X_0 0.30000001192092896)) (assert (>= X_0 "
                            "0.30000001192092896)) (assert (<= X_1 0.30000001192092896))"
                            "(assert (>= X_1 -1)) (assert (<= Y_0 0))");
    const nm_in_box *box = &p->boxes[0];

    (void)state;
    assert_true(box->has_points);
    assert_true(box->lo_in[0] == 0.3F && box->hi_in[0] == 0.3F);
    assert_true(box->hi_in[1] == 0.3F || box->hi_in[1] == nextafterf(0.3F, 0));
    nm_property_free(p);
}

/* -- against direct evaluation ---------------------------------------------------------------- */

/* A random formula, written as text and evaluated at a grid of points at the same time. */
enum { N_GRID = 300 };

typedef struct sample {
    char *text;
    size_t n, room;
    nm_rng rng;
    float x[N_GRID][2];
    double y[N_GRID][2];
} sample;

static void put(sample *s, const char *fmt, ...) NM_PRINTF(2, 3);
static void put(sample *s, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    s->n += (size_t)vsnprintf(s->text + s->n, s->room - s->n, fmt, args);
    va_end(args);
    assert_true(s->n + 200 < s->room);
}

static void put_comparison(sample *s, bool *holds)
{
    bool at_least = nm_rng_below(&s->rng, 2), mirrored = nm_rng_below(&s->rng, 2);
    bool is_input = nm_rng_below(&s->rng, 2), two = nm_rng_below(&s->rng, 3) == 0;
    int i = (int)nm_rng_below(&s->rng, 2);
    double bound = (double)nm_rng_below(&s->rng, 9) / 2 - 2;

    if (!is_input && two)
        put(s, "(%s Y_%d Y_%d)", at_least ? ">=" : "<=", i, 1 - i);
    else if (mirrored)
        put(s, "(%s %g %c_%d)", at_least ? "<=" : ">=", bound, is_input ? 'X' : 'Y', i);
    else
        put(s, "(%s %c_%d %g)", at_least ? ">=" : "<=", is_input ? 'X' : 'Y', i, bound);
    for (int k = 0; k < N_GRID; k++) {
        double left = is_input ? (double)s->x[k][i] : s->y[k][i];
        double right = !is_input && two ? s->y[k][1 - i] : bound;

        holds[k] = at_least ? left >= right : left <= right;
    }
}

static void put_formula(sample *s, int depth, bool *holds)
{
    bool conjunction = nm_rng_below(&s->rng, 2), part[N_GRID];
    int n = 1 + (int)nm_rng_below(&s->rng, 3);

    if (depth == 0 || nm_rng_below(&s->rng, 4) == 0) {
        put_comparison(s, holds);
        return;
    }
    put(s, conjunction ? "(and" : "(or");
    for (int k = 0; k < N_GRID; k++)
        holds[k] = conjunction;
    for (int i = 0; i < n; i++) {
        put(s, " ");
        put_formula(s, depth - 1, part);
        for (int k = 0; k < N_GRID; k++)
            holds[k] = conjunction ? holds[k] && part[k] : holds[k] || part[k];
    }
    put(s, ")");
}

static void random_formulas_mean_what_they_say(void **state)
{
    static char text[1 << 16];
    static sample s;
    int n_true = 0, n_false = 0;

    (void)state;
    for (int trial = 0; trial < 3000; trial++) {
        bool all[N_GRID], one[N_GRID];
        int n_asserts;
        nm_property *p = NULL;
        nm_err err = {0};
        nm_status rc;

        s = (sample){
            .text = text, .room = sizeof text, .rng = {.seed = 7, .stream = (uint64_t)trial}};
        for (int k = 0; k < N_GRID; k++)
            for (int i = 0; i < 2; i++) {
                s.x[k][i] = (float)nm_rng_below(&s.rng, 13) / 4 - 1.5F;
                s.y[k][i] = (double)nm_rng_below(&s.rng, 21) / 4 - 2.5;
            }
        put(&s, "%s", DECLARE);
        n_asserts = 1 + (int)nm_rng_below(&s.rng, 4);
        for (int k = 0; k < N_GRID; k++)
            all[k] = fabsf(s.x[k][0]) <= 1 && fabsf(s.x[k][1]) <= 1 && s.y[k][0] >= -9;
        for (int i = 0; i < n_asserts; i++) {
            put(&s, "(assert ");
            put_formula(&s, 3, one);
            put(&s, ")\n");
            for (int k = 0; k < N_GRID; k++)
                all[k] = all[k] && one[k];
        }
        /* The box comes last: it is joined to whatever was chosen before. */
        put(&s, "%s(assert (>= Y_0 -9))", BOX);
        rc = read_text(text, &p, &err);
        if (rc == NM_E_UNSUPPORTED) /* too large when multiplied out */
            continue;
        nm_assert_ok(rc, &err);
        for (int k = 0; k < N_GRID; k++) {
            bool got = nm_property_unsafe(p, s.x[k], s.y[k]);

            if (got != all[k])
                fail_msg("trial %d at (%g, %g | %g, %g): %d, want %d\n%s", trial, (double)s.x[k][0],
                         (double)s.x[k][1], s.y[k][0], s.y[k][1], got, all[k], text);
            n_true += got;
            n_false += !got;
        }
        nm_property_free(p);
    }
    assert_true(n_true > 20000 && n_false > 20000);
}

/* -- what is refused -------------------------------------------------------------------------- */

static void refusals_name_the_place(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "1:1: no input X_0 is declared"},
        {"(declare-const X_0 Real)\n", "2:1: no output Y_0 is declared"},
        {"(declare-const X_0 Real)(declare-const Y_0 Real)", "nothing is asserted"},
        {"(declare-const X_1 Real)(declare-const Y_0 Real)",
         "X_1 is declared, X_0 is not: there must be no gaps"},
        {"(declare-const X_00 Real)", "'X_00' cannot be declared"},
        {"(declare-const Z_0 Real)", "1:16: 'Z_0' cannot be declared"},
        {"(declare-const X_99999999 Real)", "cannot be declared"},
        {"(declare-const X_0 Int)", "1:20: 'Int' where Real was expected"},
        {DECLARE "(declare-const Y_1 Real)", "2:16: Y_1 is declared twice"},
        {DECLARE "(assert (< X_0 1))", "'<': strict comparisons are not understood, write '<='"},
        {DECLARE "(assert (= X_0 1))", "'=': equality is not understood"},
        {DECLARE "(assert (not (<= X_0 1)))", "'not': negation is not understood"},
        {DECLARE "(assert ((<= X_0 1)))", "2:10: '(' where <=, >=, and, or was expected"},
        {DECLARE "(assert (<= X_0 X_1))", "a comparison of X_0 with X_1"},
        {DECLARE "(assert (<= Y_0 X_1))", "a comparison of X_1 with Y_0"},
        {DECLARE "(assert (<= (* Y_0 Y_1) 1))", "2:16: a product is understood of a number and a "
                                                "variable only"},
        {DECLARE "(assert (<= (* 2 3) 1))", "a product is understood"},
        {DECLARE "(assert (<= (/ Y_0 2) 1))", "'/' where a term was expected"},
        {DECLARE "(assert (<= (* 0.1234567890123456789 Y_0) 1))", "coefficients with more digits"},
        {DECLARE "(assert (<= X_0))", "2:16: a comparison takes two terms, this has 1"},
        {DECLARE "(assert (<= X_0 1 2))", "2:19: a comparison takes two terms, this has more"},
        {DECLARE "(assert (<= X_0 1e999))", "'1e999' is no decimal number"},
        {DECLARE "(assert (<= X_2 1))", "2:13: X_2 is not declared before"},
        {DECLARE "(assert (<= foo 1))", "'foo' is no number and no variable"},
        {DECLARE "(assert (or))", "expected something to be or-ed"},
        {DECLARE "(assert (and", "the file ends"},
        {DECLARE "(assert (<= X_0 1)",
         "2:19: the file ends where ')' of an assertion was expected"},
        {DECLARE "(frobnicate)", "'frobnicate' where declare-const or assert was expected"},
        {DECLARE BOX, "nothing is asserted of the outputs"},
        {DECLARE "(assert (<= X_0 1))(assert (>= X_0 0))(assert (<= X_1 1))(assert (<= Y_0 1))",
         "X_1 has no lower bound"},
        {DECLARE "(assert (<= X_0 1))(assert (>= X_0 0))(assert (>= X_1 1))"
                 "(assert (or (and (<= X_1 2) (<= Y_0 1)) (<= Y_0 1)))",
         "X_1 has no upper bound in disjunct 2 of 2"},
        {DECLARE BOX "(assert (<= Y_0 \x01 1))", "byte 0x01 has no place here"},
        {DECLARE "(assert (<= (+ (- 1 Y_0) )", "2:27: a comparison takes two terms, this has 1"},
        {DECLARE "(assert (<= (+ (- 1 Y_0)", "the file ends"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nm_property *p = NULL;
        nm_err err = {0};

        if (read_text(cases[i].text, &p, &err) == NM_OK)
            fail_msg("case %zu was read: %s", i, cases[i].text);
        if (!strstr(err.text, cases[i].message))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err.text, cases[i].message);
        assert_null(p);
    }
}

/* Fifteen disjunctions of three are 14 million disjuncts. */
static void explosion_is_refused(void **state)
{
    static char text[8192];
    size_t n = (size_t)snprintf(text, sizeof text, "%s", DECLARE BOX);
    nm_property *p = NULL;
    nm_err err = {0};

    (void)state;
    for (int i = 0; i < 15; i++)
        n += (size_t)snprintf(text + n, sizeof text - n,
                              "(assert (or (<= Y_0 %d) (<= Y_1 %d) (>= Y_0 %d)))\n", i, i, i);
    assert_int_equal(read_text(text, &p, &err), NM_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "more than 65536 disjuncts"));
}

static void running_out_of_memory_is_reported(void **state)
{
    static const char text[] = DECLARE BOX
        "(assert (or (<= Y_0 1) (and (<= X_0 0.5) (<= (+ Y_0 Y_1) 2)) (and (<= Y_0 3))))"
        "(assert (or (<= Y_0 1) (<= X_1 0.25)))";
    bool failed = true;

    (void)state;
    for (long n = 1; failed; n++) {
        nm_property *p = NULL;
        nm_err err = {0};
        nm_status rc;

        nm_mem_fail_at(n);
        rc = read_text(text, &p, &err);
        nm_mem_fail_at(0);
        failed = rc != NM_OK;
        if (failed) {
            assert_int_equal(rc, NM_E_NOMEM);
            assert_null(p);
        }
        nm_property_free(p);
        assert_true(n < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimals_are_kept_on_both_sides),
        cmocka_unit_test(linear_terms_are_read),
        cmocka_unit_test(disjuncts_over_the_same_box_stand_together),
        cmocka_unit_test(a_box_between_two_floats_has_no_points),
        cmocka_unit_test(a_printed_float_is_a_point),
        cmocka_unit_test(random_formulas_mean_what_they_say),
        cmocka_unit_test(refusals_name_the_place),
        cmocka_unit_test(explosion_is_refused),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
