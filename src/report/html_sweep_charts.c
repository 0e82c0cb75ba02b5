/* How success and drawdown of a sweep depend on its repair sets, and on the size of the change. */
#include <math.h>
#include <string.h>

#include "report/html_chart.h"
#include "report/html_parts.h"

static bool has_status(const json_t *row, const char *status)
{
    const char *is = nm_html_string(row, "status");

    return is && strcmp(is, status) == 0;
}

/* -- groups ------------------------------------------------------------------------------------ */

/* Rows that have something in common. */
typedef struct group {
    char name[64];
    double order; /* groups stand by it */
    int n, n_repaired, n_drawdowns;
    double drawdown; /* sum over repaired rows */
} group;

enum { MAX_GROUPS = 64 };

typedef struct groups {
    group list[MAX_GROUPS]; /* what is too much goes to the last */
    int n;
} groups;

static group *group_at(groups *g, const char *name, double order)
{
    int at = 0;

    while (at < g->n && strcmp(g->list[at].name, name) != 0)
        at++;
    if (at == g->n && g->n < MAX_GROUPS) {
        for (; at > 0 && g->list[at - 1].order > order; at--)
            g->list[at] = g->list[at - 1];
        g->list[at] = (group){.order = order};
        (void)snprintf(g->list[at].name, sizeof g->list[at].name, "%s", name);
        g->n++;
    }
    return &g->list[at < MAX_GROUPS ? at : MAX_GROUPS - 1];
}

static void count_row(group *g, const json_t *row)
{
    double drawdown = nm_html_real(row, "drawdown_points");
    bool repaired = has_status(row, "repaired");

    g->n++;
    g->n_repaired += repaired;
    if (repaired && isfinite(drawdown)) {
        g->n_drawdowns++;
        g->drawdown += drawdown;
    }
}

static double mean_drawdown(const group *g)
{
    return g->n_drawdowns > 0 ? g->drawdown / g->n_drawdowns : NAN;
}

static json_t *success_chart(const groups *g, const char *what)
{
    json_t *chart = nm_chart_new("bar", what, "repaired, %"), *labels = json_array(),
           *data = json_array();

    for (int i = 0; i < g->n; i++) {
        json_array_append_new(labels, json_string(g->list[i].name));
        nm_chart_add(data, 100.0 * g->list[i].n_repaired / g->list[i].n);
    }
    nm_chart_labels(chart, labels);
    nm_chart_series(chart, "repaired", data);
    return chart;
}

static json_t *drawdown_chart(const groups *g, const char *what)
{
    json_t *chart = nm_chart_new("bar", what, "mean drawdown, points"), *labels = json_array(),
           *data = json_array();

    for (int i = 0; i < g->n; i++) {
        json_array_append_new(labels, json_string(g->list[i].name));
        nm_chart_add(data, mean_drawdown(&g->list[i]));
    }
    nm_chart_labels(chart, labels);
    nm_chart_series(chart, "drawdown", data);
    return chart;
}

static void put_groups(FILE *to, const groups *g, const char *title, const char *what)
{
    char text[160];

    if (g->n == 0)
        return;
    (void)fprintf(to, "<h3>By %s</h3>\n<div class=\"beside\">\n", title);
    (void)snprintf(text, sizeof text, "Combinations that were repaired, by %s", title);
    nm_html_chart(to, success_chart(g, what), text);
    (void)snprintf(text, sizeof text, "Mean drawdown of those that were repaired, by %s", title);
    nm_html_chart(to, drawdown_chart(g, what), text);
    (void)fputs("</div>\n", to);
    (void)snprintf(text, sizeof text,
                   "%c%s|#Combinations|#Repaired|#Success|#Mean drawdown, points",
                   what[0] - 'a' + 'A', what + 1);
    nm_html_open_table(to, NULL, text);
    for (int i = 0; i < g->n; i++) {
        nm_html_row(to, g->list[i].name);
        nm_html_number_cell(to, g->list[i].n, NULL);
        nm_html_number_cell(to, g->list[i].n_repaired, NULL);
        nm_html_number_cell(to, (double)g->list[i].n_repaired / g->list[i].n, nm_html_share);
        nm_html_number_cell(to, mean_drawdown(&g->list[i]), nm_html_points);
        (void)fputs("</tr>\n", to);
    }
    nm_html_close_table(to);
}

