#include "sweep_config.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sweep_recipe.h"

/* -- shared options -------------------------------------------------------------------------- */

/* "--name=value"; relative paths from the folder of the configuration. */
static nm_status add_option(nm_sweep_config *c, const char *path, const char *name,
                            const json_t *value, nm_err *err)
{
    const nm_opt *row = nm_sweep_option(name);
    const char *slash = strrchr(path, '/');
    int folder = slash ? (int)(slash - path) + 1 : 0;
    char *text = NULL, *argument = NULL;

    if (!row || nm_sweep_is_combined(name))
        return nm_cli_fail(err, NM_E_FORMAT,
                           "%s: key '%.64s': expected an option of `netmend repair`%s", path, name,
                           row ? " that is the same for all rows" : "");
    if (c->argc >= 2 * NM_SWEEP_MAX)
        return nm_cli_fail(err, NM_E_FORMAT, "%s: more than %d options", path, 2 * NM_SWEEP_MAX);
    if (row->kind == NM_OPT_FLAG && json_is_boolean(value)) {
        if (json_is_true(value) && asprintf(&argument, "--%s", name) < 0)
            argument = NULL;
        if (json_is_true(value))
            c->argv[c->argc++] = argument;
        return json_is_true(value) && !argument ? nm_cli_fail(err, NM_E_NOMEM, "out of memory")
                                                : NM_OK;
    }
    text = nm_sweep_option_text(value);
    if (!text)
        return nm_cli_fail(err, NM_E_FORMAT, "%s: key '%.64s': expected a text or a number", path,
                           name);
    if (asprintf(&argument, "%s%s%s%.*s%s", row->positional ? "" : "--",
                 row->positional ? "" : name, row->positional ? "" : "=",
                 row->kind == NM_OPT_PATH && text[0] != '/' ? folder : 0, path, text) < 0)
        argument = NULL;
    free(text);
    if (!argument)
        return nm_cli_fail(err, NM_E_NOMEM, "out of memory");
    c->argv[c->argc++] = argument;
    return NM_OK;
}

static nm_status add_options(nm_sweep_config *c, const char *path, const char *key, nm_err *err)
{
    json_t *options = json_object_get(c->root, key), *value;
    const char *name;
    nm_status rc = NM_OK;

    if (options && !json_is_object(options))
        return nm_cli_fail(err, NM_E_FORMAT, "%s: key '%s': expected an object", path, key);
    json_object_foreach(options, name, value)
    {
        if (rc == NM_OK)
            rc = add_option(c, path, name, value, err);
    }
    return rc;
}

/* -- lists ------------------------------------------------------------------------------------ */

/* The list under a key: a single value counts as a list of one. */
static nm_status list_of(const nm_sweep_config *c, const char *path, const char *key, bool required,
                         size_t *n, nm_err *err)
{
    json_t *value = json_object_get(c->root, key);

    *n = json_is_array(value) ? json_array_size(value) : value ? 1 : 0;
    if (*n > NM_SWEEP_MAX || (value && *n == 0) || (required && !value))
        return nm_cli_fail(err, NM_E_FORMAT, "%s: key '%s': expected a list of 1 to %d", path, key,
                           NM_SWEEP_MAX);
    return NM_OK;
}

static const json_t *entry(const nm_sweep_config *c, const char *key, size_t i)
{
    const json_t *value = json_object_get(c->root, key);

    return json_is_array(value) ? json_array_get(value, i) : value;
}

/* Only that a recipe is understood; it is applied again for each row. */
static nm_status read_recipe(const char *path, const json_t *value, nm_sweep_item *item,
                             nm_err *err)
{
    nm_repair_args args = {0};
    const char *key;
    json_t *one;
    nm_status rc;

    item->repair = json_object_get(value, "repair");
    item->without = json_object_get(value, "without");
    json_object_foreach((json_t *)value, key, one)
    {
        if (strcmp(key, "name") != 0 && strcmp(key, "use") != 0 && one != item->repair &&
            one != item->without)
            return nm_cli_fail(err, NM_E_FORMAT,
                               "%s: edit '%s': unknown key '%.64s', expected name, use, repair or "
                               "without",
                               path, item->name, key);
    }
    rc = nm_sweep_set_recipe(&args, item, err);
    nm_cli_prefix(err, path);
    return rc;
}

