// np: 4
// collective_move.c with one algorithm per collective forced: set 3 of collective_common.h.
#define FORCED_SET 2
#include "collective_move.c"
