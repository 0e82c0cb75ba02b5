#include "support.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "net/chain.h"
#include "netmend/report.h"
#include "report/html_parts.h"

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
        fail_msg("the page does not contain '%s'", part);
}

/* The page of a document; free with nm_buffer_free(). */
static nm_buffer page_of(const char *document)
{
    const char *path = nm_temp_path(".html");
    nm_buffer page;
    nm_err err = {0};

    nm_assert_ok(nm_report_page(document, path, &err), &err);
    nm_assert_ok(nm_file_read(path, 1 << 26, &page, &err), &err);
    return page;
}

/* -- sweeps ------------------------------------------------------------------------------------ */

/* The page of tests/data/reports/sweep.json. */
static nm_buffer sweep_page(void)
{
    nm_buffer document, page;
    nm_err err = {0};

    nm_assert_ok(nm_file_read(nm_test_file("data/reports/sweep.json"), 1 << 20, &document, &err),
                 &err);
    page = page_of((const char *)document.data);
    nm_buffer_free(&document);
    return page;
}

static void cells_of_the_grid_are_the_rows(void **state)
{
    nm_buffer page = sweep_page();
    const char *text = (const char *)page.data;

    (void)state;
    assert_says(text, "<th scope=\"col\">SetA, size 10</th><th scope=\"col\">SetA, size 20</th>"
                      "<th scope=\"col\">SetB, size 20</th>");
    assert_says(text, "<th scope=\"row\">Edit1</th><td><a href=\"#row-0\" title=\"repaired\">"
                      "<span class=\"v v0 h5\">\xe2\x88\x92"
                      "2.5</span><span class=\"v v1 h0\">100 %</span>");
    assert_says(text, "<a href=\"#row-1\" title=\"repaired\"><span class=\"v v0 h0\">+7.25</span>");
    assert_says(text, "<a href=\"#row-2\" title=\"infeasible: points 3 and 4 exclude each other\">"
                      "<span class=\"fail\">infeasible</span></a>");
    assert_int_equal(count(text, "<section class=\"row\""), 4);
    assert_int_equal(count(text, "<span class=\"none\">"), 2); /* 2 x 3 cells, 4 rows */
    nm_buffer_free(&page);
}

/* Of the 2 sets of 10, one was repaired; of those of one class, all. */
static void groups_count_the_rows(void **state)
{
    nm_buffer page = sweep_page();
    const char *text = (const char *)page.data;

    (void)state;
    assert_says(text, "<th scope=\"row\">1 to 10</th><td class=\"n\">2</td><td class=\"n\">1</td>"
                      "<td class=\"n\">50 %</td><td class=\"n\">\xe2\x88\x92"
                      "2.5</td>");
    assert_says(text,
                "<th scope=\"row\">over 200</th><td class=\"n\">1</td><td class=\"n\">1</td>");
    assert_says(text, "<th scope=\"row\">mixed</th><td class=\"n\">2</td><td class=\"n\">1</td>"
                      "<td class=\"n\">50 %</td><td class=\"n\">+7.25</td>");
    assert_says(text, "<th scope=\"row\">one class</th><td class=\"n\">1</td>");
    nm_buffer_free(&page);
}

static void passes_name_the_one_that_is_kept(void **state)
{
    nm_buffer page =
        page_of("{\"repair_set\":{\"n\":4},\"details\":{},\"passes\":["
                "{\"pass\":1,\"n_batch\":2,\"set_right\":2,\"accuracy\":0.5,\"accepted\":true,"
                "\"best\":true},"
                "{\"pass\":2,\"n_batch\":2,\"set_right\":1,\"accuracy\":0.25,\"accepted\":false,"
                "\"reason\":\"lost too much\"}]}");
    const char *text = (const char *)page.data;

    (void)state;
    assert_says(text, "<td class=\"n\">50 %</td><td class=\"n\">50 %</td>");
    assert_says(text, "kept: the result is this network");
    assert_says(text, "<td>lost too much</td>");
    nm_buffer_free(&page);
}

static void distributions_show_their_quantiles(void **state)
{
    nm_buffer page =
        page_of("{\"title\":\"Changes\",\"what\":\"ratio\",\"distributions\":["
                "{\"name\":\"one\",\"n_all\":12,\"n_found\":11,\"mark\":1.5,"
                "\"values\":[0.5,0.75,1,1.25,1.375,1.5,1.625,2,2.5,3,4]},"
                "{\"name\":\"two\",\"n_all\":3,\"n_found\":3,\"mark\":1.5,\"values\":[1,1.75,8]},"
                "{\"name\":\"none\",\"n_all\":3,\"n_found\":0,\"mark\":1.5,\"values\":[]}]}");
    const char *text = (const char *)page.data;

    (void)state;
    assert_says(text, "<h2>Changes</h2>");
    assert_says(text, "<tr><th scope=\"row\">one</th><td class=\"n\">12</td><td class=\"n\">11</td>"
                      "<td class=\"n\">11</td><td class=\"n\">0.5</td><td class=\"n\">0.75</td>"
                      "<td class=\"n\">1</td><td class=\"n\">1.5</td>");
    assert_says(text, "<td class=\"n\">1</td><td class=\"n\">1.75</td><td class=\"n\">1.75</td>"
                      "<td class=\"n\">1.75</td><td class=\"n\">8</td><td>no</td>");
    assert_int_equal(count(text, "<td>yes</td>"), 1);
    nm_buffer_free(&page);
}

