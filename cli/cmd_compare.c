/* netmend compare: one task, several ways to repair it; a sweep over recipes. */
#include <string.h>

#include "ranks.h"
#include "sweep_job.h"

typedef struct compare_args {
    nm_repair_args shared; /* begins with the common options */
    nm_opt_files recipes;
    nm_sweep_output to;
} compare_args;

#define AT(field) .offset = offsetof(compare_args, field)

static const nm_opt model_rows[] = {{.name = "MODEL",
                                     .kind = NM_OPT_PATH,
                                     .positional = true,
                                     .required = true,
                                     AT(shared.model),
                                     .help = "network to repair, .onnx or .nnet"},
                                    {0}};

static const nm_opt task_rows[] = {
    {.name = "select",
     .kind = NM_OPT_TEXT,
     AT(shared.select),
     .arg = "HEURISTIC",
     .initial = "Misclassified",
     .help = "repair set: a set heuristic, NAME[:key=value,...]"},
    {.name = "size",
     .kind = NM_OPT_INT,
     AT(shared.size),
     .arg = "N",
     .min = 1,
     .max = 1e15,
     .initial = "all",
     .word = "all",
     .word_value = 0x1p62,
     .help = "take the first N of them, in the order of the heuristic"},
    {.name = "edit",
     .kind = NM_OPT_TEXT,
     AT(shared.edit),
     .arg = "HEURISTIC",
     .initial = "auto",
     .help = "what may change, for recipes that do not say it"},
    {0}};

static const nm_opt recipe_rows[] = {
    {.name = "recipe",
     .kind = NM_OPT_FILES,
     AT(recipes),
     .arg = "NAME=option=value,...",
     .shown = "function, l2, l1, linf, linf+l1n, aprnn, accumulated",
     .help =
         "a way to repair, by options of `netmend repair` (a flag: option=true), edit=HEURISTIC "
         "or without=keep; can be given again and again"},
    {0}};

static const nm_opt_group groups[] = {{"Arguments", model_rows, 0},
                                      NM_REPAIR_SETS,
                                      {"Data", nm_data_prep_rows, offsetof(nm_repair_args, prep)},
                                      {"What is repaired", task_rows, 0},
                                      {"How", recipe_rows, 0},
                                      {"Output", nm_sweep_output_rows, offsetof(compare_args, to)},
                                      NM_COMMON_GROUP,
                                      {0}};

static const char *const usual[] = {"function=norm=function",
                                    "l2=norm=l2",
                                    "l1=norm=l1",
                                    "linf=norm=linf",
                                    "linf+l1n=norm=linf+l1n",
                                    "aprnn=method=aprnn,norm=linf+l1n",
                                    "accumulated=strategy=accumulated"};
enum { N_USUAL = sizeof usual / sizeof *usual };

/* One "option=value" into the entry. */
static nm_status add_pair(json_t *entry, const char *pair, size_t length, nm_err *err)
{
    size_t name = strcspn(pair, "=,");
    const char *value = pair + name + 1;
    char key[64];
    json_t *text;

    if (name >= length || name >= sizeof key)
        return nm_cli_fail(err, NM_E_ARG, "--recipe: expected option=value at '%.40s'", pair);
    (void)snprintf(key, sizeof key, "%.*s", (int)name, pair);
    text = json_stringn(value, length - name - 1);
    if (!text)
        return nm_cli_fail(err, NM_E_ARG, "--recipe: '%.40s' is no text", pair);
    if (strcmp(key, "edit") == 0)
        (void)json_object_set_new(entry, "use", text);
    else if (strcmp(key, "without") == 0)
        (void)json_object_set_new(entry, "without", json_pack("[o]", text));
    else if (strcmp(json_string_value(text), "true") == 0) {
        json_decref(text);
        (void)json_object_set_new(json_object_get(entry, "repair"), key, json_true());
    } else
        (void)json_object_set_new(json_object_get(entry, "repair"), key, text);
    return NM_OK;
}

/* "NAME=option=value,..." as an edit entry of a sweep. */
static nm_status add_recipe(json_t *edits, const char *recipe, const char *edit, nm_err *err)
{
    size_t name = strcspn(recipe, "=");
    json_t *entry = json_pack("{s:s%, s:s, s:{}}", "name", recipe, name, "use", edit, "repair");
    nm_status rc = NM_OK;

    if (!entry || json_array_append_new(edits, entry) != 0)
        return nm_cli_fail(err, NM_E_ARG, "--recipe %.40s: the name is no text", recipe);
    for (const char *at = recipe + name; rc == NM_OK && *at;) {
        size_t length = strcspn(++at, ",");

        rc = add_pair(entry, at, length, err);
        at += length;
    }
    return rc;
}

static nm_status add_recipes(const compare_args *args, json_t *edits, nm_err *err)
{
    bool reference = args->shared.keep.path || args->shared.reference.path;
    bool given = args->recipes.n > 0;
    nm_status rc = NM_OK;

    for (int i = 0; rc == NM_OK && i < (given ? args->recipes.n : N_USUAL); i++)
        if (given || i > 0 || reference) /* the function norm compares with reference points */
            rc = add_recipe(edits, given ? args->recipes.v[i] : usual[i], args->shared.edit, err);
    return rc;
}

static nm_status make_config(const compare_args *args, nm_sweep_config *out, nm_err *err)
{
    json_t *edits = json_array();
    json_t *root = json_pack("{s:o, s:s, s:I}", "edit", edits, "set", args->shared.select, "seed",
                             (json_int_t)args->shared.common.seed);
    nm_status rc = root ? add_recipes(args, edits, err)
                        : nm_cli_fail(err, NM_E_NOMEM, "out of memory, or --select is no text");

    if (rc == NM_OK && args->shared.size < (int64_t)1 << 62)
        (void)json_object_set_new(root, "size", json_integer((json_int_t)args->shared.size));
    if (rc != NM_OK) {
        json_decref(root);
        return rc;
    }
    rc = nm_sweep_config_read(root, "compare", out, err);
    return rc == NM_E_FORMAT ? NM_E_ARG : rc; /* all of it stands on the command line */
}

static nm_status run(nm_cli *cli, void *args_memory, nm_err *err)
{
    const compare_args *args = args_memory;
    nm_sweep s = {.cli = cli, .to = args->to};
    nm_status rc = NM_OK;

    if (!args->shared.inputs.path)
        return nm_cli_fail(err, NM_E_ARG, "--inputs is missing (the points to repair)");
    NM_CLI_TRY(nm_ranks_open(err));
    NM_CLI_TRY(make_config(args, &s.config, err));
    NM_CLI_TRY(nm_sweep_merge(&s, "compare", &args->shared, err));
    s.shared.prep = args->shared.prep;
    NM_CLI_TRY(nm_sweep_all(&s, err));
done:
    nm_sweep_close(&s);
    return rc;
}

const nm_verb nm_verb_compare = {
    .name = "compare",
    .summary = "repair the same points in several ways and compare",
    .synopsis = "MODEL -x FILE [-y FILE] [OPTIONS]",
    .description = "Repairs one set by several recipes, in memory, and writes one row each, as "
                   "`netmend sweep`\ndoes. Without --recipe: the norms, aprnn, and passes.",
    .examples =
        {"netmend compare moons.onnx -x x.npy -y y.npy --keep train.npz --test test.npz",
         "netmend compare cifar.onnx -x test_batch.bin --keep data_batch_1.bin --size 50 \\\n"
         "      --recipe own=norm=function --recipe last=edit=LastN:n=1,norm=l1,margin=2"},
    .groups = groups,
    .args_bytes = sizeof(compare_args),
    .run = run,
};
