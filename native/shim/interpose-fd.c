/*
 * Descriptor numbers: closing, copying, making. The kernel does all of it to the socket pair; here
 * the table follows. Calls that make numbers clear what the table says of them, in case libc
 * closed an earlier holder where nobody could see it.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/epoll.h>

#include "interpose.h"

#define ANY_SOCKET(entry) ((entry).kind == MR_FD_SOCKET)

/* ---- Closing ------------------------------------------------------------------------------------- */

EXPORT int close(int fd) {
  enum mr_fd_kind kind = mr_fd_kind_of(fd);
  if (LIKELY(kind == MR_FD_PLAIN)) return real.close(fd);
  if (kind == MR_FD_PRIVATE) return mr_fail(EBADF);
  if (mr_thread.is_lodger) {
    mr_fd_clear(fd);
    return real.close(fd);
  }
  struct mr_fd entry = mr_fd_get(fd);
  int result = ANY_SOCKET(entry) ? mr_sock_closing(entry.sock, fd) : 0;
  int saved = errno;
  if (ANY_SOCKET(entry)) mr_spare_prepare(entry.sock, fd);
  /* Before the number is free for others. */
  mr_fd_clear(fd);
  int closed = real.close(fd);
  /* The engine is told when the hang-up is there to be seen. */
  mr_fd_put(entry);
  if (closed == 0 && result < 0) errno = saved;
  return closed < 0 ? closed : result;
}

EXPORT int __close(int fd) { return close(fd); }

struct gap {
  unsigned from, to;
  int flags, result;
};

static void close_up_to(struct gap *gap, unsigned last) {
  if (gap->result == 0 && gap->from <= last) {
    gap->result = real.close_range(gap->from, last, gap->flags);
  }
}

static void close_one(int fd, struct mr_fd entry, void *context) {
  struct gap *gap = context;
  if ((unsigned)fd < gap->from || (unsigned)fd > gap->to) return;
  if (entry.kind != MR_FD_PRIVATE) {
    close(fd);
    return;
  }
  if (fd > 0) close_up_to(gap, (unsigned)fd - 1);
  gap->from = (unsigned)fd + 1;
}

/* The shim's own descriptors stay: a range is closed around them. */
EXPORT int close_range(unsigned first, unsigned last, int flags) {
  if (first > last || (flags & CLOSE_RANGE_CLOEXEC)) return real.close_range(first, last, flags);
  struct gap gap = {.from = first, .to = last, .flags = flags};
  mr_fd_each(close_one, &gap);
  close_up_to(&gap, last);
  return gap.result;
}

EXPORT void closefrom(int low) { close_range(low < 0 ? 0 : (unsigned)low, ~0u, 0); }

/* ---- Copying ------------------------------------------------------------------------------------- */

/* The table's entry for a number that the kernel has just made a copy of `fd`. */
static int copied(int fd, int made) {
  if (made < 0 || made == fd) return made;
  if (mr_thread.is_lodger) return mr_fresh_fd(made);
  enum mr_fd_kind kind = mr_fd_kind_of(fd);
  if (kind == MR_FD_PLAIN) return mr_fresh_fd(made);
  int saved = errno;
  mr_fd_set(made, mr_fd_get(fd));
  if (made <= 2 && (kind == MR_FD_SOCKET || kind == MR_FD_PENDING)) mr_stdio_follow(made);
  errno = saved;
  return made;
}

EXPORT int dup(int fd) {
  if (mr_fd_kind_of(fd) == MR_FD_PRIVATE) return mr_fail(EBADF);
  return copied(fd, MR_WITH_ROOM(real.dup(fd)));
}

/* What `to` was is closed by the kernel on the way; lingering happens before. */
static int copy_over(int fd, int to, int flags, bool has_flags) {
  enum mr_fd_kind was = mr_fd_kind_of(to);
  if (mr_fd_kind_of(fd) == MR_FD_PRIVATE || was == MR_FD_PRIVATE) return mr_fail(EBADF);
  if (was == MR_FD_SOCKET && fd != to && !mr_thread.is_lodger && real.fcntl(fd, F_GETFD, NULL) >= 0) {
    struct mr_fd entry = mr_fd_get(to);
    if (ANY_SOCKET(entry)) mr_sock_closing(entry.sock, to);
    mr_fd_put(entry);
  }
  return copied(fd, has_flags ? real.dup3(fd, to, flags) : real.dup2(fd, to));
}

EXPORT int dup2(int fd, int to) { return copy_over(fd, to, 0, false); }
EXPORT int __dup2(int fd, int to) { return dup2(fd, to); }
EXPORT int dup3(int fd, int to, int flags) { return copy_over(fd, to, flags, true); }

/* ---- fcntl --------------------------------------------------------------------------------------- */

/* The engine sends the signal of O_ASYNC; whom and which the kernel remembers for the pair. */
static void follow_async(struct mr_sock *sock, int fd) {
  int flags = real.fcntl(fd, F_GETFL, NULL);
  int owner = real.fcntl(fd, F_GETOWN, NULL);
  int chosen = real.fcntl(fd, F_GETSIG, NULL);
  bool on = flags >= 0 && (flags & O_ASYNC) != 0;
  sock->epoch = 0; /* the kernel's file has these for good */
  sock->shared->async_pid = (uint32_t)owner;
  sock->shared->async_signal = on ? (uint32_t)(chosen > 0 ? chosen : SIGIO) : 0;
}

