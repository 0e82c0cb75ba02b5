/* The frame of a page, and its file. */
#include <string.h>

#include "base/file.h"
#include "netmend/report.h"
#include "report/assets.h"
#include "report/html_parts.h"

static void put_head(FILE *to, const char *verb)
{
    (void)fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                "<meta name=\"color-scheme\" content=\"light dark\">\n"
                "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n<title>",
                to);
    (void)fprintf(to, "netmend %s</title>\n<style>\n%s</style>\n</head>\n<body>\n", verb,
                  (const char *)nm_page_css);
}

static void put_header(FILE *to, const json_t *d, const char *verb)
{
    const json_t *options = json_object_get(d, "options");
    const char *model = nm_html_string(options, "model"),
               *config = nm_html_string(options, "config");

    (void)fprintf(to, "<header><h1>netmend %s</h1>\n<p>", verb);
    nm_html_text(to, config ? config : model);
    (void)fputs("</p></header>\n<main>\n", to);
    if (!nm_page_chart_js[0])
        (void)fputs("<p class=\"note\">This netmend was built without Chart.js, so there are no "
                    "charts; the tables hold the same figures.</p>\n",
                    to);
    else
        (void)fputs("<noscript><p class=\"note\">Charts need JavaScript; the tables hold the same "
                    "figures.</p></noscript>\n",
                    to);
}

/* How it came about, folded away. */
static void put_circumstances(FILE *to, const json_t *d)
{
    nm_html_open_section(to, "run", "Run");
    nm_html_folded_facts(to, json_object_get(d, "options"), "Options");
    nm_html_folded_facts(to, json_object_get(d, "time_s"), "Seconds");
    (void)fputs("</section>\n</main>\n<footer><p>netmend ", to);
    nm_html_text(to, nm_html_string(d, "version"));
    (void)fputs("</p></footer>\n", to);
}

static void put_scripts(FILE *to)
{
    if (nm_page_chart_js[0])
        (void)fprintf(to, "<script>\n%s\n</script>\n", (const char *)nm_page_chart_js);
    (void)fprintf(to, "<script>\n%s</script>\n", (const char *)nm_page_js);
}

static void put_page(FILE *to, const json_t *d)
{
    bool is_sweep = json_is_array(json_object_get(d, "rows"));
    bool is_spread = json_is_array(json_object_get(d, "distributions"));
    const char *verb = is_sweep ? "sweep" : is_spread ? "distributions" : "repair";

    put_head(to, verb);
    put_header(to, d, verb);
    if (is_sweep)
        nm_html_sweep(to, d);
    else if (is_spread)
        nm_html_distributions(to, d);
    else
        nm_html_repair(to, d);
    put_circumstances(to, d);
    put_scripts(to);
    (void)fputs("</body>\n</html>\n", to);
}

nm_status nm_report_page(const char *document, const char *path, nm_err *err)
{
    json_error_t where;
    json_t *d = json_loads(document, JSON_REJECT_DUPLICATES, &where);
    nm_writer writer;
    nm_status rc;

    if (!json_is_object(d)) {
        json_decref(d);
        return nm_fail(err, NM_E_FORMAT, "report: the document is not a JSON object: %s",
                       d ? "another value" : where.text);
    }
    rc = nm_writer_open(&writer, path, err);
    if (rc == NM_OK) {
        put_page(writer.stream, d);
        rc = nm_writer_commit(&writer, err);
    }
    json_decref(d);
    return rc;
}
