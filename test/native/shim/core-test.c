/* The shim's core over a fake engine in the same process: `ok NAME` for each test; the first failure ends
 * the program. `core-test NAME…` runs those only. */
#include <assert.h>
#include <poll.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake-engine.h"

#define EQUAL(got, wanted)                                                                          \
  do {                                                                                              \
    long long is = (long long)(got), should = (long long)(wanted);                                  \
    if (is != should) {                                                                             \
      printf("not ok %s:%d: %s is %lld, should be %lld\n", __FILE__, __LINE__, #got, is, should);   \
      exit(1);                                                                                      \
    }                                                                                               \
  } while (0)
/* A call that fails with this error. */
#define FAILS(call, error) \
  do {                     \
    errno = 0;             \
    EQUAL(call, -1);       \
    EQUAL(errno, error);   \
  } while (0)

static struct mr_sock *tcp(void) { return fake_socket(MR_KIND_TCP, AF_INET, FAKE_RING, FAKE_RING); }
static struct mr_sock *udp(void) {
  struct mr_sock *sock = fake_socket(MR_KIND_UDP, AF_INET, FAKE_RING, FAKE_RING);
  sock->shared->status |= MR_STATUS_CONNECTED;
  return sock;
}
static ssize_t receive(struct mr_sock *sock, void *to, size_t n, int flags) {
  return mr_recv(sock, 3, to, n, flags, NULL, NULL);
}
static ssize_t transmit(struct mr_sock *sock, const void *from, size_t n, int flags) {
  return mr_send(sock, 3, from, n, flags, NULL, 0);
}

/* ---- Streams ---------------------------------------------------------------------------------------- */

/* Pieces of all sizes through a ring that wraps, both ways; what comes out is what went in. */
static void streams_wrap(void) {
  struct mr_sock *sock = tcp();
  static uint8_t in[FAKE_RING], out[FAKE_RING];
  uint8_t next = 0, expected = 0;
  for (uint32_t n = 1; n <= FAKE_RING; n += 37) {
    for (uint32_t i = 0; i < n; i++) in[i] = next++;
    EQUAL(transmit(sock, in, n, MSG_DONTWAIT), n);
    EQUAL(fake_take(sock, out, FAKE_RING), n);
    fake_give(sock, out, n);
    memset(out, 0xa5, sizeof out);
    EQUAL(receive(sock, out, n, MSG_WAITALL), n);
    for (uint32_t i = 0; i < n; i++) EQUAL(out[i], expected++);
  }
}

static void a_full_ring_is_eagain_and_wants_room(void) {
  struct mr_sock *sock = tcp();
  static uint8_t bytes[FAKE_RING + 100];
  EQUAL(transmit(sock, bytes, sizeof bytes, MSG_DONTWAIT), FAKE_RING);
  FAILS(transmit(sock, bytes, 1, MSG_DONTWAIT), EAGAIN);
  EQUAL(sock->shared->no_space, 1);
  EQUAL(mr_sock_ready(sock) & POLLOUT, 0);
  uint64_t before = mr_sock_events(sock);
  EQUAL(fake_take(sock, bytes, FAKE_RING / 4), FAKE_RING / 4);
  EQUAL(mr_sock_events(sock) - before, 1);
  EQUAL(mr_sock_ready(sock) & POLLOUT, 0); /* a quarter is not a third */
  EQUAL(fake_take(sock, bytes, FAKE_RING / 8), FAKE_RING / 8);
  EQUAL(mr_sock_ready(sock) & POLLOUT, POLLOUT);
}

static void peek_leaves_and_peek_off_moves(void) {
  struct mr_sock *sock = tcp();
  char got[8] = "";
  fake_give(sock, "abcdef", 6);
  EQUAL(receive(sock, got, 3, MSG_PEEK), 3);
  EQUAL(memcmp(got, "abc", 3), 0);
  int from = 1;
  EQUAL(mr_sock_setsockopt(sock, 3, SOL_SOCKET, SO_PEEK_OFF, &from, sizeof from), 0);
  EQUAL(receive(sock, got, 2, MSG_PEEK), 2);
  EQUAL(memcmp(got, "bc", 2), 0);
  EQUAL(receive(sock, got, 2, MSG_PEEK), 2);
  EQUAL(memcmp(got, "de", 2), 0);
  EQUAL(receive(sock, got, 2, 0), 2);
  EQUAL(memcmp(got, "ab", 2), 0);
  EQUAL(receive(sock, got, 4, MSG_PEEK), 1);
  EQUAL(got[0], 'f');
}

static void trunc_throws_away(void) {
  struct mr_sock *sock = tcp();
  char got[4] = "wxyz";
  fake_give(sock, "abcdef", 6);
  EQUAL(receive(sock, NULL, 4, MSG_TRUNC), 4);
  EQUAL(receive(sock, got, 4, 0), 2);
  EQUAL(memcmp(got, "efyz", 4), 0);
}

static void the_end_comes_after_the_data(void) {
  struct mr_sock *sock = tcp();
  char got[8];
  fake_give(sock, "abc", 3);
  fake_end_stream(sock, 0);
  EQUAL(mr_sock_ready(sock), POLLIN | POLLRDNORM | POLLRDHUP | POLLOUT | POLLWRNORM);
  EQUAL(receive(sock, got, 8, MSG_WAITALL), 3);
  EQUAL(receive(sock, got, 8, 0), 0);
  EQUAL(receive(sock, got, 8, 0), 0);
}

static void a_reset_is_told_once(void) {
  struct mr_sock *sock = tcp();
  char got[8];
  fake_give(sock, "abc", 3);
  fake_end_stream(sock, ECONNRESET);
  EQUAL(mr_sock_ready(sock) & (POLLERR | POLLHUP), POLLERR | POLLHUP);
  EQUAL(receive(sock, got, 8, 0), 3);
  FAILS(receive(sock, got, 8, 0), ECONNRESET);
  EQUAL(receive(sock, got, 8, 0), 0);
  FAILS(transmit(sock, got, 1, MSG_NOSIGNAL), EPIPE);
  EQUAL(mr_sock_ready(sock) & POLLERR, 0);
}

static volatile sig_atomic_t signals;
static void on_signal(int signum) {
  (void)signum;
  signals++;
  mr_thread.handled++;
  mr_thread.interrupting++;
}

static void broken_pipes_raise_sigpipe(void) {
  struct mr_sock *sock = tcp();
  signal(SIGPIPE, on_signal);
  sock->shared->status = 0;
  FAILS(transmit(sock, "a", 1, 0), EPIPE);
  EQUAL(signals, 1);
  FAILS(transmit(sock, "a", 1, MSG_NOSIGNAL), EPIPE);
  EQUAL(signals, 1);
  FAILS(receive(sock, &(char){0}, 1, 0), ENOTCONN);
}

static void bad_pointers_are_efault(void) {
  struct mr_sock *sock = tcp();
  fake_give(sock, "abc", 3);
  FAILS(receive(sock, (void *)1, 3, 0), EFAULT);
  FAILS(transmit(sock, (void *)1, 3, 0), EFAULT);
  char got[4];
  EQUAL(receive(sock, got, 4, 0), 3);
  EQUAL(fake_take(sock, got, 4), 0);
}

static void the_urgent_mark_splits_reads(void) {
  struct mr_sock *sock = tcp();
  char got[8];
  fake_give(sock, "abcdef", 6);
  sock->shared->urgent_at = 3;
  sock->shared->status |= MR_STATUS_MARK | MR_STATUS_URGENT;
  int value = -1;
  EQUAL(mr_sock_ready(sock) & POLLPRI, POLLPRI);
  EQUAL(receive(sock, got, 8, MSG_WAITALL), 3);
  EQUAL(mr_sock_ioctl(sock, 3, SIOCATMARK, &value), 0);
  EQUAL(value, 1);
  EQUAL(receive(sock, got, 8, MSG_DONTWAIT), 3);
  EQUAL(memcmp(got, "def", 3), 0);
}

static void room_is_told_of_when_it_is_worth_it(void) {
  struct mr_sock *sock = tcp();
  static uint8_t bytes[FAKE_RING];
  while (fake_submission() >= 0) {
  }
  fake_give(sock, bytes, FAKE_RING);
  sock->shared->rx_blocked = 1;
  EQUAL(receive(sock, bytes, 100, 0), 100);
  EQUAL(fake_submission(), -1);
  EQUAL(receive(sock, bytes, FAKE_RING / 2, 0), FAKE_RING / 2);
  EQUAL(fake_submission(), sock->local);
  EQUAL(sock->shared->rx_blocked, 0);
}

static void one_submission_until_the_engine_looked(void) {
  struct mr_sock *sock = tcp();
  char got[8];
  while (fake_submission() >= 0) {
  }
  EQUAL(transmit(sock, "a", 1, 0), 1);
  EQUAL(transmit(sock, "b", 1, 0), 1);
  EQUAL(fake_submission(), sock->local);
  EQUAL(fake_submission(), -1);
  EQUAL(fake_take(sock, got, 8), 2);
  EQUAL(transmit(sock, "c", 1, 0), 1);
  EQUAL(fake_submission(), sock->local);
}

/* Another process has the socket, and this one has no link of its own yet. */
static void who_cannot_tell_of_room_leaves_it_to_others(void) {
  struct mr_sock *sock = tcp();
  sock->shared->rx_blocked = 1;
  uint32_t own = sock->link_id;
  sock->link_id = own + 1;
  mr_sock_made_room(sock, 0);
  EQUAL(sock->shared->rx_blocked, 1);
  sock->link_id = own;
  mr_sock_made_room(sock, 0);
  EQUAL(sock->shared->rx_blocked, 0);
  EQUAL(fake_submission(), sock->local);
}

static void who_cannot_join_is_told(void) {
  struct mr_sock *socks[] = {tcp(), udp()};
  int refusal = -EMFILE;
  char got[4];
  for (int i = 0; i < 2; i++) {
    struct mr_sock *sock = socks[i];
    fake_give(sock, "abc", 3);
    uint32_t own = sock->link_id;
    sock->link_id = own + 1;
    int fd = dup(0);
    mr_fd_set(fd, (struct mr_fd){.kind = MR_FD_SOCKET, .sock = mr_sock_hold(sock)});
    pthread_t engine = fake_refuse(&refusal);
    FAILS(transmit(sock, "a", 1, 0), ENOBUFS);
    EQUAL(sock->shared->tx_tail, 0);
    pthread_join(engine, NULL);
    engine = fake_refuse(&refusal);
    FAILS(receive(sock, got, 4, 0), ENOBUFS);
    EQUAL(sock->shared->rx_head, 0);
    pthread_join(engine, NULL);
    sock->link_id = own;
    mr_fd_clear(fd);
    close(fd);
  }
}

static volatile sig_atomic_t faults, depth_at_fault;
static void *fault_page;
static void on_fault(int signum) {
  (void)signum;
  faults++;
  depth_at_fault = mr_thread.depth;
  mprotect(fault_page, MR_PAGE, PROT_READ | PROT_WRITE);
}

/* A handler that came between the claim of a place and what goes there might never come back. */
static void no_handler_comes_into_a_submission(void) {
  struct mr_sock *sock = tcp();
  struct mr_session *session = mr_link_now->session;
  while (fake_submission() >= 0) {
  }
  uint8_t *ring = (uint8_t *)session + MR_SUBMITS_AT + session->submit_tail % MR_SUBMITS * 4;
  struct sigaction action = {.sa_handler = on_fault}, before;
  sigaction(SIGSEGV, &action, &before);
  fault_page = (void *)((uintptr_t)ring & ~(uintptr_t)(MR_PAGE - 1));
  EQUAL(mprotect(fault_page, MR_PAGE, PROT_READ), 0);
  mr_sock_submit(sock);
  EQUAL(faults, 1);
  assert(depth_at_fault > 0);
  EQUAL(mr_thread.depth, 0);
  EQUAL(fake_submission(), sock->local);
  EQUAL(mprotect(fault_page, MR_PAGE, PROT_READ), 0);
  mr_submit(mr_link_now, 5);
  EQUAL(faults, 2);
  assert(depth_at_fault > 0);
  EQUAL(fake_submission(), 5);
  sigaction(SIGSEGV, &before, NULL);
}

/* ---- Connections ------------------------------------------------------------------------------------ */

static int count_fds(void) {
  int n = 0;
  for (int fd = 0; fd < 256; fd++) n += fcntl(fd, F_GETFD) >= 0;
  return n;
}

static void no_connection_is_lost_for_want_of_an_entry(void) {
  struct mr_sock *listener = fake_socket(MR_KIND_LISTENER, AF_INET, FAKE_RING, FAKE_RING);
  fake_connection(listener, 1);
  fake_connection(listener, 2);
  static int taken[MR_SOCKETS];
  int n = 0, fds = count_fds();
  while ((taken[n] = mr_local_alloc()) >= 0) n++;
  for (int i = 0; i < 3; i++) FAILS(mr_accept(listener, 3, NULL, NULL, 0), ENFILE);
  EQUAL(listener->shared->rx_head, 0);
  EQUAL(count_fds(), fds);
  mr_local_free((uint32_t)taken[--n]);
  int accepted = mr_accept(listener, 3, NULL, NULL, 0);
  assert(accepted >= 0);
  struct mr_fd entry = mr_fd_get(accepted);
  EQUAL(entry.kind, MR_FD_SOCKET);
  EQUAL(entry.sock->local, (uint32_t)taken[n]);
  mr_fd_put(entry);
  EQUAL(listener->shared->rx_head, sizeof(struct mr_accepted));
  while (n > 0) mr_local_free((uint32_t)taken[--n]);
  assert(mr_accept(listener, 3, NULL, NULL, 0) >= 0);
  listener->shared->nonblock = 1;
  FAILS(mr_accept(listener, 3, NULL, NULL, 0), EAGAIN);
  /* One that makes no sense is gone, and no more is. */
  fake_connection(listener, 3);
  struct mr_accepted *nonsense = (struct mr_accepted *)(void *)(listener->rx + 2 * sizeof *nonsense);
  nonsense->header_at = 1;
  fds = count_fds();
  FAILS(mr_accept(listener, 3, NULL, NULL, 0), ECONNABORTED);
  EQUAL(count_fds(), fds);
  FAILS(mr_accept(listener, 3, NULL, NULL, 0), EAGAIN);
}

/* ---- Waiting ---------------------------------------------------------------------------------------- */

static void timeouts_are_eagain(void) {
  struct mr_sock *sock = tcp();
  struct timeval timeout = {.tv_usec = 20000};
  EQUAL(mr_sock_setsockopt(sock, 3, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout), 0);
  char got[4];
  int64_t before = mr_now_ns();
  FAILS(receive(sock, got, 4, 0), EAGAIN);
  assert(mr_now_ns() - before >= 19000000);
  fake_give(sock, "ab", 2);
  EQUAL(receive(sock, got, 4, MSG_WAITALL), 2); /* what there is when time is over */
}

static void *give_slowly(void *context) {
  struct mr_sock *sock = context;
  for (int i = 0; i < 40; i++) {
    usleep(500);
    fake_give(sock, &(char){(char)i}, 1);
  }
  return NULL;
}

static void sleepers_are_rung(void) {
  struct mr_sock *sock = tcp();
  pthread_t thread;
  char got[40];
  pthread_create(&thread, NULL, give_slowly, sock);
  EQUAL(receive(sock, got, 40, MSG_WAITALL), 40);
  for (int i = 0; i < 40; i++) EQUAL(got[i], i);
  pthread_join(thread, NULL);
}

static atomic_bool was_interrupted;

/* Until it has had its effect: on a busy machine the first may come before the thread waits. */
static void *interrupt_later(void *context) {
  while (!atomic_load(&was_interrupted)) {
    usleep(20000);
    pthread_kill(*(pthread_t *)context, SIGUSR1);
  }
  return NULL;
}

static void handlers_interrupt_sleep(void) {
  struct mr_sock *sock = tcp();
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGUSR1, &action, NULL);
  pthread_t self = pthread_self(), thread;
  atomic_store(&was_interrupted, false);
  pthread_create(&thread, NULL, interrupt_later, &self);
  char got[4];
  FAILS(receive(sock, got, 4, 0), EINTR);
  atomic_store(&was_interrupted, true);
  pthread_join(thread, NULL);
}

