/* The page of a sweep. */
#include <math.h>
#include <string.h>

#include "report/html_parts.h"

static void put_summary(FILE *to, const json_t *d)
{
    const json_t *counts = json_object_get(d, "counts");
    double before = nm_html_real(json_array_get(json_object_get(d, "rows"), 0), "accuracy_before");
    const char *status;
    json_t *n;

    nm_html_open_section(to, "summary", "Result");
    (void)fputs("<dl class=\"tiles\">\n<div><dt>combinations</dt><dd>", to);
    nm_html_number(to, (double)json_array_size(json_object_get(d, "rows")));
    (void)fputs("</dd></div>\n", to);
    json_object_foreach((json_t *)counts, status, n)
    {
        if (json_number_value(n) == 0)
            continue;
        (void)fputs("<div><dt>", to);
        nm_html_text(to, status);
        (void)fputs("</dt><dd>", to);
        nm_html_number(to, json_number_value(n));
        (void)fputs("</dd></div>\n", to);
    }
    if (isfinite(before)) {
        (void)fputs("<div><dt>accuracy before</dt><dd>", to);
        nm_html_share(to, before);
        (void)fputs("</dd></div>\n", to);
    }
    (void)fputs("</dl>\n</section>\n", to);
}

/* -- details of one row ------------------------------------------------------------------------ */

/* "GradientBased with Misclassified: full, size 10, seed 0". NULL when memory ran out. */
static json_t *name_of(const json_t *row)
{
    const char *edit = nm_html_string(row, "edit"), *set = nm_html_string(row, "set"),
               *strategy = nm_html_string(row, "strategy"), *all = nm_html_string(row, "size");
    char size[32];

    (void)snprintf(size, sizeof size, "%.0f", nm_html_real(row, "size"));
    return json_sprintf("%s with %s: %s, size %s, seed %.0f", edit ? edit : "", set ? set : "",
                        strategy ? strategy : "full", all ? all : size, nm_html_real(row, "seed"));
}

/* What is known of the row but what stands elsewhere. */
static json_t *facts_of(const json_t *row)
{
    json_t *facts = json_object(), *value;
    const char *key;

    json_object_foreach((json_t *)row, key,
                        value) if (!json_is_null(value) && !json_is_object(value) &&
                                   strcmp(key, "passes") != 0 && strcmp(key, "task") != 0)
        json_object_set(facts, key, value);
    return facts;
}

static void put_row(FILE *to, const json_t *row, size_t index)
{
    json_t *facts = facts_of(row), *details = json_object_get(row, "details"), *name = name_of(row);

    (void)fprintf(to, "<section class=\"row\" id=\"row-%zu\" tabindex=\"-1\"><h2>", index);
    nm_html_text(to, json_string_value(name));
    (void)fputs("</h2>\n", to);
    nm_html_status(to, row);
    (void)fputs("<p class=\"back\"><a href=\"#grid\">Back to all combinations</a></p>\n", to);
    nm_html_passes(to, json_object_get(row, "passes"), nm_html_real(row, "n_set"));
    if (details)
        nm_html_details(to, details, json_string_value(name));
    (void)fputs("<h3>Figures</h3>\n", to);
    nm_html_facts(to, facts, NULL);
    (void)fputs("</section>\n", to);
    json_decref(facts);
    json_decref(name);
}

/* -- all rows, for reading on paper ------------------------------------------------------------ */

static void put_text(FILE *to, const json_t *row, const char *key)
{
    (void)fputs("<td>", to);
    nm_html_value(to, json_object_get(row, key));
    (void)fputs("</td>", to);
}

static void put_table(FILE *to, const json_t *rows)
{
    json_t *row;
    size_t i;

    nm_html_open_section(to, "rows", "All rows");
    nm_html_open_table(to, NULL,
                       "Edit|Set|Strategy|Size|Seed|Status|#Points|#Accuracy after|#Efficacy|"
                       "#Drawdown, points|#Generalization, points|#l2 norm|Layers|#Seconds|Reason");
    json_array_foreach((json_t *)rows, i, row)
    {
        nm_html_row(to, nm_html_string(row, "edit"));
        put_text(to, row, "set");
        put_text(to, row, "strategy");
        put_text(to, row, "size");
        put_text(to, row, "seed");
        put_text(to, row, "status");
        nm_html_number_cell(to, nm_html_real(row, "n_set"), NULL);
        nm_html_number_cell(to, nm_html_real(row, "accuracy_after"), nm_html_share);
        nm_html_number_cell(to, nm_html_real(row, "efficacy"), nm_html_share);
        nm_html_number_cell(to, nm_html_real(row, "drawdown_points"), nm_html_points);
        nm_html_number_cell(to, nm_html_real(row, "generalization_points"), nm_html_points);
        nm_html_number_cell(to, nm_html_real(row, "change_l2"), NULL);
        put_text(to, row, "layers");
        nm_html_number_cell(to, nm_html_real(row, "time_s"), NULL);
        nm_html_cell(to, nm_html_string(row, "reason"));
        (void)fputs("</tr>\n", to);
    }
    nm_html_close_table(to);
    (void)fputs("</section>\n", to);
}

void nm_html_sweep(FILE *to, const json_t *d)
{
    const json_t *rows = json_object_get(d, "rows");
    json_t *row;
    size_t i;

    put_summary(to, d);
    if (json_array_size(rows) == 0)
        return;
    nm_html_grid(to, rows);
    json_array_foreach((json_t *)rows, i, row) put_row(to, row, i);
    nm_html_sweep_charts(to, rows);
    nm_html_votes(to, d);
    put_table(to, rows);
}
