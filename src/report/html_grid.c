/* The table of all combinations: edit heuristics (and whatever else varies) down, repair sets
 * across. Radio buttons before it choose the figure its cells show, by style alone. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "report/html_parts.h"

/* -- figures ----------------------------------------------------------------------------------- */

typedef struct figure {
    const char *key, *name;
    void (*write)(FILE *, double);
    int sign; /* +1: more is better, -1: less is */
} figure;

static const figure FIGURES[] = {
    {"drawdown_points", "Drawdown, points", nm_html_points, -1},
    {"efficacy", "Efficacy", nm_html_share, 1},
    {"generalization_points", "Generalization, points", nm_html_points, 1},
    {"accuracy_after", "Accuracy after", nm_html_share, 1},
    {"time_s", "Seconds", nm_html_number, -1},
};
enum {
    N_FIGURES = sizeof FIGURES / sizeof *FIGURES,
    N_SHADES = 8,
    N_ROW_KEYS = 4,
    N_COLUMN_KEYS = 2
};

static const char *const ROW_KEYS[N_ROW_KEYS] = {"edit", "strategy", "norm", "seed"};
static const char *const COLUMN_KEYS[N_COLUMN_KEYS] = {"set", "size"};

/* -- headings ---------------------------------------------------------------------------------- */

/* Texts in order of first appearance, without repetition; and one number of them for each row. */
typedef struct headings {
    json_t *texts; /* array */
    size_t *of;    /* [rows] index into texts */
} headings;

static bool varies(const json_t *rows, const char *key)
{
    const json_t *first = json_object_get(json_array_get(rows, 0), key);
    json_t *row;
    size_t i;

    json_array_foreach((json_t *)rows, i, row) if (!json_equal(json_object_get(row, key),
                                                               (json_t *)first)) return true;
    return false;
}

/* The first key always, the others where they vary: "GradientBased, incremental, seed 1". */
static json_t *heading_of(const json_t *row, const char *const *keys, const bool *used, int n)
{
    char text[512];
    size_t length = 0;

    text[0] = '\0';
    for (int k = 0; k < n; k++) {
        const json_t *value = json_object_get(row, keys[k]);
        const char *word = json_string_value(value);
        const char *name = k > 0 && !(word && k == 1 && n == N_ROW_KEYS) ? keys[k] : "";

        if (!used[k] || length >= sizeof text)
            continue;
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%s%s", k ? ", " : "",
                                   name, *name ? " " : "");
        if (length < sizeof text && word)
            length += (size_t)snprintf(text + length, sizeof text - length, "%s", word);
        else if (length < sizeof text && json_is_number(value))
            length += (size_t)snprintf(text + length, sizeof text - length, "%.0f",
                                       json_number_value(value));
    }
    return json_string(text);
}

static size_t place_of(json_t *texts, const json_t *text)
{
    json_t *known;
    size_t i;

    json_array_foreach(texts, i, known) if (json_equal(known, (json_t *)text)) return i;
    json_array_append(texts, (json_t *)text);
    return json_array_size(texts) - 1;
}

static headings headings_of(const json_t *rows, const char *const *keys, int n)
{
    headings h = {.texts = json_array()};
    bool used[N_ROW_KEYS];
    json_t *row;
    size_t i;

    (void)nm_alloc(&h.of, json_array_size(rows), sizeof *h.of, NULL);
    for (int k = 0; k < n; k++)
        used[k] = k == 0 || varies(rows, keys[k]);
    json_array_foreach((json_t *)rows, i, row)
    {
        json_t *text = heading_of(row, keys, used, n);

        if (h.of)
            h.of[i] = place_of(h.texts, text);
        json_decref(text);
    }
    return h;
}

static void headings_free(headings *h)
{
    json_decref(h->texts);
    nm_free(h->of);
}

/* -- cells ------------------------------------------------------------------------------------- */

/* 0 (worst) to N_SHADES - 1 (best), by how many rows are worse: a few far-out values would leave
 * all others alike. */
static int shade(const json_t *rows, const figure *f, double v)
{
    int n = 0, n_worse = 0;
    json_t *row;
    size_t i;

    json_array_foreach((json_t *)rows, i, row)
    {
        double other = nm_html_real(row, f->key);

        n += isfinite(other);
        n_worse += f->sign * other < f->sign * v;
    }
    return n > 0 ? n_worse * N_SHADES / n : 0;
}