static void *drain_slowly(void *context) {
  struct mr_sock *sock = context;
  uint8_t bytes[256], expected = 0;
  for (int total = 0; total < 100000;) {
    uint32_t n = fake_take(sock, bytes, sizeof bytes);
    for (uint32_t i = 0; i < n; i++) EQUAL(bytes[i], expected++);
    total += (int)n;
    if (n == 0) usleep(50);
  }
  return NULL;
}

static void blocking_send_goes_on_as_room_comes(void) {
  struct mr_sock *sock = tcp();
  static uint8_t bytes[100000];
  for (int i = 0; i < 100000; i++) bytes[i] = (uint8_t)i;
  pthread_t thread;
  pthread_create(&thread, NULL, drain_slowly, sock);
  EQUAL(transmit(sock, bytes, sizeof bytes, 0), 100000);
  pthread_join(thread, NULL);
}

/* ---- Datagrams -------------------------------------------------------------------------------------- */

static void datagrams_keep_their_bounds(void) {
  struct mr_sock *sock = udp();
  uint8_t in[1500], out[1500];
  struct mr_datagram header;
  for (int round = 0; round < 300; round++) {
    uint32_t n = (uint32_t)(round * 13) % sizeof in;
    for (uint32_t i = 0; i < n; i++) in[i] = (uint8_t)(round + (int)i);
    EQUAL(transmit(sock, in, n, MSG_DONTWAIT), n);
    EQUAL(fake_take_datagram(sock, &header, out, sizeof out), n);
    EQUAL(memcmp(in, out, n), 0);
    fake_give_datagram(sock, in, n, 53);
    struct sockaddr_in from;
    socklen_t from_bytes = sizeof from;
    EQUAL(mr_recv(sock, 3, out, sizeof out, 0, (struct sockaddr *)&from, &from_bytes), n);
    EQUAL(memcmp(in, out, n), 0);
    EQUAL(ntohs(from.sin_port), 53);
    EQUAL(from_bytes, sizeof from);
  }
}

