/*
 * What the files of the shim's core share beside shim.h: words of shared memory, locks, rings, user
 * vectors, addresses. Words that the engine or another process writes are read through these only.
 */
#ifndef MILLRACE_CORE_H
#define MILLRACE_CORE_H

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "real.h"
#include "shim.h"

#define MR_LIKELY(x) __builtin_expect(!!(x), 1)
#define MR_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Sequentially consistent unless the name says otherwise: docs/engine-protocol.md counts on it. */
static inline uint32_t mr_load(const uint32_t *word) {
  return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}
static inline void mr_store(uint32_t *word, uint32_t value) {
  __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}
/* Publishes what was written before; for positions of rings that an exchange of `submitted` follows. */
static inline void mr_store_release(uint32_t *word, uint32_t value) {
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
}
static inline uint32_t mr_exchange(uint32_t *word, uint32_t value) {
  return __atomic_exchange_n(word, value, __ATOMIC_SEQ_CST);
}
static inline bool mr_swap_if(uint32_t *word, uint32_t expected, uint32_t value) {
  return __atomic_compare_exchange_n(word, &expected, value, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST);
}

/* -1 and errno from a negated error number; else the number. */
static inline ssize_t mr_return(ssize_t result) {
  if (MR_LIKELY(result >= 0)) return result;
  errno = (int)-result;
  return -1;
}

/* ---- lock.c: locks in shared memory that survive the death of their holder ----------------------- */

/* This thread, as locks name it. */
uint32_t mr_holder(void);
void mr_holder_after_fork(void); /* in the child, which may be of another pid namespace */
void mr_lock_slow(uint32_t *lock, uint32_t holder);
void mr_unlock_slow(uint32_t *lock);

static inline void mr_lock(uint32_t *lock) {
  mr_enter();
  uint32_t holder = mr_thread.holder;
  if (MR_UNLIKELY(holder == 0)) holder = mr_holder();
  if (MR_UNLIKELY(!mr_swap_if(lock, 0, holder))) mr_lock_slow(lock, holder);
}
static inline void mr_unlock(uint32_t *lock) {
  if (MR_UNLIKELY(mr_exchange(lock, 0) & MR_LOCK_WAITED)) mr_unlock_slow(lock);
  mr_leave();
}

static inline void mr_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* ---- pool.c: objects of one size; no malloc, which signal handlers may have interrupted ---------------- */

struct mr_mutex {
  atomic_uint word; /* 0 free, 1 held, 2 held and wanted */
};
/* Locks of this process: signals wait while they are held. */
void mr_mutex_lock(struct mr_mutex *mutex);
bool mr_mutex_try(struct mr_mutex *mutex);
void mr_mutex_unlock(struct mr_mutex *mutex);

struct mr_pool {
  size_t object_bytes; /* a multiple of 16 */
  struct mr_mutex mutex;
  void *free;
  struct mr_pool *next;
  bool is_listed;
};
void *mr_pool_take(struct mr_pool *pool); /* zeroed; NULL: no memory */
void mr_pool_give(struct mr_pool *pool, void *object);

/* ---- ring.c: bytes of a ring, with wrapping ------------------------------------------------------- */

/* Where a vector of user memory has been read or written up to. Its elements are read one at a time, so
 * no copy of the vector is made, however long it is. */
struct mr_cursor {
  const struct iovec *next; /* user memory */
  size_t elements;          /* from `next` on */
  uint8_t *at;              /* in the element at hand */
  size_t left;              /* of the element at hand */
};

static inline struct mr_cursor mr_cursor_of(const void *bytes, size_t n) {
  return (struct mr_cursor){.at = (uint8_t *)(uintptr_t)bytes, .left = n};
}
/* The vector's length, cut as the kernel cuts it; -EINVAL, -EMSGSIZE or -EFAULT. */
ssize_t mr_cursor_open(struct mr_cursor *cursor, const struct iovec *vector, size_t elements);
int mr_cursor_read(struct mr_cursor *cursor, uint8_t *to, size_t n);
int mr_cursor_write(struct mr_cursor *cursor, const uint8_t *from, size_t n);

