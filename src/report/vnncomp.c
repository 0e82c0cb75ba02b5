#include <string.h>

#include "base/file.h"
#include "netmend/verify.h"

/* Digits of a double: what a reader takes for a double is the float32 number. */
enum { ALL_DIGITS = 17 };

static void put_point(FILE *out, const nm_verify_report *report)
{
    const char *before = "(";

    for (int64_t i = 0; i < report->n_in; i++, before = "\n ")
        (void)fprintf(out, "%s(X_%lld %.*g)", before, (long long)i, ALL_DIGITS,
                      (double)report->x[i]);
    for (int64_t i = 0; i < report->n_out; i++)
        (void)fprintf(out, "\n (Y_%lld %.9g)", (long long)i, (double)report->y[i]);
    (void)fputs(")\n", out);
}

nm_status nm_vnncomp_write(const nm_verify_report *report, const char *path, nm_err *err)
{
    nm_writer w;
    nm_status rc = nm_writer_open(&w, path, err);
    const char *word = "error";

    if (rc != NM_OK)
        return rc;
    if (report)
        word = report->verdict == NM_VERDICT_HOLDS      ? "unsat"
               : report->verdict == NM_VERDICT_VIOLATED ? "sat"
               : report->timed_out                      ? "timeout"
                                                        : "unknown";
    (void)fprintf(w.stream, "%s\n", word);
    if (report && report->verdict == NM_VERDICT_VIOLATED)
        put_point(w.stream, report);
    return nm_writer_commit(&w, err);
}
