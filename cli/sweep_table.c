#include "sweep_table.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[NM_N_COLUMNS] = {"edit",
                                                "set",
                                                "strategy",
                                                "size",
                                                "seed",
                                                "status",
                                                "n_set",
                                                "accuracy_before",
                                                "accuracy_after",
                                                "efficacy",
                                                "drawdown_points",
                                                "generalization_points",
                                                "objective",
                                                "change_linf",
                                                "change_l2",
                                                "layers",
                                                "time_s",
                                                "norm",
                                                "loss_after",
                                                "n_free",
                                                "conflict",
                                                "reason",
                                                "task"};

/* -- cells ----------------------------------------------------------------------------------- */

void nm_row_text(nm_row *row, nm_column column, const char *text)
{
    (void)snprintf(row->cell[column], NM_CELL_TEXT, "%.*s", NM_CELL_TEXT - 1, text);
    for (char *c = row->cell[column]; *c; c++)
        *c = *c == '\n' || *c == '\r' ? ' ' : *c;
}

void nm_row_number(nm_row *row, nm_column column, double value)
{
    row->cell[column][0] = '\0';
    if (isfinite(value))
        (void)snprintf(row->cell[column], NM_CELL_TEXT, "%.10g", value);
}

/* -- lines ----------------------------------------------------------------------------------- */

/* RFC 4180: quoted if it holds a comma or a quote, which is doubled. */
static char *put_cell(char *to, const char *text)
{
    bool quoted = strpbrk(text, ",\"") != NULL;

    if (quoted)
        *to++ = '"';
    for (; *text; text++) {
        if (*text == '"')
            *to++ = '"';
        *to++ = *text;
    }
    if (quoted)
        *to++ = '"';
    return to;
}

void nm_row_write(const nm_row *row, char line[static NM_LINE_TEXT])
{
    for (int i = 0; i < NM_N_COLUMNS; i++) {
        line = put_cell(line, row->cell[i]);
        *line++ = i + 1 < NM_N_COLUMNS ? ',' : '\n';
    }
    *line = '\0';
}

static const char *take_cell(const char *from, char *to)
{
    bool quoted = *from == '"';
    size_t n = 0;

    from += quoted;
    for (; *from && (quoted || (*from != ',' && *from != '\n')); from++) {
        if (quoted && *from == '"' && *++from != '"') {
            quoted = false;
            break;
        }
        if (n + 1 < NM_CELL_TEXT)
            to[n++] = *from;
    }
    to[n] = '\0';
    return quoted ? NULL : from;
}

bool nm_row_read(const char *line, nm_row *row)
{
    for (int i = 0; i < NM_N_COLUMNS; i++) {
        char end = i + 1 < NM_N_COLUMNS ? ',' : '\n';

        line = take_cell(line, row->cell[i]);
        if (!line || *line++ != end)
            return false;
    }
    row->done = *line == '\0';
    return row->done;
}

static bool is_number(nm_column c)
{
    return c != NM_COL_EDIT && c != NM_COL_SET && c != NM_COL_STRATEGY && c != NM_COL_STATUS &&
           c != NM_COL_LAYERS && c != NM_COL_NORM && c < NM_COL_CONFLICT;
}

json_t *nm_row_json(const nm_row *row)
{
    json_t *o = json_object();

    for (int i = 0; i < NM_N_COLUMNS; i++) {
        const char *text = row->cell[i];
        char *end;
        double value = strtod(text, &end);
        bool number = is_number((nm_column)i) && *text && !*end;

        (void)json_object_set_new(o, names[i],
                                  !*text   ? json_null()
                                  : number ? nm_doc_number(value)
                                           : nm_doc_text(text));
    }
    return o;
}

/* -- files ----------------------------------------------------------------------------------- */

static nm_status fail_io(const char *path, const char *what, nm_err *err)
{
    return nm_cli_fail(err, NM_E_IO, "%s: cannot %s: %s", path, what,
                       errno ? strerror(errno) : "write error");
}

