/* VNN-LIB, the properties of the verification competition: SMT-LIB text that describes what must
 * not happen.
 * Source: S. Demarchi et al., "Supporting standardization of neural networks verification with
 * VNN-LIB and CoCoNet" (FoMLAS 2023), and the files of VNN-COMP 2021 to 2024.
 *
 *     (declare-const X_0 Real) ... (declare-const Y_0 Real) ...   inputs and outputs, flat
 *     (assert F)                                                  all of them hold together
 *     F = (<= A A) | (>= A A) | (and F ...) | (or F ...) | true | false
 *     A = number | variable | (+ A ...) | (- A ...) | (* number variable)
 *
 * and `;` comments. A comparison speaks of one input (then it is a side of the box) or of outputs
 * alone. Commands that only talk to a solver (check-sat, set-logic, ...) are passed over. Strict
 * comparisons, equality, negation and everything that is not linear are refused.
 *
 * The formula is brought to a union of conjunctions; sizes are bounded (vnnlib_dnf.h). */
#ifndef NM_IO_VNNLIB_H
#define NM_IO_VNNLIB_H

#include "base/file.h"
#include "spec/property.h"

/** Makes a property from VNN-LIB text. Messages start with "LINE:COLUMN: " or "LINE: ", not with
 * the file's name. */
nm_status nm_vnnlib_read(const nm_buffer *file, nm_property **out, nm_err *err);

#endif
