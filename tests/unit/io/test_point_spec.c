/* Conditions at points as JSON: what they mean, against plain evaluation; what is refused, and how.
 */
#include "support.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "netmend/netmend.h"
#include "spec/property.h"

enum { N_POINTS = 4, N_IN = 2, N_OUT = 3 };

static nm_ctx *ctx;
static nm_points points;

static nm_status load(const char *text, nm_property **out, nm_err *err)
{
    const char *path = nm_temp_path(".json");
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    (void)fputs(text, f);
    (void)fclose(f);
    return nm_property_from_spec(ctx, path, &points, N_OUT, out, err);
}

/* -- meaning -------------------------------------------------------------------------------------
 */

static const char *const spec =
    "{\"schema\": \"netmend-spec/1\", \"constraints\": ["
    " {\"points\": [0, 2], \"any\": ["
    "   {\"all\": [{\"coef\": {\"0\": 1, \"2\": -1}, \"max\": -0.5}, {\"coef\": [0, 2, 0], "
    "\"min\": 1}]},"
    "   {\"all\": [{\"coef\": {\"2\": 1}, \"max\": -1}]},"
    "   {\"all\": [{\"coef\": {\"1\": 1, \"0\": 1}, \"min\": 2}, {\"coef\": {\"2\": 1}, \"min\": "
    "0}]}]},"
    " {\"points\": [2, 3], \"all\": [{\"coef\": {\"1\": 1}, \"max\": 0.25}]}]}";

static bool is_met(int point, const double *y)
{
    bool first =
        (y[0] - y[2] <= -0.5 && 2 * y[1] >= 1) || y[2] <= -1 || (y[0] + y[1] >= 2 && y[2] >= 0);
    bool second = y[1] <= 0.25;

    return (first || (point != 0 && point != 2)) && (second || point < 2);
}

static void means_what_it_says(void **state)
{
    nm_property *p;
    nm_rng rng = {.seed = 1};
    int n_met = 0, n = 0;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(load(spec, &p, &err), &err);
    assert_int_equal(nm_property_n_boxes(p), 3); /* nothing is asked of point 1 */
    for (int i = 0; i < 20000; i++) {
        int point = i % N_POINTS;
        double y[N_OUT];

        for (int k = 0; k < N_OUT; k++)
            y[k] = 3 * (2 * nm_rng_uniform(&rng) - 1);
        assert_int_equal(nm_property_unsafe(p, points.x + point * N_IN, y), !is_met(point, y));
        n += point != 1;
        n_met += point != 1 && is_met(point, y);
    }
    assert_true(n_met > n / 10 && n_met < n * 9 / 10);
    nm_property_free(p);
}

static void shares_cases_between_points(void **state)
{
    nm_property *p;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(load("{\"schema\": \"netmend-spec/1\", \"constraints\": [{\"all\": [{\"coef\": "
                      "{\"0\": 1}, \"max\": 0}, {\"coef\": {\"1\": 1}, \"max\": 0}]}]}",
                      &p, &err),
                 &err);
    assert_int_equal(nm_property_n_boxes(p), N_POINTS);
    assert_int_equal(nm_property_n_cases(p), 2);
    nm_property_free(p);
}

/* No pieces: nothing will do. A piece without rows: everything does. */
static void knows_the_limits(void **state)
{
    const double y[N_OUT] = {0};
    nm_property *p;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(
        load("{\"schema\": \"netmend-spec/1\", \"constraints\": [{\"any\": []}]}", &p, &err), &err);
    assert_true(nm_property_unsafe(p, points.x, y));
    nm_property_free(p);
    nm_assert_ok(
        load("{\"schema\": \"netmend-spec/1\", \"constraints\": [{\"any\": [{\"all\": []}, "
             "{\"all\": [{\"coef\": {\"0\": 1}, \"max\": -5}]}]}]}",
             &p, &err),
        &err);
    assert_int_equal(nm_property_n_boxes(p), 0);
    nm_property_free(p);
}

/* -- refusals ------------------------------------------------------------------------------------
 */

#define IN(text) "{\"schema\": \"netmend-spec/1\", \"constraints\": [" text "]}"
#define ROW "{\"coef\": {\"0\": 1}, \"max\": 1}"
#define THREE "{\"all\": [" ROW "," ROW "," ROW "]}"
#define TEN THREE "," THREE "," THREE "," THREE "," THREE "," THREE "," THREE "," THREE

