/* The page of one repair. */
#include <math.h>
#include <string.h>

#include "report/html_chart.h"
#include "report/html_parts.h"

/* -- summary ----------------------------------------------------------------------------------- */

static void open_tile(FILE *to, const char *name)
{
    (void)fprintf(to, "<div><dt>%s</dt><dd>", name);
}

static void close_tile(FILE *to)
{
    (void)fputs("</dd></div>\n", to);
}

static void put_tiles(FILE *to, const json_t *d)
{
    const json_t *repair = json_object_get(d, "repair_set"), *test = json_object_get(d, "test"),
                 *similar = json_object_get(d, "similar");

    (void)fputs("<dl class=\"tiles\">\n", to);
    open_tile(to, "right, repair set");
    nm_html_number(to, nm_html_real(repair, "right_after"));
    (void)fputs(" of ", to);
    nm_html_number(to, nm_html_real(repair, "n"));
    close_tile(to);
    if (test) {
        open_tile(to, "drawdown, points");
        nm_html_points(to, nm_html_real(test, "drawdown_points"));
        close_tile(to);
    }
    if (similar) {
        open_tile(to, "generalization, points");
        nm_html_points(to, nm_html_real(similar, "generalization_points"));
        close_tile(to);
    }
    open_tile(to, "largest change of a weight");
    nm_html_number(to, nm_html_real(json_object_get(d, "change"), "linf"));
    close_tile(to);
    open_tile(to, "seconds");
    nm_html_number(to, nm_html_real(json_object_get(d, "time_s"), "total"));
    close_tile(to);
    (void)fputs("</dl>\n", to);
}

/* "repair" and "keep" count points, "test" and "similar" state shares. */
static void put_set(FILE *to, const json_t *d, const char *key, const char *name)
{
    const json_t *set = json_object_get(d, key);
    bool counted = nm_html_has(set, "right_after");
    double n = nm_html_real(set, "n");
    double before =
        counted ? nm_html_real(set, "right_before") / n : nm_html_real(set, "accuracy_before");
    double after =
        counted ? nm_html_real(set, "right_after") / n : nm_html_real(set, "accuracy_after");

    if (!set)
        return;
    nm_html_row(to, name);
    nm_html_number_cell(to, n, NULL);
    nm_html_number_cell(to, before, nm_html_share);
    nm_html_number_cell(to, after, nm_html_share);
    nm_html_number_cell(to, 100 * (after - before), nm_html_points);
    nm_html_number_cell(to, nm_html_real(set, "safe_after"), NULL);
    (void)fputs("</tr>\n", to);
}

static void put_summary(FILE *to, const json_t *d)
{
    nm_html_open_section(to, "summary", "Result");
    nm_html_status(to, d);
    put_tiles(to, d);
    nm_html_open_table(to, "Points before and after",
                       "Set|#Points|#Right before|#Right after|#Change, points|#Safe in float32");
    put_set(to, d, "repair_set", "repair");
    put_set(to, d, "keep", "keep");
    put_set(to, d, "test", "test");
    put_set(to, d, "similar", "similar");
    nm_html_close_table(to);
    (void)fputs("</section>\n", to);
}

/* -- what could not be done -------------------------------------------------------------------- */

static void put_left_out(FILE *to, const json_t *d)
{
    const json_t *reasons = json_object_get(d, "unrepaired_reasons"),
                 *rows = json_object_get(d, "conflict_rows");
    json_t *reason;
    size_t i;

    if (json_array_size(reasons) == 0 && json_array_size(rows) == 0)
        return;
    nm_html_open_section(to, "left-out", "Not repaired");
    if (json_array_size(rows) > 0) {
        (void)fputs("<p>These rows of the input file cannot be right together: ", to);
        nm_html_value(to, rows);
        (void)fputs("</p>\n", to);
    }
    if (json_array_size(reasons) > 0) {
        nm_html_open_table(to, "Points that were left out",
                           "Row|Why|Proven|In conflict with points");
        json_array_foreach((json_t *)reasons, i, reason)
        {
            (void)fputs("<tr><th scope=\"row\">", to);
            nm_html_value(to,
                          json_object_get(reason, nm_html_has(reason, "row") ? "row" : "index"));
            (void)fputs("</th>", to);
            nm_html_cell(to, nm_html_string(reason, "reason"));
            nm_html_cell(to, json_is_true(json_object_get(reason, "proven")) ? "yes" : "no");
            (void)fputs("<td>", to);
            nm_html_value(to, json_object_get(reason, "conflict"));
            (void)fputs("</td></tr>\n", to);
        }
        nm_html_close_table(to);
    }
    (void)fputs("</section>\n", to);
}

