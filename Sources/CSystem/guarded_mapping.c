/*
 * Mapped files that somebody truncates.
 *
 * Touching a page that the file no longer has raises SIGBUS, which would end the process. For ranges that are guarded
 * here the handler puts a page of zeros in its place, notes the damage, and the access goes on; whoever uses the range
 * asks afterwards whether it is still whole. A SIGBUS anywhere else takes its ordinary course.
 *
 * The handler touches nothing but lock-free atomics and mmap(2).
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "include/csystem.h"

enum { SLOTS = 1024 };

/* A slot is free while its start is 0 and taken while that is 1; then it is the address. */
static struct {
  atomic_uintptr_t start;
  atomic_uintptr_t end;
  atomic_int damaged;
} slots[SLOTS];

static uintptr_t page_size;

static void fill_missing_page(int signal_number, siginfo_t *info, void *context) {
  (void)context;
  const uintptr_t address = (uintptr_t)info->si_addr;
  for (int i = 0; i < SLOTS; i++) {
    const uintptr_t start = atomic_load(&slots[i].start);
    if (start <= 1 || address < start || address >= atomic_load(&slots[i].end)) continue;
    atomic_store(&slots[i].damaged, 1);
    void *page = (void *)(address & ~(page_size - 1));
    if (mmap(page, page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED) return;
  }
  signal(signal_number, SIG_DFL); /* not ours: the access is repeated and ends the process */
}

static void install_handler(void) {
  static atomic_flag installed = ATOMIC_FLAG_INIT;
  if (atomic_flag_test_and_set(&installed)) return;
  page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
  struct sigaction action = {.sa_sigaction = fill_missing_page, .sa_flags = SA_SIGINFO};
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, 0);
}

int cs_guard(const void *start, size_t length) {
  install_handler();
  for (int i = 0; i < SLOTS; i++) {
    uintptr_t free = 0;
    if (!atomic_compare_exchange_strong(&slots[i].start, &free, 1)) continue;
    atomic_store(&slots[i].damaged, 0);
    atomic_store(&slots[i].end, (uintptr_t)start + length);
    atomic_store(&slots[i].start, (uintptr_t)start);
    return i;
  }
  return -1;
}

int cs_guard_is_damaged(int guard) { return guard >= 0 && guard < SLOTS && atomic_load(&slots[guard].damaged); }

void cs_unguard(int guard) {
  if (guard >= 0 && guard < SLOTS) atomic_store(&slots[guard].start, 0);
}