/* `n` bytes between user memory and a ring of `bytes` bytes at `ring`, from position `at`, which may
 * wrap. 0 or -EFAULT. */
int mr_ring_put(uint8_t *ring, uint32_t bytes, uint32_t at, struct mr_cursor *from, size_t n);
int mr_ring_get(const uint8_t *ring, uint32_t bytes, uint32_t at, struct mr_cursor *to, size_t n);

/* ---- spare.c: ends of closed sockets that are used again -------------------------------------------- */

struct mr_spare {
  int fd;          /* hidden */
  uint32_t local;  /* entry under which the engine keeps the other end */
  bool nonblock;   /* of the kernel's file */
  bool has_block;  /* for connect: of `family`, as MR_OP_PARK gave it */
  uint16_t family;
  uint32_t region_id, header_at, generation;
  uint32_t epoch;
};
/* Of the list, and of calls whose answer gives a spare. Before every other lock of the core. */
extern struct mr_mutex mr_spares_lock;
/* From now on this thread may have a copy in hand that is neither the list's nor a socket's, and whoever gives
 * descriptors away waits for it; it must not wait for more than the engine. False: there is somebody, or there is
 * no engine: go by descriptors. Signals wait meanwhile. */
bool mr_spare_begin(void);
void mr_spare_end(void);
bool mr_spare_has_begun(void); /* this thread, and has not ended */
/* To be read before a descriptor is made; in sock->epoch it says that this process alone has the socket. */
uint32_t mr_spare_epoch(void);
/* In between: the socket is dropped: parks its end; false: it is to be released, and has no copy any more. */
bool mr_spare_park(struct mr_link *link, struct mr_sock *sock);
/* Not in between: the same, without parking; while the socket still has its entry. */
void mr_spare_drop(struct mr_sock *sock);
/* In between: one with a block of `family`, or one without any (0); and back. */
bool mr_spare_take(struct mr_link *link, uint16_t family, struct mr_spare *to);
void mr_spare_give_back(const struct mr_spare *spare);
/* With the lock held: into the list, or closed. */
void mr_spare_give(const struct mr_spare *spare);
/* Closes the copy; for those that nobody will use. */
void mr_spare_close(int copy);
/* The copy's file blocks, or not, from now on. */
void mr_spare_set_nonblock(struct mr_spare *spare, bool on);
/* In between: the copy is the socket's, and may be closed at any time. After its last use here. */
void mr_spare_publish(struct mr_sock *sock, int copy);
/* Closes the copies that nobody has in hand, with whatever locks held, unless somebody else is about them. */
bool mr_spares_shed(void);
void mr_spares_before_fork(void);
void mr_spares_after_fork(bool in_child);

/* ---- making.c: between these no fork happens, but while the thread rests ---------------------------------- */

void mr_making_begin(void);
void mr_making_end(void);
/* In between: until the end the descriptor is in this thread's hand alone: a child of a fork that happens while it
 * rests closes it. */
void mr_making_note(int fd);
void mr_making_forget(int fd); /* the last one */
/* Around a wait for the engine, if it is in between: what go_on wants. */
int mr_making_rest(void);
void mr_making_go_on(int rest);
/* Takes a lock whose holders may rest; fork does not take it, and its child has it free. */
void mr_making_lock(struct mr_mutex *mutex);

/* ---- call.c --------------------------------------------------------------------------------------- */

/* A call to the engine under way; `call` is this thread's until mr_call_end. */
struct mr_calling {
  struct mr_link *link;
  struct mr_call *call;
  unsigned number;
};
/* 0 or a negated error number (-ENETDOWN: there is no engine). */
int mr_call_begin(struct mr_calling *calling, struct mr_sock *sock, int fd, uint32_t op);
/* Submits and waits; what the engine said, or -ENETDOWN. `interruptible`: -EINTR as well, and then the
 * call goes on without us. */
