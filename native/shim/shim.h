/*
 * What the files of the preload library know of each other. Each section is one file's.
 *
 * Conventions. Functions named mr_* that stand for a call of libc take the same arguments and return
 * the same: -1 and errno. Internal ones return a negated error number. User memory is read and
 * written through mr_copy_* only, which say -EFAULT where the kernel would. Between mr_enter and
 * mr_leave a thread's signal handlers wait, so locks are never held across a handler.
 */
#ifndef MILLRACE_SHIM_H
#define MILLRACE_SHIM_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include "layout.h"

/* ---- real.c: libc's own functions, found once by dlsym(RTLD_NEXT) ------------------------------ */
/* `real.read(fd, buffer, n)`; real.h has the list. Never NULL: a symbol that libc lacks gives ENOSYS. */

/* ---- fd-table.c: what this process knows of each descriptor number ------------------------------ */

enum mr_fd_kind {
  MR_FD_PLAIN = 0,  /* nothing to do with us, as far as we know */
  MR_FD_PENDING,    /* a kernel socket of AF_INET or AF_INET6 that may still be accelerated */
  MR_FD_KERNEL,     /* a kernel socket that stays one; the reason was recorded */
  MR_FD_SOCKET,     /* accelerated */
  MR_FD_EPOLL,      /* an epoll instance that has, or had, accelerated members */
  MR_FD_PRIVATE,    /* the shim's own (control socket, eventfd, companion): closing it gives EBADF */
};

struct mr_sock;
struct mr_epoll;
struct mr_pending;

struct mr_fd {
  enum mr_fd_kind kind;
  union {
    struct mr_sock *sock;       /* SOCKET: one reference is the table's */
    struct mr_pending *pending; /* PENDING: one reference is the table's */
    struct mr_epoll *epoll;     /* EPOLL: as above */
  };
};

/* Fast: without a lock; PLAIN for numbers out of range. `sock` etc. come with a reference taken, to be
 * given back with mr_fd_put. */
enum mr_fd_kind mr_fd_kind_of(int fd);
struct mr_fd mr_fd_get(int fd);
void mr_fd_put(struct mr_fd entry);
/* Replaces what the table says; drops the reference of what was there. Takes over the caller's. */
void mr_fd_set(int fd, struct mr_fd entry);
void mr_fd_clear(int fd);
/* The table's references count by thousands in `references`: give back with the drop functions only. */
/* limit.c: a close-on-exec copy above RLIMIT_NOFILE, or -1. */
int mr_limit_copy_above(int fd);
/* Moves a descriptor of the shim to a number that programs do not expect (high, close-on-exec). */
int mr_fd_hide(int fd);
/* A copy of it at such a number, PRIVATE; -1: there is no room. */
int mr_fd_hidden_copy(int fd);
/* From now on this thread is a lodger (fork.c), whose changes are its own, or none, and has changed nothing. */
void mr_fd_begin_lodging(bool is_lodger);
/* Whether mr_fd_set can say something of the number; false: no memory, or it is too high. */
bool mr_fd_has_room(int fd);
/* Each number that is not PLAIN; for fork, exec, close_range. */
void mr_fd_each(void (*visit)(int fd, struct mr_fd entry, void *context), void *context);

/* ---- copy.c ----------------------------------------------------------------------------------- */
/* 0, or -EFAULT after a part was copied. */
int mr_copy_from(void *to, const void *user, size_t n);
int mr_copy_to(void *user, const void *from, size_t n);

/* ---- signal.c: handlers, EINTR, SA_RESTART ------------------------------------------------------ */

#define MR_LOST 1024

struct mr_thread {
  int depth;               /* of mr_enter */
  int deferred;            /* a signal came meanwhile; all are blocked until mr_leave */
  uint64_t mask;           /* the thread's signal mask before that, as the kernel has it */
  uint32_t handled;        /* handlers that have run in this thread */
  uint32_t interrupting;   /* ... of those without SA_RESTART */
  bool is_lodger;          /* of a process that lives in another one's memory: fork.c */
  bool has_lost;           /* ... numbers that it has changed: a bit each, the last one for all that are higher */
  uint64_t lost[MR_LOST / 64];
  int tid;
  uint32_t holder;         /* mr_holder, or 0 */
  int waiter;              /* number of this thread's waiter in the session, or -1 */
  int waiter_fd;
  uint32_t session;        /* which session the waiter belongs to */
};
extern __thread struct mr_thread mr_thread __attribute__((tls_model("initial-exec")));
void mr_enter(void);
void mr_leave(void);
/* From now on a fault inside mr_copy_* is an error, not the program's end. */
void mr_guard_faults(void);
/* The mask that the thread has outside the shim: what to give ppoll and its like between mr_enter and
 * mr_leave, so that a signal which came meanwhile ends them with EINTR. */
