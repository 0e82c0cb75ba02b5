/* The repair report as JSON, with the keys of the command-line contract. */
#include <math.h>

#include "netmend/repair.h"
#include "report/json.h"

static json_t *integer(int64_t v)
{
    return json_integer((json_int_t)v);
}

static json_t *indices(const int64_t *at, int64_t n)
{
    json_t *list = json_array();

    for (int64_t i = 0; i < n; i++)
        json_array_append_new(list, integer(at[i]));
    return list;
}

static json_t *layers(const nm_repair_report *r)
{
    json_t *list = json_array();

    for (int i = 0; i < r->n_layers; i++)
        json_array_append_new(list, json_integer(r->layers[i]));
    return list;
}

/* -1: not computed. */
static json_t *count(int64_t n)
{
    return n < 0 ? json_null() : integer(n);
}

static json_t *point_set(const nm_set_report *s)
{
    json_t *o = json_object();

    json_object_set_new(o, "n", integer(s->n));
    json_object_set_new(o, "right_before", integer(s->right_before));
    json_object_set_new(o, "right_after", integer(s->right_after));
    json_object_set_new(o, "safe_after", count(s->safe_after));
    json_object_set_new(o, "probable_after", count(s->probable_after));
    json_object_set_new(o, "first_order_after", count(s->first_order_after));
    json_object_set_new(o, "min_margin_after", nm_json_real(s->min_margin_after));
    json_object_set_new(o, "min_slack_after", nm_json_real(s->min_slack_after));
    json_object_set_new(o, "max_bound_after", nm_json_real(s->max_bound_after));
    json_object_set_new(o, "max_first_order_after", nm_json_real(s->max_first_order_after));
    return o;
}

/* gain: name of the figure and its sign (drawdown is what was lost). */
static json_t *held_out(const nm_accuracy_report *a, const char *figure, double sign)
{
    json_t *o = json_object();

    json_object_set_new(o, "n", integer(a->n));
    json_object_set_new(o, "accuracy_before", nm_json_real(a->before));
    json_object_set_new(o, "accuracy_after", nm_json_real(a->after));
    json_object_set_new(o, figure, nm_json_real(sign * 100 * (a->after - a->before)));
    return o;
}

static json_t *change(const nm_repair_report *r)
{
    json_t *o = json_object();

    json_object_set_new(o, "linf", nm_json_real(r->change_linf));
    json_object_set_new(o, "l1", nm_json_real(r->change_l1));
    json_object_set_new(o, "l2", nm_json_real(r->change_l2));
    json_object_set_new(o, "n_changed", integer(r->n_changed));
    json_object_set_new(o, "n_free", integer(r->n_free));
    json_object_set_new(o, "n_marked", integer(r->n_marked));
    return o;
}

static json_t *lp(const nm_repair_report *r)
{
    json_t *o = json_object();

    json_object_set_new(o, "rows", integer(r->rows));
    json_object_set_new(o, "rows_total", integer(r->rows_total));
    json_object_set_new(o, "rounds", json_integer(r->solver_rounds));
    json_object_set_new(o, "solver", json_string(r->solver));
    json_object_set_new(o, "linearisations", json_integer(r->linearisations));
    json_object_set_new(o, "judge_rounds", json_integer(r->judge_rounds));
    return o;
}

static json_t *refined(const nm_refine_report *r)
{
    json_t *o = json_object();

    json_object_set_new(o, "evaluations", json_integer(r->evaluations));
    json_object_set_new(o, "drift_before", nm_json_real(r->drift_before));
    json_object_set_new(o, "drift_after", nm_json_real(r->drift_after));
    return o;
}

static json_t *shifted(const nm_shift_report *r)
{
    json_t *o = json_object();

    json_object_set_new(o, "weight", nm_json_real(r->weight));
    json_object_set_new(o, "wrong_before", json_integer(r->wrong_before));
    json_object_set_new(o, "wrong_after", json_integer(r->wrong_after));
    json_object_set_new(o, "moved", nm_json_real(r->moved));
    return o;
}

static json_t *conflicts(const nm_repair_report *r)
{
    json_t *list = json_array();

    for (int64_t i = 0; i < r->n_conflicts; i++) {
        const nm_conflict_report *c = &r->conflicts[i];
        json_t *o = json_object();

        json_object_set_new(o, "kind",
                            json_string(c->kind == NM_CONFLICT_TWINS ? "twins" : "multipliers"));
        json_object_set_new(o, "points", indices(c->points, c->n_points));
        json_object_set_new(o, "keep", indices(c->keep, c->n_keep));
        json_array_append_new(list, o);
    }
    return list;
}

