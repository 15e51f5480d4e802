/* syscall(2): runtimes that make their own system calls by number (Node.js) get what the named
 * functions do. Numbers that have nothing to do with descriptors go to libc's. */
#include <sched.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "core.h"
#include "interpose.h"
#include "process.h"

/* pselect6 takes its mask in a structure. */
struct mask_argument {
  const sigset_t *mask;
  size_t bytes;
};

static long fork_raw(long number, long a, long b, long c, long d, long e) {
  mr_before_fork();
  long child = real.syscall(number, a, b, c, d, e, 0);
  int saved = errno;
  if (child == 0) mr_after_fork_in_child();
  else mr_after_fork_in_parent();
  errno = saved;
  return child;
}

/* By its number, where the child comes back from the call as well. */
static long lodge(unsigned long flags, long number, long a, long b, long c, long d, long e) {
  bool is_known = mr_lodger_begin(flags);
  long made = real.syscall(number, a, b, c, d, e, 0);
  mr_lodger_end(is_known && made == 0);
  return made;
}

EXPORT long syscall(long number, ...) {
  va_list arguments;
  va_start(arguments, number);
  long a = va_arg(arguments, long), b = va_arg(arguments, long), c = va_arg(arguments, long);
  long d = va_arg(arguments, long), e = va_arg(arguments, long), f = va_arg(arguments, long);
  va_end(arguments);
  switch (number) {
    case SYS_read: return read((int)a, (void *)b, (size_t)c);
    case SYS_write: return write((int)a, (const void *)b, (size_t)c);
    case SYS_readv: return readv((int)a, (const struct iovec *)b, (int)c);
    case SYS_writev: return writev((int)a, (const struct iovec *)b, (int)c);
    /* The position comes in two halves; on 64-bit machines the first holds it all. */
    case SYS_preadv2: return preadv64v2((int)a, (const struct iovec *)b, (int)c, d, (int)f);
    case SYS_pwritev2: return pwritev64v2((int)a, (const struct iovec *)b, (int)c, d, (int)f);
    case SYS_sendfile: return sendfile64((int)a, (int)b, (off64_t *)c, (size_t)d);
    case SYS_splice:
      return splice((int)a, (off64_t *)b, (int)c, (off64_t *)d, (size_t)e, (unsigned)f);
    case SYS_socket: return socket((int)a, (int)b, (int)c);
    case SYS_socketpair: return socketpair((int)a, (int)b, (int)c, (int *)d);
    case SYS_bind: return bind((int)a, (const struct sockaddr *)b, (socklen_t)c);
    case SYS_listen: return listen((int)a, (int)b);
    case SYS_connect: return connect((int)a, (const struct sockaddr *)b, (socklen_t)c);
    case SYS_accept: return accept((int)a, (struct sockaddr *)b, (socklen_t *)c);
    case SYS_accept4: return accept4((int)a, (struct sockaddr *)b, (socklen_t *)c, (int)d);
    case SYS_shutdown: return shutdown((int)a, (int)b);
    case SYS_getsockname: return getsockname((int)a, (struct sockaddr *)b, (socklen_t *)c);
    case SYS_getpeername: return getpeername((int)a, (struct sockaddr *)b, (socklen_t *)c);
    case SYS_getsockopt: return getsockopt((int)a, (int)b, (int)c, (void *)d, (socklen_t *)e);
    case SYS_setsockopt: return setsockopt((int)a, (int)b, (int)c, (const void *)d, (socklen_t)e);
    case SYS_sendto:
      return sendto((int)a, (const void *)b, (size_t)c, (int)d, (const struct sockaddr *)e, (socklen_t)f);
    case SYS_recvfrom:
      return recvfrom((int)a, (void *)b, (size_t)c, (int)d, (struct sockaddr *)e, (socklen_t *)f);
    case SYS_sendmsg: return sendmsg((int)a, (const struct msghdr *)b, (int)c);
    case SYS_recvmsg: return recvmsg((int)a, (struct msghdr *)b, (int)c);
    case SYS_sendmmsg: return sendmmsg((int)a, (struct mmsghdr *)b, (unsigned)c, (int)d);
    case SYS_recvmmsg:
      return recvmmsg((int)a, (struct mmsghdr *)b, (unsigned)c, (int)d, (struct timespec *)e);
    case SYS_fcntl: return fcntl((int)a, (int)b, (void *)c);
    case SYS_ioctl: return ioctl((int)a, (unsigned long)b, (void *)c);
    case SYS_close: return close((int)a);
#ifdef SYS_close_range
    case SYS_close_range: return close_range((unsigned)a, (unsigned)b, (int)c);
#endif
    case SYS_dup: return dup((int)a);
    case SYS_dup3: return dup3((int)a, (int)b, (int)c);
    case SYS_pipe2: return pipe2((int *)a, (int)b);
    case SYS_openat: return openat((int)a, (const char *)b, (int)c, (mode_t)d);
    case SYS_eventfd2: return eventfd((unsigned)a, (int)b);
    case SYS_timerfd_create: return timerfd_create((int)a, (int)b);
    case SYS_inotify_init1: return inotify_init1((int)a);
    case SYS_memfd_create: return memfd_create((const char *)a, (unsigned)b);
    /* What goes through an io_uring never passes here: epoll_ctl of libuv, for one. Programs that use it
     * have another way for kernels without, and are told that this is one. */
    case SYS_io_uring_setup:
      if (mr_link_get() == NULL) break;
      mr_debug("io_uring is refused: its calls would pass by accelerated sockets");
      errno = ENOSYS;
      return -1;
    case SYS_ppoll:
      return ppoll((struct pollfd *)a, (nfds_t)b, (const struct timespec *)c, (const sigset_t *)d);
    case SYS_pselect6: {
      const struct mask_argument *mask = (const struct mask_argument *)f;
      return pselect((int)a, (fd_set *)b, (fd_set *)c, (fd_set *)d, (const struct timespec *)e,
                     mask == NULL ? NULL : mask->mask);
    }
    case SYS_setuid:
    case SYS_setreuid:
    case SYS_setresuid:
    case SYS_setfsuid:
    case SYS_chroot:
    case SYS_capset:
    case SYS_unshare:
    case SYS_setns:
      mr_door_confine();
      break;
    case SYS_seccomp: return mr_confine_by_seccomp((unsigned long)a, (unsigned long)b, (const void *)c);
    case SYS_setrlimit: return setrlimit((enum __rlimit_resource)a, (const struct rlimit *)b);
    case SYS_prlimit64:
      return prlimit((pid_t)a, (enum __rlimit_resource)b, (const struct rlimit *)c, (struct rlimit *)d);
    case SYS_prctl: return prctl((int)a, b, c, d, e);
    case SYS_epoll_create1: return epoll_create1((int)a);
    case SYS_epoll_ctl: return epoll_ctl((int)a, (int)b, (int)c, (struct epoll_event *)d);
    case SYS_epoll_pwait:
      return epoll_pwait((int)a, (struct epoll_event *)b, (int)c, (int)d, (const sigset_t *)e);
#ifdef SYS_epoll_pwait2
    case SYS_epoll_pwait2:
      return epoll_pwait2((int)a, (struct epoll_event *)b, (int)c, (const struct timespec *)d,
                          (const sigset_t *)e);
#endif
    case SYS_execve: return execve((const char *)a, (char **)b, (char **)c);
    case SYS_execveat: return execveat((int)a, (const char *)b, (char **)c, (char **)d, (int)e);
    case SYS_clone:
      if (!(a & (CLONE_VM | CLONE_THREAD))) return fork_raw(number, a, b, c, d, e);
      if (a & CLONE_FILES) break;
      return lodge((unsigned long)a, number, a, b, c, d, e);
#ifdef SYS_clone3
    case SYS_clone3: {
      uint64_t flags; /* the first of struct clone_args */
      if (mr_copy_from(&flags, (const void *)a, sizeof flags) != 0) break;
      if ((flags & CLONE_VM) && !(flags & CLONE_FILES)) return lodge(flags, number, a, b, c, d, e);
      mr_spares_forget();
      break;
    }
#endif
#ifdef __x86_64__
    case SYS_open: return open((const char *)a, (int)b, (mode_t)c);
    case SYS_creat: return creat((const char *)a, (mode_t)b);
    case SYS_dup2: return dup2((int)a, (int)b);
    case SYS_pipe: return pipe((int *)a);
    case SYS_poll: return poll((struct pollfd *)a, (nfds_t)b, (int)c);
    case SYS_select:
      return select((int)a, (fd_set *)b, (fd_set *)c, (fd_set *)d, (struct timeval *)e);
    case SYS_epoll_create: return epoll_create((int)a);
    case SYS_epoll_wait: return epoll_wait((int)a, (struct epoll_event *)b, (int)c, (int)d);
    case SYS_eventfd: return eventfd((unsigned)a, 0);
    case SYS_inotify_init: return inotify_init();
    case SYS_fork:
    case SYS_vfork: return fork_raw(SYS_fork, 0, 0, 0, 0, 0);
#endif
    default: break;
  }
  return real.syscall(number, a, b, c, d, e, f);
}
