#include "sweep_recipe.h"

#include <stdlib.h>
#include <string.h>

/* -- options ---------------------------------------------------------------------------------- */

const nm_opt *nm_sweep_option(const char *name)
{
    for (const nm_opt_group *group = nm_repair_groups; group->rows; group++)
        for (const nm_opt *row = group->rows; row->name; row++)
            if (strcmp(row->name, name) == 0 && row->kind != NM_OPT_LATER)
                return row;
    return NULL;
}

bool nm_sweep_is_combined(const char *name)
{
    static const char *const names[] = {
        "edit",  "select", "size", "seed",  "layer", "mask", "output",  "claim",
        "curve", "report", "json", "quiet", "color", "help", "version", "time-limit"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

char *nm_sweep_option_text(const json_t *value)
{
    char *text = NULL;

    if (json_is_string(value))
        return strdup(json_string_value(value));
    if (json_is_integer(value))
        return asprintf(&text, "%" JSON_INTEGER_FORMAT, json_integer_value(value)) < 0 ? NULL
                                                                                       : text;
    if (json_is_real(value))
        return asprintf(&text, "%.17g", json_real_value(value)) < 0 ? NULL : text;
    return NULL;
}

/* -- strategies ------------------------------------------------------------------------------- */

static bool is_strategy_option(const char *name)
{
    for (const nm_opt *row = nm_strategy_rows; row->name; row++)
        if (strcmp(row->name, name) == 0)
            return strcmp(name, "strategy") != 0;
    return false;
}

nm_status nm_sweep_set_strategy(nm_repair_args *args, const char *text, nm_err *err)
{
    size_t length = strcspn(text, ":");
    char name[64], value[64];
    nm_status rc = NM_OK;

    (void)snprintf(name, sizeof name, "%.*s", (int)(length < 63 ? length : 63), text);
    if (strcmp(name, "elastic") == 0)
        args->elastic = true;
    else
        rc = nm_repair_args_set(args, "strategy", name, err);
    for (const char *at = text + length; rc == NM_OK && *at;) {
        size_t pair = strcspn(++at, ","), key = strcspn(at, "=,");

        if (key >= pair || key > 63 || pair - key > 63)
            return nm_cli_fail(err, NM_E_ARG, "strategy '%.100s': expected NAME:key=value,...",
                               text);
        (void)snprintf(name, sizeof name, "%.*s", (int)key, at);
        (void)snprintf(value, sizeof value, "%.*s", (int)(pair - key - 1), at + key + 1);
        rc = is_strategy_option(name)
                 ? nm_repair_args_set(args, name, value, err)
                 : nm_cli_fail(err, NM_E_ARG, "strategy '%.100s': '%s' is none of its options",
                               text, name);
        at += pair;
    }
    return rc;
}

/* -- recipes ---------------------------------------------------------------------------------- */

static nm_data_set *optional_set(nm_repair_args *args, const char *name)
{
    if (name && strcmp(name, "keep") == 0)
        return &args->keep;
    return name && strcmp(name, "reference") == 0 ? &args->reference : NULL;
}

static nm_status set_option(nm_repair_args *args, const char *name, const json_t *value,
                            nm_err *err)
{
    const nm_opt *row = nm_sweep_option(name);
    char *text;
    nm_status rc;

    if (!row || nm_sweep_is_combined(name) || row->kind == NM_OPT_PATH || row->kind == NM_OPT_ROWS)
        return nm_cli_fail(err, NM_E_ARG, "'%.64s' is no option that a recipe can have", name);
    if (row->kind == NM_OPT_FLAG && json_is_boolean(value))
        return json_is_true(value) ? nm_repair_args_set(args, name, NULL, err) : NM_OK;
    text = nm_sweep_option_text(value);
    rc = text ? nm_repair_args_set(args, name, text, err)
              : nm_cli_fail(err, NM_E_ARG, "'%.64s': expected a text or a number", name);
    free(text);
    return rc;
}

nm_status nm_sweep_set_recipe(nm_repair_args *args, const nm_sweep_item *item, nm_err *err)
{
    const char *name;
    json_t *value;
    size_t i;

    if ((item->repair && !json_is_object(item->repair)) ||
        (item->without && !json_is_array(item->without)))
        return nm_cli_fail(err, NM_E_ARG,
                           "edit '%s': expected an object under 'repair' and a list "
                           "under 'without'",
                           item->name);
    json_object_foreach((json_t *)item->repair, name, value)
    {
        nm_status rc = set_option(args, name, value, err);

        if (rc != NM_OK)
            return rc;
    }
    json_array_foreach((json_t *)item->without, i, value)
    {
        nm_data_set *set = optional_set(args, json_string_value(value));

        if (!set)
            return nm_cli_fail(err, NM_E_ARG,
                               "edit '%s': 'without' entry %zu: expected \"keep\" or "
                               "\"reference\"",
                               item->name, i);
        *set = (nm_data_set){0};
    }
    return NM_OK;
}