static void short_buffers_truncate(void) {
  struct mr_sock *sock = udp();
  char got[4];
  struct iovec vector = {got, 4};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  fake_give_datagram(sock, "abcdefg", 7, 1);
  fake_give_datagram(sock, "hi", 2, 1);
  EQUAL(mr_recvmsg(sock, 3, &message, MSG_PEEK | MSG_TRUNC), 7);
  EQUAL(message.msg_flags, MSG_TRUNC);
  EQUAL(receive(sock, got, 4, 0), 4);
  EQUAL(receive(sock, got, 4, 0), 2);
  FAILS(receive(sock, got, 4, MSG_DONTWAIT), EAGAIN);
}

static void control_data_comes_along(void) {
  struct mr_sock *sock = udp();
  int on = 1;
  EQUAL(mr_sock_setsockopt(sock, 3, IPPROTO_IP, IP_PKTINFO, &on, sizeof on), 0);
  EQUAL(mr_sock_setsockopt(sock, 3, IPPROTO_IP, IP_RECVTTL, &on, sizeof on), 0);
  char got[4], control[256];
  struct sockaddr_in from;
  struct iovec vector = {got, 4};
  struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &vector, .msg_iovlen = 1};
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  fake_give_datagram(sock, "abc", 3, 7);
  EQUAL(mr_recvmsg(sock, 3, &message, 0), 3);
  struct cmsghdr *first = CMSG_FIRSTHDR(&message), *second = CMSG_NXTHDR(&message, first);
  EQUAL(first->cmsg_type, IP_PKTINFO);
  EQUAL(((struct in_pktinfo *)(void *)CMSG_DATA(first))->ipi_ifindex, 3);
  EQUAL(second->cmsg_type, IP_TTL);
  EQUAL(*(int *)(void *)CMSG_DATA(second), 17);
  message.msg_controllen = CMSG_SPACE(sizeof(struct in_pktinfo)) + 4;
  fake_give_datagram(sock, "abc", 3, 7);
  EQUAL(mr_recvmsg(sock, 3, &message, 0), 3);
  EQUAL(message.msg_flags, MSG_CTRUNC);
}

