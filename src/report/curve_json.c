/* The curve as JSON. */
#include "netmend/curve.h"
#include "report/json.h"

static json_t *integer(int64_t v, bool known)
{
    return known ? json_integer((json_int_t)v) : json_null();
}

static json_t *point(const nm_curve *curve, const nm_curve_point *p)
{
    bool repaired = p->outcome == NM_REPAIRED;
    json_t *o = json_object();

    json_object_set_new(o, "margin", nm_json_real(p->margin));
    json_object_set_new(o, "damping_factor", nm_json_real(p->damping_factor));
    json_object_set_new(o, "status", json_string(nm_outcome_name(p->outcome)));
    json_object_set_new(o, "objective", nm_json_real(p->objective));
    json_object_set_new(o, "right", integer(p->right, repaired));
    json_object_set_new(o, "keep_lost", integer(p->keep_lost, repaired && curve->has_keep));
    json_object_set_new(o, "divergence", nm_json_real(p->divergence));
    json_object_set_new(o, "reference_lost", integer(p->reference_lost, repaired));
    json_object_set_new(o, "drawdown_points", nm_json_real(p->drawdown_points));
    json_object_set_new(o, "generalization_points", nm_json_real(p->similar_points));
    json_object_set_new(o, "seconds", nm_json_real(p->seconds));
    return o;
}

char *nm_curve_json(const nm_curve *curve)
{
    json_t *o = json_object(), *list = json_array(), *times = json_object();

    for (int i = 0; i < curve->n; i++)
        json_array_append_new(list, point(curve, &curve->points[i]));
    json_object_set_new(times, "curve", nm_json_real(curve->seconds));
    json_object_set_new(o, "curve", list);
    json_object_set_new(o, "time_s", times);
    return nm_json_take_text(o);
}
