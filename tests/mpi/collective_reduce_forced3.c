// np: 4
// collective_reduce.c with one algorithm per collective forced: set 3 of collective_common.h.
#define FORCED_SET 2
#include "collective_reduce.c"
