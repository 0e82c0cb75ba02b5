/* What all heuristics say of the layers. */
#include <math.h>

#include "report/html_chart.h"
#include "report/html_parts.h"

/* Largest absolute score of a heuristic, so that heuristics can stand side by side. */
static double scale_of(const json_t *votes, const char *heuristic)
{
    double most = 0;
    json_t *layer;
    size_t i;

    json_array_foreach((json_t *)votes, i, layer)
    {
        double v = fabs(nm_html_real(json_object_get(layer, "scores"), heuristic));

        most = v > most ? v : most; /* not with NAN */
    }
    return most > 0 ? most : NAN;
}

static void put_votes_chart(FILE *to, const json_t *votes, const json_t *heuristics)
{
    json_t *chart = nm_chart_new("bar", "layer", "score, as a share of the largest"),
           *labels = json_array(), *layer, *ignored;
    const char *heuristic;
    size_t i;

    json_array_foreach((json_t *)votes, i, layer)
        json_array_append_new(labels, json_sprintf("%.0f", nm_html_real(layer, "layer")));
    nm_chart_labels(chart, labels);
    json_object_foreach((json_t *)heuristics, heuristic, ignored)
    {
        double scale = scale_of(votes, heuristic);
        json_t *data = json_array();

        json_array_foreach((json_t *)votes, i, layer)
            nm_chart_add(data, nm_html_real(json_object_get(layer, "scores"), heuristic) / scale);
        nm_chart_series(chart, heuristic, data);
    }
    nm_html_chart(to, chart, "Scores of the layers by heuristic, each as a share of its largest");
}

static void put_votes_row(FILE *to, const json_t *layer, const json_t *heuristics)
{
    const char *heuristic;
    json_t *of;

    (void)fputs("<tr><th scope=\"row\">", to);
    nm_html_value(to, json_object_get(layer, "layer"));
    (void)fputs("</th>", to);
    nm_html_cell(to, nm_html_string(layer, "name"));
    json_object_foreach((json_t *)heuristics, heuristic, of)
    {
        bool best = nm_html_real(of, "best") == nm_html_real(layer, "layer");

        (void)fputs(best ? "<td class=\"n best\">" : "<td class=\"n\">", to);
        nm_html_number(to, nm_html_real(json_object_get(layer, "scores"), heuristic));
        (void)fputs(best ? " \xe2\x98\x85</td>" : "</td>", to);
    }
    (void)fputs("</tr>\n", to);
}

void nm_html_votes(FILE *to, const json_t *d)
{
    const json_t *votes = json_object_get(d, "layer_votes"),
                 *heuristics = json_object_get(d, "heuristics");
    const char *heuristic;
    json_t *layer;
    size_t i;

    if (json_array_size(votes) == 0 || json_object_size(heuristics) == 0)
        return;
    nm_html_open_section(to, "votes", "Layers as the heuristics see them");
    (void)fputs(
        "<p>Higher is better; \xe2\x98\x85 marks the layer that a heuristic would take.</p>\n", to);
    put_votes_chart(to, votes, heuristics);
    nm_html_open_heads(to, "Layer|Name");
    json_object_foreach((json_t *)heuristics, heuristic, layer) nm_html_head(to, heuristic);
    nm_html_close_heads(to);
    json_array_foreach((json_t *)votes, i, layer) put_votes_row(to, layer, heuristics);
    nm_html_close_table(to);
    (void)fputs("</section>\n", to);
}
