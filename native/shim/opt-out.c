/*
 * The program's own say about its sockets (docs/opt-out.md): SO_MILLRACE_NO_ACCEL, and
 * MILLRACE_DEFAULT_DISABLE. Level and numbers are exasock's.
 */
#include <string.h>

#include "../include/millrace.h"
#include "open.h"

_Static_assert(SOL_MILLRACE == MR_SOL_MILLRACE, "level");

bool mr_opt_out_is_default(void) {
  static int known = -1;
  if (known < 0) {
    const char *value = mr_environment_get("MILLRACE_DEFAULT_DISABLE");
    known = value != NULL && *value != '\0' && strcmp(value, "0") != 0;
  }
  return known != 0;
}

const char *mr_opt_out_reason(struct mr_pending *pending) {
  if (pending->state->choice == MR_CHOICE_KERNEL) return "SO_MILLRACE_NO_ACCEL was set";
  if (pending->state->choice == MR_CHOICE_ACCELERATE || !mr_opt_out_is_default()) return NULL;
  return "MILLRACE_DEFAULT_DISABLE is set";
}

int mr_opt_out_get(int fd, int option, void *value, socklen_t *bytes) {
  struct mr_fd entry = mr_fd_get(fd);
  enum mr_fd_kind kind = entry.kind;
  bool is_kept = kind == MR_FD_KERNEL;
  if (kind == MR_FD_PENDING) is_kept = mr_opt_out_reason(entry.pending) != NULL;
  mr_fd_put(entry);
  if (kind == MR_FD_PRIVATE) return (int)mr_return(-EBADF);
  bool is_ours = kind == MR_FD_SOCKET || kind == MR_FD_PENDING || kind == MR_FD_KERNEL;
  /* The kernel's own answer, ENOTSOCK and EBADF included. */
  if (!is_ours) return real.getsockopt(fd, SOL_MILLRACE, option, value, bytes);
  if (option != SO_MILLRACE_NO_ACCEL && option != SO_MILLRACE_ACCELERATED) {
    return (int)mr_return(-ENOPROTOOPT);
  }
  int answer = option == SO_MILLRACE_NO_ACCEL ? is_kept : kind == MR_FD_SOCKET;
  socklen_t room, used = sizeof answer;
  if (mr_copy_from(&room, bytes, sizeof room) != 0) return (int)mr_return(-EFAULT);
  if (room < sizeof answer) return (int)mr_return(-EINVAL);
  if (mr_copy_to(value, &answer, sizeof answer) != 0) return (int)mr_return(-EFAULT);
  return (int)mr_return(mr_copy_to(bytes, &used, sizeof used));
}

/* On a socket that is not decided yet. */
static int choose(struct mr_pending *pending, bool keeps) {
  if (!keeps && pending->state->choice == MR_CHOICE_KERNEL) return -EPERM;
  pending->state->choice = keeps ? MR_CHOICE_KERNEL : MR_CHOICE_ACCELERATE;
  return 0;
}

int mr_opt_out_set(int fd, int option, const void *value, socklen_t bytes) {
  struct mr_fd entry = mr_fd_get(fd);
  int wanted = 0, result = 0;
  bool is_ours =
      entry.kind == MR_FD_SOCKET || entry.kind == MR_FD_PENDING || entry.kind == MR_FD_KERNEL;
  if (!is_ours) {
    mr_fd_put(entry);
    if (entry.kind == MR_FD_PRIVATE) return (int)mr_return(-EBADF);
    return real.setsockopt(fd, SOL_MILLRACE, option, value, bytes);
  }
  if (option != SO_MILLRACE_NO_ACCEL) result = -ENOPROTOOPT;
  else if (bytes < sizeof wanted) result = -EINVAL;
  else if (mr_copy_from(&wanted, value, sizeof wanted) != 0) result = -EFAULT;
  else if (entry.kind == MR_FD_PENDING) result = choose(entry.pending, wanted != 0);
  else result = (entry.kind == MR_FD_SOCKET) == (wanted != 0) ? -EPERM : 0;
  mr_fd_put(entry);
  return (int)mr_return(result);
}
