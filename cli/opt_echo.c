/* The JSON echo of all effective options. */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "doc.h"

static json_t *echo_list(const nm_opt *row, const void *slot)
{
    json_t *array = json_array();
    const nm_opt_ints *ints = slot;
    const nm_opt_doubles *doubles = slot;
    bool whole = row->kind == NM_OPT_INTS;

    for (int i = 0; i < (whole ? ints->n : doubles->n); i++)
        (void)json_array_append_new(array, whole ? json_integer(ints->v[i])
                                                 : nm_doc_number(doubles->v[i]));
    return array;
}

static json_t *echo_files(const nm_opt_files *files)
{
    json_t *array = json_array();

    for (int i = 0; i < files->n; i++)
        (void)json_array_append_new(array, nm_doc_text(files->v[i]));
    return array;
}

static json_t *echo_rows(const nm_opt_rows *rows)
{
    if (rows->first == 0 && rows->last < 0)
        return json_null();
    return json_pack("[I, o]", (json_int_t)rows->first,
                     rows->last < 0 ? json_null() : json_integer(rows->last));
}

/* A value that equals what the row's word stands for is shown as that word. */
static json_t *echo_int(const nm_opt *row, int64_t value)
{
    return row->word && value == (int64_t)row->word_value ? json_string(row->word)
                                                          : json_integer(value);
}

static json_t *echo_double(const nm_opt *row, double value)
{
    bool both_nan = isnan(row->word_value) && isnan(value);

    return row->word && (value == row->word_value || both_nan) ? json_string(row->word)
                                                               : nm_doc_number(value);
}

static json_t *echo_bounds(const nm_opt *row, const nm_opt_bounds *bounds)
{
    if (row->word && isinf(bounds->lo) && isinf(bounds->hi))
        return json_string(row->word);
    return json_pack("[o, o]", nm_doc_number(bounds->lo), nm_doc_number(bounds->hi));
}

static json_t *echo_value(const nm_opt *row, const void *slot)
{
    switch (row->kind) {
    case NM_OPT_FLAG:
        return json_boolean(*(const bool *)slot);
    case NM_OPT_INT:
        return echo_int(row, *(const int64_t *)slot);
    case NM_OPT_DOUBLE:
        return echo_double(row, *(const double *)slot);
    case NM_OPT_TEXT:
    case NM_OPT_PATH:
        return nm_doc_text(*(const char *const *)slot);
    case NM_OPT_CHOICE:
        return *(const int *)slot < 0 ? json_null() : json_string(row->choices[*(const int *)slot]);
    case NM_OPT_ROWS:
        return echo_rows(slot);
    case NM_OPT_BOUNDS:
        return echo_bounds(row, slot);
    case NM_OPT_DOUBLES:
    case NM_OPT_INTS:
        return echo_list(row, slot);
    case NM_OPT_FILES:
    case NM_OPT_PATHS:
        return echo_files(slot);
    case NM_OPT_LATER:
        break;
    }
    return NULL;
}

json_t *nm_opt_echo(const nm_opt_group *groups, const void *values)
{
    json_t *echo = json_object();

    for (const nm_opt_group *group = groups; group->rows; group++)
        for (const nm_opt *row = group->rows; row->name; row++) {
            char key[64] = "";

            if (row->kind == NM_OPT_LATER || row->not_echoed)
                continue;
            for (size_t i = 0; row->name[i] && i + 1 < sizeof key; i++)
                key[i] = (char)tolower((unsigned char)row->name[i]);
            if (json_object_set_new(echo, key,
                                    echo_value(row, nm_opt_slot_const(group, row, values))) != 0) {
                json_decref(echo);
                return NULL;
            }
        }
    return echo;
}
