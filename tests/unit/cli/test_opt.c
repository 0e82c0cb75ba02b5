#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The program is no library: its option parser is compiled into the test. */
#include "../cli/fail.c"
#include "../cli/nearest.c"
#include "../cli/opt.c"
#include "../cli/opt_help.c"
#include "../cli/opt_value.c"

typedef struct values {
    bool flag;
    int64_t count;
    double margin;
    const char *file, *place;
    int color;
    nm_opt_rows rows;
    nm_opt_bounds bound;
    nm_opt_doubles mean;
    nm_opt_ints widths;
} values;

#define AT(field) .offset = offsetof(values, field)

static const char *const colors[] = {"red", "green", NULL};
static const char *const later_colors[] = {"blue", NULL};

static const nm_opt rows[] = {
    {.name = "PLACE", .kind = NM_OPT_PATH, .positional = true, .required = true, AT(place)},
    {.name = "flag", .short_name = 'f', .kind = NM_OPT_FLAG, AT(flag)},
    {.name = "count", .kind = NM_OPT_INT, AT(count), .min = 1, .max = 9, .initial = "3"},
    {.name = "margin",
     .kind = NM_OPT_DOUBLE,
     AT(margin),
     .max = INFINITY,
     .arg = "M",
     .unit = "output units",
     .help = "how far",
     .initial = "auto",
     .word = "auto",
     .word_value = NAN},
    {.name = "file", .short_name = 'o', .kind = NM_OPT_PATH, AT(file), .arg = "FILE"},
    {.name = "color",
     .kind = NM_OPT_CHOICE,
     AT(color),
     .choices = colors,
     .later = later_colors,
     .initial = "green"},
    {.name = "rows", .kind = NM_OPT_ROWS, AT(rows)},
    {.name = "bound", .kind = NM_OPT_BOUNDS, AT(bound)},
    {.name = "mean", .kind = NM_OPT_DOUBLES, AT(mean), .min = -INFINITY, .max = INFINITY},
    {.name = "widths", .kind = NM_OPT_INTS, AT(widths), .min = 1, .max = 100},
    {.name = "elastic", .kind = NM_OPT_LATER},
    {0}};

static const nm_opt_group groups[] = {{"Options", rows, 0}, {0}};

enum { MAX_WORDS = 16 };

/* Parses a command line written as one text. */
static nm_status parse(const char *line, values *out, nm_err *err)
{
    static char text[256];
    char *words[MAX_WORDS];
    int n = 0;

    *err = (nm_err){0};
    *out = (values){0};
    (void)snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok(text, " "); word && n < MAX_WORDS; word = strtok(NULL, " "))
        words[n++] = word;
    nm_opt_defaults(groups, out);
    return nm_opt_parse(groups, n, words, out, err);
}

static void assert_accepted(const char *line, values *out)
{
    nm_err err;

    if (parse(line, out, &err) != NM_OK)
        fail_msg("%s: %s", line, err.text);
}

static void assert_refused(const char *line, const char *message)
{
    values v;
    nm_err err;

    assert_int_equal(parse(line, &v, &err), NM_E_ARG);
    assert_string_equal(err.text, message);
}

static void defaults_stand_without_options(void **state)
{
    values v;

    (void)state;
    assert_accepted("", &v);
    assert_int_equal(v.count, 3);
    assert_true(isnan(v.margin));
    assert_int_equal(v.color, 1);
    assert_null(v.file);
    assert_int_equal(v.rows.first, 0);
    assert_int_equal(v.rows.last, -1);
}

static void values_come_attached_or_as_the_next_argument(void **state)
{
    values v;

    (void)state;
    assert_accepted("--count=4 --margin 0.5 -o a.npy p.onnx -f", &v);
    assert_int_equal(v.count, 4);
    assert_true(v.margin == 0.5);
    assert_string_equal(v.file, "a.npy");
    assert_string_equal(v.place, "p.onnx");
    assert_true(v.flag);
    assert_accepted("-ob.npy", &v);
    assert_string_equal(v.file, "b.npy");
    assert_refused("--file=", "--file must not be empty");
}

static void the_last_value_counts(void **state)
{
    values v;

    (void)state;
    assert_accepted("--margin 2 --margin auto --count 5 --count 6", &v);
    assert_true(isnan(v.margin));
    assert_int_equal(v.count, 6);
}

static void two_dashes_end_the_options(void **state)
{
    values v;

    (void)state;
    assert_accepted("-- --flag", &v);
    assert_string_equal(v.place, "--flag");
    assert_false(v.flag);
}

static void ranges_and_bounds_are_read(void **state)
{
    values v;

    (void)state;
    assert_accepted("--rows 10:20 --bound 0.5", &v);
    assert_int_equal(v.rows.first, 10);
    assert_int_equal(v.rows.last, 20);
    assert_true(v.bound.lo == -0.5 && v.bound.hi == 0.5);
    assert_accepted("--rows :7 --bound -1:2e-3", &v);
    assert_int_equal(v.rows.first, 0);
    assert_int_equal(v.rows.last, 7);
    assert_true(v.bound.lo == -1 && v.bound.hi == 2e-3);
    assert_accepted("--rows 7: --bound :3", &v);
    assert_int_equal(v.rows.last, -1);
    assert_true(v.bound.lo == -INFINITY && v.bound.hi == 3);
}