static void put_figure(FILE *to, const json_t *rows, const json_t *row, int k)
{
    double v = nm_html_real(row, FIGURES[k].key);

    if (isfinite(v))
        (void)fprintf(to, "<span class=\"v v%d h%d\">", k, shade(rows, &FIGURES[k], v));
    else
        (void)fprintf(to, "<span class=\"v v%d\">", k);
    FIGURES[k].write(to, v);
    (void)fputs("</span>", to);
}

/* A repair shows its figures, all else what it came to, with the reason. */
static void put_cell(FILE *to, const json_t *rows, size_t index)
{
    const json_t *row = json_array_get(rows, index);
    const char *status = nm_html_string(row, "status"), *reason = nm_html_string(row, "reason");
    bool repaired = status && strcmp(status, "repaired") == 0;
    bool partly = status && strcmp(status, "partly") == 0;

    (void)fprintf(to, "<td><a href=\"#row-%zu\" title=\"", index);
    nm_html_text(to, status);
    if (reason && *reason) {
        (void)fputs(": ", to);
        nm_html_text(to, reason);
    }
    (void)fputs("\">", to);
    for (int k = 0; (repaired || partly) && k < N_FIGURES; k++)
        put_figure(to, rows, row, k);
    if (!repaired) {
        (void)fputs("<span class=\"fail\">", to);
        nm_html_text(to, status);
        (void)fputs("</span>", to);
    }
    (void)fputs("</a></td>", to);
}

/* -- the table --------------------------------------------------------------------------------- */

static void put_choice(FILE *to)
{
    for (int k = 0; k < N_FIGURES; k++)
        (void)fprintf(to,
                      "<input type=\"radio\" name=\"figure\" class=\"m%d\" id=\"figure-%d\"%s>"
                      "<label for=\"figure-%d\">%s</label>\n",
                      k, k, k == 0 ? " checked" : "", k, FIGURES[k].name);
}

static void put_heads(FILE *to, const json_t *columns)
{
    json_t *text;
    size_t i;

    (void)fputs("<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">edit</th>", to);
    json_array_foreach((json_t *)columns, i, text)
    {
        (void)fputs("<th scope=\"col\">", to);
        nm_html_text(to, json_string_value(text));
        (void)fputs("</th>", to);
    }
    (void)fputs("</tr></thead>\n<tbody>\n", to);
}

/* Indices of the rows behind the cells of one line, SIZE_MAX = none. */
static void find_line(const headings *down, const headings *across, size_t n_rows, size_t line,
                      size_t *cells)
{
    for (size_t c = 0; c < json_array_size(across->texts); c++)
        cells[c] = SIZE_MAX;
    for (size_t i = 0; i < n_rows; i++)
        if (down->of[i] == line && cells[across->of[i]] == SIZE_MAX)
            cells[across->of[i]] = i;
}

static void put_lines(FILE *to, const json_t *rows, const headings *down, const headings *across,
                      size_t *cells)
{
    for (size_t line = 0; line < json_array_size(down->texts); line++) {
        find_line(down, across, json_array_size(rows), line, cells);
        nm_html_row(to, json_string_value(json_array_get(down->texts, line)));
        for (size_t c = 0; c < json_array_size(across->texts); c++)
            if (cells[c] == SIZE_MAX)
                (void)fputs("<td><span class=\"none\"></span></td>", to);
            else
                put_cell(to, rows, cells[c]);
        (void)fputs("</tr>\n", to);
    }
}

void nm_html_grid(FILE *to, const json_t *rows)
{
    headings down = headings_of(rows, ROW_KEYS, N_ROW_KEYS),
             across = headings_of(rows, COLUMN_KEYS, N_COLUMN_KEYS);
    size_t *cells = NULL;

    (void)nm_alloc(&cells, json_array_size(across.texts), sizeof *cells, NULL);
    nm_html_open_section(to, "grid", "All combinations");
    (void)fputs("<p>What may change down, the points to repair across; the stronger the colour, "
                "the better. Each cell "
                "leads to its details.</p>\n<div class=\"grid\" role=\"group\" "
                "aria-label=\"All combinations\">\n",
                to);
    put_choice(to);
    put_heads(to, across.texts);
    if (down.of && across.of && cells)
        put_lines(to, rows, &down, &across, cells);
    nm_html_close_table(to);
    (void)fputs("</div></section>\n", to);
    nm_free(cells);
    headings_free(&down);
    headings_free(&across);
}