static nm_status read_items(nm_sweep_config *c, const char *path, const char *key, bool edit,
                            nm_sweep_item *items, int *n, nm_err *err)
{
    size_t count;
    nm_status rc = list_of(c, path, key, true, &count, err);

    for (size_t i = 0; rc == NM_OK && i < count; i++) {
        const json_t *value = entry(c, key, i);
        const char *use = json_is_object(value) ? json_string_value(json_object_get(value, "use"))
                                                : json_string_value(value);
        const char *name =
            json_is_object(value) ? json_string_value(json_object_get(value, "name")) : use;

        if (!use || !name)
            return nm_cli_fail(err, NM_E_FORMAT,
                               "%s: key '%s', entry %zu: expected a heuristic or {\"name\":..., "
                               "\"use\":...}",
                               path, key, i);
        rc = nm_heuristic_check(edit, use, err);
        nm_cli_prefix(err, path);
        items[*n] = (nm_sweep_item){.name = name, .use = use};
        if (rc == NM_OK && edit && json_is_object(value))
            rc = read_recipe(path, value, &items[*n], err);
        ++*n;
    }
    return rc == NM_E_ARG ? NM_E_FORMAT : rc;
}

static nm_status read_words(nm_sweep_config *c, const char *path, const char *key,
                            const char *initial, const char **out, int *n, nm_err *err)
{
    size_t count;
    nm_status rc = list_of(c, path, key, false, &count, err);

    if (rc == NM_OK && count == 0)
        out[(*n)++] = initial;
    for (size_t i = 0; rc == NM_OK && i < count; i++) {
        out[*n] = json_string_value(entry(c, key, i));
        if (!out[(*n)++])
            return nm_cli_fail(err, NM_E_FORMAT, "%s: key '%s', entry %zu: expected a text", path,
                               key, i);
    }
    return rc;
}

static nm_status read_counts(nm_sweep_config *c, const char *path, const char *key, int64_t initial,
                             int64_t least, int64_t *out, int *n, nm_err *err)
{
    size_t count;
    nm_status rc = list_of(c, path, key, false, &count, err);

    if (rc == NM_OK && count == 0)
        out[(*n)++] = initial;
    for (size_t i = 0; rc == NM_OK && i < count; i++) {
        const json_t *value = entry(c, key, i);
        const char *word = json_string_value(value);
        bool all = word && strcmp(word, "all") == 0 && least > 0;

        if (!all && (!json_is_integer(value) || json_integer_value(value) < least))
            return nm_cli_fail(err, NM_E_FORMAT,
                               "%s: key '%s', entry %zu: expected a whole number from %" PRId64
                               " on%s",
                               path, key, i, least, least > 0 ? ", or \"all\"" : "");
        out[(*n)++] = all ? INT64_MAX : json_integer_value(value);
    }
    return rc;
}

/* -- the whole --------------------------------------------------------------------------------- */

static nm_status check_keys(const nm_sweep_config *c, const char *path, nm_err *err)
{
    static const char *const known[] = {"model",    "data", "repair", "edit", "set",
                                        "strategy", "size", "seed",   "norm", "cell_time_limit",
                                        "comment"};
    const char *name;
    json_t *value;

    json_object_foreach(c->root, name, value)
    {
        bool found = false;

        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found = found || strcmp(known[i], name) == 0;
        if (!found)
            return nm_cli_fail(err, NM_E_FORMAT,
                               "%s: unknown key '%.64s', expected model, data, repair, edit, set, "
                               "strategy, size, seed, norm, cell_time_limit or comment",
                               path, name);
    }
    return NM_OK;
}

/* Only that the options are understood; what they are is asked again for each row. */
static nm_status check_strategies(const nm_sweep_config *c, const char *path, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int i = 0; rc == NM_OK && i < c->n_strategy; i++) {
        nm_repair_args args = {0};

        rc = nm_sweep_set_strategy(&args, c->strategy[i], err);
        nm_cli_prefix(err, path);
    }
    return rc == NM_E_ARG ? NM_E_FORMAT : rc;
}

