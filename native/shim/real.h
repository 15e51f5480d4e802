/*
 * libc's own functions behind those that the shim interposes. `real.read(fd, buffer, n)`: found by
 * dlsym(RTLD_NEXT) at the first use, so calls from other libraries' constructors work as well. What
 * this libc lacks fails with ENOSYS; no member is ever NULL.
 *
 * Variadic functions are listed with the most arguments that they take: the calling conventions of
 * x86-64 and aarch64 pass them in the same registers.
 */
#ifndef MILLRACE_REAL_H
#define MILLRACE_REAL_H

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* X(type, name, (parameters), (arguments), what a missing one returns) */
#define MR_REAL_LIST(X)                                                                            \
  X(int, socket, (int a, int b, int c), (a, b, c), -1)                                             \
  X(int, socketpair, (int a, int b, int c, int *d), (a, b, c, d), -1)                              \
  X(int, bind, (int a, const struct sockaddr *b, socklen_t c), (a, b, c), -1)                      \
  X(int, listen, (int a, int b), (a, b), -1)                                                       \
  X(int, connect, (int a, const struct sockaddr *b, socklen_t c), (a, b, c), -1)                   \
  X(int, accept, (int a, struct sockaddr *b, socklen_t *c), (a, b, c), -1)                         \
  X(int, accept4, (int a, struct sockaddr *b, socklen_t *c, int d), (a, b, c, d), -1)              \
  X(int, shutdown, (int a, int b), (a, b), -1)                                                     \
  X(int, getsockname, (int a, struct sockaddr *b, socklen_t *c), (a, b, c), -1)                    \
  X(int, getpeername, (int a, struct sockaddr *b, socklen_t *c), (a, b, c), -1)                    \
  X(int, getsockopt, (int a, int b, int c, void *d, socklen_t *e), (a, b, c, d, e), -1)            \
  X(int, setsockopt, (int a, int b, int c, const void *d, socklen_t e), (a, b, c, d, e), -1)       \
  X(ssize_t, read, (int a, void *b, size_t c), (a, b, c), -1)                                      \
  X(ssize_t, readv, (int a, const struct iovec *b, int c), (a, b, c), -1)                          \
  X(ssize_t, preadv2, (int a, const struct iovec *b, int c, off_t d, int e), (a, b, c, d, e), -1)  \
  X(ssize_t, preadv64v2, (int a, const struct iovec *b, int c, off64_t d, int e),                  \
    (a, b, c, d, e), -1)                                                                           \
  X(ssize_t, recv, (int a, void *b, size_t c, int d), (a, b, c, d), -1)                            \
  X(ssize_t, recvfrom, (int a, void *b, size_t c, int d, struct sockaddr *e, socklen_t *f),        \
    (a, b, c, d, e, f), -1)                                                                        \
  X(ssize_t, recvmsg, (int a, struct msghdr *b, int c), (a, b, c), -1)                             \
  X(int, recvmmsg, (int a, struct mmsghdr *b, unsigned c, int d, struct timespec *e),              \
    (a, b, c, d, e), -1)                                                                           \
  X(ssize_t, write, (int a, const void *b, size_t c), (a, b, c), -1)                               \
  X(ssize_t, writev, (int a, const struct iovec *b, int c), (a, b, c), -1)                         \
  X(ssize_t, pwritev2, (int a, const struct iovec *b, int c, off_t d, int e), (a, b, c, d, e), -1) \
  X(ssize_t, pwritev64v2, (int a, const struct iovec *b, int c, off64_t d, int e),                 \
    (a, b, c, d, e), -1)                                                                           \
  X(ssize_t, send, (int a, const void *b, size_t c, int d), (a, b, c, d), -1)                      \
  X(ssize_t, sendto, (int a, const void *b, size_t c, int d, const struct sockaddr *e, socklen_t f),\
    (a, b, c, d, e, f), -1)                                                                        \
  X(ssize_t, sendmsg, (int a, const struct msghdr *b, int c), (a, b, c), -1)                       \
  X(int, sendmmsg, (int a, struct mmsghdr *b, unsigned c, int d), (a, b, c, d), -1)                \
  X(ssize_t, sendfile, (int a, int b, off_t *c, size_t d), (a, b, c, d), -1)                       \
  X(ssize_t, sendfile64, (int a, int b, off64_t *c, size_t d), (a, b, c, d), -1)                   \
  X(ssize_t, splice, (int a, off64_t *b, int c, off64_t *d, size_t e, unsigned f),                 \
    (a, b, c, d, e, f), -1)                                                                        \
  X(int, select, (int a, fd_set *b, fd_set *c, fd_set *d, struct timeval *e), (a, b, c, d, e), -1) \
  X(int, pselect, (int a, fd_set *b, fd_set *c, fd_set *d, const struct timespec *e,               \
    const sigset_t *f), (a, b, c, d, e, f), -1)                                                    \
  X(int, poll, (struct pollfd *a, nfds_t b, int c), (a, b, c), -1)                                 \
  X(int, ppoll, (struct pollfd *a, nfds_t b, const struct timespec *c, const sigset_t *d),         \
    (a, b, c, d), -1)                                                                              \
  X(int, epoll_create, (int a), (a), -1)                                                           \
  X(int, epoll_create1, (int a), (a), -1)                                                          \
  X(int, epoll_ctl, (int a, int b, int c, struct epoll_event *d), (a, b, c, d), -1)                \
  X(int, epoll_wait, (int a, struct epoll_event *b, int c, int d), (a, b, c, d), -1)               \
  X(int, epoll_pwait, (int a, struct epoll_event *b, int c, int d, const sigset_t *e),             \
    (a, b, c, d, e), -1)                                                                           \
  X(int, epoll_pwait2, (int a, struct epoll_event *b, int c, const struct timespec *d,             \
    const sigset_t *e), (a, b, c, d, e), -1)                                                       \
  X(int, fcntl, (int a, int b, void *c), (a, b, c), -1)                                            \
  X(int, fcntl64, (int a, int b, void *c), (a, b, c), -1)                                          \
  X(int, ioctl, (int a, unsigned long b, void *c), (a, b, c), -1)                                  \
  X(int, close, (int a), (a), -1)                                                                  \
  X(int, close_range, (unsigned a, unsigned b, int c), (a, b, c), -1)                              \
  X(int, dup, (int a), (a), -1)                                                                    \
  X(int, dup2, (int a, int b), (a, b), -1)                                                         \
  X(int, dup3, (int a, int b, int c), (a, b, c), -1)                                               \
  X(int, pipe, (int *a), (a), -1)                                                                  \
  X(int, pipe2, (int *a, int b), (a, b), -1)                                                       \
  X(int, setuid, (uid_t a), (a), -1)                                                               \
  X(int, seteuid, (uid_t a), (a), -1)                                                              \
  X(int, setreuid, (uid_t a, uid_t b), (a, b), -1)                                                 \
  X(int, setresuid, (uid_t a, uid_t b, uid_t c), (a, b, c), -1)                                    \
  X(int, setfsuid, (uid_t a), (a), -1)                                                             \
  X(int, prctl, (int a, unsigned long b, unsigned long c, unsigned long d, unsigned long e),       \
    (a, b, c, d, e), -1)                                                                           \
  X(int, chroot, (const char *a), (a), -1)                                                         \
  X(int, unshare, (int a), (a), -1)                                                                \
  X(int, setns, (int a, int b), (a, b), -1)                                                        \
  X(int, open, (const char *a, int b, mode_t c), (a, b, c), -1)                                    \
  X(int, open64, (const char *a, int b, mode_t c), (a, b, c), -1)                                  \
  X(int, openat, (int a, const char *b, int c, mode_t d), (a, b, c, d), -1)                        \
  X(int, openat64, (int a, const char *b, int c, mode_t d), (a, b, c, d), -1)                      \
  X(int, creat, (const char *a, mode_t b), (a, b), -1)                                             \
  X(int, creat64, (const char *a, mode_t b), (a, b), -1)                                           \
  X(int, signalfd, (int a, const sigset_t *b, int c), (a, b, c), -1)                               \
  X(int, timerfd_create, (int a, int b), (a, b), -1)                                               \
  X(int, eventfd, (unsigned a, int b), (a, b), -1)                                                 \
  X(int, inotify_init, (void), (), -1)                                                             \
  X(int, inotify_init1, (int a), (a), -1)                                                          \
  X(int, memfd_create, (const char *a, unsigned b), (a, b), -1)                                    \
  X(pid_t, fork, (void), (), -1)                                                                   \
  X(int, daemon, (int a, int b), (a, b), -1)                                                       \
  X(int, execve, (const char *a, char *const b[], char *const c[]), (a, b, c), -1)                 \
  X(int, execvpe, (const char *a, char *const b[], char *const c[]), (a, b, c), -1)                \
  X(int, fexecve, (int a, char *const b[], char *const c[]), (a, b, c), -1)                        \
  X(int, execveat, (int a, const char *b, char *const c[], char *const d[], int e),                \
    (a, b, c, d, e), -1)                                                                           \
  X(int, posix_spawn, (pid_t *a, const char *b, const posix_spawn_file_actions_t *c,               \
    const posix_spawnattr_t *d, char *const e[], char *const f[]), (a, b, c, d, e, f), ENOSYS)     \
  X(int, posix_spawnp, (pid_t *a, const char *b, const posix_spawn_file_actions_t *c,              \
    const posix_spawnattr_t *d, char *const e[], char *const f[]), (a, b, c, d, e, f), ENOSYS)     \
  X(FILE *, popen, (const char *a, const char *b), (a, b), NULL)                                   \
  X(int, sigaction, (int a, const struct sigaction *b, struct sigaction *c), (a, b, c), -1)        \
  X(int, vdprintf, (int a, const char *b, va_list c), (a, b, c), -1)                               \
  X(FILE *, fdopen, (int a, const char *b), (a, b), NULL)                                          \
  X(FILE *, freopen, (const char *a, const char *b, FILE *c), (a, b, c), NULL)                     \
  X(FILE *, freopen64, (const char *a, const char *b, FILE *c), (a, b, c), NULL)                   \
  X(int, fclose, (FILE *a), (a), EOF)                                                              \
  X(int, fileno, (FILE *a), (a), -1)                                                               \
  X(long, syscall, (long a, long b, long c, long d, long e, long f, long g),                       \
    (a, b, c, d, e, f, g), -1)

#define MR_REAL_MEMBER(type, name, parameters, arguments, missing) type(*name) parameters;
struct mr_real {
  MR_REAL_LIST(MR_REAL_MEMBER)
};
#undef MR_REAL_MEMBER

extern struct mr_real real __attribute__((visibility("hidden")));

/* Finds a function that `real` does not list; NULL when there is none. */
void *mr_real_find(const char *name);

#endif
