#include "netmend/base.h"

const char *nm_version(void)
{
    return NM_VERSION;
}