/* -- hostile texts ----------------------------------------------------------------------------- */

#define EVIL "</script></title><img src=x onerror=alert(1)>\\\"'&"

/* Wherever a text of the document stands, it must not become markup. */
static void hostile_texts_stay_texts(void **state)
{
    static const char document[] =
        "{\"status\":\"" EVIL "\",\"reason\":\"" EVIL "\",\"version\":\"" EVIL "\","
        "\"options\":{\"model\":\"" EVIL "\",\"" EVIL "\":\"" EVIL "\"},"
        "\"set\":{\"" EVIL "\":[\"" EVIL "\"]},"
        "\"layer_scores\":[{\"layer\":0,\"name\":\"" EVIL "\",\"skipped\":\"" EVIL "\"}],"
        "\"layer_choice\":{\"reason\":\"" EVIL "\"},"
        "\"layer_votes\":[{\"layer\":0,\"name\":\"" EVIL "\",\"scores\":{\"" EVIL "\":1}}],"
        "\"heuristics\":{\"" EVIL "\":{\"best\":0}},"
        "\"unrepaired_reasons\":[{\"row\":1,\"reason\":\"" EVIL "\"}],"
        "\"passes\":[{\"pass\":1,\"reason\":\"" EVIL "\"}],"
        "\"details\":{\"boundary_svg\":\"" EVIL "\",\"measured_on\":\"" EVIL "\","
        "\"classes\":[{\"class\":0,\"n\":1}],"
        "\"points\":[{\"set\":\"repair\",\"row\":0,\"png\":\"" EVIL "\"}]}}";
    static const char rows[] =
        "{\"counts\":{\"" EVIL "\":1},\"options\":{\"config\":\"" EVIL "\"},\"rows\":["
        "{\"edit\":\"" EVIL "\",\"set\":\"" EVIL "\",\"status\":\"" EVIL "\",\"reason\":\"" EVIL
        "\",\"strategy\":\"" EVIL "\",\"layers\":\"" EVIL "\",\"" EVIL "\":\"" EVIL
        "\",\"change_l2\":1,\"drawdown_points\":1},{\"edit\":3,\"reason\":4,\"status\":[]}, 7]}";
    static const char spread[] =
        "{\"title\":\"" EVIL "\",\"about\":\"" EVIL "\",\"what\":\"" EVIL
        "\",\"distributions\":[{\"name\":\"" EVIL "\",\"values\":[1,2],\"mark\":1},7]}";
    nm_buffer page[3] = {page_of(document), page_of(rows), page_of(spread)};
    int n_closed;

    (void)state;
    for (int k = 0; k < 3; k++) {
        const char *text = (const char *)page[k].data;

        assert_null(strstr(text, "<img src=x"));
        assert_int_equal(count(text, "</title>"), 1);
        n_closed = count(text, "</script>");
        assert_int_equal(n_closed, count(text, "<script"));
        nm_buffer_free(&page[k]);
    }
}

static void what_is_no_document_is_refused(void **state)
{
    nm_err err = {0};
    const char *path = nm_temp_path(".html");
    FILE *none;

    (void)state;
    assert_int_equal(nm_report_page("[1]", path, &err), NM_E_FORMAT);
    err = (nm_err){0};
    assert_int_equal(nm_report_page("{\"rows\":", path, &err), NM_E_FORMAT);
    none = fopen(path, "r");
    assert_null(none);
    err = (nm_err){0};
    assert_int_equal(nm_report_page("{}", "/no/such/folder/page.html", &err), NM_E_IO);
}

static void a_page_of_nothing_is_a_page(void **state)
{
    nm_buffer repair = page_of("{}"), rows = page_of("{\"rows\":[]}");

    (void)state;
    assert_says((const char *)repair.data, "</html>");
    assert_says((const char *)rows.data, "</html>");
    assert_null(strstr((const char *)rows.data, "id=\"grid\""));
    nm_buffer_free(&repair);
    nm_buffer_free(&rows);
}

/* -- details ----------------------------------------------------------------------------------- */

/* Class 0 where sign * x0 > 0. */
static nm_net *half_space_net(int64_t n_in, double sign)
{
    double *weights = calloc((size_t)(2 * n_in), sizeof *weights);
    nm_net *net;
    nm_err err = {0};

    nm_assert_ok(nm_net_new_chain((const int64_t[]){n_in, 2}, 1, &net, &err), &err);
    weights[0] = sign;
    weights[n_in] = -sign;
    nm_assert_ok(nm_net_set_layer(net, 0, false, weights, &err), &err);
    free(weights);
    return net;
}

