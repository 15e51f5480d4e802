/*
 * What a program may ask of Millrace about one of its sockets. Needs no library: under `millrace run`
 * the preloaded library answers, without it the kernel does (ENOPROTOOPT). docs/opt-out.md explains.
 *
 * The numbers are those of exasock's <exasock/socket.h>: SOL_EXASOCK and SO_EXA_NO_ACCEL.
 */
#ifndef MILLRACE_H
#define MILLRACE_H

#include <errno.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Level of getsockopt(2) and setsockopt(2). */
#define SOL_MILLRACE 0x200

/*
 * int, get and set. 1: this socket stays with the kernel, for good. Before it is bound, connected, listens,
 * sends or joins a group; afterwards EPERM when it is accelerated. 0: this socket may be accelerated
 * although MILLRACE_DEFAULT_DISABLE is set; EPERM after 1 was set.
 */
#define SO_MILLRACE_NO_ACCEL 1

/* int, get only. 1: Millrace carries this socket now. */
#define SO_MILLRACE_ACCELERATED 0x100

/* Keeps a socket with the kernel. 0, or -1 and errno; 0 too when the program runs without Millrace. */
static inline int millrace_disable_acceleration(int fd) {
  int on = 1;
  if (setsockopt(fd, SOL_MILLRACE, SO_MILLRACE_NO_ACCEL, &on, sizeof on) == 0) return 0;
  return errno == ENOPROTOOPT || errno == EOPNOTSUPP ? 0 : -1;
}

/* Lets a socket be accelerated under `millrace run --no-auto`. 0, or -1 and errno. */
static inline int millrace_enable_acceleration(int fd) {
  int off = 0;
  return setsockopt(fd, SOL_MILLRACE, SO_MILLRACE_NO_ACCEL, &off, sizeof off);
}

/* 1 when Millrace carries the socket, 0 when the kernel does, -1 and errno when fd is no socket. */
static inline int millrace_is_accelerated(int fd) {
  int is = 0;
  socklen_t bytes = sizeof is;
  if (getsockopt(fd, SOL_MILLRACE, SO_MILLRACE_ACCELERATED, &is, &bytes) == 0) return is;
  return errno == ENOPROTOOPT || errno == EOPNOTSUPP ? 0 : -1;
}

#ifdef __cplusplus
}
#endif
#endif
