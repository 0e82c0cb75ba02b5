/* From the formula of a VNN-LIB file to boxes with cases. */
#ifndef NM_IO_VNNLIB_BUILD_H
#define NM_IO_VNNLIB_BUILD_H

#include "io/vnnlib_atoms.h"
#include "io/vnnlib_dnf.h"

/** Fills in boxes, cases and rows of a property whose n_in, n_out and arena are set.
 *  @param common  atoms that hold in every disjunct
 *  Messages name inputs, not places. @return NM_E_FORMAT if an input has no bound or nothing is
 * said of outputs; NM_E_UNSUPPORTED when there are too many boxes; NM_E_NOMEM */
nm_status nm_vnnlib_build(const nm_vnnlib *v, const nm_conj *common, const nm_dnf *dnf,
                          nm_property *property, nm_err *err);

#endif