static void control_data_goes_along(void) {
  struct mr_sock *sock = udp();
  _Alignas(8) char control[CMSG_SPACE(sizeof(int))];
  struct iovec vector = {"abc", 3};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  struct cmsghdr *first = CMSG_FIRSTHDR(&message);
  *first = (struct cmsghdr){.cmsg_level = IPPROTO_IP, .cmsg_type = IP_TTL, .cmsg_len = CMSG_LEN(sizeof(int))};
  *(int *)(void *)CMSG_DATA(first) = 5;
  EQUAL(mr_sendmsg(sock, 3, &message, 0), 3);
  struct mr_datagram header;
  char got[4];
  EQUAL(fake_take_datagram(sock, &header, got, 4), 3);
  EQUAL(header.ttl, 5);
  EQUAL(header.flags, MR_DATAGRAM_TTL);
  *(int *)(void *)CMSG_DATA(first) = 0;
  FAILS(mr_sendmsg(sock, 3, &message, 0), EINVAL);
}

static void more_joins_datagrams(void) {
  struct mr_sock *sock = udp();
  struct mr_datagram header;
  char got[8];
  EQUAL(transmit(sock, "ab", 2, MSG_MORE), 2);
  EQUAL(fake_take_datagram(sock, &header, got, 8), -1);
  EQUAL(transmit(sock, "cd", 2, 0), 2);
  EQUAL(fake_take_datagram(sock, &header, got, 8), 4);
  EQUAL(memcmp(got, "abcd", 4), 0);
  int on = 1;
  EQUAL(mr_sock_setsockopt(sock, 3, IPPROTO_UDP, 1 /* UDP_CORK */, &on, sizeof on), 0);
  EQUAL(transmit(sock, "ab", 2, 0), 2);
  EQUAL(transmit(sock, "ef", 2, 0), 2);
  on = 0;
  EQUAL(mr_sock_setsockopt(sock, 3, IPPROTO_UDP, 1, &on, sizeof on), 0);
  EQUAL(fake_take_datagram(sock, &header, got, 8), 4);
  EQUAL(memcmp(got, "abef", 4), 0);
}

