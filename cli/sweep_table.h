/* The rows of a sweep: one CSV line a combination, written whole or not at all. */
#ifndef NM_CLI_SWEEP_TABLE_H
#define NM_CLI_SWEEP_TABLE_H

#include <jansson.h>

#include "cli.h"

/** Columns, in the order of the file; names in sweep_table.c. */
typedef enum nm_column {
    NM_COL_EDIT,
    NM_COL_SET,
    NM_COL_STRATEGY,
    NM_COL_SIZE,
    NM_COL_SEED,
    NM_COL_STATUS,
    NM_COL_N_SET,
    NM_COL_ACCURACY_BEFORE,
    NM_COL_ACCURACY_AFTER,
    NM_COL_EFFICACY,
    NM_COL_DRAWDOWN,
    NM_COL_GENERALIZATION,
    NM_COL_OBJECTIVE,
    NM_COL_LINF,
    NM_COL_L2,
    NM_COL_LAYERS,
    NM_COL_TIME,
    NM_COL_NORM,
    NM_COL_LOSS_AFTER,
    NM_COL_N_FREE,
    NM_COL_CONFLICT, /**< rows of the input file that cannot be right together */
    NM_COL_REASON,
    NM_COL_TASK, /**< digest of everything else that the row depends on */
    NM_N_COLUMNS
} nm_column;

enum { NM_CELL_TEXT = 256 };

/** One row as text; an empty cell is not known. */
typedef struct nm_row {
    bool done;
    char cell[NM_N_COLUMNS][NM_CELL_TEXT];
} nm_row;

/** Sets a cell; what does not fit is cut, line ends become blanks. Numbers that are not finite stay
 *  empty. */
void nm_row_text(nm_row *row, nm_column column, const char *text);
void nm_row_number(nm_row *row, nm_column column, double value);

/** The row as one CSV line with its end, in a buffer that always suffices. */
enum { NM_LINE_TEXT = NM_N_COLUMNS * (2 * NM_CELL_TEXT + 3) + 2 };
void nm_row_write(const nm_row *row, char line[static NM_LINE_TEXT]);

/** The row behind a line; false if it has another number of cells. */
bool nm_row_read(const char *line, nm_row *row);

/** The row as JSON object: numbers as numbers, empty cells as null. */
json_t *nm_row_json(const nm_row *row);

/** A number for the combination and the task of a row. */
uint64_t nm_row_digest(const nm_row *row);

/** Writes header and all rows that are done to a temporary file, and renames it. */
nm_status nm_table_save(const char *path, const nm_row *rows, int64_t n, nm_err *err);

/** Takes over, from an earlier file, the rows whose combination and task are those of rows[]. A
 * file that does not exist holds none. @return NM_E_FORMAT for a file that is no such table */
nm_status nm_table_resume(const char *path, nm_row *rows, int64_t n, int64_t *n_done, nm_err *err);

#endif
