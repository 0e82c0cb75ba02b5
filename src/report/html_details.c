/* One combination, looked at closely. */
#include <math.h>
#include <string.h>

#include "report/html_chart.h"
#include "report/html_parts.h"

static void number_name(const json_t *of, const char *key, char text[static 32])
{
    (void)snprintf(text, 32, "%.0f", nm_html_real(of, key));
}

void nm_html_status(FILE *to, const json_t *result)
{
    const char *reason = nm_html_string(result, "reason");

    (void)fputs("<p class=\"status\"><strong>", to);
    nm_html_text(to, nm_html_string(result, "status"));
    (void)fputs("</strong>", to);
    if (reason && *reason) {
        (void)fputs(": ", to);
        nm_html_text(to, reason);
    }
    (void)fputs("</p>\n", to);
}

/* -- facts ------------------------------------------------------------------------------------- */

void nm_html_facts(FILE *to, const json_t *object, const char *caption)
{
    const char *key;
    json_t *value;

    if (json_object_size(object) == 0)
        return;
    nm_html_open_table(to, caption, "What|Value");
    json_object_foreach((json_t *)object, key, value)
    {
        if (json_is_object(value))
            continue;
        nm_html_row(to, key);
        (void)fputs(json_is_number(value) ? "<td class=\"n\">" : "<td>", to);
        nm_html_value(to, value);
        (void)fputs("</td></tr>\n", to);
    }
    nm_html_close_table(to);
}

void nm_html_folded_facts(FILE *to, const json_t *object, const char *title)
{
    if (json_object_size(object) == 0)
        return;
    (void)fputs("<details><summary>", to);
    nm_html_text(to, title);
    (void)fputs("</summary>\n", to);
    nm_html_facts(to, object, NULL);
    (void)fputs("</details>\n", to);
}

/* -- passes ------------------------------------------------------------------------------------ */

/* One after the other as they were made; halves of a split batch share the number of the pass. */
static void put_pass_chart(FILE *to, const json_t *passes, double n_set)
{
    json_t *chart = nm_chart_new("line", "pass", "right, %"), *right = json_array(),
           *accuracy = json_array(), *labels = json_array(), *pass;
    size_t i;

    json_array_foreach((json_t *)passes, i, pass)
    {
        char name[32];

        number_name(pass, "pass", name);
        json_array_append_new(labels, json_string(name));
        nm_chart_add(right, 100 * nm_html_real(pass, "set_right") / n_set);
        nm_chart_add(accuracy, 100 * nm_html_real(pass, "accuracy"));
        if (json_is_true(json_object_get(pass, "best")))
            nm_chart_mark(chart, (double)i, "kept");
    }
    nm_chart_labels(chart, labels);
    nm_chart_series(chart, "repair set", right);
    nm_chart_series(chart, "test set", accuracy);
    nm_html_chart(to, chart,
                  "Share of the repair set and of the test set that is right after each pass");
}

static const char *fate_of(const json_t *pass)
{
    const char *reason = nm_html_string(pass, "reason");

    if (json_is_true(json_object_get(pass, "best")))
        return "kept: the result is this network";
    if (json_is_true(json_object_get(pass, "accepted")))
        return "accepted";
    return reason && *reason ? reason : nm_html_string(pass, "outcome");
}

void nm_html_passes(FILE *to, const json_t *passes, double n_set)
{
    json_t *pass;
    size_t i;

    if (json_array_size(passes) == 0)
        return;
    (void)fputs("<h3>Passes</h3>\n", to);
    put_pass_chart(to, passes, n_set);
    nm_html_open_table(
        to, NULL,
        "Pass|#Points|#Repair set right|#Test accuracy|#Drawdown, points|What became "
        "of it");
    json_array_foreach((json_t *)passes, i, pass)
    {
        char name[32];

        number_name(pass, "pass", name);
        nm_html_row(to, name);
        nm_html_number_cell(to, nm_html_real(pass, "n_batch"), NULL);
        nm_html_number_cell(to, nm_html_real(pass, "set_right") / n_set, nm_html_share);
        nm_html_number_cell(to, nm_html_real(pass, "accuracy"), nm_html_share);
        nm_html_number_cell(to, nm_html_real(pass, "drawdown_points"), nm_html_points);
        nm_html_cell(to, fate_of(pass));
        (void)fputs("</tr>\n", to);
    }
    nm_html_close_table(to);
}

/* -- classes ----------------------------------------------------------------------------------- */

static const char *measured_on(const json_t *details)
{
    const char *name = nm_html_string(details, "measured_on");

    return name ? name : "test";
}

static void put_class_chart(FILE *to, const json_t *classes)
{
    json_t *chart = nm_chart_new("bar", "class", "right, %"), *labels = json_array(),
           *before = json_array(), *after = json_array(), *of;
    size_t i;

    json_array_foreach((json_t *)classes, i, of)
    {
        double n = nm_html_real(of, "n");
        char name[32];

        number_name(of, "class", name);
        json_array_append_new(labels, json_string(name));
        nm_chart_add(before, 100 * nm_html_real(of, "right_before") / n);
        nm_chart_add(after, 100 * nm_html_real(of, "right_after") / n);
    }
    nm_chart_labels(chart, labels);
    nm_chart_series(chart, "before", before);
    nm_chart_series(chart, "after", after);
    nm_html_chart(to, chart, "Accuracy of each class before and after");
}