static void datagrams_refuse_what_the_kernel_refuses(void) {
  struct mr_sock *sock = udp();
  static uint8_t big[70000];
  FAILS(transmit(sock, big, 65508, 0), EMSGSIZE);
  sock->shared->error = ECONNREFUSED;
  EQUAL(mr_sock_ready(sock) & POLLERR, POLLERR);
  FAILS(transmit(sock, "a", 1, 0), ECONNREFUSED);
  EQUAL(transmit(sock, "a", 1, 0), 1);
  sock->shared->status = 0;
  FAILS(transmit(sock, "a", 1, 0), EDESTADDRREQ);
  struct sockaddr_in6 wrong = {.sin6_family = AF_INET6};
  FAILS(mr_send(sock, 3, "a", 1, 0, (struct sockaddr *)&wrong, sizeof wrong), EAFNOSUPPORT);
  FAILS(mr_send(sock, 3, "a", 1, 0, (struct sockaddr *)&wrong, 4), EINVAL);
}

/* What lies between the ring and the end that is known comes from the engine only: of one that stands still
 * nobody waits for it. Once is enough: another process may have had the processor meanwhile. */
static void a_stopped_engine_is_not_waited_for_at_the_end(void) {
  struct mr_sock *sock = tcp();
  uint32_t *engine_pid = &mr_link_now->session->engine_pid, before = *engine_pid;
  pid_t child = fork();
  if (child == 0) {
    raise(SIGSTOP);
    _exit(0);
  }
  siginfo_t info;
  EQUAL(waitid(P_PID, (id_t)child, &info, WSTOPPED), 0);
  sock->shared->tcp_state = 8; /* CLOSE_WAIT */
  EQUAL(mr_engine_is_stopped(mr_link_now), false);
  mr_store(engine_pid, (uint32_t)child);
  EQUAL(mr_engine_is_stopped(mr_link_now), true);
  int64_t least = INT64_MAX;
  for (int i = 0; i < 20 && least > 500000000; i++) {
    int64_t began = mr_now_ns();
    FAILS(receive(sock, &(char){0}, 1, MSG_DONTWAIT), EAGAIN);
    if (mr_now_ns() - began < least) least = mr_now_ns() - began;
  }
  EQUAL(least > 500000000, false);
  mr_store(engine_pid, before);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
}

