#include "data_support.h"

static nm_status parse_text(const char *text, const nm_data_opts *opts, nm_points *out, nm_err *err)
{
    return parse_bytes("a.csv", text, strlen(text), opts, out, err);
}

/* Two points of two numbers, 1 2 / 3 -4.5, however they are written. */
static void spellings_of_the_same_points_agree(void **state)
{
    static const char *const texts[] = {
        "1,2\n3,-4.5\n",
        "1,2\n3,-4.5",
        "1,2\r\n3,-4.5\r\n",
        "1;2\n3;-4.5\n",
        "1\t2\n3\t-4.5\n",
        " 1 , 2 \n+3.0,-45e-1\n",
        "x0,x1\n1,2\n3,-4.5\n",
        "\"x 0\";\"x 1\"\r\n1;2\r\n3;-4.5\r\n",
        "# made by hand; no units\n1,2\n3,-4.5\n",
        "\xef\xbb\xbf 1,2\n3,-4.5\n\n \n\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        nm_err err = {0};
        nm_points p;
        nm_assert_ok(parse_text(texts[i], NULL, &p, &err), &err);
        assert_int_equal(p.n, 2);
        assert_int_equal(p.n_in, 2);
        nm_assert_close_f32(p.x, (float[]){1, 2, 3, -4.5F}, 4, 0, 0);
        assert_null(p.labels);
        nm_points_free(&p);
    }
}

