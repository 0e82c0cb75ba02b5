/* The choice of a layer as JSON. */
#include "netmend/choose.h"
#include "report/json.h"

/* Names come from files and need not be UTF-8, which JSON is. */
static json_t *name(const char *text)
{
    json_t *value = json_string(text);

    return value ? value : json_null();
}

static json_t *score(const nm_layer_score *s)
{
    json_t *o = json_object();

    json_object_set_new(o, "layer", json_integer(s->layer));
    json_object_set_new(o, "name", name(s->name));
    json_object_set_new(o, "n_params", json_integer((json_int_t)s->n_params));
    json_object_set_new(o, "predicted_cost", nm_json_real(s->predicted_cost));
    json_object_set_new(o, "measured_kl", nm_json_real(s->measured_kl));
    json_object_set_new(o, "lost", s->tried ? json_integer((json_int_t)s->lost) : json_null());
    json_object_set_new(o, "gained", s->tried ? json_integer((json_int_t)s->gained) : json_null());
    json_object_set_new(o, "missed", s->tried ? json_integer((json_int_t)s->missed) : json_null());
    json_object_set_new(o, "seconds", nm_json_real(s->seconds));
    json_object_set_new(o, "chosen", json_boolean(s->chosen));
    json_object_set_new(o, "skipped", s->skipped ? name(s->skipped) : json_null());
    return o;
}

static json_t *head(const nm_choice *choice)
{
    json_t *o = json_object();

    json_object_set_new(o, "layer", json_integer(choice->layer));
    json_object_set_new(o, "reason", json_string(choice->reason));
    json_object_set_new(o, "margin", nm_json_real(choice->margin));
    json_object_set_new(o, "n_repair", json_integer((json_int_t)choice->n_repair));
    json_object_set_new(o, "n_reference", json_integer((json_int_t)choice->n_reference));
    json_object_set_new(o, "n_measured", json_integer((json_int_t)choice->n_measured));
    return o;
}

char *nm_choice_json(const nm_choice *choice)
{
    json_t *o = json_object(), *scores = json_array(), *times = json_object();

    for (int i = 0; i < choice->n_scores; i++)
        json_array_append_new(scores, score(&choice->scores[i]));
    json_object_set_new(times, "choose", nm_json_real(choice->seconds));
    json_object_set_new(o, "layer_choice", head(choice));
    json_object_set_new(o, "layer_scores", scores);
    json_object_set_new(o, "time_s", times);
    return nm_json_take_text(o);
}
