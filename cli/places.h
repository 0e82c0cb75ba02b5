/* Places of files that a command is to write, looked at before the work. */
#ifndef NM_CLI_PLACES_H
#define NM_CLI_PLACES_H

#include "fail.h"

/** Whether a file can be made at `path`: its folder is there and may be written to, and the path is
 *  no folder itself. Writing can still fail later (full disk); this only spares hours of work for
 *  nothing.
 *  @param path  NULL = no file is asked for
 *  @return NM_E_IO, NM_E_NOMEM */
nm_status nm_cli_can_write(const char *path, nm_err *err);

#endif