/* The points of a conflict but `but`. */
static json_t *others(const nm_conflict_report *c, int64_t but)
{
    json_t *list = json_array();

    for (int64_t i = 0; i < c->n_points; i++)
        if (c->points[i] != but)
            json_array_append_new(list, integer(c->points[i]));
    return list;
}

static json_t *reasons(const nm_repair_report *r)
{
    json_t *list = json_array();

    for (int64_t i = 0; i < r->n_unrepaired; i++) {
        const nm_unrepaired *u = &r->unrepaired[i];
        const nm_conflict_report *c = u->conflict >= 0 ? &r->conflicts[u->conflict] : NULL;
        json_t *o = json_object();

        json_object_set_new(o, "index", integer(u->point));
        json_object_set_new(o, "reason", json_string(nm_unrepaired_text(r, i)));
        json_object_set_new(o, "proven", json_boolean(c != NULL));
        json_object_set_new(o, "conflict", c ? others(c, u->point) : json_array());
        json_object_set_new(o, "conflict_keep", c ? indices(c->keep, c->n_keep) : json_array());
        json_array_append_new(list, o);
    }
    return list;
}

/* What elastic repairs have to say, and of others the conflict that ended them. */
static void set_left_out(json_t *o, const nm_repair_report *r)
{
    json_t *unrepaired = json_array();

    for (int64_t i = 0; i < r->n_unrepaired; i++)
        json_array_append_new(unrepaired, integer(r->unrepaired[i].point));
    json_object_set_new(o, "unrepaired", unrepaired);
    json_object_set_new(o, "unrepaired_reasons", reasons(r));
    if (r->n_conflicts > 0) {
        json_object_set_new(o, "repairable_at_most", integer(r->repairable_at_most));
        json_object_set_new(o, "conflicts", conflicts(r));
    }
}

static json_t *times(const nm_repair_report *r)
{
    json_t *o = json_object();

    json_object_set_new(o, "prepare", nm_json_real(r->s_prepare));
    json_object_set_new(o, "solve", nm_json_real(r->s_solve));
    json_object_set_new(o, "judge", nm_json_real(r->s_judge));
    json_object_set_new(o, "write", nm_json_real(r->s_write));
    json_object_set_new(o, "measure", nm_json_real(r->s_measure));
    json_object_set_new(o, "certify", nm_json_real(r->s_certify));
    return o;
}

static json_t *damping(const nm_repair_report *r)
{
    json_t *o = json_object();

    json_object_set_new(o, "inputs", nm_json_real(r->damping_in));
    json_object_set_new(o, "curvature", nm_json_real(r->damping_out));
    return o;
}

char *nm_repair_report_json(const nm_repair_report *r)
{
    json_t *o = json_object();

    json_object_set_new(o, "status", json_string(nm_outcome_name(r->outcome)));
    json_object_set_new(o, "reason", json_string(r->reason));
    json_object_set_new(o, "layers", layers(r));
    json_object_set_new(o, "margin", nm_json_real(r->margin));
    if (!isnan(r->damping_in))
        json_object_set_new(o, "damping", damping(r));
    json_object_set_new(o, "objective", nm_json_real(r->objective));
    json_object_set_new(o, "lower_bound", nm_json_real(r->lower_bound));
    json_object_set_new(o, "gap", nm_json_real(r->gap));
    json_object_set_new(o, "repair_set", point_set(&r->repair));
    if (r->keep.n > 0)
        json_object_set_new(o, "keep", point_set(&r->keep));
    if (r->test.n > 0)
        json_object_set_new(o, "test", held_out(&r->test, "drawdown_points", -1));
    if (r->similar.n > 0)
        json_object_set_new(o, "similar", held_out(&r->similar, "generalization_points", 1));
    json_object_set_new(o, "change", change(r));
    json_object_set_new(o, "lp", lp(r));
    if (r->shifted.weight > 0)
        json_object_set_new(o, "shifted", shifted(&r->shifted));
    if (r->refined.evaluations > 0)
        json_object_set_new(o, "refined", refined(&r->refined));
    if (r->outcome == NM_INFEASIBLE) {
        json_object_set_new(o, "conflict", indices(r->conflict, r->n_conflict));
        json_object_set_new(o, "conflict_keep", indices(r->conflict_keep, r->n_conflict_keep));
    }
    if (r->n_unrepaired > 0 || r->n_conflicts > 0)
        set_left_out(o, r);
    if (r->stopped)
        json_object_set_new(o, "stopped", json_true());
    json_object_set_new(o, "time_s", times(r));
    return nm_json_take_text(o);
}
