/*
 * Finding libc's own functions. Each member starts as a function that looks the symbol up, stores
 * what it found and goes on with it; a constructor does that for all, so that signal handlers never
 * meet dlsym. Nothing here takes a lock or needs to have run before.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

#include "real.h"

void *mr_real_find(const char *name) {
  int saved = errno;
  void *found = dlsym(RTLD_NEXT, name);
  errno = saved;
  return found;
}

#define FIRST(type, name, parameters, arguments, missing)                  \
  static type missing_##name parameters {                                 \
    errno = ENOSYS;                                                       \
    return missing;                                                       \
  }                                                                       \
  static void find_##name(void) {                                         \
    __typeof__(real.name) found = (__typeof__(real.name))mr_real_find(#name); \
    if (found == NULL) found = missing_##name;                            \
    __atomic_store_n(&real.name, found, __ATOMIC_RELAXED);                \
  }                                                                       \
  static type first_##name parameters {                                   \
    find_##name();                                                        \
    return real.name arguments;                                           \
  }

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
MR_REAL_LIST(FIRST)
#pragma GCC diagnostic pop

#define INITIAL(type, name, parameters, arguments, missing) .name = first_##name,
struct mr_real real = {MR_REAL_LIST(INITIAL)};

#define FIND(type, name, parameters, arguments, missing) find_##name();
__attribute__((constructor(101))) static void find_all(void) {
  MR_REAL_LIST(FIND)
}
