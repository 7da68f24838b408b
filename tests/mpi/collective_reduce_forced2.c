// np: 4
// collective_reduce.c with one algorithm per collective forced: set 2 of collective_common.h.
#define FORCED_SET 1
#include "collective_reduce.c"