static bool write_all(FILE *out, const nm_row *rows, int64_t n)
{
    static char line[NM_LINE_TEXT];

    for (int i = 0; i < NM_N_COLUMNS; i++)
        (void)fprintf(out, "%s%c", names[i], i + 1 < NM_N_COLUMNS ? ',' : '\n');
    for (int64_t i = 0; i < n; i++)
        if (rows[i].done) {
            nm_row_write(&rows[i], line);
            (void)fputs(line, out);
        }
    return fflush(out) == 0 && !ferror(out) && fsync(fileno(out)) == 0;
}

nm_status nm_table_save(const char *path, const nm_row *rows, int64_t n, nm_err *err)
{
    char temp[4096];
    FILE *out;
    bool good;

    if (snprintf(temp, sizeof temp, "%s.part", path) >= (int)sizeof temp)
        return nm_cli_fail(err, NM_E_ARG, "--csv: the path %.64s... is too long", path);
    errno = 0;
    out = fopen(temp, "w");
    if (!out)
        return fail_io(path, "write", err);
    good = write_all(out, rows, n);
    good = fclose(out) == 0 && good;
    if (good && rename(temp, path) == 0)
        return NM_OK;
    (void)fail_io(path, "write", err);
    (void)unlink(temp);
    return NM_E_IO;
}

/* What tells one row from all others. */
static const nm_column key[] = {NM_COL_EDIT, NM_COL_SET,  NM_COL_STRATEGY, NM_COL_SIZE,
                                NM_COL_SEED, NM_COL_NORM, NM_COL_TASK};

/* FNV-1a; the end of a cell counts. */
uint64_t nm_row_digest(const nm_row *row)
{
    uint64_t hash = 14695981039346656037U;

    for (size_t i = 0; i < sizeof key / sizeof *key; i++)
        for (const char *c = row->cell[key[i]];; c++) {
            hash = (hash ^ (unsigned char)*c) * 1099511628211U;
            if (!*c)
                break;
        }
    return hash;
}

static bool same_task(const nm_row *a, const nm_row *b)
{
    for (size_t i = 0; i < sizeof key / sizeof *key; i++)
        if (strcmp(a->cell[key[i]], b->cell[key[i]]) != 0)
            return false;
    return true;
}

static void take_row(const nm_row *from, nm_row *rows, int64_t n, int64_t *n_done)
{
    for (int64_t i = 0; i < n; i++)
        if (!rows[i].done && same_task(from, &rows[i])) {
            rows[i] = *from;
            ++*n_done;
            return;
        }
}

static nm_status read_rows(FILE *in, const char *path, nm_row *rows, int64_t n, int64_t *n_done,
                           nm_err *err)
{
    static char line[NM_LINE_TEXT];
    static nm_row row;
    int64_t number = 1;

    if (!fgets(line, sizeof line, in))
        return NM_OK;
    if (strncmp(line, "edit,set,strategy,size,seed,", 28) != 0)
        return nm_cli_fail(
            err, NM_E_FORMAT,
            "%s:1: expected the table of an earlier sweep (edit,set,strategy,...) or "
            "no file",
            path);
    while (fgets(line, sizeof line, in)) {
        number++;
        if (!nm_row_read(line, &row))
            return nm_cli_fail(err, NM_E_FORMAT, "%s:%lld: expected %d cells", path,
                               (long long)number, (int)NM_N_COLUMNS);
        take_row(&row, rows, n, n_done);
    }
    return NM_OK;
}

nm_status nm_table_resume(const char *path, nm_row *rows, int64_t n, int64_t *n_done, nm_err *err)
{
    FILE *in;
    nm_status rc;

    *n_done = 0;
    errno = 0;
    in = fopen(path, "r");
    if (!in)
        return errno == ENOENT ? NM_OK : fail_io(path, "read", err);
    rc = read_rows(in, path, rows, n, n_done, err);
    (void)fclose(in);
    return rc;
}
