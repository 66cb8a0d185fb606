/*
 * Linux calls that Swift cannot reach: variadic, GNU-only or without a wrapper in the C library.
 * Each returns what the system call returns; nothing here allocates, and only guards are kept.
 */
#ifndef CSYSTEM_H
#define CSYSTEM_H

#include <stddef.h>

/* Processors on which the scheduler may run this process; at least 1. */
int cs_available_processors(void);
/* Names the calling thread for debuggers; at most 15 bytes count. */
void cs_name_thread(const char *name);
/* A file descriptor that becomes readable when process `pid` ends, or -1 with errno (pidfd_open, Linux 5.3). */
int cs_pidfd_open(int pid);

/* Tells the processor that the thread spins. */
static inline void cs_relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* Guards a mapping against the truncation of its file: missing pages read as zeros instead of ending the process. See
 * guarded_mapping.c. Returns a guard, or -1 if there are too many; the mapping is then as safe as any. */
int cs_guard(const void *start, size_t length);
/* Whether a page of the mapping was missing when it was read. */
int cs_guard_is_damaged(int guard);
/* Ends a guard, before the mapping is unmapped. */
void cs_unguard(int guard);

#endif
