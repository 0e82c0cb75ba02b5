/* The option part of --help. */
#include <string.h>

#include "opt.h"

enum { TEXT_COLUMN = 28, LINE_WIDTH = 84 };

/* Prints text from TEXT_COLUMN on, wrapped at blanks. The cursor stands at TEXT_COLUMN. */
static void print_wrapped(FILE *out, const char *text)
{
    int column = TEXT_COLUMN;

    while (*text) {
        int length = (int)strcspn(text, " ");

        if (column > TEXT_COLUMN && column + 1 + length > LINE_WIDTH) {
            (void)fprintf(out, "\n%*s", TEXT_COLUMN, "");
            column = TEXT_COLUMN;
        } else if (column > TEXT_COLUMN) {
            (void)fputc(' ', out);
            column++;
        }
        (void)fprintf(out, "%.*s", length, text);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
    (void)fputc('\n', out);
}

/* "  -x, --inputs FILE" */
static void format_usage(const nm_opt *row, char *text, size_t room)
{
    size_t used;

    if (row->positional) {
        (void)snprintf(text, room, "  %s", row->name);
        return;
    }
    used =
        (size_t)(row->short_name ? snprintf(text, room, "  -%c, --%s", row->short_name, row->name)
                                 : snprintf(text, room, "  --%s", row->name));
    if (row->arg) {
        (void)snprintf(text + used, room - used, " %s", row->arg);
        return;
    }
    for (int i = 0; row->choices && row->choices[i] && used < room; i++)
        used += (size_t)snprintf(text + used, room - used, "%s%s", i ? "|" : " ", row->choices[i]);
}

/* The help text with unit and default behind it. */
static void format_help(const nm_opt *row, char *text, size_t room)
{
    const char *fallback = row->shown ? row->shown : row->initial;
    char note[128] = "";

    if (row->required)
        (void)snprintf(note, sizeof note, "%s", row->positional ? "" : " [required]");
    else if (row->unit && fallback)
        (void)snprintf(note, sizeof note, " [%s, default %s]", row->unit, fallback);
    else if (row->unit || fallback)
        (void)snprintf(note, sizeof note, " [%s]", row->unit ? row->unit : fallback);
    (void)snprintf(text, room, "%s%s", row->help, note);
}

static void print_row(FILE *out, const nm_opt *row)
{
    char usage[160], help[512];

    format_usage(row, usage, sizeof usage);
    format_help(row, help, sizeof help);
    if (strlen(usage) + 2 > TEXT_COLUMN)
        (void)fprintf(out, "%s\n%*s", usage, TEXT_COLUMN, "");
    else
        (void)fprintf(out, "%-*s", TEXT_COLUMN, usage);
    print_wrapped(out, help);
}

void nm_opt_print_help(FILE *out, const nm_opt_group *groups, bool color)
{
    const char *title = "";

    for (const nm_opt_group *group = groups; group->rows; group++) {
        if (strcmp(title, group->title) != 0)
            (void)fprintf(out, color ? "\n\033[1m%s\033[0m\n" : "\n%s\n", group->title);
        title = group->title;
        for (const nm_opt *row = group->rows; row->name; row++)
            if (row->kind != NM_OPT_LATER)
                print_row(out, row);
    }
}
