/* A file counts only when what it holds, read back, was confirmed; until then it is not there. */
#ifndef NM_REPAIR_CONFIRM_H
#define NM_REPAIR_CONFIRM_H

#include "net/graph.h"

/** Reading back needs a real file: NM_E_IO if path names a device, a pipe or a folder. */
nm_status nm_check_regular(const char *path, nm_err *err);

/** Says whether the net that was read may stand; messages call the file by the name it is to get.
 */
typedef nm_status nm_confirm(void *user, const nm_net *read_back, nm_err *err);

/** Writes the net beside `path`, reads it back, and renames it to path once `confirm` agrees; a
 * file that was there stays otherwise.
 *  @param read_back  receives the net as read from the file; NULL on failure */
nm_status nm_write_confirmed(nm_ctx *ctx, const nm_net *net, const char *path, nm_confirm *confirm,
                             void *user, nm_net **read_back, nm_err *err);

#endif