static int control_socket(struct mr_sock *sock, int fd, int command, void *argument) {
  int result = real.fcntl(fd, command, argument);
  if (result < 0) return result;
  if (command == F_SETFL) {
    sock->shared->nonblock = ((intptr_t)argument & O_NONBLOCK) != 0;
    if (((intptr_t)argument & O_ASYNC) || sock->shared->async_signal) follow_async(sock, fd);
  }
  if (command == F_SETOWN || command == F_SETSIG || command == F_SETOWN_EX) follow_async(sock, fd);
  return result;
}

static int control(int fd, int command, void *argument) {
  enum mr_fd_kind kind = mr_fd_kind_of(fd);
  if (kind == MR_FD_PRIVATE) return mr_fail(EBADF);
  if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) {
    return copied(fd, MR_WITH_ROOM(real.fcntl(fd, command, argument)));
  }
  if (kind != MR_FD_SOCKET) return real.fcntl(fd, command, argument);
  struct mr_fd entry = mr_fd_get(fd);
  int result = ANY_SOCKET(entry) ? control_socket(entry.sock, fd, command, argument)
                                 : real.fcntl(fd, command, argument);
  mr_fd_put(entry);
  return result;
}

#define ARGUMENT(last, type, name)   \
  va_list arguments;                 \
  va_start(arguments, last);         \
  type name = va_arg(arguments, type); \
  va_end(arguments)

EXPORT int fcntl(int fd, int command, ...) {
  ARGUMENT(command, void *, argument);
  return control(fd, command, argument);
}
EXPORT int fcntl64(int fd, int command, ...) {
  ARGUMENT(command, void *, argument);
  return control(fd, command, argument);
}
EXPORT int __fcntl(int fd, int command, ...) {
  ARGUMENT(command, void *, argument);
  return control(fd, command, argument);
}

/* ---- Making -------------------------------------------------------------------------------------- */

#define HAS_MODE(flags) (((flags) & O_CREAT) || ((flags) & O_TMPFILE) == O_TMPFILE)

#define OPEN(name)                                         \
  EXPORT int name(const char *path, int flags, ...) {      \
    mode_t mode = 0;                                       \
    if (HAS_MODE(flags)) {                                 \
      ARGUMENT(flags, mode_t, given);                      \
      mode = given;                                        \
    }                                                      \
    return mr_fresh_fd(MR_WITH_ROOM(real.name(path, flags, mode))); \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                            \
  EXPORT int name(int folder, const char *path, int flags, ...) { \
    mode_t mode = 0;                                            \
    if (HAS_MODE(flags)) {                                      \
      ARGUMENT(flags, mode_t, given);                           \
      mode = given;                                             \
    }                                                           \
    return mr_fresh_fd(MR_WITH_ROOM(real.name(folder, path, flags, mode))); \
  }
OPENAT(openat)
OPENAT(openat64)

/* The fortified forms, of calls whose flags need no mode. */
EXPORT int __open_2(const char *path, int flags) { return open(path, flags, 0); }
EXPORT int __open64_2(const char *path, int flags) { return open64(path, flags, 0); }
EXPORT int __openat_2(int folder, const char *path, int flags) {
  return openat(folder, path, flags, 0);
}
EXPORT int __openat64_2(int folder, const char *path, int flags) {
  return openat64(folder, path, flags, 0);
}

EXPORT int creat(const char *path, mode_t mode) { return mr_fresh_fd(MR_WITH_ROOM(real.creat(path, mode))); }
EXPORT int creat64(const char *path, mode_t mode) { return mr_fresh_fd(MR_WITH_ROOM(real.creat64(path, mode))); }

static int fresh_pair(int result, const int *pair) {
  if (result == 0) {
    mr_fresh_fd(pair[0]);
    mr_fresh_fd(pair[1]);
  }
  return result;
}
EXPORT int pipe(int pair[2]) { return fresh_pair(MR_WITH_ROOM(real.pipe(pair)), pair); }
EXPORT int __pipe(int pair[2]) { return pipe(pair); }
EXPORT int pipe2(int pair[2], int flags) { return fresh_pair(MR_WITH_ROOM(real.pipe2(pair, flags)), pair); }

EXPORT int eventfd(unsigned value, int flags) { return mr_fresh_fd(MR_WITH_ROOM(real.eventfd(value, flags))); }
EXPORT int signalfd(int fd, const sigset_t *mask, int flags) {
  if (mr_fd_kind_of(fd) == MR_FD_PRIVATE) return mr_fail(EBADF);
  int made = MR_WITH_ROOM(real.signalfd(fd, mask, flags));
  return fd == -1 ? mr_fresh_fd(made) : made;
}
EXPORT int timerfd_create(int clock, int flags) {
  return mr_fresh_fd(MR_WITH_ROOM(real.timerfd_create(clock, flags)));
}
EXPORT int inotify_init(void) { return mr_fresh_fd(MR_WITH_ROOM(real.inotify_init())); }
EXPORT int inotify_init1(int flags) { return mr_fresh_fd(MR_WITH_ROOM(real.inotify_init1(flags))); }
EXPORT int memfd_create(const char *name, unsigned flags) {
  return mr_fresh_fd(MR_WITH_ROOM(real.memfd_create(name, flags)));
}
