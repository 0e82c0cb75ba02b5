/* The value of one option: from text to its C type, with a message that says what is accepted. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "opt.h"

/* Decimal number, the whole text; no blanks, no "inf", "nan" or hexadecimal. */
static bool read_double(const char *text, double *out)
{
    char *end;

    if (!*text || strspn(text, "0123456789+-.eE") != strlen(text))
        return false;
    *out = strtod(text, &end);
    return *end == '\0' && isfinite(*out);
}

static bool read_int(const char *text, int64_t *out)
{
    char *end;

    if (!*text || strspn(text, "0123456789+-") != strlen(text))
        return false;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return *end == '\0' && errno == 0;
}

static bool in_limits(const nm_opt *row, double value)
{
    if (row->min == 0 && row->max == 0)
        return true;
    return (row->above_min ? value > row->min : value >= row->min) && value <= row->max;
}

/* " >= 1 and <= 9": the limits of a row in words. */
static const char *limits_text(const nm_opt *row, char text[static 96])
{
    const char *sign = row->above_min ? ">" : ">=";
    bool below = isfinite(row->min), above = isfinite(row->max);

    text[0] = '\0';
    if (row->min == 0 && row->max == 0)
        return text;
    if (below && above)
        (void)snprintf(text, 96, " %s %.15g and <= %.15g", sign, row->min, row->max);
    else if (below)
        (void)snprintf(text, 96, " %s %.15g", sign, row->min);
    else if (above)
        (void)snprintf(text, 96, " <= %.15g", row->max);
    return text;
}

/* "--margin must be 'auto' or a number >= 0, got ...": what a numeric row accepts. */
static nm_status refuse_number(const nm_opt *row, const char *noun, const char *text, nm_err *err)
{
    char limits[96];
    char word[48] = "";

    if (row->word)
        (void)snprintf(word, sizeof word, "'%s' or ", row->word);
    return nm_cli_fail(err, NM_E_ARG, "--%s must be %s%s%s, got '%s'", row->name, word, noun,
                       limits_text(row, limits), text);
}

static nm_status set_int(const nm_opt *row, const char *text, int64_t *slot, nm_err *err)
{
    if (row->word && strcmp(text, row->word) == 0)
        *slot = (int64_t)row->word_value;
    else if (!read_int(text, slot) || !in_limits(row, (double)*slot))
        return refuse_number(row, "a whole number", text, err);
    return NM_OK;
}

static nm_status set_double(const nm_opt *row, const char *text, double *slot, nm_err *err)
{
    if (row->word && strcmp(text, row->word) == 0)
        *slot = row->word_value;
    else if (!read_double(text, slot) || !in_limits(row, *slot))
        return refuse_number(row, "a number", text, err);
    return NM_OK;
}

static nm_status set_choice(const nm_opt *row, const char *text, int *slot, nm_err *err)
{
    char list[256] = "";
    size_t used = 0;

    for (int i = 0; row->choices[i]; i++)
        if (strcmp(text, row->choices[i]) == 0) {
            *slot = i;
            return NM_OK;
        }
    for (int i = 0; row->later && row->later[i]; i++)
        if (strcmp(text, row->later[i]) == 0)
            return nm_cli_fail(err, NM_E_ARG, "--%s %s is not available in this version", row->name,
                               text);
    for (int i = 0; row->choices[i] && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                                 row->choices[i]);
    return nm_cli_fail(err, NM_E_ARG, "--%s must be one of %s, got '%s'", row->name, list, text);
}

/* Splits "A:B" at the colon into two texts; false without exactly one colon. */
static bool split_at_colon(const char *text, char left[static 64], char right[static 64])
{
    const char *colon = strchr(text, ':');

    if (!colon || strchr(colon + 1, ':') || strlen(text) >= 64)
        return false;
    (void)snprintf(left, 64, "%.*s", (int)(colon - text), text);
    (void)snprintf(right, 64, "%s", colon + 1);
    return true;
}

static nm_status set_rows(const nm_opt *row, const char *text, nm_opt_rows *slot, nm_err *err)
{
    char first[64], last[64];
    nm_opt_rows rows = {0, -1};

    if (!split_at_colon(text, first, last) || (*first && !read_int(first, &rows.first)) ||
        (*last && (!read_int(last, &rows.last) || rows.last < rows.first)) || rows.first < 0)
        return nm_cli_fail(err, NM_E_ARG,
                           "--%s must be A:B with 0 <= A <= B (rows A to B-1), got '%s'", row->name,
                           text);
    *slot = rows;
    return NM_OK;
}

