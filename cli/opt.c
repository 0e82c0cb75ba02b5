#include "opt.h"

#include <assert.h>
#include <string.h>

#include "fail.h"
#include "nearest.h"

const char *nm_opt_label(const nm_opt *row, char text[static 64])
{
    (void)snprintf(text, 64, "%s%s", row->positional ? "" : "--", row->name);
    return text;
}

void nm_opt_defaults(const nm_opt_group *groups, void *values)
{
    for (const nm_opt_group *group = groups; group->rows; group++)
        for (const nm_opt *row = group->rows; row->name; row++) {
            void *slot = nm_opt_slot(group, row, values);
            nm_err err = {0};

            if (row->kind == NM_OPT_CHOICE && !row->initial)
                *(int *)slot = -1;
            else if (row->kind == NM_OPT_ROWS && !row->initial)
                ((nm_opt_rows *)slot)->last = -1;
            else if (row->initial)
                (void)nm_opt_set_value(row, row->initial, slot, &err);
            assert(err.code == NM_OK); /* a default that its own row refuses is our bug */
        }
}

/* -- finding rows ------------------------------------------------------------------------------ */

/* A row together with its group. */
typedef struct found {
    const nm_opt_group *group;
    const nm_opt *row;
} found;

static found find_long(const nm_opt_group *groups, const char *name, size_t length)
{
    for (const nm_opt_group *group = groups; group->rows; group++)
        for (const nm_opt *row = group->rows; row->name; row++)
            if (!row->positional && strlen(row->name) == length &&
                memcmp(row->name, name, length) == 0)
                return (found){group, row};
    return (found){0};
}

static found find_short(const nm_opt_group *groups, char name)
{
    for (const nm_opt_group *group = groups; group->rows; group++)
        for (const nm_opt *row = group->rows; row->name; row++)
            if (name && row->short_name == name)
                return (found){group, row};
    return (found){0};
}

/* The first positional row that has no value yet. */
static found find_place(const nm_opt_group *groups, const void *values)
{
    for (const nm_opt_group *group = groups; group->rows; group++)
        for (const nm_opt *row = group->rows; row->name; row++)
            if (row->positional && !*(const char *const *)nm_opt_slot_const(group, row, values))
                return (found){group, row};
    return (found){0};
}

static nm_status refuse_unknown(const nm_opt_group *groups, const char *name, size_t length,
                                nm_err *err)
{
    char word[64];
    nm_nearest search = {.word = word};

    (void)snprintf(word, sizeof word, "%.*s", (int)(length < 63 ? length : 63), name);
    for (const nm_opt_group *group = groups; group->rows; group++)
        for (const nm_opt *row = group->rows; row->name; row++)
            if (!row->positional && row->kind != NM_OPT_LATER)
                nm_nearest_offer(&search, row->name);
    if (search.best)
        return nm_cli_fail(err, NM_E_ARG, "unknown option --%s, did you mean --%s?", word,
                           search.best);
    return nm_cli_fail(err, NM_E_ARG, "unknown option --%s", word);
}

/* -- parsing ----------------------------------------------------------------------------------- */

/* The arguments not yet looked at. */
typedef struct arg_list {
    char *const *next;
    int left;
} arg_list;

static const char *take(arg_list *args)
{
    args->left--;
    return *args->next++;
}

/* Stores the value of an option; `attached` came in the same argument, else the next one is it. */
static nm_status store(found at, const char *attached, arg_list *args, void *values, nm_err *err)
{
    void *slot = nm_opt_slot(at.group, at.row, values);
    const char *name = at.row->name;

    if (at.row->kind == NM_OPT_LATER)
        return nm_cli_fail(err, NM_E_ARG, "--%s is not available in this version", name);
    if (at.row->kind == NM_OPT_FLAG) {
        if (attached)
            return nm_cli_fail(err, NM_E_ARG, "--%s takes no value", name);
        *(bool *)slot = true;
        return NM_OK;
    }
    if (!attached) {
        if (args->left == 0)
            return nm_cli_fail(err, NM_E_ARG, "--%s needs a value (%s)", name, at.row->arg);
        if (strncmp(*args->next, "--", 2) == 0)
            return nm_cli_fail(err, NM_E_ARG, "--%s needs a value (%s), got the option %s", name,
                               at.row->arg, *args->next);
        attached = take(args);
    }
    return nm_opt_set_value(at.row, attached, slot, err);
}

static nm_status parse_long(const nm_opt_group *groups, const char *text, arg_list *args,
                            void *values, nm_err *err)
{
    size_t length = strcspn(text, "=");
    found at = find_long(groups, text, length);

    if (!at.row)
        return refuse_unknown(groups, text, length, err);
    return store(at, text[length] ? text + length + 1 : NULL, args, values, err);
}

static nm_status parse_short(const nm_opt_group *groups, const char *text, arg_list *args,
                             void *values, nm_err *err)
{
    found at = find_short(groups, text[0]);

    if (!at.row)
        return nm_cli_fail(err, NM_E_ARG, "unknown option -%s", text);
    return store(at, text[1] ? text + 1 : NULL, args, values, err);
}

static nm_status parse_place(const nm_opt_group *groups, const char *text, void *values,
                             nm_err *err)
{
    found at = find_place(groups, values);

    if (!at.row)
        return nm_cli_fail(err, NM_E_ARG, "unexpected argument '%s'", text);
    return nm_opt_set_value(at.row, text, nm_opt_slot(at.group, at.row, values), err);
}

nm_status nm_opt_parse(const nm_opt_group *groups, int argc, char *const *argv, void *values,
                       nm_err *err)
{
    arg_list args = {argv, argc};
    bool options_over = false;

    while (args.left > 0) {
        const char *text = take(&args);
        nm_status rc;

        if (!options_over && strcmp(text, "--") == 0) {
            options_over = true;
            continue;
        }
        if (options_over || text[0] != '-' || text[1] == '\0')
            rc = parse_place(groups, text, values, err);
        else if (text[1] == '-')
            rc = parse_long(groups, text + 2, &args, values, err);
        else
            rc = parse_short(groups, text + 1, &args, values, err);
        if (rc != NM_OK)
            return rc;
    }
    return NM_OK;
}

nm_status nm_opt_check_required(const nm_opt_group *groups, const void *values, nm_err *err)
{
    char label[64];

    for (const nm_opt_group *group = groups; group->rows; group++)
        for (const nm_opt *row = group->rows; row->name; row++)
            if (row->required && !*(const char *const *)nm_opt_slot_const(group, row, values))
                return nm_cli_fail(err, NM_E_ARG, "%s is missing (%s)", nm_opt_label(row, label),
                                   row->help);
    return NM_OK;
}