int mr_call_wait(struct mr_calling *calling, bool interruptible);
/* The same, so long at most: -ETIMEDOUT, and the call goes on without us. */
int mr_call_wait_within(struct mr_calling *calling, int64_t ns);
void mr_call_end(struct mr_calling *calling);
/* The whole, for calls whose data is an address or nothing. */
/* What a value that was set reads back as; 0 bytes: nothing is known. */
struct mr_canonical {
  _Alignas(8) uint8_t value[64];
  uint32_t bytes;
  bool is_taken; /* the kernel has taken it */
  bool is_live; /* not kept: it changes by itself */
};
/* kernel-says.c: has a kernel socket of the same kind take the option. 0, or the kernel's negated error. */
int mr_kernel_tries(struct mr_sock *sock, int level, int option, const void *user, socklen_t bytes,
                    struct mr_canonical *as);
/* Whether an option names an interface or address, which may be one that only Millrace has. */
bool mr_kernel_may_not_know(int level, int option);
/* Whether what an option reads back as stays what it was set to. */
bool mr_kernel_reads_back(int level, int option);
/* getsockopt of a fresh kernel socket of the same kind. 0 or a negated error. */
int mr_kernel_default(struct mr_sock *sock, int level, int option, void *value, socklen_t *bytes);

int mr_call(struct mr_sock *sock, int fd, uint32_t op, uint32_t arg0, const struct mr_address *address);
/* Waits until the engine has seen which sockets have been closed so far. False: there is no engine. */
bool mr_call_catch_up(void);
/* listen(2) of a kernel socket, with that: 0 or a negated error number. */
int mr_listen_kernel(int fd, int backlog);
/* For a companion that listens already. 0 or a negated error number. */
int mr_sock_listen_beside(struct mr_sock *sock, int fd, int backlog);
/* Instead of mr_call_wait and mr_call_end: nobody waits for the answer. */
void mr_call_post(struct mr_calling *calling);
/* The same for a call that is not about a socket that is there: CLAIM, OPEN. */
int mr_call_begin_at(struct mr_calling *calling, struct mr_link *link, uint32_t local, uint32_t op);
/* Does not wait; the entry is free for another socket when the engine has done it. */
void mr_call_release(struct mr_link *link, uint32_t local);
/* The same, if one can be had without waiting. */
bool mr_call_try(struct mr_calling *calling, struct mr_link *link, uint32_t local, uint32_t op);
/* As release; when it is done the end comes back as a spare. False: too many calls are under way. */
bool mr_call_park(struct mr_link *link, const struct mr_spare *spare, bool connects);
/* Takes in what was posted and is done. */
void mr_call_collect(struct mr_link *link);
/* With mr_spares_lock: closes the copies of ends that are being parked: none of them becomes a spare. */
void mr_call_unpark(void);
/* Waits until what was released before is closed: its ports are free then. A second at most; false when
 * that was not enough. */
bool mr_call_await_released(struct mr_link *link);
void mr_call_reset(void);

/* ---- session.c, control.c, region.c ----------------------------------------------------------------- */

extern struct mr_link *_Atomic mr_link_now; /* NULL until it is made */
extern atomic_bool mr_engine_is_dead;
/* An entry of the session's table, or -1. */
int mr_local_alloc(void);
/* Calls `visit` with every accelerated socket of this process. */
void mr_sock_each(void (*visit)(struct mr_sock *sock));
void mr_local_free(uint32_t local);
/* stopped.c: whether the engine stands still (SIGSTOP); costs some 20 us. */
bool mr_engine_is_stopped(const struct mr_link *link);
/* Connects to the engine's path; a descriptor or a negated error number (-EAGAIN: too many are before us). */
int mr_control_connect(const char *path);
/* A message of nothing but its type, with a descriptor; there is no answer. 0 or a negated error number: -ETIMEDOUT
 * when there has been no room for so long. */
int mr_control_give(int control_fd, uint32_t type, int fd, int64_t wait_ns);

/* ---- filter.c: what a filter of system calls leaves ------------------------------------------------------ */

#define MR_FILTER_NUMBERS 512
struct mr_filter_before {
  uint64_t denied[MR_FILTER_NUMBERS / 64];
  bool is_filtered;
};
extern atomic_bool mr_is_filtered;
extern _Atomic uint64_t mr_filter_denied[MR_FILTER_NUMBERS / 64];
/* About to be set: a struct sock_fprog of the program's, NULL for the strict mode; and that it was not. */
void mr_filter_set(const void *program, struct mr_filter_before *before);
void mr_filter_undo(const struct mr_filter_before *before);
bool mr_filter_allows(long number);
/* Whether the process may make the system call of that number (SYS_…), and lives. */
static inline bool mr_allows(long number) {
  return MR_LIKELY(!atomic_load_explicit(&mr_is_filtered, memory_order_relaxed)) || mr_filter_allows(number);
}
/* sched_yield, and a tenth of a millisecond's sleep; without, they are short pauses. */
void mr_yield(void);
void mr_nap(void);