void mr_signal_mask(sigset_t *mask);
int mr_tid(void);

/* ---- session.c, region.c, control.c: the engine ------------------------------------------------ */

struct mr_link {
  struct mr_session *session; /* NULL: no engine */
  struct mr_waiter *waiters;
  struct mr_entry *entries;
  struct mr_call *calls;
  int control_fd, wake_fd;
  uint32_t id;                /* 0 none; another one after fork */
};
/* The process's link, made at the first use (and again in a child of fork); NULL when there is no
 * engine: the reason was said once. */
struct mr_link *mr_link_get(void);
/* The same, so long at most: NULL as well when the engine has not answered by then, and may still. */
struct mr_link *mr_link_within(int64_t ns);
bool mr_engine_died(void);    /* looks, cheaply; true for good once it has */
void mr_submit(struct mr_link *link, uint32_t value);
/* Around fork: nothing of the core is half done in the child. In the child the link is a new one. */
void mr_core_before_fork(void);
void mr_core_after_fork(bool in_child);

/* ---- socket.c: an accelerated socket as this process has it -------------------------------------- */

struct mr_sock {
  atomic_int references;
  atomic_int descriptors;     /* numbers in this process's table, fd-table.c's */
  struct mr_socket *shared;
  uint8_t *region;            /* start of the mapped region */
  uint8_t *rx, *tx;           /* its rings */
  uint32_t rx_bytes, tx_bytes;
  uint32_t generation;
  uint32_t local;             /* entry in this process's session */
  uint32_t link_id;           /* the session that `local` belongs to; another one: attach first */
  int companion;              /* hidden kernel socket, or -1 */
  struct mr_epoll_item *epolls; /* memberships, epoll.c's */
  atomic_uint looks;          /* at the ring since the companion was looked at */
  atomic_int companion_ready; /* poll and epoll: the companion had something, so look there first */
  atomic_int companion_peer;  /* connected to an address of the kernel: datagrams go that way */
  atomic_int error_told;      /* the engine's death was told to the program as an error */
  struct mr_corked *corked;   /* a datagram that MSG_MORE or UDP_CORK keeps back */
  atomic_int copy;            /* hidden copy of its descriptor, spare.c's; -1: none */
  uint32_t epoch;             /* spare.c: when it was made, if this process alone has had it; 0 */
  bool connects;              /* it was opened by connect */
  bool port_was_chosen;       /* the companion's port: connect to AF_UNSPEC loses it, as in the kernel */
  bool port_is_lost;          /* ... and has: listen chooses another, for both */
};
struct mr_sock *mr_sock_hold(struct mr_sock *sock);
void mr_sock_drop(struct mr_sock *sock);
/* After fork or exec: makes `sock` known to this process's session. 0 or a negated error number. */
int mr_sock_attach(struct mr_sock *sock, int fd);
/* A descriptor that came from elsewhere (exec, SCM_RIGHTS): asks the engine if it looks like ours,
 * and fills the table. `fd` stays what it is. */
void mr_sock_adopt(int fd);
/* Readiness as poll(2) would report it now, companion not included: poll `companion` for POLLIN beside
 * it where it is not -1, and when it has something set companion_ready. After the engine's death what the
 * companion says is in it. Never blocks. */
short mr_sock_ready(struct mr_sock *sock);
/* rx_events and tx_events in one number, for edge triggering. */
uint64_t mr_sock_events(struct mr_sock *sock);

/* ---- open.c: sockets that have not been decided ------------------------------------------------- */

struct mr_pending {
  atomic_int references;
  atomic_int descriptors;     /* as in mr_sock */
  struct mr_epoll_item *epolls; /* memberships, epoll.c's */
  int family, type;           /* SOCK_STREAM or SOCK_DGRAM */
  /* options set so far, kept in order for the engine; see open.c */
  uint8_t *options;
  uint32_t options_bytes;
  struct mr_open_state *state; /* open.c's */
};
void mr_pending_drop(struct mr_pending *pending);

/* ---- epoll.c ---------------------------------------------------------------------------------- */

void mr_epoll_drop(struct mr_epoll *epoll);
/* Takes a socket out of all instances: its last descriptor in this process is gone, or it became a
 * kernel socket again. */
void mr_epoll_forget(struct mr_sock *sock);
void mr_epoll_forget_pending(struct mr_pending *pending);
/* A PENDING socket is about to become an accelerated one (under all its numbers), and has become one:
 * what epoll instances watched in the kernel they watch in the shim from then on. */
void mr_epoll_before_replace(struct mr_pending *pending);
void mr_epoll_after_replace(struct mr_pending *pending, struct mr_sock *sock);

/* The socket's numbers are the companion's now: what instances watched in the shim they watch in the kernel. */
void mr_epoll_give_back(struct mr_sock *sock);