/* -- by size and by mix ------------------------------------------------------------------------ */

static void put_sizes(FILE *to, const json_t *rows)
{
    /* Sizes in steps that double: a table with a line for each number says little. */
    static const struct {
        double most;
        const char *name;
    } steps[] = {{10, "1 to 10"},    {25, "11 to 25"},    {50, "26 to 50"},
                 {100, "51 to 100"}, {200, "101 to 200"}, {INFINITY, "over 200"}};
    groups g = {.n = 0};
    json_t *row;
    size_t i;

    json_array_foreach((json_t *)rows, i, row)
    {
        double n = nm_html_real(row, "n_set");
        size_t step = 0;

        if (!(n >= 1))
            continue;
        while (n > steps[step].most)
            step++;
        count_row(group_at(&g, steps[step].name, (double)step), row);
    }
    put_groups(to, &g, "size of the repair set", "points");
}

/* Share of its most frequent class in a repair set; NAN if not known. */
static double purity(const json_t *row)
{
    const json_t *classes = json_object_get(json_object_get(row, "details"), "repair_classes");
    double n = 0, most = 0;
    json_t *of;
    size_t i;

    if (isfinite(nm_html_real(row, "homogeneity")))
        return nm_html_real(row, "homogeneity");
    json_array_foreach((json_t *)classes, i, of)
    {
        n += nm_html_real(of, "n");
        most = fmax(most, nm_html_real(of, "n"));
    }
    return n > 0 ? most / n : NAN;
}

static void put_mixes(FILE *to, const json_t *rows)
{
    groups g = {.n = 0};
    json_t *row;
    size_t i;

    json_array_foreach((json_t *)rows, i, row)
    {
        double p = purity(row);

        if (p >= 1)
            count_row(group_at(&g, "one class", 2), row);
        else if (p >= 0.6)
            count_row(group_at(&g, "mostly one class", 1), row);
        else if (p > 0)
            count_row(group_at(&g, "mixed", 0), row);
    }
    put_groups(to, &g, "homogeneity of the repair set", "classes");
}

/* -- against the change ------------------------------------------------------------------------ */

static void put_changes(FILE *to, const json_t *rows)
{
    json_t *chart = nm_chart_new("scatter", "l2 norm of the change", "drawdown, points"),
           *whole = json_array(), *part = json_array(), *row;
    size_t i;

    json_array_foreach((json_t *)rows, i, row)
    {
        double norm = nm_html_real(row, "change_l2"), lost = nm_html_real(row, "drawdown_points");
        json_t *list = has_status(row, "repaired") ? whole : part;
        const char *edit = nm_html_string(row, "edit"), *set = nm_html_string(row, "set");

        if (!(norm > 0) || !isfinite(lost))
            continue;
        nm_chart_add_pair(list, norm, lost);
        json_array_append_new(json_array_get(list, json_array_size(list) - 1),
                              json_sprintf("%s, %s", edit ? edit : "", set ? set : ""));
    }
    if (json_array_size(whole) + json_array_size(part) == 0) {
        json_decref(chart);
        json_decref(whole);
        json_decref(part);
        return;
    }
    nm_chart_scale(chart, "x", "log");
    nm_chart_series(chart, "repaired", whole);
    if (json_array_size(part) > 0)
        nm_chart_series(chart, "partly", part);
    else
        json_decref(part);
    (void)fputs("<h3>Drawdown against the size of the change</h3>\n", to);
    nm_html_chart(to, chart, "Drawdown of each combination against the l2 norm of its change");
}

void nm_html_sweep_charts(FILE *to, const json_t *rows)
{
    nm_html_open_section(to, "trends", "Trends");
    put_sizes(to, rows);
    put_mixes(to, rows);
    put_changes(to, rows);
    (void)fputs("</section>\n", to);
}