/* -- layers ------------------------------------------------------------------------------------ */

static void put_layer_chart(FILE *to, const json_t *scores)
{
    json_t *chart = nm_chart_new("bar", "layer", "predicted cost"), *labels = json_array(),
           *costs = json_array(), *score;
    size_t i;

    json_array_foreach((json_t *)scores, i, score)
    {
        char name[32];

        (void)snprintf(name, sizeof name, "%.0f", nm_html_real(score, "layer"));
        json_array_append_new(labels, json_string(name));
        nm_chart_add(costs, nm_html_real(score, "predicted_cost"));
    }
    nm_chart_labels(chart, labels);
    nm_chart_series(chart, "predicted cost", costs);
    nm_html_chart(to, chart, "What the repair would cost in each layer, predicted");
}

static void put_layer_row(FILE *to, const json_t *score)
{
    char name[32];
    const char *skipped = nm_html_string(score, "skipped");

    (void)snprintf(name, sizeof name, "%.0f", nm_html_real(score, "layer"));
    nm_html_row(to, name);
    nm_html_cell(to, nm_html_string(score, "name"));
    nm_html_number_cell(to, nm_html_real(score, "n_params"), NULL);
    nm_html_number_cell(to, nm_html_real(score, "predicted_cost"), NULL);
    nm_html_number_cell(to, nm_html_real(score, "measured_kl"), NULL);
    nm_html_number_cell(to, nm_html_real(score, "lost"), NULL);
    nm_html_cell(to, json_is_true(json_object_get(score, "chosen")) ? "chosen" : skipped);
    (void)fputs("</tr>\n", to);
}

static void put_layers(FILE *to, const json_t *d)
{
    const json_t *scores = json_object_get(d, "layer_scores");
    const char *reason = nm_html_string(json_object_get(d, "layer_choice"), "reason");
    json_t *score;
    size_t i;

    if (json_array_size(scores) == 0)
        return;
    nm_html_open_section(to, "layers", "Layers");
    if (reason) {
        (void)fputs("<p>Chosen: ", to);
        nm_html_text(to, reason);
        (void)fputs("</p>\n", to);
    }
    put_layer_chart(to, scores);
    nm_html_open_table(
        to, NULL,
        "Layer|Name|#Parameters|#Predicted cost|#Divergence in a trial, nats|#Points "
        "lost in it|Remark");
    json_array_foreach((json_t *)scores, i, score) put_layer_row(to, score);
    nm_html_close_table(to);
    (void)fputs("</section>\n", to);
}

/* -- what was solved --------------------------------------------------------------------------- */

static void put_program(FILE *to, const json_t *d)
{
    static const char *const keys[] = {"method",      "norm", "layers", "margin", "objective",
                                       "lower_bound", "gap",  "output", "claim"};
    json_t *facts = json_object();

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (nm_html_has(d, keys[i]))
            json_object_set(facts, keys[i], json_object_get(d, keys[i]));
    nm_html_open_section(to, "program", "What was solved");
    (void)fputs("<div class=\"beside\">\n", to);
    nm_html_facts(to, facts, "Problem");
    nm_html_facts(to, json_object_get(d, "change"), "Change of the weights");
    nm_html_facts(to, json_object_get(d, "lp"), "Solver");
    nm_html_facts(to, json_object_get(d, "set"), "Repair set");
    (void)fputs("</div>\n</section>\n", to);
    json_decref(facts);
}

void nm_html_repair(FILE *to, const json_t *d)
{
    const json_t *details = json_object_get(d, "details");

    put_summary(to, d);
    put_left_out(to, d);
    if (details) {
        nm_html_open_section(to, "details", "What changed");
        nm_html_passes(to, json_object_get(d, "passes"),
                       nm_html_real(json_object_get(d, "repair_set"), "n"));
        nm_html_details(to, details, "this repair");
        (void)fputs("</section>\n", to);
    }
    put_layers(to, d);
    nm_html_votes(to, d);
    put_program(to, d);
}
