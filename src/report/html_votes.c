/* What all heuristics say of the layers. */
#include <math.h>

#include "report/html_parts.h"

enum { N_SHADES = 8 };

/* The scores of one heuristic: where in their range they lie says the shade. */
static void put_scores(FILE *to, const json_t *votes, const char *heuristic, double best)
{
    double lo = INFINITY, hi = -INFINITY;
    json_t *layer;
    size_t i;

    json_array_foreach((json_t *)votes, i, layer)
    {
        double v = nm_html_real(json_object_get(layer, "scores"), heuristic);

        lo = fmin(lo, v); /* a NAN is not taken */
        hi = fmax(hi, v);
    }
    json_array_foreach((json_t *)votes, i, layer)
    {
        double v = nm_html_real(json_object_get(layer, "scores"), heuristic);
        double t = hi > lo ? (v - lo) / (hi - lo) : 0.0;

        if (isfinite(v))
            (void)fprintf(to, "<td class=\"n h%d\">", (int)fmin(floor(t * N_SHADES), N_SHADES - 1));
        else
            (void)fputs("<td class=\"n\">", to);
        nm_html_number(to, v);
        if (best == nm_html_real(layer, "layer"))
            (void)fputs(" \xe2\x98\x85", to);
        (void)fputs("</td>", to);
    }
}

static void put_heads(FILE *to, const json_t *votes)
{
    json_t *layer;
    size_t i;

    nm_html_open_heads(to, "Heuristic");
    json_array_foreach((json_t *)votes, i, layer)
    {
        const char *name = nm_html_string(layer, "name");
        char text[96];

        (void)snprintf(text, sizeof text, "%.0f %.80s", nm_html_real(layer, "layer"),
                       name ? name : "");
        nm_html_head(to, text);
    }
    nm_html_close_heads(to);
}

void nm_html_votes(FILE *to, const json_t *d)
{
    const json_t *votes = json_object_get(d, "layer_votes"),
                 *heuristics = json_object_get(d, "heuristics");
    const char *heuristic;
    json_t *of;

    if (json_array_size(votes) == 0 || json_object_size(heuristics) == 0)
        return;
    nm_html_open_section(to, "votes", "Layers as the heuristics see them");
    (void)fputs("<p>Scores of the layers, higher is better; \xe2\x98\x85 marks the "
                "layer that a heuristic would take.</p>\n",
                to);
    put_heads(to, votes);
    json_object_foreach((json_t *)heuristics, heuristic, of)
    {
        nm_html_row(to, heuristic);
        put_scores(to, votes, heuristic, nm_html_real(of, "best"));
        (void)fputs("</tr>\n", to);
    }
    nm_html_close_table(to);
    (void)fputs("</section>\n", to);
}
