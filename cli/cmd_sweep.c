/* netmend sweep: many combinations of heuristics, one row each. */
#include "ranks.h"
#include "sweep_job.h"

typedef struct sweep_args {
    nm_repair_args shared; /* begins with the common options */
    const char *config;
    nm_sweep_output to;
} sweep_args;

static const nm_opt config_rows[] = {{.name = "CONFIG",
                                      .kind = NM_OPT_PATH,
                                      .positional = true,
                                      .required = true,
                                      .offset = offsetof(sweep_args, config),
                                      .help = "what to combine, a JSON file"},
                                     {0}};

static const nm_opt model_rows[] = {
    {.name = "model",
     .kind = NM_OPT_PATH,
     .offset = offsetof(sweep_args, shared.model),
     .arg = "MODEL",
     .help = "network, instead of the configuration's; data arguments likewise"},
    {0}};

static const nm_opt_group groups[] = {{"Arguments", config_rows, 0},
                                      {"Arguments", model_rows, 0},
                                      NM_REPAIR_SETS,
                                      {"Output", nm_sweep_output_rows, offsetof(sweep_args, to)},
                                      NM_COMMON_GROUP,
                                      {0}};

/* -- the verb -------------------------------------------------------------------------------- */

static nm_status run(nm_cli *cli, void *args_memory, nm_err *err)
{
    const sweep_args *args = args_memory;
    nm_sweep s = {.cli = cli, .to = args->to};
    nm_status rc = NM_OK;

    NM_CLI_TRY(nm_ranks_open(err));
    NM_CLI_TRY(nm_sweep_config_load(args->config, &s.config, err));
    NM_CLI_TRY(nm_sweep_merge(&s, args->config, &args->shared, err));
    NM_CLI_TRY(nm_sweep_all(&s, err));
done:
    nm_sweep_close(&s);
    return rc;
}

const nm_verb nm_verb_sweep = {
    .name = "sweep",
    .summary = "repair by many combinations of heuristics and compare",
    .synopsis = "CONFIG.json [OPTIONS]",
    .description =
        "Runs every combination of the edit heuristics, set heuristics, sizes, norms and "
        "seeds that a\nconfiguration lists, in parallel, and writes one row each. A run "
        "that was interrupted goes on.",
    .examples = {"netmend sweep examples/irdnn_mlp_published.json --csv grid.csv",
                 "netmend sweep grid.json --model moons.onnx -x x.npy -y y.npy --json"},
    .groups = groups,
    .args_bytes = sizeof(sweep_args),
    .run = run,
};