static nm_status set_bounds(const nm_opt *row, const char *text, nm_opt_bounds *slot, nm_err *err)
{
    char lo[64], hi[64];
    nm_opt_bounds bounds = {-INFINITY, INFINITY};
    bool ok;

    if (row->word && strcmp(text, row->word) == 0)
        ok = true;
    else if (split_at_colon(text, lo, hi))
        ok = (!*lo || read_double(lo, &bounds.lo)) && (!*hi || read_double(hi, &bounds.hi));
    else {
        ok = read_double(text, &bounds.hi);
        bounds.lo = -bounds.hi;
    }
    if (!ok || bounds.lo > 0 || bounds.hi < 0)
        return nm_cli_fail(err, NM_E_ARG,
                           "--%s must be B >= 0 (for -B to B) or LO:HI with LO <= 0 <= HI, "
                           "got '%s'",
                           row->name, text);
    *slot = bounds;
    return NM_OK;
}

/* Takes the part of a comma-separated list that starts at *text; moves *text behind it, to NULL
   after the last. */
static bool next_entry(const char **text, char entry[static 64])
{
    size_t length = strcspn(*text, ",");

    if (length == 0 || length >= 64)
        return false;
    memcpy(entry, *text, length);
    entry[length] = '\0';
    *text = (*text)[length] ? *text + length + 1 : NULL;
    return true;
}

static nm_status set_list(const nm_opt *row, const char *text, void *slot, nm_err *err)
{
    bool ints = row->kind == NM_OPT_INTS;
    nm_opt_ints whole = {0};
    nm_opt_doubles real = {0};
    const char *rest = text;
    int n = 0;

    while (rest) {
        char entry[64];
        bool ok = next_entry(&rest, entry) && n < NM_OPT_MAX_LIST;

        if (ok && ints)
            ok = read_int(entry, &whole.v[n]) && in_limits(row, (double)whole.v[n]);
        else if (ok)
            ok = read_double(entry, &real.v[n]) && in_limits(row, real.v[n]);
        if (!ok)
            return refuse_number(row,
                                 ints ? "a list (at most 64, separated by commas) of whole numbers"
                                      : "a list (at most 64, separated by commas) of numbers",
                                 text, err);
        n++;
    }
    whole.n = real.n = n;
    if (ints)
        *(nm_opt_ints *)slot = whole;
    else
        *(nm_opt_doubles *)slot = real;
    return NM_OK;
}

static nm_status add_file(const nm_opt *row, const char *text, nm_opt_files *slot, nm_err *err)
{
    const char *equals = strchr(text, '=');

    if (row->kind == NM_OPT_PATHS && !*text)
        return nm_cli_fail(err, NM_E_ARG, "--%s must not be empty", row->name);
    if (row->kind == NM_OPT_FILES && (!equals || equals == text || !equals[1]))
        return nm_cli_fail(err, NM_E_ARG, "--%s must be NAME=FILE, got '%s'", row->name, text);
    if (slot->n == NM_OPT_MAX_LIST)
        return nm_cli_fail(err, NM_E_ARG, "--%s was given more than %d times", row->name,
                           NM_OPT_MAX_LIST);
    slot->v[slot->n++] = text;
    return NM_OK;
}

static nm_status set_text(const nm_opt *row, const char *text, const char **slot, nm_err *err)
{
    char label[64];

    if (!*text)
        return nm_cli_fail(err, NM_E_ARG, "%s must not be empty", nm_opt_label(row, label));
    *slot = text;
    return NM_OK;
}

nm_status nm_opt_set_value(const nm_opt *row, const char *text, void *slot, nm_err *err)
{
    switch (row->kind) {
    case NM_OPT_INT:
        return set_int(row, text, slot, err);
    case NM_OPT_DOUBLE:
        return set_double(row, text, slot, err);
    case NM_OPT_CHOICE:
        return set_choice(row, text, slot, err);
    case NM_OPT_ROWS:
        return set_rows(row, text, slot, err);
    case NM_OPT_BOUNDS:
        return set_bounds(row, text, slot, err);
    case NM_OPT_DOUBLES:
    case NM_OPT_INTS:
        return set_list(row, text, slot, err);
    case NM_OPT_FILES:
    case NM_OPT_PATHS:
        return add_file(row, text, slot, err);
    case NM_OPT_TEXT:
    case NM_OPT_PATH:
        return set_text(row, text, slot, err);
    case NM_OPT_FLAG:
    case NM_OPT_LATER:
        break;
    }
    return nm_cli_fail(err, NM_E_INTERNAL, "option --%s stores no value", row->name);
}
