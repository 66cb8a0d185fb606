/* The kernels' own sources with `real` = double and libm's exp and erfc. */
#define CK_DOUBLE
#define CK_SUFFIX _f64
#include "ckernels_double.h"

#include "all_kernels.h"
