/* What a claim needs to prove again what a program proved: rows by name, and multipliers. */
#ifndef NM_REPAIR_CERTIFICATE_H
#define NM_REPAIR_CERTIFICATE_H

#include "repair/pointwise.h"

/** Certificate of a program's last solve, over the rows with positive multipliers; stays empty
 *  unless the search's options ask for it.
 *  @param out  empty; free with nm_certificate_clear() */
nm_status nm_certify_program(const nm_search *search, void *program, bool infeasible,
                             nm_certificate *out, nm_err *err);
void nm_certificate_clear(nm_certificate *certificate);

/** Moves the search's certificate into the report if it is one of the report's outcome. */
nm_status nm_report_certificate(nm_search *search, nm_repair_report *report, nm_err *err);

/** Moves a certificate into the report, behind those that are there. */
nm_status nm_report_add_certificate(nm_certificate *certificate, nm_repair_report *report,
                                    nm_err *err);

/** Puts the certificate of two points that no edit tells apart into the report. */
nm_status nm_report_twins(int64_t a, int64_t b, nm_repair_report *report, nm_err *err);

#endif
