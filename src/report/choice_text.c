/* The choice of a layer for people. */
#include <math.h>

#include "base/mem.h"
#include "netmend/choose.h"
#include "report/text.h"

enum { HEAD_ROOM = 1024, ROW_ROOM = 160, MAX_ROWS = 12, MAX_NAME = 32 };

static void say_row(nm_text *t, const nm_layer_score *s)
{
    nm_say(t, "  %c %3d  %-*.*s %10lld", s->chosen ? '*' : ' ', s->layer, MAX_NAME, MAX_NAME,
           s->name, (long long)s->n_params);
    if (isnan(s->predicted_cost))
        nm_say(t, " %11s", "-");
    else
        nm_say(t, " %11.2e", s->predicted_cost);
    if (s->tried && isfinite(s->measured_kl))
        nm_say(t, " %11.2e %6lld %6lld", s->measured_kl, (long long)s->lost, (long long)s->gained);
    nm_say(t, "\n");
}

/* In long networks, the scores that are worth a look. */
static bool is_shown(const nm_layer_score *s, int n_scored)
{
    return !s->skipped && (n_scored <= MAX_ROWS || s->tried || s->chosen);
}

char *nm_choice_text(const nm_choice *choice)
{
    nm_text t = {.room = HEAD_ROOM + ROW_ROOM * ((size_t)choice->n_scores + 1)};
    int n_scored = 0, n_shown = 0;

    if (nm_alloc(&t.at, t.room, 1, NULL) != NM_OK)
        return NULL;
    for (int i = 0; i < choice->n_scores; i++)
        n_scored += !choice->scores[i].skipped;
    if (n_scored < 2)
        return t.at;
    nm_say(&t,
           "layers scored on %lld repair and %lld + %lld reference points, %.2f s\n"
           "    %3s  %-*s %10s %11s %11s %6s %6s\n",
           (long long)choice->n_repair, (long long)choice->n_reference,
           (long long)choice->n_measured, choice->seconds, "", MAX_NAME, "", "parameters",
           "predicted", "divergence", "lost", "gained");
    for (int i = 0; i < choice->n_scores; i++)
        if (is_shown(&choice->scores[i], n_scored)) {
            say_row(&t, &choice->scores[i]);
            n_shown++;
        }
    if (n_shown < n_scored)
        nm_say(&t, "         and %d more, with --json\n", n_scored - n_shown);
    nm_say(&t, "\n");
    return t.at;
}
