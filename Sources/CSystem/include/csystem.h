/*
 * Linux calls that Swift cannot reach: variadic, GNU-only or without a wrapper in the C library.
 * Each returns what the system call returns; nothing here allocates or keeps state.
 */
#ifndef CSYSTEM_H
#define CSYSTEM_H

/* Processors on which the scheduler may run this process; at least 1. */
int cs_available_processors(void);
/* Names the calling thread for debuggers; at most 15 bytes count. */
void cs_name_thread(const char *name);
/* A file descriptor that becomes readable when process `pid` ends, or -1 with errno (pidfd_open, Linux 5.3). */
int cs_pidfd_open(int pid);

#endif
