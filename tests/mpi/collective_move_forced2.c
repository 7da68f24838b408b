// np: 4
// collective_move.c with one algorithm per collective forced: set 2 of collective_common.h.
#define FORCED_SET 1
#include "collective_move.c"
