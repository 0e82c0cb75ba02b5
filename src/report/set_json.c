/* The analysis of a repair set as JSON. */
#include "netmend/set_analysis.h"
#include "report/json.h"

static json_t *integer(int64_t v)
{
    return v < 0 ? json_null() : json_integer((json_int_t)v);
}

static json_t *spread(const nm_spread *s)
{
    json_t *o = json_object();

    json_object_set_new(o, "mean_distance", nm_json_real(s->mean));
    json_object_set_new(o, "least_distance", nm_json_real(s->least));
    return o;
}

static json_t *diversity(const nm_set_analysis *a)
{
    json_t *o = json_object();

    json_object_set_new(o, "n_sampled", integer(a->n_sampled));
    json_object_set_new(o, "input", spread(&a->input));
    json_object_set_new(o, "feature", spread(&a->feature));
    json_object_set_new(o, "near_share", nm_json_real(a->near_share));
    return o;
}

static json_t *conflicts(const nm_set_analysis *a)
{
    json_t *list = json_array();

    for (int64_t i = 0; i < a->n_conflicts && i < NM_SET_MAX_CONFLICTS; i++) {
        const nm_set_conflict *c = &a->conflicts[i];
        json_t *o = json_object(), *points = json_array();

        json_array_append_new(points, integer(c->a));
        json_array_append_new(points, integer(c->b));
        json_object_set_new(o, "points", points);
        json_object_set_new(o, "same_from_layer", integer(c->layer));
        json_array_append_new(list, o);
    }
    return list;
}

char *nm_set_analysis_json(const nm_set_analysis *a)
{
    json_t *o = json_object(), *classes = json_array();

    for (int64_t c = 0; c < a->n_scores; c++)
        json_array_append_new(classes, integer(a->class_n[c]));
    json_object_set_new(o, "size", integer(a->n));
    json_object_set_new(o, "n_in", integer(a->n_in));
    json_object_set_new(o, "misclassified", integer(a->n_wrong));
    json_object_set_new(o, "deficit", nm_json_real(a->deficit));
    json_object_set_new(o, "rows", integer(a->rows));
    json_object_set_new(o, "classes", integer(a->n_classes));
    json_object_set_new(o, "class_counts", classes);
    json_object_set_new(o, "class_entropy", nm_json_real(a->class_entropy));
    json_object_set_new(o, "diversity", diversity(a));
    json_object_set_new(o, "hull_dimension", integer(a->hull_dimension));
    json_object_set_new(o, "hull_vertices", integer(a->hull_vertices));
    json_object_set_new(o, "hull_log_volume", nm_json_real(a->hull_log_volume));
    json_object_set_new(o, "hull_tolerance", nm_json_real(a->hull_tolerance));
    json_object_set_new(o, "patterns", integer(a->patterns));
    json_object_set_new(o, "n_conflicts", integer(a->n_conflicts));
    json_object_set_new(o, "conflicts", conflicts(a));
    json_object_set_new(o, "seconds", nm_json_real(a->seconds));
    return nm_json_take_text(o);
}
