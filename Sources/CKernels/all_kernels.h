/*
 * Every kernel source, in the order of ckernels.h. variant_*.c define CK_SUFFIX and include this file; what it defines
 * is one function for each line of kernel_list.h, and the table of them.
 */
#include "kernel.h"

/* The definitions below must agree with the list. */
#ifndef CK_DOUBLE
#define real float
#define CK_KERNEL(result, name, parameters, arguments) result CK_PASTE(name, CK_SUFFIX) parameters;
#define CK_FLOAT_KERNEL CK_KERNEL
#include "kernel_list.h"
#undef CK_FLOAT_KERNEL
#undef CK_KERNEL
#undef real
#endif

#include "kernels/activations.h"
#include "kernels/adamw.h"
#include "kernels/elementwise.h"
#include "kernels/layernorm.h"
#include "kernels/losses.h"
#include "kernels/moments.h"
#include "kernels/reductions.h"
#include "kernels/rmsnorm.h"
#include "kernels/rope.h"
#include "kernels/softmax.h"
#include "kernels/weighted_rows.h"
#ifndef CK_DOUBLE
#include "kernels/dot_rows.h"
#include "kernels/mask.h"
#include "kernels/select.h"
#include "kernels/select_groups.h"

#define CK_KERNEL(result, name, parameters, arguments) .ck_##name = CK(name),
#define CK_FLOAT_KERNEL CK_KERNEL
const struct ck_kernels CK(kernels) = {
#include "kernel_list.h"
};
#undef CK_FLOAT_KERNEL
#undef CK_KERNEL
#endif