/* ---- Locks ------------------------------------------------------------------------------------------ */

/* A process that dies with the lock: it forks before the session is used by threads. */
static void a_dead_holder_loses_its_lock(void) {
  struct mr_sock *sock = tcp();
  fake_give(sock, "abc", 3);
  pid_t child = fork();
  if (child == 0) {
    mr_thread.tid = 0, mr_thread.holder = 0;
    mr_lock(&sock->shared->rx_lock);
    mr_lock(&sock->shared->tx_lock);
    _exit(0);
  }
  waitpid(child, NULL, 0);
  EQUAL(sock->shared->rx_lock & MR_LOCK_TID, child);
  char got[4];
  EQUAL(receive(sock, got, 4, 0), 3);
  EQUAL(transmit(sock, "abc", 3, 0), 3);
  EQUAL(sock->shared->rx_lock, 0);
}

/* Nobody has asked for its end yet. */
static void a_zombie_loses_its_lock(void) {
  struct mr_sock *sock = tcp();
  fake_give(sock, "abc", 3);
  pid_t child = fork();
  if (child == 0) {
    mr_thread.tid = 0, mr_thread.holder = 0;
    mr_lock(&sock->shared->rx_lock);
    _exit(0);
  }
  siginfo_t info;
  EQUAL(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
  char got[4];
  EQUAL(receive(sock, got, 4, 0), 3);
  EQUAL(waitpid(child, NULL, 0), child);
}

/* A number of another pid namespace says nothing about who lives: here nobody has it. */
static void *let_go(void *context) {
  struct mr_sock *sock = context;
  usleep(200000);
  sock->shared->reserved2[0]++;
  if (mr_exchange(&sock->shared->rx_lock, 0) & MR_LOCK_WAITED) mr_unlock_slow(&sock->shared->rx_lock);
  return NULL;
}
static void a_holder_of_another_namespace_is_waited_for(void) {
  struct mr_sock *sock = tcp();
  pthread_t holder;
  uint32_t before = sock->shared->reserved2[0];
  mr_store(&sock->shared->rx_lock, (mr_holder() ^ (MR_LOCK_TID + 1)) | MR_LOCK_TID);
  pthread_create(&holder, NULL, let_go, sock);
  mr_lock(&sock->shared->rx_lock);
  EQUAL(sock->shared->reserved2[0], before + 1);
  mr_unlock(&sock->shared->rx_lock);
  pthread_join(holder, NULL);
}

/* Where there is no /proc a number may be another namespace's, even the thread's own. */
static atomic_bool has_taken;
static void *take_untagged(void *context) {
  uint32_t *lock = context, own = (uint32_t)mr_tid();
  mr_store(lock, own);
  mr_lock_slow(lock, own);
  atomic_store(&has_taken, true);
  return NULL;
}
static void a_number_alone_is_not_the_holder(void) {
  struct mr_sock *sock = tcp();
  uint32_t *lock = &sock->shared->rx_lock;
  pthread_t thread;
  pthread_create(&thread, NULL, take_untagged, lock);
  while (!(mr_load(lock) & MR_LOCK_WAITED)) usleep(1000);
  usleep(100000);
  EQUAL(atomic_load(&has_taken), false);
  mr_store(lock, 0);
  mr_unlock_slow(lock);
  pthread_join(thread, NULL);
}

static void *count_up(void *context) {
  struct mr_sock *sock = context;
  for (int i = 0; i < 20000; i++) {
    mr_lock(&sock->shared->rx_lock);
    sock->shared->reserved2[0]++;
    mr_unlock(&sock->shared->rx_lock);
  }
  return NULL;
}

static void locks_exclude(void) {
  struct mr_sock *sock = tcp();
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, count_up, sock);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  EQUAL(sock->shared->reserved2[0], 80000);
}