static void put_classes(FILE *to, const json_t *details)
{
    const json_t *classes = json_object_get(details, "classes");
    json_t *of;
    size_t i;

    if (json_array_size(classes) == 0)
        return;
    (void)fprintf(to, "<h3>Classes</h3>\n<p>Counted on the ");
    nm_html_text(to, measured_on(details));
    (void)fputs(" set.</p>\n", to);
    put_class_chart(to, classes);
    nm_html_open_table(to, NULL, "Class|#Points|#Right before|#Right after|#Change, points");
    json_array_foreach((json_t *)classes, i, of)
    {
        double n = nm_html_real(of, "n"), before = nm_html_real(of, "right_before") / n,
               after = nm_html_real(of, "right_after") / n;
        char name[32];

        number_name(of, "class", name);
        nm_html_row(to, name);
        nm_html_number_cell(to, n, NULL);
        nm_html_number_cell(to, before, nm_html_share);
        nm_html_number_cell(to, after, nm_html_share);
        nm_html_number_cell(to, 100 * (after - before), nm_html_points);
        (void)fputs("</tr>\n", to);
    }
    nm_html_close_table(to);
}

static void put_confusions(FILE *to, const json_t *details)
{
    const json_t *list = json_object_get(details, "confusions");
    json_t *of;
    size_t i;

    if (json_array_size(list) == 0)
        return;
    (void)fputs("<h3>Confusions that changed most</h3>\n", to);
    nm_html_open_table(to, NULL, "Class|Taken for|#Before|#After|#Change");
    json_array_foreach((json_t *)list, i, of)
    {
        double before = nm_html_real(of, "before"), after = nm_html_real(of, "after");
        char name[32];

        number_name(of, "label", name);
        nm_html_row(to, name);
        number_name(of, "predicted", name);
        nm_html_cell(to, name);
        nm_html_number_cell(to, before, NULL);
        nm_html_number_cell(to, after, NULL);
        nm_html_number_cell(to, after - before, nm_html_points);
        (void)fputs("</tr>\n", to);
    }
    nm_html_close_table(to);
}

/* -- pictures ---------------------------------------------------------------------------------- */

/* Base64 of our own making; anything else in its place must not leave the attribute. */
static void put_image(FILE *to, const char *type, const char *base64)
{
    (void)fprintf(to, "<img loading=\"lazy\" src=\"data:%s;base64,", type);
    nm_html_text(to, base64);
    (void)fputs("\" alt=\"", to);
}

static void put_boundary(FILE *to, const json_t *details, const char *name)
{
    const char *svg = nm_html_string(details, "boundary_svg");

    if (!svg)
        return;
    (void)fputs("<h3>Decision regions</h3>\n<figure class=\"wide\">", to);
    put_image(to, "image/svg+xml", svg);
    (void)fputs("Decision regions before and after: ", to);
    nm_html_text(to, name);
    (void)fputs("\"></figure>\n", to);
}

static void put_picture(FILE *to, const json_t *point)
{
    double row = nm_html_real(point, "row"), label = nm_html_real(point, "label"),
           after = nm_html_real(point, "after");
    bool right = after == label;

    (void)fputs("<li>", to);
    put_image(to, "image/png", nm_html_string(point, "png"));
    (void)fprintf(to,
                  "Row %.0f\"><p>row %.0f<br>class %.0f<br>was %.0f, <b class=\"%s\">now %.0f "
                  "%s</b></p></li>\n",
                  row, row, label, nm_html_real(point, "before"), right ? "right" : "wrong", after,
                  right ? "\xe2\x9c\x93" : "\xe2\x9c\x97");
}

static void put_point(FILE *to, const json_t *point)
{
    char name[32];

    number_name(point, "row", name);
    nm_html_row(to, name);
    nm_html_number_cell(to, nm_html_real(point, "label"), NULL);
    nm_html_number_cell(to, nm_html_real(point, "before"), NULL);
    nm_html_number_cell(to, nm_html_real(point, "after"), NULL);
    nm_html_cell(to,
                 nm_html_real(point, "after") == nm_html_real(point, "label") ? "right" : "wrong");
    (void)fputs("</tr>\n", to);
}

/* The points of one set, as pictures or as rows of a table. */
static void put_points(FILE *to, const json_t *details, const char *set, const char *title)
{
    json_t *points = json_array(), *point;
    bool pictures;
    size_t i;

    json_array_foreach(json_object_get(details, "points"), i, point)
    {
        const char *of = nm_html_string(point, "set");

        if (of && strcmp(of, set) == 0)
            json_array_append(points, point);
    }
    if (json_array_size(points) > 0) {
        pictures = nm_html_has(json_array_get(points, 0), "png");
        (void)fprintf(to, "<h3>%s</h3>\n", title);
        if (pictures)
            (void)fputs("<ul class=\"gallery\">\n", to);
        else
            nm_html_open_table(to, NULL, "Row|#Class|#Before|#After|Now");
        json_array_foreach(points, i, point)
        {
            if (pictures)
                put_picture(to, point);
            else
                put_point(to, point);
        }
        if (pictures)
            (void)fputs("</ul>\n", to);
        else
            nm_html_close_table(to);
    }
    json_decref(points);
}

void nm_html_details(FILE *to, const json_t *details, const char *name)
{
    put_boundary(to, details, name);
    put_classes(to, details);
    put_confusions(to, details);
    put_points(to, details, "repair", "Points to repair");
    put_points(to, details, "broken", "Points that were right and no longer are");
}
