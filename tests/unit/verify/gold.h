/* Instances with published verdicts (../shared/data/<set>/instances.csv). */
#ifndef NM_TESTS_GOLD_H
#define NM_TESTS_GOLD_H

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netmend/verify.h"

typedef struct instance {
    char net[512], property[512], cex[512]; /* paths; the counterexample's may not exist */
    bool sat;
} instance;

/* The last part of a path without its ending; of .vnnlib.gz both. */
static inline void stem(const char *path, char *to, size_t room)
{
    const char *slash = strrchr(path, '/');
    char *ending;

    (void)snprintf(to, room, "%s", slash ? slash + 1 : path);
    if ((ending = strstr(to, ".vnnlib")) || (ending = strstr(to, ".onnx")))
        *ending = 0;
}

/* Calls `visit` for every instance of a set. @return how many there are */
static inline int for_each_instance(const char *set, void (*visit)(const instance *one, void *user),
                                    void *user)
{
    char folder[200], line[1024], net_stem[128], property_stem[128];
    int n = 0;
    FILE *list;

    (void)snprintf(line, sizeof line, "%s/instances.csv", set);
    list = fopen(nm_shared(line), "r");
    assert_non_null(list);
    (void)snprintf(folder, sizeof folder, "%s", nm_shared(set));
    assert_non_null(fgets(line, sizeof line, list));
    while (fgets(line, sizeof line, list)) {
        char *net = strtok(line, ","), *property = strtok(NULL, ","), *verdict;
        instance one;

        (void)strtok(NULL, ",");
        verdict = strtok(NULL, ",");
        assert_non_null(verdict);
        stem(net, net_stem, sizeof net_stem);
        stem(property, property_stem, sizeof property_stem);
        (void)snprintf(one.net, sizeof one.net, "%s/%s", folder, net);
        (void)snprintf(one.property, sizeof one.property, "%s/%s", folder, property);
        (void)snprintf(one.cex, sizeof one.cex, "%s/cex/%s__%s.cex", folder, net_stem,
                       property_stem);
        one.sat = strcmp(verdict, "sat") == 0;
        visit(&one, user);
        n++;
    }
    (void)fclose(list);
    return n;
}

#endif