static nm_status read_time_limit(nm_sweep_config *c, const char *path, nm_err *err)
{
    const json_t *value = json_object_get(c->root, "cell_time_limit");

    c->cell_time_limit_s = value ? json_number_value(value) : INFINITY;
    if (!(c->cell_time_limit_s > 0))
        return nm_cli_fail(err, NM_E_FORMAT, "%s: key 'cell_time_limit': expected seconds above 0",
                           path);
    return NM_OK;
}

static nm_status read_config(nm_sweep_config *c, const char *path, nm_err *err)
{
    const json_t *model = json_object_get(c->root, "model");
    nm_status rc = NM_OK;

    if (!json_is_object(c->root))
        NM_CLI_THROW(err, NM_E_FORMAT, "%s: expected a JSON object", path);
    NM_CLI_TRY(check_keys(c, path, err));
    if (model)
        NM_CLI_TRY(add_option(c, path, "MODEL", model, err));
    NM_CLI_TRY(add_options(c, path, "data", err));
    NM_CLI_TRY(add_options(c, path, "repair", err));
    NM_CLI_TRY(read_items(c, path, "edit", true, c->edit, &c->n_edit, err));
    NM_CLI_TRY(read_items(c, path, "set", false, c->set, &c->n_set, err));
    NM_CLI_TRY(read_words(c, path, "strategy", "full", c->strategy, &c->n_strategy, err));
    NM_CLI_TRY(read_words(c, path, "norm", NULL, c->norm, &c->n_norm, err));
    NM_CLI_TRY(read_counts(c, path, "size", INT64_MAX, 1, c->size, &c->n_size, err));
    NM_CLI_TRY(read_counts(c, path, "seed", 0, 0, c->seed, &c->n_seed, err));
    NM_CLI_TRY(read_time_limit(c, path, err));
    NM_CLI_TRY(check_strategies(c, path, err));
done:
    return rc;
}

nm_status nm_sweep_config_load(const char *path, nm_sweep_config *out, nm_err *err)
{
    json_error_t where;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &where);

    *out = (nm_sweep_config){0};
    if (!root)
        return nm_cli_fail(err, where.line > 0 ? NM_E_FORMAT : NM_E_IO, "%s:%d:%d: %s", path,
                           where.line, where.column, where.text);
    return nm_sweep_config_read(root, path, out, err);
}

nm_status nm_sweep_config_read(json_t *root, const char *source, nm_sweep_config *out, nm_err *err)
{
    nm_status rc;

    *out = (nm_sweep_config){.root = root};
    rc = read_config(out, source, err);
    if (rc != NM_OK)
        nm_sweep_config_free(out);
    return rc;
}

void nm_sweep_config_free(nm_sweep_config *config)
{
    for (int i = 0; i < config->argc; i++)
        free(config->argv[i]);
    json_decref(config->root);
    *config = (nm_sweep_config){0};
}

nm_status nm_sweep_config_args(const nm_sweep_config *config, const char *path, nm_repair_args *out,
                               nm_err *err)
{
    nm_status rc;

    nm_opt_defaults(nm_repair_groups, out);
    rc = nm_opt_parse(nm_repair_groups, config->argc, config->argv, out, err);
    nm_cli_prefix(err, path);
    return rc == NM_E_ARG ? NM_E_FORMAT : rc;
}

int64_t nm_sweep_n_cells(const nm_sweep_config *c)
{
    return (int64_t)c->n_edit * c->n_set * c->n_strategy * c->n_size * c->n_norm * c->n_seed;
}

static int64_t split(int64_t *i, int n)
{
    int64_t at = *i % n;

    *i /= n;
    return at;
}

nm_sweep_cell nm_sweep_cell_at(const nm_sweep_config *c, int64_t i)
{
    nm_sweep_cell cell;

    cell.seed = c->seed[split(&i, c->n_seed)];
    cell.norm = c->norm[split(&i, c->n_norm)];
    cell.size = c->size[split(&i, c->n_size)];
    cell.strategy = c->strategy[split(&i, c->n_strategy)];
    cell.set = c->set[split(&i, c->n_set)];
    cell.edit = c->edit[split(&i, c->n_edit)];
    return cell;
}
