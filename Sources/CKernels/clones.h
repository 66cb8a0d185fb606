/*
 * One function body, several instruction sets: CK_CLONES compiles a function for AVX-512, for AVX2 and for the
 * baseline, and the loader picks by what the processor has. For files that are not among kernels/ (see kernel.h) yet;
 * tests cannot choose a variant of these.
 */
#ifndef CK_CLONES_H
#define CK_CLONES_H

#if defined(__x86_64__) && defined(__has_attribute)
#if __has_attribute(target_clones)
#define CK_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
#endif
#ifndef CK_CLONES
#define CK_CLONES
#endif

/* Lanes of a reduction: enough for two AVX-512 registers. */
enum { CK_LANES = 32 };

#endif