/* ---- wait.c ----------------------------------------------------------------------------------- */

/* What a thread waits for: sockets and, in the kernel, descriptors. */
struct mr_wait {
  struct mr_link *link;
  int64_t deadline_ns;        /* CLOCK_MONOTONIC; INT64_MAX: none */
  uint32_t handled, interrupting; /* of the thread when the wait began */
  int64_t spin_until_ns;      /* 0: not known yet */
  int64_t looked_ns, gap_ns;  /* when it looked last, and how long after the look before */
  int64_t kernel_ns;          /* when the kernel's descriptors were looked at */
  int64_t linger_until_ns;    /* it does not yield before; 0: it does */
  uint32_t looks;
  bool is_for_one;            /* what it waits for is one socket */
  bool has_drained;           /* the waiter's eventfd was read */
  bool knows_death;           /* the engine's: the caller has looked since */
};
/* placement.c. Whether the engine is on this thread's processor, where it cannot work while the thread polls. */
bool mr_is_beside_engine(const struct mr_link *link);
/* Moves the thread to another processor, for now; false: it has to sleep where it is. */
bool mr_leave_engine(const struct mr_link *link);
void mr_wait_begin(struct mr_wait *wait, int64_t timeout_ns); /* negative: none */
/* One step of polling: spins or yields. false when it is time to sleep. Looks for signals. */
bool mr_wait_spin(struct mr_wait *wait);
/* Whether it is time to look at descriptors of the kernel again, which costs a system call. */
bool mr_wait_kernel_due(struct mr_wait *wait);
/* 0 go on, -EINTR a handler without SA_RESTART has run (or any, with `any`), -ETIMEDOUT. */
int mr_wait_check(struct mr_wait *wait, bool any);
/* This thread's waiter, with its eventfd in mr_thread.waiter_fd, made when needed; -1 when all are
 * taken: then sleep for a millisecond at most. */
int mr_waiter_get(struct mr_link *link);
/* A waiter that is no thread's (an epoll instance); -1 when all are taken. The eventfd is the waiter's
 * for good: it is neither closed nor hidden by the caller. */
int mr_waiter_alloc(struct mr_link *link, int *eventfd);
void mr_waiter_free(struct mr_link *link, int waiter);
/* Sleeping: mark the sockets (mr_waiter_mark with each), then arm, look at the sockets again, then
 * sleep on the eventfd beside `fds`, then disarm. */
void mr_waiter_mark(struct mr_link *link, struct mr_sock *sock, int waiter, bool on);
void mr_waiter_arm(struct mr_link *link, int waiter);
void mr_waiter_disarm(struct mr_wait *wait, int waiter, int eventfd);
struct pollfd;
/* As ppoll: how many of `fds` are ready, 0 when the waiter rang, time is over or the engine died, -EINTR
 * as mr_wait_check says (any handler, with `mask`). `fds` has room for n + 2 entries. waiter_fd -1: none. */
int mr_wait_sleep(struct mr_wait *wait, int waiter_fd, struct pollfd *fds, unsigned n, const sigset_t *mask);

/* ---- Calls of libc on accelerated sockets (stream.c, datagram.c, accept.c, options.c, names.c …) --- */
/* `fd` is for messages and for what only the kernel knows (O_NONBLOCK is in shared->nonblock). */

ssize_t mr_sendmsg(struct mr_sock *sock, int fd, const struct msghdr *message, int flags);
ssize_t mr_recvmsg(struct mr_sock *sock, int fd, struct msghdr *message, int flags);
/* writev and readv: the kernel does not ask a socket about a vector of nothing. */
ssize_t mr_send_vector(struct mr_sock *sock, int fd, const struct iovec *parts, int n, int flags);
ssize_t mr_recv_vector(struct mr_sock *sock, int fd, const struct iovec *parts, int n, int flags);
/* Without msghdr's detour. */
ssize_t mr_send(struct mr_sock *sock, int fd, const void *bytes, size_t n, int flags,
                const struct sockaddr *to, socklen_t to_bytes);
ssize_t mr_recv(struct mr_sock *sock, int fd, void *bytes, size_t n, int flags,
                struct sockaddr *from, socklen_t *from_bytes);
int mr_accept(struct mr_sock *sock, int fd, struct sockaddr *peer, socklen_t *peer_bytes, int flags);
/* What an own address means for a socket from then on. */
void mr_sock_note_bound(struct mr_sock *sock, const struct mr_address *own);
int mr_sock_bind(struct mr_sock *sock, const struct sockaddr *address, socklen_t bytes);
int mr_sock_connect(struct mr_sock *sock, int fd, const struct sockaddr *address, socklen_t bytes);
int mr_sock_listen(struct mr_sock *sock, int fd, int backlog);
int mr_sock_shutdown(struct mr_sock *sock, int how);
int mr_sock_getsockopt(struct mr_sock *sock, int level, int option, void *value, socklen_t *bytes);
int mr_sock_setsockopt(struct mr_sock *sock, int fd, int level, int option, const void *value,
                       socklen_t bytes);
