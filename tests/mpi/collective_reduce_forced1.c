// np: 4
// collective_reduce.c with one algorithm per collective forced: set 1 of collective_common.h.
#define FORCED_SET 0
#include "collective_reduce.c"
