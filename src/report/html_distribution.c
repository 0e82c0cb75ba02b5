/* How figures of many runs are spread: quantiles as a table, shares as a chart. */
#include <math.h>
#include <stdlib.h>

#include "report/html_chart.h"
#include "report/html_parts.h"

static const double quantiles[] = {0, 0.1, 0.25, 0.5, 0.75, 0.9, 1};
enum { N_QUANTILES = sizeof quantiles / sizeof *quantiles, MOST_STEPS = 100 };

/* The value below which a share of them lies; they are sorted. NAN: none */
static double quantile(const json_t *values, double share)
{
    size_t n = json_array_size(values);

    return n == 0 ? (double)NAN
                  : json_number_value(json_array_get(values, (size_t)(share * (double)(n - 1))));
}

static void put_row(FILE *to, const json_t *d)
{
    const json_t *values = json_object_get(d, "values");
    double mark = nm_html_real(d, "mark");

    nm_html_row(to, nm_html_string(d, "name"));
    nm_html_number_cell(to, nm_html_real(d, "n_all"), NULL);
    nm_html_number_cell(to, nm_html_real(d, "n_found"), NULL);
    nm_html_number_cell(to, (double)json_array_size(values), NULL);
    for (int i = 0; i < N_QUANTILES; i++)
        nm_html_number_cell(to, quantile(values, quantiles[i]), NULL);
    nm_html_cell(to, quantile(values, 0.5) <= mark ? "yes" : "no");
    (void)fputs("</tr>\n", to);
}

/* Share of the values that are no larger, at up to a hundred of them. */
static json_t *shares(const json_t *values)
{
    json_t *data = json_array();
    size_t n = json_array_size(values), steps = n < MOST_STEPS ? n : MOST_STEPS;

    for (size_t i = 0; i < steps; i++) {
        size_t at = steps > 1 ? i * (n - 1) / (steps - 1) : 0;

        nm_chart_add_pair(data, json_number_value(json_array_get(values, at)),
                          100 * (double)(at + 1) / (double)n);
    }
    return data;
}

static void put_chart(FILE *to, const json_t *list, const char *what)
{
    json_t *chart = nm_chart_new("line", what, "share of the runs, %"), *d;
    size_t i;

    nm_chart_scale(chart, "x", "log");
    json_array_foreach((json_t *)list, i, d)
    {
        const char *name = nm_html_string(d, "name");

        if (json_array_size(json_object_get(d, "values")) > 0)
            nm_chart_series(chart, name ? name : "", shares(json_object_get(d, "values")));
    }
    if (json_array_size(list) > 0 && isfinite(nm_html_real(json_array_get(list, 0), "mark")))
        nm_chart_mark(chart, nm_html_real(json_array_get(list, 0), "mark"), "asked of the median");
    nm_html_chart(to, chart, "Share of the runs with no more than so much");
}

void nm_html_distributions(FILE *to, const json_t *document)
{
    const json_t *list = json_object_get(document, "distributions");
    const char *title = nm_html_string(document, "title"), *what = nm_html_string(document, "what");
    const char *about = nm_html_string(document, "about");
    json_t *d;
    size_t i;

    nm_html_open_section(to, "distributions", title ? title : "Distributions");
    if (about) {
        (void)fputs("<p>", to);
        nm_html_text(to, about);
        (void)fputs("</p>\n", to);
    }
    put_chart(to, list, what ? what : "value");
    nm_html_open_table(to, what,
                       "Runs|#That have an answer|#Found|#Compared|#Least|#10 %|#25 %|#Median|#75 "
                       "%|#90 %|#Largest|Median as asked");
    json_array_foreach((json_t *)list, i, d) put_row(to, d);
    nm_html_close_table(to);
    (void)fputs("</section>\n", to);
}
