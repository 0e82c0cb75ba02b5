/* Everything of netmend's public interface. */
#ifndef NETMEND_H
#define NETMEND_H

#include "netmend/base.h"
#include "netmend/check.h"
#include "netmend/choose.h"
#include "netmend/curve.h"
#include "netmend/data.h"
#include "netmend/eval.h"
#include "netmend/heuristic.h"
#include "netmend/net.h"
#include "netmend/plan.h"
#include "netmend/property_repair.h"
#include "netmend/regions.h"
#include "netmend/repair.h"
#include "netmend/report.h"
#include "netmend/set_analysis.h"
#include "netmend/strategy.h"
#include "netmend/train.h"
#include "netmend/verify.h"

#endif