/* ---- Calls, names, options ---------------------------------------------------------------------------- */

static void answer(struct mr_call *call) {
  call->result = call->op == MR_OP_GETSOCKOPT ? 0 : -ENOPROTOOPT;
  if (call->op != MR_OP_GETSOCKOPT) return;
  memcpy(call->data, &(int){(int)call->args[1] + 1000}, 4);
  call->data_bytes = 4;
}

/* From here on its thread takes all submissions. */
static void serve_calls(void) {
  static bool serves;
  if (!serves) fake_serve(answer);
  serves = true;
}

static void *ask_often(void *context) {
  for (int i = 0; i < 50; i++) {
    int value = 0;
    socklen_t bytes = sizeof value;
    EQUAL(mr_sock_getsockopt(context, IPPROTO_TCP, 100 + i, &value, &bytes), 0);
    EQUAL(value, 1100 + i);
    EQUAL(bytes, 4);
  }
  return NULL;
}

static void calls_are_answered(void) {
  struct mr_sock *sock = tcp();
  serve_calls();
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, ask_often, sock);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  int on = 1;
  FAILS(mr_sock_setsockopt(sock, 3, IPPROTO_TCP, 2, &on, sizeof on), ENOPROTOOPT);
  mr_sock_drop(sock);
}

/* A call whose caller a signal has called away is nobody's to wait for. */
static void only_releases_are_waited_for(void) {
  struct mr_sock *sock = tcp();
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGUSR1, &action, NULL);
  pthread_t self = pthread_self(), thread;
  sock->shared->linger = 8;
  while (fake_submission() >= 0) {
  }
  atomic_store(&was_interrupted, false);
  pthread_create(&thread, NULL, interrupt_later, &self);
  EQUAL(mr_sock_closing(sock, 3), 0);
  atomic_store(&was_interrupted, true);
  pthread_join(thread, NULL);
  assert(fake_submission() >= 0); /* and stays unanswered */
  EQUAL(mr_call_await_released(mr_link_now), true);
  mr_call_release(mr_link_now, (uint32_t)mr_local_alloc());
  EQUAL(mr_call_await_released(mr_link_now), false);
  mr_call_reset();
}

