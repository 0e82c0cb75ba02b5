/* Getting typed values out of JSON objects, with messages that name the key. */
#ifndef NM_VERIFY_JSON_H
#define NM_VERIFY_JSON_H

#include <jansson.h>

#include "base/err.h"

/** SHA-256 of an object's canonical text: keys sorted, no blanks, numbers with 17 digits. */
nm_status nm_json_hash(const json_t *object, char *hex, nm_err *err);

nm_status nm_json_object(const json_t *o, const char *key, const json_t **out, nm_err *err);
nm_status nm_json_array(const json_t *o, const char *key, const json_t **out, nm_err *err);
nm_status nm_json_text(const json_t *o, const char *key, const char **out, nm_err *err);
nm_status nm_json_bool(const json_t *o, const char *key, bool *out, nm_err *err);
nm_status nm_json_int(const json_t *o, const char *key, int64_t lo, int64_t hi, int64_t *out,
                      nm_err *err);
/** A finite number; null becomes `if_null` unless that is NAN (then null is refused). */
nm_status nm_json_number(const json_t *o, const char *key, double if_null, double *out,
                         nm_err *err);
/** One of some words; its index. */
nm_status nm_json_word(const json_t *o, const char *key, const char *const *words, int *out,
                       nm_err *err);

/** Arrays of numbers; *out is allocated. `width` numbers an entry where entries are arrays. */
nm_status nm_json_ints(const json_t *o, const char *key, int64_t width, int64_t **out, int64_t *n,
                       nm_err *err);
nm_status nm_json_numbers(const json_t *o, const char *key, double **out, int64_t *n, nm_err *err);

#endif
