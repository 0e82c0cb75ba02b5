/* Charts of a page: the data stand in the page as JSON, page.js hands them to Chart.js. */
#ifndef NM_REPORT_HTML_CHART_H
#define NM_REPORT_HTML_CHART_H

#include "report/html.h"

/** Begins a chart; scales "linear" or "log".
 *  @param type  "bar" (series of numbers over `labels`), "line" or "scatter" (of [x, y] pairs) */
json_t *nm_chart_new(const char *type, const char *x_title, const char *y_title);
void nm_chart_labels(json_t *chart, json_t *labels);                     /**< takes them over */
void nm_chart_series(json_t *chart, const char *name, json_t *data);     /**< takes it over */
void nm_chart_scale(json_t *chart, const char *axis, const char *scale); /**< axis "x" or "y" */

/** A vertical line, with what it means. */
void nm_chart_mark(json_t *chart, double x, const char *text);

/** Appends a number or a pair to a series; null where it is not finite. */
void nm_chart_add(json_t *data, double value);
void nm_chart_add_pair(json_t *data, double x, double y);

/** Writes the chart with a caption, which is also what it is called where it cannot be seen; gives
 *  it up. Nothing where the library has no Chart.js. */
void nm_html_chart(FILE *to, json_t *chart, const char *caption);

#endif