static void own_options_come_back(void) {
  struct mr_sock *sock = tcp();
  struct linger linger = {1, 7}, got = {0, 0};
  serve_calls(); /* SO_LINGER is for the engine to know, too */
  socklen_t bytes = sizeof got;
  EQUAL(mr_sock_setsockopt(sock, 3, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
  EQUAL(sock->shared->linger, 8);
  EQUAL(mr_sock_getsockopt(sock, SOL_SOCKET, SO_LINGER, &got, &bytes), 0);
  EQUAL(got.l_linger, 7);
  struct timeval wrong = {.tv_usec = 1000000};
  FAILS(mr_sock_setsockopt(sock, 3, SOL_SOCKET, SO_RCVTIMEO, &wrong, sizeof wrong), EDOM);
  FAILS(mr_sock_setsockopt(sock, 3, SOL_SOCKET, SO_RCVLOWAT, &wrong, 2), EINVAL);
  int value;
  bytes = sizeof value;
  sock->shared->error = ETIMEDOUT;
  EQUAL(mr_sock_getsockopt(sock, SOL_SOCKET, SO_ERROR, &value, &bytes), 0);
  EQUAL(value, ETIMEDOUT);
  EQUAL(mr_sock_getsockopt(sock, SOL_SOCKET, SO_ERROR, &value, &bytes), 0);
  EQUAL(value, 0);
}

static void names_are_of_the_sockets_family(void) {
  struct mr_sock *sock = fake_socket(MR_KIND_TCP, AF_INET6, FAKE_RING, FAKE_RING);
  sock->shared->status = MR_STATUS_CONNECTED;
  sock->shared->remote = (struct mr_address){.address = {10, 77, 0, 2}, .family = AF_INET, .port = 80};
  struct sockaddr_in6 name;
  socklen_t bytes = sizeof name;
  EQUAL(mr_sock_name(sock, true, (struct sockaddr *)&name, &bytes), 0);
  EQUAL(bytes, sizeof name);
  EQUAL(IN6_IS_ADDR_V4MAPPED(&name.sin6_addr), 1);
  EQUAL(ntohs(name.sin6_port), 80);
  sock->shared->tcp_state = 7;
  FAILS(mr_sock_name(sock, true, (struct sockaddr *)&name, &bytes), ENOTCONN);
  sock->shared->family = AF_INET;
  bytes = 3;
  EQUAL(mr_sock_name(sock, false, (struct sockaddr *)&name, &bytes), 0);
  EQUAL(bytes, sizeof(struct sockaddr_in));
}

static const struct {
  const char *name;
  void (*run)(void);
} tests[] = {
#define TEST(name) {#name, name}
    TEST(a_dead_holder_loses_its_lock),
    TEST(a_zombie_loses_its_lock),
    TEST(a_holder_of_another_namespace_is_waited_for),
    TEST(a_number_alone_is_not_the_holder),
    TEST(streams_wrap),
    TEST(a_full_ring_is_eagain_and_wants_room),
    TEST(peek_leaves_and_peek_off_moves),
    TEST(trunc_throws_away),
    TEST(the_end_comes_after_the_data),
    TEST(a_reset_is_told_once),
    TEST(broken_pipes_raise_sigpipe),
    TEST(bad_pointers_are_efault),
    TEST(the_urgent_mark_splits_reads),
    TEST(room_is_told_of_when_it_is_worth_it),
    TEST(one_submission_until_the_engine_looked),
    TEST(who_cannot_tell_of_room_leaves_it_to_others),
    TEST(who_cannot_join_is_told),
    TEST(no_handler_comes_into_a_submission),
    TEST(no_connection_is_lost_for_want_of_an_entry),
    TEST(only_releases_are_waited_for),
    TEST(timeouts_are_eagain),
    TEST(a_stopped_engine_is_not_waited_for_at_the_end),
    TEST(sleepers_are_rung),
    TEST(handlers_interrupt_sleep),
    TEST(blocking_send_goes_on_as_room_comes),
    TEST(datagrams_keep_their_bounds),
    TEST(short_buffers_truncate),
    TEST(control_data_comes_along),
    TEST(control_data_goes_along),
    TEST(more_joins_datagrams),
    TEST(datagrams_refuse_what_the_kernel_refuses),
    TEST(locks_exclude),
    TEST(names_are_of_the_sockets_family),
    TEST(own_options_come_back),
    TEST(calls_are_answered),
};

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  fake_start();
  for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
    bool is_wanted = argc == 1;
    for (int j = 1; j < argc; j++) is_wanted |= strcmp(argv[j], tests[i].name) == 0;
    if (!is_wanted) continue;
    tests[i].run();
    printf("ok %s\n", tests[i].name);
  }
  return 0;
}
