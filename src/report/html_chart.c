#include "report/html_chart.h"

#include <math.h>

#include "report/assets.h"
#include "report/json.h"

json_t *nm_chart_new(const char *type, const char *x_title, const char *y_title)
{
    return json_pack("{s:s, s:s, s:s, s:[]}", "type", type, "x", x_title, "y", y_title, "series");
}

void nm_chart_labels(json_t *chart, json_t *labels)
{
    json_object_set_new(chart, "labels", labels);
}

void nm_chart_series(json_t *chart, const char *name, json_t *data)
{
    json_array_append_new(json_object_get(chart, "series"),
                          json_pack("{s:s, s:o}", "name", name, "data", data));
}

void nm_chart_scale(json_t *chart, const char *axis, const char *scale)
{
    json_object_set_new(chart, *axis == 'x' ? "x_scale" : "y_scale", json_string(scale));
}

void nm_chart_mark(json_t *chart, double x, const char *text)
{
    json_object_set_new(chart, "mark", json_pack("{s:o, s:s}", "x", nm_json_real(x), "text", text));
}

void nm_chart_add(json_t *data, double value)
{
    json_array_append_new(data, nm_json_real(value));
}

void nm_chart_add_pair(json_t *data, double x, double y)
{
    json_t *pair = json_array();

    nm_chart_add(pair, x);
    nm_chart_add(pair, y);
    json_array_append_new(data, pair);
}

void nm_html_chart(FILE *to, json_t *chart, const char *caption)
{
    if (nm_page_chart_js[0]) {
        (void)fputs("<figure class=\"chart\"><div><canvas role=\"img\" aria-label=\"", to);
        nm_html_text(to, caption);
        (void)fputs("\"></canvas></div><script type=\"application/json\">", to);
        nm_html_json(to, chart);
        (void)fputs("</script><figcaption>", to);
        nm_html_text(to, caption);
        (void)fputs("</figcaption></figure>\n", to);
    }
    json_decref(chart);
}
