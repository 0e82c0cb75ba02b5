/* What the JSON reports share. */
#ifndef NM_REPORT_JSON_H
#define NM_REPORT_JSON_H

#include <jansson.h>

/** A number; null if it is not finite, which JSON cannot say. */
json_t *nm_json_real(double v);

/** The document as a string for nm_string_free(), NULL when memory ran out; gives up `o`. */
char *nm_json_take_text(json_t *o);

#endif