int mr_sock_name(struct mr_sock *sock, bool of_peer, struct sockaddr *address, socklen_t *bytes);
int mr_sock_ioctl(struct mr_sock *sock, int fd, unsigned long request, void *argument);
/* interfaces.c: ioctl of a descriptor that the kernel has, whose answers know Millrace's interfaces, too. */
int mr_interfaces_ioctl(int fd, unsigned long request, void *argument);
/* Those that are Millrace's alone, a record for each address: how many, none when the engine does not answer soon. */
int mr_interfaces_list(struct mr_interface *to, int room);
#define MR_INTERFACES 64 /* as many as are ever listed: it is a thread's stack that they lie on */
/* close(2) of this number: lingers if asked to. The table's reference is dropped by the caller. */
int mr_sock_closing(struct mr_sock *sock, int fd);

/* The same on sockets that are PENDING: they decide, replace the descriptor if accelerated, and then do
 * what was asked, on whichever it is. */
int mr_open_socket(int domain, int type, int protocol);
int mr_open_bind(int fd, struct mr_pending *pending, const struct sockaddr *address, socklen_t bytes);
int mr_open_connect(int fd, struct mr_pending *pending, const struct sockaddr *address, socklen_t bytes);
int mr_open_listen(int fd, struct mr_pending *pending, int backlog);
int mr_open_getsockopt(int fd, struct mr_pending *pending, int level, int option, void *value, socklen_t *bytes);
int mr_open_setsockopt(int fd, struct mr_pending *pending, int level, int option, const void *value,
                       socklen_t bytes);
/* Before the first sendto, sendmsg or sendmmsg with an address: decides. 0: look at the table again. */
int mr_open_send(int fd, struct mr_pending *pending, const struct sockaddr *to, socklen_t to_bytes);

/* ---- share.c: bound TCP sockets that other processes get -------------------------------------------- */
/* Before they get copies of descriptors, by exec only of those that stay open. Not with a lock held. */
void mr_share_bound(bool by_exec);
/* The companion of a TCP socket that does not listen takes its place, under all its numbers in this process. False: a
 * filter of system calls is in the way. */
bool mr_share_leave(struct mr_sock *sock, const char *why);

/* ---- spare.c: ends of closed sockets that are used again ----------------------------------------- */
/* Around whatever gives other processes copies of descriptors (fork, posix_spawn …): nothing that is open then is
 * parked when it closes, and no hidden copies are there. */
void mr_making_before_fork(void);
void mr_making_after_fork(bool in_child);
void mr_spares_giving(void);
void mr_spares_given(void);
/* Both. Not with a lock held. */
void mr_spares_forget(void);
/* errno says that there is no descriptor left, and there were hidden copies, which are closed now: try again. */
bool mr_spares_make_room(void);
/* A message that is sent to the kernel: it may pass descriptors on. */
void mr_spares_passing(const struct msghdr *message);
/* close(2) of a number of the socket: keeps a copy if it is the last. */
void mr_spare_prepare(struct mr_sock *sock, int fd);

/* ---- fork.c, exec.c ---------------------------------------------------------------------------- */
void mr_after_fork_in_child(void);

/* ---- opt-out.c --------------------------------------------------------------------------------- */
/* Options of SOL_MILLRACE (native/include/millrace.h), whatever the descriptor is. */
#define MR_SOL_MILLRACE 0x200
int mr_opt_out_get(int fd, int option, void *value, socklen_t *bytes);
int mr_opt_out_set(int fd, int option, const void *value, socklen_t bytes);
/* MILLRACE_DEFAULT_DISABLE: sockets stay with the kernel unless they ask for the opposite. */
bool mr_opt_out_is_default(void);

/* ---- undecided.c ------------------------------------------------------------------------------ */
/* Before receiving from a PENDING socket: returns when something can be read, or when it has been decided
 * meanwhile. -1 and errno: EAGAIN its timeout is over, EINTR. */
int mr_undecided_wait(int fd, int flags);

/* ---- environment.c ------------------------------------------------------------------------------ */
/* As getenv, of the environment that the program was started with. */
const char *mr_environment_get(const char *name);
/* program_invocation_short_name when it started; at most 63 bytes. */
const char *mr_environment_program(void);

/* ---- debug.c ----------------------------------------------------------------------------------- */
/* With MILLRACE_DEBUG: "millrace: …\n" on stderr in one write, errno kept. */
void mr_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Always, unless MILLRACE_NO_WARN. */
void mr_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
