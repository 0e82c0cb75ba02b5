/* The curve as JSON. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "netmend/curve.h"

static json_t *number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *integer(int64_t v, bool known)
{
    return known ? json_integer((json_int_t)v) : json_null();
}

static json_t *point(const nm_curve *curve, const nm_curve_point *p)
{
    bool repaired = p->outcome == NM_REPAIRED;
    json_t *o = json_object();

    json_object_set_new(o, "margin", number(p->margin));
    json_object_set_new(o, "damping_factor", number(p->damping_factor));
    json_object_set_new(o, "status", json_string(nm_outcome_name(p->outcome)));
    json_object_set_new(o, "objective", number(p->objective));
    json_object_set_new(o, "right", integer(p->right, repaired));
    json_object_set_new(o, "keep_lost", integer(p->keep_lost, repaired && curve->has_keep));
    json_object_set_new(o, "divergence", number(p->divergence));
    json_object_set_new(o, "reference_lost", integer(p->reference_lost, repaired));
    json_object_set_new(o, "drawdown_points", number(p->drawdown_points));
    json_object_set_new(o, "generalization_points", number(p->similar_points));
    json_object_set_new(o, "seconds", number(p->seconds));
    return o;
}

char *nm_curve_json(const nm_curve *curve)
{
    json_t *o = json_object(), *list = json_array(), *times = json_object();
    char *dumped, *text = NULL;

    for (int i = 0; i < curve->n; i++)
        json_array_append_new(list, point(curve, &curve->points[i]));
    json_object_set_new(times, "curve", number(curve->seconds));
    json_object_set_new(o, "curve", list);
    json_object_set_new(o, "time_s", times);
    dumped = json_dumps(o, JSON_REAL_PRECISION(17));
    json_decref(o);
    if (dumped)
        (void)nm_strdup(&text, dumped, NULL);
    free(dumped);
    return text;
}
