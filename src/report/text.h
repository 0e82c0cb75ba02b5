/* Text that grows in a buffer of fixed room: what does not fit is cut off. */
#ifndef NM_REPORT_TEXT_H
#define NM_REPORT_TEXT_H

#include "netmend/base.h"

typedef struct nm_text {
    char *at; /* [room] always ends with a 0 */
    size_t used, room;
} nm_text;

/** Appends, as printf() would. */
void nm_say(nm_text *t, const char *fmt, ...) NM_PRINTF(2, 3);

#endif