/* ---- limit.c: numbers of descriptors above the program's limit ------------------------------------------- */

/* From here to mr_limit_restore there are more; neither waits for anybody in between but the engine. False: there are
 * none, and nothing is to be restored. */
bool mr_limit_raise(void);
void mr_limit_restore(void);
/* Whether a call that needs some numbers for a moment may not have them, `fd` being the lowest free one lately. */
bool mr_limit_is_near(int fd);
/* Whether another companion leaves the program enough; and that one came or went that lies below the limit. */
bool mr_limit_takes_companion(void);
void mr_limit_count_companions(int change);
/* The limit is the program's in between. */
void mr_limit_hold(void);
void mr_limit_release(void);

/* ---- kernel-poll.c ---------------------------------------------------------------------------------------- */

/* As ppoll, by whichever call is allowed, with any RLIMIT_NOFILE; it may return 0 early. `mask` holds with ppoll and
 * pselect6 only. And without waiting. */
int mr_kernel_poll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask);
int mr_kernel_look(struct pollfd *fds, nfds_t n);

/* ---- confine.c ---------------------------------------------------------------------------------------------- */

/* Soon the process may have no room for descriptors, or a filter of system calls: joins its sockets, and makes
 * what this thread sleeps on. */
void mr_confine(void);
void mr_raise_sigpipe(void);

/* ---- door.c ----------------------------------------------------------------------------------------------- */

#define MR_DOOR_BYTES 64

/* Soon the process may be another user, or see other files: the engine is to be known by then. */
void mr_door_confine(void);
/* In the child of fork, which has its parent's control socket still; then, with all locks free. */
void mr_door_inherit(int control_fd);
void mr_door_enter(void);
/* The control socket of the link that is being made, or -1: by its path. */
int mr_door_take(void);
bool mr_door_is_there(void);
/* Before the engine's answer with its descriptors is taken, and when it has been. */
void mr_door_make_room(void);
void mr_door_keep_room(void);
/* For a program that is to be started: its variable ("": none is needed), and what to close if that fails. */
int mr_door_for_program(char variable[MR_DOOR_BYTES]);
void mr_door_close(int fd);
/* At the start: what MILLRACE_DOOR says; whether an inherited socket pair's end is a door, which is used then. */
void mr_door_open(void);
bool mr_door_is(int fd);
/* Sends `message` with `fds`. If `answer` is not NULL it waits for one of `answer_bytes`, and for up to
 * two descriptors with it (-1 where there is none), of numbers above the program's limit if `got` says so. Takes
 * its turn among the threads. Where the caller is making something it rests while it waits. 0 or negated. */
#define MR_GOT_ABOVE_LIMIT (-2) /* in got[0] before */
int mr_control_ask(struct mr_link *link, const void *message, size_t bytes, const int *fds,
                   unsigned fds_count, void *answer, size_t answer_bytes, int *got);
uint64_t mr_inode_of(int fd); /* 0: none */
/* The program's end of a socket and the engine's. As socketpair. */
int mr_pair_make(int pair[2], int flags);
/* The same, of numbers above the program's limit if there are no others: for ends that take an older number's place. */
int mr_pair_make_anywhere(int pair[2], int flags);
/* Says HELLO; 0 or a negated error number, of which `welcome` may have the reason. `by_door`: another process
 * has let it in. Then, whenever it is wanted, the answer. */
