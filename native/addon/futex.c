/*
 * Waiting on a word of shared memory (futex(2)): the other side may be another process. Where the
 * waiting side is JavaScript's own thread it stands still meanwhile, so this is for hosts that block
 * on purpose and for waking those that do.
 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "addon.h"

/* The aligned word at byte `at` of a Uint8Array, or NULL with *error set. */
static uint32_t *word_of(const Args *args, int *error) {
  Memory memory;
  size_t at;
  *error = -EINVAL;
  if (!arg_bytes(args, 0, &memory) || !arg_size(args, 1, &at) || at % 4 != 0) return NULL;
  *error = -EFAULT;
  if (memory.length < 4 || at > memory.length - 4) return NULL;
  return (uint32_t *)(memory.bytes + at);
}

/*
 * futexWait(bytes, at, expected, timeoutUs): blocks while the word is `expected`. 0 when woken,
 * -EAGAIN when it is not, -ETIMEDOUT, -EINTR. timeoutUs below 0 waits for ever.
 */
static napi_value futex_wait(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int error;
  int32_t expected;
  double timeout_us;
  uint32_t *word = word_of(&args, &error);
  if (word == NULL) return int_result(env, error);
  if (!arg_int(&args, 2, &expected) ||
      napi_get_value_double(env, args.at[3], &timeout_us) != napi_ok) {
    return int_result(env, -EINVAL);
  }
  bool for_ever = !(timeout_us >= 0 && timeout_us < 1e15);
  struct timespec timeout = {0};
  if (!for_ever) {
    timeout.tv_sec = (time_t)(timeout_us / 1e6);
    timeout.tv_nsec = (long)((timeout_us - (double)timeout.tv_sec * 1e6) * 1e3);
  }
  long result = syscall(SYS_futex, word, FUTEX_WAIT, (uint32_t)expected,
                        for_ever ? NULL : &timeout, NULL, 0);
  return call_result(env, (int)result);
}

/* futexWake(bytes, at, n): wakes at most n that wait on the word; how many it woke. */
static napi_value futex_wake(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int error;
  int32_t n;
  uint32_t *word = word_of(&args, &error);
  if (word == NULL) return int_result(env, error);
  if (!arg_int(&args, 2, &n) || n < 0) return int_result(env, -EINVAL);
  return call_result(env, (int)syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0));
}

bool export_futex(napi_env env, napi_value exports) {
  return export_function(env, exports, "futexWait", futex_wait) &&
         export_function(env, exports, "futexWake", futex_wake);
}