static void label_column_may_be_anywhere(void **state)
{
    static const struct {
        const char *text;
        int column;
        int64_t n_in;
    } cases[] = {
        {"7,0.5,0.25\n8,1.5,2.5\n", 0, 0},   {"0.5,7,0.25\n1.5,8,2.5\n", 1, 0},
        {"0.5,0.25,7\n1.5,2.5,8.0\n", 2, 0}, {"0.5,0.25,7\n1.5,2.5,8\n", -1, 0},
        {"7,0.5,0.25\n8,1.5,2.5\n", -3, 2},  {"0.5,0.25,7\n1.5,2.5,8\n", NM_LABEL_NONE, 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nm_data_opts opts = NM_DATA_OPTS_INIT;
        nm_err err = {0};
        nm_points p;
        opts.label_column = cases[i].column;
        opts.n_in = cases[i].n_in;
        nm_assert_ok(parse_text(cases[i].text, &opts, &p, &err), &err);
        assert_int_equal(p.n_in, 2);
        nm_assert_close_f32(p.x, (float[]){0.5F, 0.25F, 1.5F, 2.5F}, 4, 0, 0);
        assert_non_null(p.labels);
        assert_int_equal(p.labels[0], 7);
        assert_int_equal(p.labels[1], 8);
        nm_points_free(&p);
    }
}

static void faults_are_named_with_their_line(void **state)
{
    static const struct {
        const char *text;
        nm_status status;
        const char *message;
    } cases[] = {
        {"", NM_E_SHAPE, "a.csv: no points, expected lines of numbers"},
        {"\n\n", NM_E_SHAPE, "a.csv: no points, expected lines of numbers"},
        {"x,y\n", NM_E_SHAPE, "a.csv: no points, expected lines of numbers"},
        {"1,2\n3\n", NM_E_FORMAT, "a.csv:2: 1 columns, expected 2 as before"},
        {"1,2\n3,4,5\n", NM_E_FORMAT, "a.csv:2: 3 columns, expected 2 as before"},
        {"x,y\n1,2\n3,4,5\n", NM_E_FORMAT, "a.csv:3: 3 columns, expected 2 as before"},
        {"1,\n", NM_E_FORMAT, "a.csv:1: column 2 is empty, expected a number"},
        {"1\t2\t\n", NM_E_FORMAT, "a.csv:1: column 3 is empty, expected a number"},
        {"1,2\n\n3,4\n", NM_E_FORMAT, "a.csv:2: column 1 is empty, expected a number"},
        {"\n1,2\n", NM_E_FORMAT, "a.csv:1: column 1 is empty, expected a number"},
        {"1,2\n3,abc\n", NM_E_FORMAT,
         "a.csv:2: column 2: 'abc', expected a finite number and ',' between numbers"},
        {"x,2\n3,4\n", NM_E_FORMAT,
         "a.csv:1: column 1: 'x', expected a finite number and ',' between numbers"},
        {"nan,-inf\n3,4\n", NM_E_FORMAT,
         "a.csv:1: column 1: 'nan', expected a finite number and ',' between numbers"},
        {"1,2\n1e999,4\n", NM_E_FORMAT,
         "a.csv:2: column 1: '1e999', expected a finite number and ',' between numbers"},
        {"1,2\n1e39,4\n", NM_E_FORMAT, "a.csv:2, column 1: 1e+39, expected a finite float32"},
        {"1 2 3\n", NM_E_FORMAT,
         "a.csv:1: column 1: '1 2 3', expected a finite number and ',' between numbers"},
        {"0,5;1\n", NM_E_FORMAT,
         "a.csv:1: column 1: '0,5', expected a finite number and ';' between numbers"},
        {"1\t0x10\n", NM_E_FORMAT,
         "a.csv:1: column 2: '0x10', expected a finite number and 'tab' between numbers"},
        {"1,0123456789012345678901234567890123456789x\n", NM_E_FORMAT,
         "a.csv:1: column 2: '0123456789012345678901234567890123456789', expected a finite number "
         "and ',' between numbers"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused("a.csv", cases[i].text, strlen(cases[i].text), NULL, cases[i].status,
                       cases[i].message);
}

static void bad_labels_are_named_with_their_line(void **state)
{
    static const struct {
        const char *text;
        int column;
        nm_status status;
        const char *message;
    } cases[] = {
        {"x,y\n1,0\n2,3\n", 1, NM_E_FORMAT, "a.csv:3: label 3, expected an integer from 0 to 2"},
        {"1,0.5\n", 1, NM_E_FORMAT, "a.csv:1: label 0.5, expected an integer from 0 to 2"},
        {"1,-1\n", 1, NM_E_FORMAT, "a.csv:1: label -1, expected an integer from 0 to 2"},
        {"1,0\n", 2, NM_E_ARG, "a.csv: label column 2, but there are 2 columns"},
        {"1,0\n", -3, NM_E_ARG, "a.csv: label column -3, but there are 2 columns"},
        {"1\n", 0, NM_E_FORMAT, "a.csv: holds labels only, expected inputs"},
        {"0,1e39\n", 0, NM_E_FORMAT, "a.csv:1, column 2: 1e+39, expected a finite float32"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nm_data_opts opts = NM_DATA_OPTS_INIT;
        opts.label_column = cases[i].column;
        opts.n_classes = 3;
        assert_refused("a.csv", cases[i].text, strlen(cases[i].text), &opts, cases[i].status,
                       cases[i].message);
    }
}

static void random_numbers_survive_the_way_through_text(void **state)
{
    enum { N = 200, N_IN = 7 };
    const char *path = nm_temp_path(".csv");
    float x[N][N_IN];
    nm_err err = {0};
    nm_writer w;
    nm_points p;

    (void)state;
    nm_assert_ok(nm_writer_open(&w, path, &err), &err);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N_IN; j++) {
            x[i][j] = (float)(i * 31 + j * 7 % 13) / 97.0F - 20;
            (void)fprintf(w.stream, "%.9g%c", (double)x[i][j], j < N_IN - 1 ? ',' : '\n');
        }
    nm_assert_ok(nm_writer_commit(&w, &err), &err);
    nm_assert_ok(load_points(path, NULL, NULL, &p, &err), &err);
    assert_int_equal(p.n, N);
    assert_memory_equal(p.x, x, sizeof x);
    nm_points_free(&p);
}

static void lack_of_memory_is_reported(void **state)
{
    nm_data_opts opts = NM_DATA_OPTS_INIT;
    nm_err err = {0};
    nm_points p;

    (void)state;
    opts.label_column = 0;
    assert_survives_lack_of_memory(parse_text("1,2\n3,4\n", &opts, &p, &err), &err,
                                   nm_points_free(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spellings_of_the_same_points_agree),
        cmocka_unit_test(label_column_may_be_anywhere),
        cmocka_unit_test(faults_are_named_with_their_line),
        cmocka_unit_test(bad_labels_are_named_with_their_line),
        cmocka_unit_test(random_numbers_survive_the_way_through_text),
        cmocka_unit_test(lack_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
