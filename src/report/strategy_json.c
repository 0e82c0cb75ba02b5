/* The passes of a strategy as JSON. */
#include "netmend/strategy.h"
#include "report/json.h"

static json_t *pass(const nm_pass_report *p)
{
    json_t *o = json_object();

    json_object_set_new(o, "pass", json_integer(p->pass));
    json_object_set_new(o, "n_batch", json_integer((json_int_t)p->n_batch));
    json_object_set_new(o, "outcome", json_string(nm_outcome_name(p->outcome)));
    json_object_set_new(o, "accepted", json_boolean(p->accepted));
    json_object_set_new(o, "best", json_boolean(p->best));
    json_object_set_new(o, "reason", json_string(p->reason));
    json_object_set_new(o, "set_right", json_integer((json_int_t)p->set_right));
    json_object_set_new(o, "keep_right", json_integer((json_int_t)p->keep_right));
    json_object_set_new(o, "accuracy", nm_json_real(p->accuracy));
    json_object_set_new(o, "drawdown_points", nm_json_real(p->drawdown_points));
    json_object_set_new(o, "objective", nm_json_real(p->objective));
    json_object_set_new(o, "change_l2", nm_json_real(p->change_l2));
    json_object_set_new(o, "seconds", nm_json_real(p->seconds));
    return o;
}

char *nm_strategy_json(const nm_strategy_report *report)
{
    json_t *o = json_object(), *list = json_array(), *end = json_object();

    for (int i = 0; i < report->n_passes; i++)
        json_array_append_new(list, pass(&report->passes[i]));
    json_object_set_new(end, "stopped", json_string(report->stopped));
    json_object_set_new(end, "judged_on", json_string(report->judged_on));
    json_object_set_new(end, "best_pass",
                        report->best < 0 ? json_null()
                                         : json_integer(report->passes[report->best].pass));
    json_object_set_new(o, "strategy", end);
    json_object_set_new(o, "passes", list);
    return nm_json_take_text(o);
}
