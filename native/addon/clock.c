/*
 * The monotonic clock, written into a place of JavaScript's: nothing is returned that would have to be
 * made, and the call has no arguments to be read.
 *
 * Where the kernel itself keeps time by the processor's counter, the counter is read here, and the
 * kernel asked once in RESYNC_US. The kernel's own reading (vDSO) takes twice as long, because it waits
 * for all instructions before it.
 */
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef __x86_64__
#include <fcntl.h>
#include <unistd.h>
#include <x86intrin.h>
#endif

#include "addon.h"

/* As long as the rate of the counter is taken for granted; how long it is measured. */
#define RESYNC_US 1000.0
#define MEASURE_US 20000.0
/* How often the distance to CLOCK_REALTIME is measured. */
#define MEASUREMENTS 3
/* A reading of the kernel's clock takes some hundred ticks. */
#define LONGEST_TICKS 1000

typedef struct {
  double *place;  /* where the time goes, in microseconds */
  napi_ref array; /* keeps the place */
  double last_us; /* never less the next time */
  uint64_t ticks, ticks_valid; /* counter at `us`, and for how many ticks that is good; 0: ask */
  double us, us_per_tick;
  uint64_t anchor_ticks; /* since when the rate is measured */
  double anchor_us;
  bool has_counter;
} Clock;

static double us_of(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double kernel_us(void) { return us_of(CLOCK_MONOTONIC); }

#ifdef __x86_64__
/* Whether the kernel trusts the counter: the same on every core, at one rate, never stopping. */
static bool kernel_uses_counter(void) {
  static const char path[] = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
  char name[8] = {0};
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t n = read(fd, name, sizeof name - 1);
  close(fd);
  return n >= 4 && memcmp(name, "tsc\n", 4) == 0;
}

static uint64_t counter(void) { return __rdtsc(); }
#else
static bool kernel_uses_counter(void) { return false; }
static uint64_t counter(void) { return 0; }
#endif

/* Asks the kernel; measures the rate of the counter now and then. */
static double resync(Clock *c, uint64_t before) {
  double us = kernel_us();
  uint64_t took = counter() - before;
  if (took > LONGEST_TICKS) { /* something came between: nobody knows which tick was when */
    c->ticks_valid = 0;
    return us;
  }
  uint64_t ticks = before + took / 2;
  double since_us = us - c->anchor_us;
  c->ticks = ticks;
  c->us = us;
  if (c->us_per_tick > 0) c->ticks_valid = (uint64_t)(RESYNC_US / c->us_per_tick);
  if (c->anchor_us > 0 && since_us < MEASURE_US) return us;
  if (c->anchor_us > 0) {
    double us_per_tick = since_us / (double)(ticks - c->anchor_ticks);
    /* Another rate than before: the machine was moved or slept. The first has nothing to be like. */
    bool is_steady = us_per_tick > c->us_per_tick * 0.999 && us_per_tick < c->us_per_tick * 1.001;
    if (!is_steady) c->ticks_valid = 0;
    c->us_per_tick = us_per_tick;
  }
  c->anchor_us = us;
  c->anchor_ticks = ticks;
  return us;
}

static double now_us(Clock *c) {
  if (!c->has_counter) return kernel_us();
  uint64_t ticks = counter();
  uint64_t since = ticks - c->ticks;
  double us = since < c->ticks_valid ? c->us + (double)(int64_t)since * c->us_per_tick
                                     : resync(c, ticks);
  /* The counter may run ahead of the kernel's next answer by some nanoseconds. */
  if (us < c->last_us) return c->last_us;
  c->last_us = us;
  return us;
}

/* The function that clockOpen returns: the time goes to its place. */
static napi_value clock_read(napi_env env, napi_callback_info info) {
  void *data;
  if (napi_get_cb_info(env, info, NULL, NULL, NULL, &data) != napi_ok) return NULL;
  Clock *c = data;
  *c->place = now_us(c);
  return NULL;
}

static void free_clock(napi_env env, void *data, void *hint) {
  (void)hint;
  Clock *c = data;
  napi_delete_reference(env, c->array);
  free(c);
}

/* clockOpen(place: Float64Array): a function without arguments that writes the time there. */
static napi_value clock_open(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  napi_typedarray_type type;
  size_t length;
  void *place;
  if (napi_get_typedarray_info(env, args.at[0], &type, &length, &place, NULL, NULL) != napi_ok ||
      type != napi_float64_array || length < 1) {
    return int_result(env, -EINVAL);
  }
  Clock *c = calloc(1, sizeof *c);
  if (c == NULL) return int_result(env, -ENOMEM);
  c->place = place;
  c->has_counter = kernel_uses_counter();
  napi_value function;
  if (napi_create_reference(env, args.at[0], 1, &c->array) != napi_ok) {
    free(c);
    return int_result(env, -ENOMEM);
  }
  if (napi_create_function(env, "clockRead", NAPI_AUTO_LENGTH, clock_read, c, &function) != napi_ok ||
      napi_wrap(env, function, c, free_clock, NULL, NULL) != napi_ok) {
    napi_delete_reference(env, c->array);
    free(c);
    return int_result(env, -ENOMEM);
  }
  return function;
}

/* cpuNow(): the processor that this thread is on, or a negative error number. */
static napi_value cpu_now(napi_env env, napi_callback_info info) {
  (void)info;
  int cpu = sched_getcpu();
  return int_result(env, cpu < 0 ? -errno : cpu);
}

/* switchesNow(): times that this thread lost its processor while it wanted it (getrusage(2)). */
static napi_value switches_now(napi_env env, napi_callback_info info) {
  (void)info;
  struct rusage usage;
  if (getrusage(RUSAGE_THREAD, &usage) < 0) return int_result(env, -errno);
  return int_result(env, usage.ru_nivcsw & INT32_MAX);
}

/*
 * realTimeAhead(): by how many microseconds CLOCK_REALTIME is ahead of this clock. The shortest of some measurements:
 * where somebody else had the processor between two readings, they say nothing.
 */
static napi_value real_time_ahead(napi_env env, napi_callback_info info) {
  (void)info;
  double shortest = -1, ahead = 0;
  for (int i = 0; i < MEASUREMENTS; i++) {
    double before = kernel_us(), real = us_of(CLOCK_REALTIME), took = kernel_us() - before;
    if (shortest >= 0 && took >= shortest) continue;
    shortest = took;
    ahead = real - before - took / 2;
  }
  napi_value result;
  return napi_create_double(env, ahead, &result) == napi_ok ? result : NULL;
}

bool export_clock(napi_env env, napi_value exports) {
  return export_function(env, exports, "clockOpen", clock_open) &&
         export_function(env, exports, "cpuNow", cpu_now) &&
         export_function(env, exports, "realTimeAhead", real_time_ahead) &&
         export_function(env, exports, "switchesNow", switches_now);
}