static void refuses_what_it_does_not_understand(void **state)
{
    static const struct {
        const char *text, *message;
        nm_status rc;
    } bad[] = {
        {"", ":1:0: ", NM_E_FORMAT},
        {"{\"schema\": 1", ":1:", NM_E_FORMAT},
        {"[1, 2]", "\"schema\" is missing", NM_E_FORMAT},
        {"{\"schema\": \"netmend-spec/2\"}", "netmend-spec/2, expected \"netmend-spec/1\"",
         NM_E_FORMAT},
        {"{\"schema\": \"netmend-spec/1\"}", "\"constraints\" is no list", NM_E_FORMAT},
        {IN(""), "\"constraints\" is no list of at least one", NM_E_FORMAT},
        {IN("7"), "constraint 0: expected an object", NM_E_FORMAT},
        {IN("{}"), "constraint 0: expected an object", NM_E_FORMAT},
        {IN("{\"any\": [], \"all\": []}"), "constraint 0: expected an object", NM_E_FORMAT},
        {IN("{\"any\": [3]}"), "\"all\" is no list of rows", NM_E_FORMAT},
        {IN("{\"all\": [" ROW "], \"points\": 3}"), "\"points\" is no list", NM_E_FORMAT},
        {IN("{\"all\": [" ROW "], \"points\": [4]}"), "no such point, expected 0 to 3",
         NM_E_FORMAT},
        {IN("{\"all\": [" ROW "], \"points\": [-1]}"), "no such point", NM_E_FORMAT},
        {IN("{\"all\": [" ROW "], \"points\": [0.5]}"), "no such point", NM_E_FORMAT},
        {IN("{\"all\": [{\"coef\": {\"3\": 1}, \"max\": 1}]}"), "output 3, the network has 3",
         NM_E_FORMAT},
        {IN("{\"all\": [{\"coef\": {\"x\": 1}, \"max\": 1}]}"), "output -1", NM_E_FORMAT},
        {IN("{\"all\": [{\"coef\": {\"0\": \"a\"}, \"max\": 1}]}"), "is no number", NM_E_FORMAT},
        {IN("{\"all\": [{\"coef\": [1, 2], \"max\": 1}]}"), "a list of 2 coefficients",
         NM_E_FORMAT},
        {IN("{\"all\": [{\"max\": 1}]}"), "without \"coef\"", NM_E_FORMAT},
        {IN("{\"all\": [{\"coef\": {}, \"max\": 1}]}"), "a row without outputs", NM_E_FORMAT},
        {IN("{\"all\": [{\"coef\": {\"0\": 0}, \"max\": 1}]}"), "a row without outputs",
         NM_E_FORMAT},
        {IN("{\"all\": [{\"coef\": {\"0\": 1}}]}"), "a number \"max\" or \"min\"", NM_E_FORMAT},
        {IN("{\"all\": [{\"coef\": {\"0\": 1}, \"max\": 1, \"min\": 0}]}"), "one of them",
         NM_E_FORMAT},
        {IN("{\"any\": [" TEN "]}"), "more than 4096", NM_E_UNSUPPORTED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        nm_property *p;
        nm_err err = {0};

        assert_int_equal(load(bad[i].text, &p, &err), bad[i].rc);
        assert_null(p);
        if (!strstr(err.text, bad[i].message) || !strstr(err.text, ".json:"))
            fail_msg("%s\nsaid: %s\nwanted: %s", bad[i].text, err.text, bad[i].message);
    }
}

static void says_which_file_is_missing(void **state)
{
    nm_property *p;
    nm_err err = {0};

    (void)state;
    assert_int_equal(nm_property_from_spec(ctx, "absent.json", &points, N_OUT, &p, &err), NM_E_IO);
    assert_non_null(strstr(err.text, "absent.json"));
}

static int setup(void **state)
{
    static const float x[N_POINTS * N_IN] = {0, 1, 2, 3, 4, 5, 6, 7};
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
    nm_assert_ok(nm_points_from_arrays(x, N_POINTS, N_IN, NULL, &points, &err), &err);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nm_points_free(&points);
    nm_ctx_free(ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(means_what_it_says),
        cmocka_unit_test(shares_cases_between_points),
        cmocka_unit_test(knows_the_limits),
        cmocka_unit_test(refuses_what_it_does_not_understand),
        cmocka_unit_test(says_which_file_is_missing),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
