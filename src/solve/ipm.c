#include "solve/master.h"
#define nm_master_ipm nm_master_ipm_
extern const nm_master_kind nm_master_ipm;
