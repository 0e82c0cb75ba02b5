/* Claims: what a repair asserts of the files it wrote, and checking that from the files alone. */
#ifndef NETMEND_CHECK_H
#define NETMEND_CHECK_H

#include "netmend/repair.h"
#include "netmend/verify.h"

#ifdef __cplusplus
extern "C" {
#endif

/* -- making claims ------------------------------------------------------------------------ */

/** Where a set of points came from, how it was read, and which points were taken. */
typedef struct nm_claim_source {
    const char *points, *points_path; /**< name (for --data NAME=FILE) and file; NULL = no set */
    const char *labels, *labels_path; /**< the same of the labels; NULL = not in a file of theirs */
    nm_data_opts opts;                /**< n_in and n_classes are not looked at */
    int64_t wanted;                   /**< the class wanted of every point; -1 = the labels */
    const int64_t *rows; /**< [n] rows of the file, ascending; NULL = all that opts take */
    int64_t n;
} nm_claim_source;

/** What a claim is made from, once nm_repair() is done. Everything is lent. */
typedef struct nm_claim_facts {
    const char *model_path;
    const char *fixed_path; /**< NULL unless repaired */
    const nm_net *net;
    const nm_plan *plan;
    nm_claim_source repair, keep;
    const nm_repair_opts *opts;     /**< `certify` must have been set */
    const nm_repair_report *report; /**< of a repair that came to NM_REPAIRED or NM_INFEASIBLE */
} nm_claim_facts;

/** Writes a claim. The figures in it are those that a check confirms: everything is read from the
 *  files and computed with the checker's arithmetic; a bound that cannot be proven is left out (and
 *  the log says so). The file appears only when complete.
 *  @return NM_E_ARG if the outcome leaves nothing to claim; errors of reading and writing */
NM_API nm_status nm_claim_write(nm_ctx *ctx, const nm_claim_facts *facts, const char *path,
                                nm_err *err);

/** Writes what was found of a property, in a form that nm_check() checks: of one that holds, the
 * proof (opts->certify must have been set); of a violated one, the point. It was checked before the
 * file appears.
 *  @param model, property  the files
 *  @return NM_E_ARG if there is nothing to claim or the proof does not check; NM_E_UNSUPPORTED for
 *          proofs that have no such form: by splitting neurons, for float32 semantics, of networks
 *          that are no chains of layers; errors of reading and writing */
NM_API nm_status nm_claim_write_property(nm_ctx *ctx, const char *model, const char *property,
                                         const nm_verify_opts *opts, const nm_verify_report *report,
                                         const char *path, nm_err *err);

/* -- checking them ------------------------------------------------------------------------ */

/** A file to use for one that the claim names. */
typedef struct nm_check_file {
    const char *name; /**< as in the claim: "inputs", "labels", "keep", ... */
    const char *path;
} nm_check_file;

/** One statement of a claim and what came of it. */
typedef struct nm_check_statement {
    const char *what; /**< "files", "architecture", "repair_set", ...; static */
    int64_t n;        /**< how many things it speaks of: files, parameters, points */
    bool confirmed;
    char finding[256]; /**< one sentence: what holds, or why it does not */
} nm_check_statement;

/** Free its array with nm_check_report_free(). */
typedef struct nm_check_report {
    bool confirmed; /**< every statement is */
    int n_statements;
    nm_check_statement *statements;
} nm_check_report;

/** Checks every statement of a claim from the files, sharing nothing with the optimiser but reading
 *  files and evaluating operators (with plain loops).
 *  @param fixed     the repaired network; NULL or "-" for claims that there is none
 *  @param files     [n_files] data files that are not where the claim says
 *  @return NM_OK with the findings in the report, also when a statement is refuted; NM_E_FORMAT
 *          (no claim), NM_E_IO (a file is missing), NM_E_ARG (`files` names what the claim does
 *          not) */
NM_API nm_status nm_check(nm_ctx *ctx, const char *model, const char *fixed, const char *claim,
                          const nm_check_file *files, int n_files, nm_check_report *report,
                          nm_err *err);
NM_API void nm_check_report_free(nm_check_report *report);

#ifdef __cplusplus
}
#endif
#endif