int mr_control_hello(int control_fd, bool by_door, struct mr_welcome *welcome);
/* Does not wait: -EAGAIN. */
int mr_control_welcome(int control_fd, struct mr_welcome *welcome, int got[2]);
/* Begins the link, without waiting for the engine's answer, which whoever needs the link first takes. */
void mr_link_begin(void);
/* The control socket of the link, or of the one that has begun, or -1. */
int mr_link_control(void);
/* A sealed memfd with the file's contents, or a negated error number and why. By one thread at a time. */
int mr_rules_pass(const char *path, char *reason, size_t room);
/* The region, mapped, and held until mr_region_give; `fd` is one of it, or -1: then it is asked for. 0;
 * -ENOENT, -EPROTO: the engine has none such; another error: what is lacking here. */
int mr_region_map(struct mr_link *link, uint32_t region_id, uint32_t bytes, int fd, uint8_t **at);
/* The same, if it is mapped already; NULL: it is not. */
uint8_t *mr_region_hold(struct mr_link *link, uint32_t region_id);
void mr_region_give(const uint8_t *region);
uint32_t mr_region_bytes(const uint8_t *region);
/* What rings its sockets have. */
void mr_region_note(const uint8_t *region, uint32_t rx_bytes, uint32_t tx_bytes);

/* ---- socket.c --------------------------------------------------------------------------------------- */

/* Memory for a socket to come; NULL: there is none. */
struct mr_sock *mr_sock_spare(void);
void mr_sock_give_spare(struct mr_sock *sock);
/* Makes it one that the engine has opened. Takes over the hold of `region` and `companion` (hidden, or -1)
 * if it succeeds. False: what the engine said makes no sense. */
bool mr_sock_fill(struct mr_sock *sock, struct mr_link *link, uint8_t *region, uint32_t header_at,
                  uint32_t generation, uint32_t local, int companion);
/* Both; NULL: either. */
struct mr_sock *mr_sock_make(struct mr_link *link, uint8_t *region, uint32_t header_at,
                             uint32_t generation, uint32_t local, int companion);
/* From the answer to MR_MSG_OPEN or ATTACH and its descriptors, all of which are taken over. NULL: `failed` says why. */
struct mr_sock *mr_sock_from(struct mr_link *link, const struct mr_opened *opened, int got[2],
                             int companion, int *failed);
/* The engine is dead, and the socket goes on with its companion: a listener, or a UDP socket that has no peer of
 * Millrace's. */
static inline bool mr_sock_is_kernels(const struct mr_sock *sock) {
  if (MR_LIKELY(!atomic_load_explicit(&mr_engine_is_dead, memory_order_relaxed) || sock->companion < 0)) return false;
  uint32_t kind = sock->shared->kind;
  if (kind == MR_KIND_LISTENER) return true;
  return kind == MR_KIND_UDP && (sock->companion_peer || !(mr_load(&sock->shared->status) & MR_STATUS_CONNECTED));
}
/* The status word, with what the engine's death makes of it. */
uint32_t mr_sock_status(struct mr_sock *sock);
/* Takes the pending error, a positive number; 0: none. */
int mr_sock_take_error(struct mr_sock *sock);
/* Tells the engine to look at the socket's rings. */
void mr_sock_submit(struct mr_sock *sock);
/* The same with a lock held: takes no other, and more is submitted after it. Whether the engine has looked since the last. */
bool mr_sock_submit_piece(struct mr_sock *sock);
int mr_sock_join_slowly(struct mr_sock *sock, int fd);
/* Before data moves: 0, the engine hears of what happens to the socket, or is dead, which the status
 * says. Or the error for the program: the engine would not know. */
static inline int mr_sock_join(struct mr_sock *sock, int fd) {
  struct mr_link *link = mr_link_get();
  if (MR_LIKELY(link != NULL && sock->link_id == link->id)) return 0;
  return mr_sock_join_slowly(sock, fd);
}
/* The link, of which the socket is made a part if it is not yet; NULL: there is no engine for it. */
static inline struct mr_link *mr_sock_link(struct mr_sock *sock, int fd) {
  struct mr_link *link = mr_link_get();
  if (MR_UNLIKELY(link == NULL)) return NULL;
  if (MR_LIKELY(sock->link_id == link->id)) return link;
  return mr_sock_attach(sock, fd) == 0 ? link : NULL;
}
/* Bytes in the ring to the engine up to `tail`; or more, as long as `wanted` fit behind them: the engine's position
 * lies in a line of the engine's, which would have to come from its core each time. With tx_lock.
 * Measured: EngineSocket.rxRoom. */
