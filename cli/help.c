/* The help of one verb. */
#include "cli.h"

static const char shared_exit_codes[] = "  0 done, 2 wrong usage, 3 bad input, 4 time limit,\n"
                                        "  5 internal error, 130 interrupted\n";

static void print_heading(FILE *out, const char *title, bool color)
{
    (void)fprintf(out, color ? "\n\033[1m%s\033[0m\n" : "\n%s\n", title);
}

void nm_cli_print_help(FILE *out, const nm_verb *verb, bool color)
{
    (void)fprintf(out, "Usage: netmend %s %s\n\n%s\n", verb->name, verb->synopsis,
                  verb->description);
    nm_opt_print_help(out, verb->groups, color);
    print_heading(out, "Exit status", color);
    (void)fputs(verb->exit_codes ? verb->exit_codes : shared_exit_codes, out);
    print_heading(out, "Examples", color);
    for (size_t i = 0; i < sizeof verb->examples / sizeof *verb->examples; i++)
        (void)fprintf(out, "  %s\n", verb->examples[i]);
}
