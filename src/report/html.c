#include "report/html.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DASH "\xe2\x80\x93"
#define MINUS "\xe2\x88\x92"
#define REPLACEMENT "\xef\xbf\xbd"

/* -- characters -------------------------------------------------------------------------------- */

void nm_html_text(FILE *to, const char *text)
{
    for (; text && *text; text++)
        switch (*text) {
        case '&':
            (void)fputs("&amp;", to);
            break;
        case '<':
            (void)fputs("&lt;", to);
            break;
        case '>':
            (void)fputs("&gt;", to);
            break;
        case '"':
            (void)fputs("&quot;", to);
            break;
        case '\'':
            (void)fputs("&#39;", to);
            break;
        default:
            if ((unsigned char)*text < ' ' || *text == 0x7f)
                (void)fputs(*text == '\n' || *text == '\t' ? " " : REPLACEMENT, to);
            else
                (void)fputc(*text, to);
        }
}

void nm_html_base64(FILE *to, const void *data, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = data;

    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t bits = (uint32_t)at[i] << 16 | (left > 1 ? (uint32_t)at[i + 1] << 8 : 0) |
                        (left > 2 ? at[i + 2] : 0);

        (void)fputc(digits[bits >> 18], to);
        (void)fputc(digits[bits >> 12 & 63], to);
        (void)fputc(left > 1 ? digits[bits >> 6 & 63] : '=', to);
        (void)fputc(left > 2 ? digits[bits & 63] : '=', to);
    }
}

static int dump_piece(const char *text, size_t n, void *user)
{
    FILE *to = user;

    for (size_t i = 0; i < n; i++)
        if (text[i] == '<')
            (void)fputs("\\u003c", to);
        else
            (void)fputc(text[i], to);
    return 0;
}

void nm_html_json(FILE *to, const json_t *value)
{
    (void)json_dump_callback(value, dump_piece, to,
                             JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
}

/* -- numbers ----------------------------------------------------------------------------------- */

/* printf writes the locale's decimal sign and an ASCII minus. */
static void put_figure(FILE *to, const char *text)
{
    for (; *text; text++)
        if (*text == '-')
            (void)fputs(MINUS, to);
        else
            (void)fputc(strchr("0123456789+e", *text) ? *text : '.', to);
}

void nm_html_number(FILE *to, double value)
{
    char text[32];

    if (!isfinite(value)) {
        (void)fputs(DASH, to);
        return;
    }
    if (value == floor(value) && fabs(value) < 1e9)
        (void)snprintf(text, sizeof text, "%.0f", value + 0.0);
    else
        (void)snprintf(text, sizeof text, "%.4g", value);
    put_figure(to, text);
}

void nm_html_share(FILE *to, double share)
{
    double percent = floor(1e4 * share + 0.5) / 100;

    if (percent >= 100 && share < 1)
        percent = 99.99;
    nm_html_number(to, percent);
    if (isfinite(share))
        (void)fputs(" %", to);
}

void nm_html_points(FILE *to, double points)
{
    double rounded = floor(100 * points + 0.5) / 100;

    if (rounded > 0)
        (void)fputc('+', to);
    nm_html_number(to, rounded);
}

/* -- sections and tables ----------------------------------------------------------------------- */

void nm_html_open_section(FILE *to, const char *id, const char *title)
{
    (void)fprintf(to, "<section id=\"%s\"><h2>", id);
    nm_html_text(to, title);
    (void)fputs("</h2>\n", to);
}

/* "#Points" is a head over numbers. */
static void put_head(FILE *to, const char *text, size_t n)
{
    bool number = *text == '#';

    (void)fprintf(to, "<th scope=\"col\"%s>%.*s</th>", number ? " class=\"n\"" : "",
                  (int)n - number, text + number);
}

static void open_heads(FILE *to, const char *heads)
{
    (void)fputs("<thead><tr>", to);
    for (size_t n; *heads; heads += n + (heads[n] == '|')) {
        n = strcspn(heads, "|");
        put_head(to, heads, n);
    }
}

void nm_html_head(FILE *to, const char *text)
{
    (void)fputs("<th scope=\"col\" class=\"n\">", to);
    nm_html_text(to, text);
    (void)fputs("</th>", to);
}

void nm_html_close_heads(FILE *to)
{
    (void)fputs("</tr></thead>\n<tbody>\n", to);
}

void nm_html_open_heads(FILE *to, const char *heads)
{
    (void)fputs("<div class=\"scroll\" tabindex=\"0\"><table>", to);
    open_heads(to, heads);
}

void nm_html_open_table(FILE *to, const char *caption, const char *heads)
{
    (void)fputs("<div class=\"scroll\" tabindex=\"0\"><table>", to);
    if (caption) {
        (void)fputs("<caption>", to);
        nm_html_text(to, caption);
        (void)fputs("</caption>", to);
    }
    open_heads(to, heads);
    nm_html_close_heads(to);
}

void nm_html_close_table(FILE *to)
{
    (void)fputs("</tbody></table></div>\n", to);
}

void nm_html_row(FILE *to, const char *head)
{
    (void)fputs("<tr><th scope=\"row\">", to);
    nm_html_text(to, head);
    (void)fputs("</th>", to);
}

void nm_html_cell(FILE *to, const char *text)
{
    bool is_long = text && strlen(text) > 60;

    (void)fputs(is_long ? "<td class=\"long\">" : "<td>", to);
    nm_html_text(to, text);
    (void)fputs("</td>", to);
}

void nm_html_number_cell(FILE *to, double value, void (*write)(FILE *, double))
{
    (void)fputs("<td class=\"n\">", to);
    (write ? write : nm_html_number)(to, value);
    (void)fputs("</td>", to);
}

/* -- the document ------------------------------------------------------------------------------ */

const char *nm_html_string(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

double nm_html_real(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

bool nm_html_has(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return value && !json_is_null(value);
}

void nm_html_value(FILE *to, const json_t *value)
{
    if (json_is_string(value))
        nm_html_text(to, json_string_value(value));
    else if (json_is_number(value))
        nm_html_number(to, json_number_value(value));
    else if (json_is_boolean(value))
        (void)fputs(json_is_true(value) ? "yes" : "no", to);
    else if (!json_is_array(value))
        (void)fputs(DASH, to);
    else
        for (size_t i = 0; i < json_array_size(value); i++) {
            (void)fputs(i ? ", " : "", to);
            nm_html_value(to, json_array_get(value, i));
        }
}
