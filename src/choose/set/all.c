/* All: every point. */
#include "choose/set/set.h"

const nm_set_kind nm_set_all = {
    .info = {.name = "All",
             .summary = "every point, in file order",
             .scope = "labels; score: place in the file",
             .source = "netmend"},
};
