/* The inside of nm_claim_parse(): the list of statements. */
#ifndef NM_VERIFY_CLAIM_STATEMENTS_H
#define NM_VERIFY_CLAIM_STATEMENTS_H

#include <jansson.h>

#include "verify/claim.h"

/** The list under a key, and zeroed room for its entries.
 *  @param size  bytes of an entry
 *  @param out   receives [*n] entries
 *  @return NM_E_FORMAT for no list or more than `most` entries, NM_E_NOMEM */
nm_status nm_claim_open_list(const json_t *o, const char *key, int64_t most, size_t size, void *out,
                             int *n, const json_t **list, nm_err *err);

/** "statements" of the claim into out->statements. Free with nm_claim_free(), also after a failure.
 */
nm_status nm_claim_read_statements(const json_t *root, nm_claim *out, nm_err *err);

#endif
