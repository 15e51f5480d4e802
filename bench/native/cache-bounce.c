/*
 * How long a cache line takes from one core to the other and back: the least that two processes which
 * share memory can do, and what changes when a virtual machine's processors are placed elsewhere.
 * Prints the median of pieces as a JSON object.
 *
 *     cache-bounce CORE CORE
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PIECES 21
#define ROUNDS 20000

static void pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  sched_setaffinity(0, sizeof set, &set);
}

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  double d = *(const double *)a - *(const double *)b;
  return d < 0 ? -1 : d > 0;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  atomic_int *line = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (line == MAP_FAILED) return 1;
  const int total = PIECES * ROUNDS;
  pid_t child = fork();
  if (child < 0) return 1;
  if (child == 0) {
    pin(atoi(argv[2]));
    for (int i = 0; i < total; i++) {
      while (atomic_load_explicit(line, memory_order_acquire) != 2 * i + 1) {}
      atomic_store_explicit(line, 2 * i + 2, memory_order_release);
    }
    _exit(0);
  }
  pin(atoi(argv[1]));
  double pieces[PIECES];
  for (int p = 0, i = 0; p < PIECES; p++) {
    double start = now_ns();
    for (int r = 0; r < ROUNDS; r++, i++) {
      atomic_store_explicit(line, 2 * i + 1, memory_order_release);
      while (atomic_load_explicit(line, memory_order_acquire) != 2 * i + 2) {}
    }
    pieces[p] = (now_ns() - start) / ROUNDS;
  }
  waitpid(child, NULL, 0);
  qsort(pieces, PIECES, sizeof *pieces, ascending);
  printf("{\"bounce_ns\": %.1f}\n", pieces[PIECES / 2]);
  return 0;
}
