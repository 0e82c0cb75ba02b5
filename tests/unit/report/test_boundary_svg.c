#include "support.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "net/chain.h"
#include "netmend/report.h"
#include "netmend/train.h"

/* -- the picture as XML ------------------------------------------------------------------ */

enum { MAX_DEPTH = 8, MAX_NAME = 32 };

static size_t name_length(const char *at)
{
    size_t n = 0;

    while (isalnum((unsigned char)at[n]))
        n++;
    assert_in_range(n, 1, MAX_NAME - 1);
    return n;
}

/* Checks attributes from `at` on. @return the end of the tag: at '>' or at "/>" */
static const char *check_attributes(const char *at)
{
    while (*at == ' ') {
        at++;
        while (isalnum((unsigned char)*at) || *at == '-')
            at++;
        assert_true(at[0] == '=' && at[1] == '"');
        for (at += 2; *at != '"'; at++)
            assert_false(*at == '<' || *at == '&' || *at == '\0');
        at++;
    }
    return at;
}

/* Every tag closed in order, attributes quoted, no stray '&' or '<', one root. */
static void assert_well_formed(const char *at)
{
    char open[MAX_DEPTH][MAX_NAME];
    int depth = 0, n_roots = 0;
    static const char head[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

    assert_memory_equal(at, head, sizeof head - 1);
    for (at += sizeof head - 1; *at; at++) {
        bool closing = at[0] == '<' && at[1] == '/';
        size_t n;

        assert_true(*at != '&' && (depth > 0 || *at == '<' || *at == '\n'));
        if (*at != '<')
            continue;
        at += closing ? 2 : 1;
        n = name_length(at);
        if (closing) {
            assert_true(depth > 0 && strlen(open[depth - 1]) == n);
            assert_memory_equal(open[--depth], at, n);
            at += n;
        } else {
            assert_true(depth < MAX_DEPTH);
            n_roots += depth == 0;
            (void)snprintf(open[depth++], MAX_NAME, "%.*s", (int)n, at);
            at = check_attributes(at + n);
            if (*at == '/') {
                depth--;
                at++;
            }
        }
        assert_int_equal(*at, '>');
    }
    assert_int_equal(depth, 0);
    assert_int_equal(n_roots, 1);
}

static int count(const char *text, const char *part)
{
    int n = 0;

    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        n++;
    return n;
}

static void assert_says(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("the picture does not contain '%s'", part);
}

/* -- networks and points ----------------------------------------------------------------- */

/* Scores sign * x0 and -sign * x0: the border is x0 = 0. */
static nm_net *half_plane_net(double sign)
{
    nm_net *net;
    nm_err err = {0};

    nm_assert_ok(nm_net_new_chain((const int64_t[]){2, 2}, 1, &net, &err), &err);
    nm_assert_ok(nm_net_set_layer(net, 0, false, (const double[]){sign, 0.0, -sign, 0.0}, &err),
                 &err);
    return net;
}

typedef struct fixture {
    nm_ctx *ctx;
    nm_net *before, *after;
    nm_points points, repair_set;
    const char *path;
    nm_buffer picture;
} fixture;

/* Before: class 0 right of zero; three of the four points are on the wrong side. */
static void set_up(fixture *f)
{
    static const float x[][2] = {{-1.0f, 0.0f}, {-2.0f, 1.0f}, {1.5f, -1.0f}, {0.5f, -2.0f}};
    static const int64_t labels[] = {0, 0, 1, 0};
    static const int64_t chosen[] = {0, 2};
    nm_err err = {0};

    *f = (fixture){.before = half_plane_net(1.0), .after = half_plane_net(-1.0)};
    nm_assert_ok(nm_ctx_new(&f->ctx, &err), &err);
    nm_assert_ok(nm_points_from_arrays(x[0], 4, 2, labels, &f->points, &err), &err);
    nm_assert_ok(nm_points_subset(&f->points, chosen, 2, &f->repair_set, &err), &err);
    f->path = nm_temp_path(".svg");
}

static void tear_down(fixture *f)
{
    nm_buffer_free(&f->picture);
    nm_points_free(&f->points);
    nm_points_free(&f->repair_set);
    nm_net_free(f->before);
    nm_net_free(f->after);
    nm_ctx_free(f->ctx);
}

static const char *draw(fixture *f, bool with_repair_set)
{
    nm_err err = {0};

    nm_assert_ok(nm_boundary_svg(f->ctx, f->before, f->after, &f->points,
                                 with_repair_set ? &f->repair_set : NULL, f->path, &err),
                 &err);
    nm_buffer_free(&f->picture);
    nm_assert_ok(nm_file_read(f->path, 1 << 24, &f->picture, &err), &err);
    assert_well_formed((const char *)f->picture.data);
    return (const char *)f->picture.data;
}

/* -- tests ------------------------------------------------------------------------------- */

static void picture_tells_both_accuracies_and_marks_the_points(void **state)
{
    const char *text;
    fixture f;

    (void)state;
    set_up(&f);
    text = draw(&f, true);
    assert_says(text, ">before</text>");
    assert_says(text, ">after</text>");
    assert_says(text, ">accuracy 25.0 % (1 of 4 right) \xc2\xb7 repair set: 0 of 2 right<");
    assert_says(text, ">accuracy 75.0 % (3 of 4 right) \xc2\xb7 repair set: 2 of 2 right<");
    assert_says(text, ">class 0<");
    assert_says(text, ">class 1<");
    /* The repair set is drawn again on top, the legend has one sign of each. */
    assert_int_equal(count(text, "href=\"#m0\""), 2 * (3 + 1) + 1);
    assert_int_equal(count(text, "href=\"#m1\""), 2 * (1 + 1) + 1);
    assert_int_equal(count(text, "href=\"#cross\""), (3 + 2) + 1 + 1);
    assert_int_equal(count(text, "href=\"#ring\""), 2 * 2 + 1);
    assert_int_equal(count(text, "class=\"border\""), 2);
    tear_down(&f);
}

static void picture_without_a_repair_set_has_no_rings(void **state)
{
    const char *text;
    fixture f;

    (void)state;
    set_up(&f);
    text = draw(&f, false);
    assert_int_equal(count(text, "href=\"#ring\""), 0);
    assert_null(strstr(text, "repair set"));
    f.repair_set.n = 0; /* an empty one counts as none */
    assert_null(strstr(draw(&f, true), "repair set"));
    tear_down(&f);
}

/* The border x0 = 0 stands where the axis has its 0: at the same place in both panels. */
static void border_stands_at_zero_of_the_axis(void **state)
{
    const char *at;
    fixture f;
    int x, y, left[2], border[2], n_read = 0;

    (void)state;
    set_up(&f);
    at = draw(&f, true);
    for (int k = 0; k < 2; k++) {
        at = strstr(at, "class=\"border\" d=\"M");
        assert_non_null(at);
        n_read += sscanf(at, "class=\"border\" d=\"M%d %d", &border[k], &y);
        while ((at = strstr(at, "class=\"tick middle\" x=\"")) != NULL) {
            char label[8];

            n_read += sscanf(at, "class=\"tick middle\" x=\"%d\" y=\"%d\">%7[^<]", &x, &y, label);
            at++;
            if (strcmp(label, "0") == 0)
                break;
        }
        left[k] = x;
        assert_non_null(at);
        assert_true(abs(border[k] - x) <= 1);
    }
    assert_true(n_read > 6 && left[0] != left[1]);
    tear_down(&f);
}

static void trained_moons_make_a_small_file(void **state)
{
    const int64_t hidden[] = {32, 64, 32};
    nm_train_opts opts = NM_TRAIN_OPTS_INIT;
    nm_train_report report;
    nm_err err = {0};
    fixture f;

    (void)state;
    set_up(&f);
    nm_points_free(&f.points);
    nm_net_free(f.after);
    nm_assert_ok(nm_moons(500, 0.15, 42, &f.points, &err), &err);
    opts.hidden = hidden;
    opts.n_hidden = 3;
    opts.epochs = 40;
    nm_assert_ok(nm_train(f.ctx, &f.points, &opts, &f.after, &report, &err), &err);
    (void)draw(&f, true);
    assert_in_range(f.picture.n_bytes, 30000, 150000);
    tear_down(&f);
}

/* Points on one spot or one line, huge, tiny: always a window around them. */
static void any_extent_of_the_points_can_be_drawn(void **state)
{
    static const float scale[][2] = {{0.0f, 0.0f},   {1e-30f, 1e30f}, {3e37f, 3e37f},
                                     {1e-40f, 1.0f}, {1.0f, 0.0f},    {1e-3f, 1e3f}};
    fixture f;

    (void)state;
    set_up(&f);
    for (size_t k = 0; k < sizeof scale / sizeof *scale; k++)
        for (int shift = 0; shift < 2; shift++) {
            for (int i = 0; i < 4; i++) {
                f.points.x[2 * i] = (float)(i - 1) * scale[k][0] + (float)shift * 1000.0f;
                f.points.x[2 * i + 1] = (float)(i % 2) * scale[k][1] - (float)shift * 1e20f;
            }
            const char *text = draw(&f, false);

            assert_null(strstr(text, "nan"));
            assert_null(strstr(text, "inf"));
            assert_null(strstr(text, "-2147483648"));
        }
    tear_down(&f);
}

static void very_many_points_are_thinned_out(void **state)
{
    nm_err err = {0};
    const char *text;
    fixture f;
    int n_drawn;

    (void)state;
    set_up(&f);
    nm_points_free(&f.points);
    nm_assert_ok(nm_moons(20000, 0.2, 1, &f.points, &err), &err);
    text = draw(&f, false);
    assert_says(text, "about 2000 of 20000 points are drawn");
    n_drawn = count(text, "href=\"#m0\"") + count(text, "href=\"#m1\"");
    assert_in_range(n_drawn, 2 * 1800, 2 * 2200);
    assert_says(text, " of 20000 right)");
    tear_down(&f);
}

static void assert_refused(const fixture *f, const nm_net *before, const nm_net *after,
                           const char *words)
{
    nm_err err = {0};
    nm_status rc =
        nm_boundary_svg(f->ctx, before, after, &f->points, &f->repair_set, f->path, &err);

    assert_true(rc == NM_E_ARG || rc == NM_E_SHAPE);
    if (!strstr(err.text, words))
        fail_msg("'%s' does not say '%s'", err.text, words);
    assert_int_equal(access(f->path, F_OK), -1);
}

static void what_cannot_be_drawn_is_refused(void **state)
{
    nm_net *three_in, *three_out, *eleven_out;
    nm_err err = {0};
    fixture f;

    (void)state;
    set_up(&f);
    nm_assert_ok(nm_net_new_chain((const int64_t[]){3, 2}, 1, &three_in, &err), &err);
    nm_assert_ok(nm_net_new_chain((const int64_t[]){2, 3}, 1, &three_out, &err), &err);
    nm_assert_ok(nm_net_new_chain((const int64_t[]){2, 11}, 1, &eleven_out, &err), &err);
    assert_refused(&f, three_in, f.after, "networks with 2 inputs, not 3");
    assert_refused(&f, f.before, three_in, "networks with 2 inputs, not 3");
    assert_refused(&f, f.before, three_out, "2 classes before and 3 after");
    assert_refused(&f, eleven_out, eleven_out, "2 to 10 classes, not 11");

    f.repair_set.labels[1] = 2;
    assert_refused(&f, f.before, f.after, "point 1 of the repair set has label 2");
    f.points.labels[3] = -1;
    assert_refused(&f, f.before, f.after, "point 3 of the points has label -1");
    f.points.x[2] = NAN;
    assert_refused(&f, f.before, f.after, "point 1 of the points is not finite");
    f.points.n_in = 3;
    assert_refused(&f, f.before, f.after, "have 3 inputs, expected 2");
    f.points.n = 0;
    assert_refused(&f, f.before, f.after, "there are no points");

    nm_net_free(three_in);
    nm_net_free(three_out);
    nm_net_free(eleven_out);
    tear_down(&f);
}

static void unwritable_path_is_reported(void **state)
{
    nm_err err = {0};
    fixture f;

    (void)state;
    set_up(&f);
    assert_int_equal(
        nm_boundary_svg(f.ctx, f.before, f.after, &f.points, NULL, "/nowhere/at/all.svg", &err),
        NM_E_IO);
    assert_non_null(strstr(err.text, "/nowhere/at/all.svg"));
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(picture_tells_both_accuracies_and_marks_the_points),
        cmocka_unit_test(picture_without_a_repair_set_has_no_rings),
        cmocka_unit_test(border_stands_at_zero_of_the_axis),
        cmocka_unit_test(trained_moons_make_a_small_file),
        cmocka_unit_test(any_extent_of_the_points_can_be_drawn),
        cmocka_unit_test(very_many_points_are_thinned_out),
        cmocka_unit_test(what_cannot_be_drawn_is_refused),
        cmocka_unit_test(unwritable_path_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