/* Points with the given first inputs, all else 0; before: sign 1, after: sign -1. */
static json_t *details_of(int64_t n_in, const float *first, const int64_t *labels, int64_t n)
{
    nm_net *before = half_space_net(n_in, 1), *after = half_space_net(n_in, -1);
    float *x = calloc((size_t)(n * n_in), sizeof *x);
    nm_points points, repair;
    nm_repair_task task = {.repair = &repair, .test = &points};
    char *json = NULL;
    json_t *details;
    nm_ctx *ctx;
    nm_err err = {0};

    for (int64_t i = 0; i < n; i++)
        x[i * n_in] = first[i];
    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
    nm_assert_ok(nm_points_from_arrays(x, n, n_in, labels, &points, &err), &err);
    nm_assert_ok(nm_points_subset(&points, (const int64_t[]){1}, 1, &repair, &err), &err);
    nm_assert_ok(nm_report_details(ctx, before, after, &task, &json, &err), &err);
    details = json_loads(json, 0, NULL);
    assert_non_null(details);
    nm_string_free(json);
    nm_points_free(&points);
    nm_points_free(&repair);
    nm_net_free(before);
    nm_net_free(after);
    nm_ctx_free(ctx);
    free(x);
    return details;
}

static void assert_json(const json_t *value, const char *want)
{
    char *got = json_dumps(value, JSON_COMPACT);

    assert_string_equal(got, want);
    free(got);
}

static void details_count_what_changed(void **state)
{
    static const float first[] = {1, -1, -2, 3};
    static const int64_t labels[] = {0, 0, 1, 1}; /* before: right, wrong, right, wrong */
    json_t *details = details_of(2, first, labels, 4);
    const char *svg = nm_html_string(details, "boundary_svg");

    (void)state;
    assert_string_equal(nm_html_string(details, "measured_on"), "test");
    assert_json(json_object_get(details, "classes"),
                "[{\"class\":0,\"n\":2,\"right_before\":1,\"right_after\":1},"
                "{\"class\":1,\"n\":2,\"right_before\":1,\"right_after\":1}]");
    assert_json(json_object_get(details, "confusions"), "[]"); /* 1 and 1, as before */
    assert_json(json_object_get(details, "repair_classes"), "[{\"class\":0,\"n\":1}]");
    assert_json(json_object_get(details, "points"),
                "[{\"set\":\"repair\",\"row\":1,\"label\":0,\"before\":1,\"after\":0},"
                "{\"set\":\"broken\",\"row\":0,\"label\":0,\"before\":0,\"after\":1},"
                "{\"set\":\"broken\",\"row\":2,\"label\":1,\"before\":1,\"after\":0}]");
    assert_non_null(svg);
    assert_memory_equal(svg, "PD94bWwg", 8); /* "<?xml " */
    json_decref(details);
}

static void confusions_come_largest_change_first(void **state)
{
    static const float first[] = {-1, -1, 1, -3};
    static const int64_t labels[] = {0, 0, 0, 1}; /* 0 for 1: 2 -> 1; 1 for 0: 0 -> 1 */
    json_t *details = details_of(2, first, labels, 4);

    (void)state;
    assert_json(json_object_get(details, "confusions"),
                "[{\"label\":0,\"predicted\":1,\"before\":2,\"after\":1},"
                "{\"label\":1,\"predicted\":0,\"before\":0,\"after\":1}]");
    json_decref(details);
}

static void squares_are_images(void **state)
{
    static const float first[] = {1, -1};
    static const int64_t labels[] = {0, 0};
    json_t *details = details_of(196, first, labels, 2), *none = details_of(195, first, labels, 2);
    const char *png = nm_html_string(json_array_get(json_object_get(details, "points"), 0), "png");

    (void)state;
    assert_non_null(png);
    assert_memory_equal(png, "iVBORw0KGgo", 11);
    assert_false(nm_html_has(json_array_get(json_object_get(none, "points"), 0), "png"));
    assert_false(nm_html_has(details, "boundary_svg"));
    json_decref(details);
    json_decref(none);
}

static void labels_that_are_no_outputs_are_refused(void **state)
{
    static const int64_t labels[] = {2};
    static const float x[] = {1, 0};
    nm_net *net = half_space_net(2, 1);
    nm_points points;
    nm_repair_task task = {.repair = &points};
    char *json;
    nm_ctx *ctx;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
    nm_assert_ok(nm_points_from_arrays(x, 1, 2, labels, &points, &err), &err);
    assert_int_equal(nm_report_details(ctx, net, net, &task, &json, &err), NM_E_ARG);
    assert_null(json);
    nm_points_free(&points);
    nm_net_free(net);
    nm_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_of_the_grid_are_the_rows),
        cmocka_unit_test(groups_count_the_rows),
        cmocka_unit_test(passes_name_the_one_that_is_kept),
        cmocka_unit_test(distributions_show_their_quantiles),
        cmocka_unit_test(hostile_texts_stay_texts),
        cmocka_unit_test(what_is_no_document_is_refused),
        cmocka_unit_test(a_page_of_nothing_is_a_page),
        cmocka_unit_test(details_count_what_changed),
        cmocka_unit_test(confusions_come_largest_change_first),
        cmocka_unit_test(squares_are_images),
        cmocka_unit_test(labels_that_are_no_outputs_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