static inline uint32_t mr_sock_sending(struct mr_sock *sock, uint32_t tail, size_t wanted) {
  struct mr_socket *shared = sock->shared;
  uint32_t used = tail - shared->tx_head_seen;
  if (MR_LIKELY(used <= sock->tx_bytes && wanted <= sock->tx_bytes - used)) return used;
  shared->tx_head_seen = mr_load(&shared->tx_head);
  return tail - shared->tx_head_seen;
}
/* After reading, when `left` bytes remain in the ring and its lock is free (its exchange orders the new
 * position before this look): if the engine found no room before, it is told when there is half a ring
 * of it, or all. Who cannot tell it leaves that to others who have the socket. */
static inline void mr_sock_made_room(struct mr_sock *sock, uint32_t left) {
  struct mr_socket *shared = sock->shared;
  if (MR_LIKELY(mr_load(&shared->rx_blocked) == 0) || left > sock->rx_bytes / 2) return;
  struct mr_link *link = mr_link_now;
  if (link == NULL || link->id != sock->link_id) return;
  mr_store(&shared->rx_blocked, 0);
  mr_sock_submit(sock);
}
/* Reads looked for something in vain: the engine's death has to be noticed now and then. */
void mr_sock_missed(struct mr_sock *sock);
/* A connection that failed or was reset: shut both ways until the next connect. */
bool mr_sock_is_over(const struct mr_sock *sock, uint32_t status);
/* The peer has ended, and the end is not in the ring yet: bytes before it may lie in the stack. */
bool mr_sock_has_end_behind(const struct mr_sock *sock, uint32_t status);
/* connect(2) is under way: what it says, having waited for the outcome if the socket blocks. */
int mr_sock_connecting(struct mr_sock *sock);
uint32_t mr_sock_type(const struct mr_sock *sock); /* SOCK_STREAM or SOCK_DGRAM */
static inline bool mr_sock_is_stream(const struct mr_sock *sock) {
  return sock->shared->kind != MR_KIND_UDP;
}

/* ---- wait.c ------------------------------------------------------------------------------------------ */

/* What has happened to the socket so far; to be read before one looks. */
static inline uint32_t mr_sock_seen(const struct mr_sock *sock) {
  return mr_load(&sock->shared->rx_events) + mr_load(&sock->shared->tx_events);
}
/* Waits until more has happened than `seen`, or `companion` (-1: none) has something to read, or the
 * engine has died: 0. -EINTR (any handler when there is a deadline, as the kernel) or -ETIMEDOUT. */
int mr_wait_change(struct mr_wait *wait, struct mr_sock *sock, uint32_t seen, int companion);
void mr_waiters_reset(struct mr_link *link, bool in_child);
int64_t mr_now_ns(void);

/* ---- names.c ----------------------------------------------------------------------------------------- */

/* From a sockaddr that lies in our memory, of a socket of `family`. 0, -EINVAL, -EAFNOSUPPORT. */
#define MR_SOCKADDR_IN6_LEAST 24 /* SIN6_LEN_RFC2133: without the scope */
int mr_address_from(struct mr_address *to, const struct sockaddr *from, socklen_t bytes,
                    uint16_t family);
/* As a socket of `family` shows it: IPv4 is mapped for AF_INET6. Its length. */
socklen_t mr_address_to(struct sockaddr_storage *to, const struct mr_address *from, uint16_t family);
/* Copies a sockaddr in from user memory. 0, -EINVAL, -EFAULT. */
int mr_sockaddr_read(struct sockaddr_storage *to, const struct sockaddr *user, socklen_t bytes);
/* Writes one to user memory as getsockname does: cut to *room, *room becomes its length. */
int mr_sockaddr_write(const struct sockaddr_storage *from, socklen_t bytes, struct sockaddr *user,
                      socklen_t *room);
bool mr_address_is_loopback(const struct mr_address *address);
bool mr_address_is_wildcard(const struct mr_address *address);
bool mr_address_is_multicast(const struct mr_address *address);
void mr_address_text(char *text, size_t room, const struct mr_address *address);

