/* Option tables: one row per option feeds parsing, range checks, --help and the JSON echo.
 *
 * A verb keeps its options in one struct and describes it by groups of rows; a row says where in
 * the struct its value lives. Groups can be shared between verbs (the common options, the data
 * arguments), hence their base offset. */
#ifndef NM_CLI_OPT_H
#define NM_CLI_OPT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "netmend/base.h"

enum { NM_OPT_MAX_LIST = 64 };

/** Rows first..last-1 of a file; last = -1: to the end. */
typedef struct nm_opt_rows {
    int64_t first, last;
} nm_opt_rows;

/** lo <= 0 <= hi, infinite where open. */
typedef struct nm_opt_bounds {
    double lo, hi;
} nm_opt_bounds;

typedef struct nm_opt_doubles {
    int n;
    double v[NM_OPT_MAX_LIST];
} nm_opt_doubles;

typedef struct nm_opt_ints {
    int n;
    int64_t v[NM_OPT_MAX_LIST];
} nm_opt_ints;

/** NAME=FILE, or FILE, given again and again. */
typedef struct nm_opt_files {
    int n;
    const char *v[NM_OPT_MAX_LIST]; /**< as given, lent from argv */
} nm_opt_files;

/** What an option takes, and the C type behind it. */
typedef enum nm_opt_kind {
    NM_OPT_FLAG,    /**< bool; takes no value */
    NM_OPT_INT,     /**< int64_t */
    NM_OPT_DOUBLE,  /**< double, finite */
    NM_OPT_TEXT,    /**< const char *, lent from argv; NULL = not given */
    NM_OPT_PATH,    /**< the same, a file */
    NM_OPT_CHOICE,  /**< int, index into `choices`; -1 = not given */
    NM_OPT_ROWS,    /**< nm_opt_rows, written A:B, A: or :B */
    NM_OPT_BOUNDS,  /**< nm_opt_bounds, written B (for -B..B) or LO:HI */
    NM_OPT_DOUBLES, /**< nm_opt_doubles, separated by commas */
    NM_OPT_INTS,    /**< nm_opt_ints, the same */
    NM_OPT_FILES,   /**< nm_opt_files, NAME=FILE; each use adds one */
    NM_OPT_PATHS,   /**< nm_opt_files, FILE; each use adds one */
    NM_OPT_LATER    /**< named in the contract, not built yet: refused; stores nothing */
} nm_opt_kind;

typedef struct nm_opt {
    const char *name; /**< long name without dashes; of a positional argument e.g. "MODEL" */
    char short_name;  /**< 0 = none */
    nm_opt_kind kind;
    bool positional;            /**< taken by place, not by name (TEXT and PATH only) */
    bool required;              /**< TEXT and PATH only */
    bool not_echoed;            /**< left out of the JSON echo (--help, --version) */
    size_t offset;              /**< of the value, from the group's base */
    const char *initial;        /**< default, as the user would write it; NULL = zero, not given */
    const char *shown;          /**< default as --help shows it, where `initial` does not say it */
    double min, max;            /**< numbers and lists: inclusive limits; both 0 = any */
    bool above_min;             /**< min itself is not allowed */
    const char *word;           /**< word accepted instead of a number ("auto"), NULL = none */
    double word_value;          /**< what the word stores */
    const char *const *choices; /**< CHOICE: NULL-terminated */
    const char *const *later;   /**< CHOICE: words of the contract that are not built yet */
    const char *arg;            /**< what --help calls the value */
    const char *unit;           /**< of the value, for --help; NULL = none */
    const char *help;
} nm_opt;

/** Rows that belong together; the array ends with a row without a name. */
typedef struct nm_opt_group {
    const char *title; /**< neighbours with the same title share one heading in --help */
    const nm_opt *rows;
    size_t base; /**< offset of what the rows describe in the verb's struct */
} nm_opt_group;

/** Stores the defaults; `values` is zeroed memory of the verb's struct. Groups end with a group
 *  without rows. */
void nm_opt_defaults(const nm_opt_group *groups, void *values);

/** Parses the arguments after the verb: --name=value, --name value, -xVALUE, -x VALUE; "--" ends
 *  the options. A later value replaces an earlier one.
 *  @return NM_OK or NM_E_ARG with a message that names the option and what it takes */
nm_status nm_opt_parse(const nm_opt_group *groups, int argc, char *const *argv, void *values,
                       nm_err *err);

/** NM_E_ARG if a required value is missing. */
nm_status nm_opt_check_required(const nm_opt_group *groups, const void *values, nm_err *err);

/** Parses one value of a row into its place (opt_value.c). */
nm_status nm_opt_set_value(const nm_opt *row, const char *text, void *slot, nm_err *err);

/** Where a row's value lives. */
static inline void *nm_opt_slot(const nm_opt_group *group, const nm_opt *row, void *values)
{
    return (char *)values + group->base + row->offset;
}

static inline const void *nm_opt_slot_const(const nm_opt_group *group, const nm_opt *row,
                                            const void *values)
{
    return (const char *)values + group->base + row->offset;
}

/** The option as the user writes it ("--margin", "MODEL"). @return text */
const char *nm_opt_label(const nm_opt *row, char text[static 64]);

/** Prints all groups as the option part of --help (opt_help.c). */
void nm_opt_print_help(FILE *out, const nm_opt_group *groups, bool color);

#endif