static void lists_are_read(void **state)
{
    values v;

    (void)state;
    assert_accepted("--mean 0.5,-1,2e1 --widths 32,64", &v);
    assert_int_equal(v.mean.n, 3);
    assert_true(v.mean.v[1] == -1 && v.mean.v[2] == 20);
    assert_int_equal(v.widths.n, 2);
    assert_int_equal(v.widths.v[1], 64);
}

static void wrong_values_are_refused_with_what_is_accepted(void **state)
{
    (void)state;
    assert_refused("--margin abc", "--margin must be 'auto' or a number >= 0, got 'abc'");
    assert_refused("--margin -1", "--margin must be 'auto' or a number >= 0, got '-1'");
    assert_refused("--margin nan", "--margin must be 'auto' or a number >= 0, got 'nan'");
    assert_refused("--margin 1e999", "--margin must be 'auto' or a number >= 0, got '1e999'");
    assert_refused("--count 10", "--count must be a whole number >= 1 and <= 9, got '10'");
    assert_refused("--count 3.5", "--count must be a whole number >= 1 and <= 9, got '3.5'");
    assert_refused("--count 99999999999999999999",
                   "--count must be a whole number >= 1 and <= 9, got '99999999999999999999'");
    assert_refused("--color yellow", "--color must be one of red, green, got 'yellow'");
    assert_refused("--rows 5:3", "--rows must be A:B with 0 <= A <= B (rows A to B-1), got '5:3'");
    assert_refused("--rows 5", "--rows must be A:B with 0 <= A <= B (rows A to B-1), got '5'");
    assert_refused("--bound 1:2", "--bound must be B >= 0 (for -B to B) or LO:HI with "
                                  "LO <= 0 <= HI, got '1:2'");
    assert_refused("--mean 1,,2", "--mean must be a list (at most 64, separated by commas) of "
                                  "numbers, got '1,,2'");
    assert_refused("--widths 1,0", "--widths must be a list (at most 64, separated by commas) of "
                                   "whole numbers >= 1 and <= 100, got '1,0'");
}

static void a_list_longer_than_its_room_is_refused(void **state)
{
    char text[3 * NM_OPT_MAX_LIST] = "1";
    nm_opt_ints list = {0};
    nm_opt row = {.name = "widths", .kind = NM_OPT_INTS};
    nm_err err = {0};

    (void)state;
    for (int i = 1; i < NM_OPT_MAX_LIST; i++)
        strcat(text, ",1");
    assert_int_equal(nm_opt_set_value(&row, text, &list, &err), NM_OK);
    assert_int_equal(list.n, NM_OPT_MAX_LIST);
    strcat(text, ",1");
    assert_int_equal(nm_opt_set_value(&row, text, &list, &err), NM_E_ARG);
}

static void wrong_options_are_refused(void **state)
{
    (void)state;
    assert_refused("--magrin 1", "unknown option --magrin, did you mean --margin?");
    assert_refused("--col red", "unknown option --col, did you mean --color?");
    assert_refused("--zzzzzz", "unknown option --zzzzzz");
    assert_refused("-z", "unknown option -z");
    assert_refused("--flag=1", "--flag takes no value");
    assert_refused("--file", "--file needs a value (FILE)");
    assert_refused("--file --flag", "--file needs a value (FILE), got the option --flag");
    assert_refused("a b", "unexpected argument 'b'");
    assert_refused("--elastic", "--elastic is not available in this version");
    assert_refused("--color blue", "--color blue is not available in this version");
}

static void required_values_are_missed(void **state)
{
    values v;
    nm_err err = {0};

    (void)state;
    assert_accepted("--flag", &v);
    assert_int_equal(nm_opt_check_required(groups, &v, &err), NM_E_ARG);
    assert_non_null(strstr(err.text, "PLACE is missing"));
}

static void the_nearest_word_is_found(void **state)
{
    nm_nearest near = {.word = "repiar"}, far = {.word = "xyz"};

    (void)state;
    nm_nearest_offer(&near, "report");
    nm_nearest_offer(&near, "repair");
    assert_string_equal(near.best, "repair");
    nm_nearest_offer(&far, "repair");
    assert_null(far.best);
}

static void help_shows_unit_and_default(void **state)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    (void)state;
    nm_opt_print_help(out, groups, false);
    (void)fclose(out);
    assert_non_null(strstr(text, "--margin M"));
    assert_non_null(strstr(text, "how far [output units, default auto]"));
    assert_null(strstr(text, "elastic"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_stand_without_options),
        cmocka_unit_test(values_come_attached_or_as_the_next_argument),
        cmocka_unit_test(the_last_value_counts),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(ranges_and_bounds_are_read),
        cmocka_unit_test(lists_are_read),
        cmocka_unit_test(wrong_values_are_refused_with_what_is_accepted),
        cmocka_unit_test(a_list_longer_than_its_room_is_refused),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(required_values_are_missed),
        cmocka_unit_test(the_nearest_word_is_found),
        cmocka_unit_test(help_shows_unit_and_default),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