/* ---- stream.c, datagram.c ------------------------------------------------------------------------------- */

/* What comes with received data. */
struct mr_received {
  struct mr_address from; /* family 0: nobody */
  struct mr_datagram header; /* UDP */
  bool has_header;
  int flags;              /* msg_flags */
};
/* Both take user memory by a cursor and return bytes or a negated error number; EPIPE comes without
 * SIGPIPE, which is raised by who knows the flags. */
ssize_t mr_stream_send(struct mr_sock *sock, int fd, struct mr_cursor *from, size_t n, int flags);
ssize_t mr_stream_recv(struct mr_sock *sock, int fd, struct mr_cursor *to, size_t n, int flags);
int64_t mr_timeout(uint64_t set_ns); /* of SO_RCVTIMEO, SO_SNDTIMEO; negative: none */

/* What is sent beside the payload; zero where the socket's options hold. */
#define MR_MOST_SEGMENTS 128 /* of one message with UDP_SEGMENT, the kernel's UDP_MAX_SEGMENTS */

struct mr_ancillary {
  uint16_t flags; /* MR_DATAGRAM_* */
  uint8_t ttl, tos;
  uint8_t own[16];
  uint32_t if_index;
};
ssize_t mr_datagram_send(struct mr_sock *sock, int fd, struct mr_cursor *from, size_t n, int flags,
                         const struct mr_address *to, const struct mr_ancillary *ancillary);
/* One datagram if there is one, without waiting: its bytes as recvmsg returns them, -EAGAIN or another
 * error. */
ssize_t mr_datagram_take(struct mr_sock *sock, struct mr_cursor *to, size_t n, int flags,
                         struct mr_received *received);
/* The next datagram's payload bytes, or -1. */
int mr_datagram_next_bytes(struct mr_sock *sock);
void mr_corked_free(struct mr_sock *sock);
int mr_datagram_uncork(struct mr_sock *sock, int fd);

/* ---- companion.c: the kernel socket beside a wildcard-bound one -------------------------------------------- */

/* Whether the companion's turn is before the ring's; and when the ring had nothing for a call that does
 * not wait. */
bool mr_companion_first(struct mr_sock *sock);
bool mr_companion_after_miss(struct mr_sock *sock);
/* Who carries datagrams to `to` (NULL: the peer): 0 Millrace, 1 the companion, or -ENETUNREACH etc. */
int mr_companion_carries(struct mr_sock *sock, int fd, const struct mr_address *to);
/* While the socket is connected to a peer of Millrace the companion takes nothing in. */
void mr_companion_mute(struct mr_sock *sock, bool on);
/* Of a TCP socket: its accept must not wait when another process was faster. */
void mr_companion_never_waits(int companion);

/* ---- ancillary.c: control data ---------------------------------------------------------------------------- */

/* Of a msghdr that lies in our memory; its control data is user memory. `segment_bytes`: UDP_SEGMENT, or
 * 0. 0 or a negated error number. */
int mr_ancillary_read(struct mr_sock *sock, const struct msghdr *message, struct mr_ancillary *to,
                      uint16_t *segment_bytes);
/* Control data of what was received; sets msg_controllen, and MSG_CTRUNC in received->flags. */
int mr_ancillary_write(struct mr_sock *sock, struct msghdr *message, struct mr_received *received);
/* recvmsg with MSG_ERRQUEUE. */
ssize_t mr_error_recv(struct mr_sock *sock, int fd, struct msghdr *message, struct mr_cursor *to, size_t n,
                      struct mr_received *received);

/* ---- options.c ------------------------------------------------------------------------------------------------- */

/* Applies those that the shim itself keeps; used when a socket is opened with options set before. */
void mr_options_replay(struct mr_sock *sock, const uint8_t *records, uint32_t bytes);
/* SO_RCVBUF of SO_RCVBUFFORCE, for what the kernel has taken: it has seen the privilege that this needs. */
int mr_as_buffer_option(int level, int option);
/* Whether the option joins a group, and which. */
bool mr_option_joins(int level, int option, const void *value, size_t bytes, struct mr_address *group);
void mr_options_inherit(struct mr_sock *child, const struct mr_sock *listener);

#endif
