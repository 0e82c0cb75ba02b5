#include "report/json.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

json_t *nm_json_real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

char *nm_json_take_text(json_t *o)
{
    char *dumped = json_dumps(o, JSON_REAL_PRECISION(17)), *text = NULL;

    json_decref(o);
    if (dumped)
        (void)nm_strdup(&text, dumped, NULL);
    free(dumped);
    return text;
}
