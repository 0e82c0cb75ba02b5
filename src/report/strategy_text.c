/* The passes of a strategy for people. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "netmend/strategy.h"
#include "report/text.h"

enum { HEAD_ROOM = 512, ROW_ROOM = 256 };

char *nm_strategy_text(const nm_strategy_report *report)
{
    nm_text t = {.room = HEAD_ROOM + ROW_ROOM * (size_t)report->n_passes};

    if (nm_alloc(&t.at, t.room, 1, NULL) != NM_OK)
        return NULL;
    nm_say(&t, "  pass  points  outcome     set right   accuracy  drawdown\n");
    for (int i = 0; i < report->n_passes; i++) {
        const nm_pass_report *p = &report->passes[i];

        nm_say(&t, "%c %4d %7lld  %-10s %10lld", p->best ? '*' : ' ', p->pass,
               (long long)p->n_batch, nm_outcome_name(p->outcome), (long long)p->set_right);
        if (isfinite(p->accuracy))
            nm_say(&t, " %8.2f %%", 100 * p->accuracy);
        else
            nm_say(&t, " %10s", "-");
        if (isfinite(p->drawdown_points))
            nm_say(&t, " %+9.2f", p->drawdown_points);
        nm_say(&t, "%s%.100s\n", p->accepted ? "" : "  ", p->accepted ? "" : p->reason);
    }
    nm_say(&t, "  ended: %s; %s\n", report->stopped,
           report->best < 0 ? "no pass is better than the network as it was"
                            : "the best pass (*) is written");
    if (report->judged_on[0])
        nm_say(&t, "  drawdown is that on the %s set%s\n", report->judged_on,
               strcmp(report->judged_on, "test") == 0
                   ? ", which took part in the choice; --validation keeps it unseen"
                   : "");
    nm_say(&t, "\n");
    return t.at;
}
