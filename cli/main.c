/* The command `netmend`: finds the verb. */
#include <string.h>

#include "blas_kernels.h"
#include "cli.h"
#include "help_heuristics.h"
#include "nearest.h"

static const nm_verb *const verbs[] = {&nm_verb_repair,  &nm_verb_advise, &nm_verb_sweep,
                                       &nm_verb_compare, &nm_verb_verify, &nm_verb_check,
                                       &nm_verb_eval,    &nm_verb_info,   &nm_verb_convert,
                                       &nm_verb_train,   &nm_verb_demo};
enum { N_VERBS = sizeof verbs / sizeof verbs[0] };

static const nm_verb *find_verb(const char *name)
{
    for (int i = 0; i < N_VERBS; i++)
        if (strcmp(name, verbs[i]->name) == 0)
            return verbs[i];
    return NULL;
}

static void print_overview(FILE *out)
{
    (void)fputs("netmend repairs trained neural networks: the smallest change of weights that "
                "makes\ngiven inputs right, checked on the written file.\n\n"
                "Usage: netmend VERB [OPTIONS] FILE...\n\nVerbs\n",
                out);
    for (int i = 0; i < N_VERBS; i++)
        (void)fprintf(out, "  %-10s%s\n", verbs[i]->name, verbs[i]->summary);
    (void)fputs("\n`netmend help VERB` tells about one verb, `netmend help heuristics` about\n"
                "--edit and --select; `netmend --version` the version.\n"
                "Try `netmend demo` first: it takes a few seconds and needs no files.\n",
                out);
}

static int refuse_verb(const char *name)
{
    nm_term term = {0};
    nm_nearest search = {.word = name};
    char text[NM_ERR_TEXT];

    for (int i = 0; i < N_VERBS; i++)
        nm_nearest_offer(&search, verbs[i]->name);
    if (search.best)
        (void)snprintf(text, sizeof text, "unknown verb '%.64s', did you mean '%s'?", name,
                       search.best);
    else
        (void)snprintf(text, sizeof text, "unknown verb '%.64s'; `netmend help` lists them", name);
    nm_term_error(&term, text);
    return NM_EXIT_USAGE;
}

/* Closes standard output behind a page of help. */
static int finish_page(void)
{
    nm_term term = {0};
    nm_err err = {0};
    nm_status rc = nm_cli_close_stdout(&err);

    if (rc != NM_OK)
        nm_term_error(&term, err.text);
    return nm_cli_exit_code(rc);
}

static int help(const char *topic, bool json)
{
    const nm_term term = {.color = NM_COLOR_AUTO};

    if (!topic)
        print_overview(stdout);
    else if (strcmp(topic, "heuristics") == 0)
        nm_help_heuristics(stdout, json);
    else if (find_verb(topic))
        nm_cli_print_help(stdout, find_verb(topic), nm_term_colored(&term, stdout));
    else
        return refuse_verb(topic);
    return finish_page();
}

int main(int argc, char **argv)
{
    const char *first = argc > 1 ? argv[1] : NULL;

    if (!first) {
        print_overview(stderr);
        return NM_EXIT_USAGE;
    }
    if (strcmp(first, "help") == 0)
        return help(argc > 2 ? argv[2] : NULL, argc > 3 && strcmp(argv[3], "--json") == 0);
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0)
        return help(NULL, false);
    if (strcmp(first, "--version") == 0) {
        (void)printf("netmend %s\n", nm_version());
        return finish_page();
    }
    if (!find_verb(first))
        return refuse_verb(first);
    nm_use_better_blas_kernels(argv);
    return nm_cli_run(find_verb(first), argc - 2, argv + 2);
}
