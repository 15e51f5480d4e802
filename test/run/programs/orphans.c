/*
 * What programs are told when the engine dies: one thread for each call that waits, `waiting`, and the rest when
 * it is gone.
 */
#include "say.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>

#define PATIENCE_MS 60000

static char nothing[65536];

/* ---- Calls that wait, each on sockets of its own ----------------------------------------------------------- */

struct call {
  const char *name;
  void (*prepare)(struct call *call);
  long (*run)(struct call *call);
  int fd, other; /* its socket, and what else it needs */
  uint16_t port;
  bool is_datagram; /* at the wildcard */
  long result;
  int error;
};

static void with_stream(struct call *call) { stream(&call->fd, &call->other); }
static void with_listener(struct call *call) { call->fd = listener(&call->port); }
static void with_datagram(struct call *call) { call->fd = datagram(&call->port); }

/* Nothing more goes in. */
static void with_full(struct call *call) {
  with_stream(call);
  for (int quiet = 0; quiet < 20;) {
    if (send(call->fd, nothing, sizeof nothing, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) quiet = 0;
    else quiet++, usleep(5000);
  }
}

static struct sockaddr *nobody(void) {
  struct sockaddr_in *to = (struct sockaddr_in *)at(9);
  to->sin_addr.s_addr = htonl(ntohl(to->sin_addr.s_addr) + 98);
  return (struct sockaddr *)to;
}

/* Under way already, so that it is Millrace's even if the thread should come too late. */
static void with_connect(struct call *call) {
  call->fd = socket(home.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
  must(connect(call->fd, nobody(), home_bytes) < 0 && errno == EINPROGRESS, "connect");
  fcntl(call->fd, F_SETFL, 0);
}

static void with_linger(struct call *call) {
  with_full(call);
  struct linger linger = {.l_onoff = 1, .l_linger = 1000};
  setsockopt(call->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

static void with_epoll(struct call *call) {
  with_stream(call);
  struct epoll_event event = {.events = EPOLLIN};
  call->other = epoll_create1(0);
  epoll_ctl(call->other, EPOLL_CTL_ADD, call->fd, &event);
}

static void with_nested(struct call *call) {
  with_epoll(call);
  struct epoll_event event = {.events = EPOLLIN};
  int outer = epoll_create1(0);
  epoll_ctl(outer, EPOLL_CTL_ADD, call->other, &event);
  call->other = outer;
}

static struct sockaddr *kernels(uint16_t port, bool any) {
  struct sockaddr_in *to = (struct sockaddr_in *)at(port);
  to->sin_addr.s_addr = htonl(any ? INADDR_ANY : INADDR_LOOPBACK);
  return (struct sockaddr *)to;
}

/* Heard at the kernel's addresses, too. */
static void with_wildcard(struct call *call) {
  call->fd = socket(home.ss_family, SOCK_STREAM, 0);
  must(bind(call->fd, kernels(0, true), home_bytes) == 0 && listen(call->fd, 4) == 0, "a listener at the wildcard");
  call->port = port_of(call->fd);
}

static void watch(struct call *call, unsigned events) {
  struct epoll_event event = {.events = events};
  call->other = epoll_create1(0);
  epoll_ctl(call->other, EPOLL_CTL_ADD, call->fd, &event);
}

static void with_watched_wildcard(struct call *call) {
  with_wildcard(call);
  watch(call, EPOLLIN);
}

static void with_edge_wildcard(struct call *call) {
  with_wildcard(call);
  watch(call, EPOLLIN | EPOLLET);
}

static void with_open_datagram(struct call *call) {
  call->is_datagram = true;
  call->fd = socket(home.ss_family, SOCK_DGRAM, 0);
  must(bind(call->fd, kernels(0, true), home_bytes) == 0, "datagrams at the wildcard");
  call->port = port_of(call->fd);
}

static void with_watched_datagram(struct call *call) {
  with_open_datagram(call);
  watch(call, EPOLLIN);
}

static void with_edge_datagram(struct call *call) {
  with_open_datagram(call);
  watch(call, EPOLLIN | EPOLLET);
}

/* Of Millrace's: the companion is silent. */
static void with_peer(struct call *call) {
  with_open_datagram(call);
  uint16_t port;
  datagram(&port);
  must(connect(call->fd, at(port), home_bytes) == 0, "connect of datagrams");
}

static long do_recv(struct call *c) { return recv(c->fd, nothing, 10, 0); }
static long do_read(struct call *c) { return read(c->fd, nothing, 10); }
static long do_recvmsg(struct call *c) {
  struct iovec vector = {nothing, 10};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  return recvmsg(c->fd, &message, MSG_WAITALL);
}
static long do_recvmmsg(struct call *c) {
  struct iovec vector = {nothing, 10};
  struct mmsghdr message = {.msg_hdr = {.msg_iov = &vector, .msg_iovlen = 1}};
  return recvmmsg(c->fd, &message, 1, 0, NULL);
}
static long do_splice(struct call *c) {
  int ends[2];
  must(pipe(ends) == 0, "pipe");
  return splice(c->fd, NULL, ends[1], NULL, 10, 0);
}
/* Again and again: what looked full may take some more yet. */
static long do_send(struct call *c) {
  long result;
  while ((result = send(c->fd, nothing, sizeof nothing, MSG_NOSIGNAL)) > 0) {
  }
  return result;
}
static long do_writev(struct call *c) {
  struct iovec vector = {nothing, sizeof nothing};
  long result;
  while ((result = writev(c->fd, &vector, 1)) > 0) {
  }
  return result;
}
static long do_sendfile(struct call *c) {
  int file = open("/proc/self/exe", O_RDONLY);
  off_t start = 0;
  while (sendfile(c->fd, file, &start, 4096) > 0) start = 0;
  return -1;
}
static long do_accept(struct call *c) { return accept(c->fd, NULL, NULL); }
static long do_connect(struct call *c) {
  long result = connect(c->fd, nobody(), home_bytes);
  /* Where everything takes long the engine has found out that nobody is there before it died. */
  if (result < 0 && errno == EHOSTUNREACH) errno = ECONNRESET;
  return result;
}
static long do_close(struct call *c) { return close(c->fd); }
static long do_poll(struct call *c) {
  struct pollfd one = {.fd = c->fd, .events = POLLIN};
  return poll(&one, 1, PATIENCE_MS) == 1 ? one.revents : -1;
}
static long do_ppoll(struct call *c) {
  struct pollfd one = {.fd = c->fd, .events = POLLIN};
  return ppoll(&one, 1, NULL, NULL) == 1 ? one.revents : -1;
}
static long do_select(struct call *c) {
  struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
  fd_set set;
  FD_ZERO(&set);
  FD_SET(c->fd, &set);
  return select(c->fd + 1, &set, NULL, NULL, &patience);
}
static long do_epoll_wait(struct call *c) {
  struct epoll_event event = {0};
  return epoll_wait(c->other, &event, 1, PATIENCE_MS) == 1 ? (long)event.events : -1;
}
static long do_pselect(struct call *c) {
  struct timespec patience = {.tv_sec = PATIENCE_MS / 1000};
  fd_set set;
  sigset_t mask;
  sigemptyset(&mask);
  FD_ZERO(&set);
  FD_SET(c->fd, &set);
  return pselect(c->fd + 1, &set, NULL, NULL, &patience, &mask);
}
static long do_epoll_pwait(struct call *c) {
  struct epoll_event event = {0};
  sigset_t mask;
  sigemptyset(&mask);
  return epoll_pwait(c->other, &event, 1, -1, &mask) == 1 ? (long)event.events : -1;
}
static long do_epoll_pwait2(struct call *c) {
  struct epoll_event event = {0};
  return epoll_pwait2(c->other, &event, 1, NULL, NULL) == 1 ? (long)event.events : -1;
}

static struct call calls[] = {
    {.name = "recv", .prepare = with_stream, .run = do_recv},
    {.name = "read", .prepare = with_stream, .run = do_read},
    {.name = "recvmsg", .prepare = with_stream, .run = do_recvmsg},
    {.name = "recvmmsg", .prepare = with_stream, .run = do_recvmmsg},
    {.name = "splice", .prepare = with_stream, .run = do_splice},
    {.name = "recv of datagrams", .prepare = with_datagram, .run = do_recv},
    {.name = "recvmmsg of datagrams", .prepare = with_datagram, .run = do_recvmmsg},
    {.name = "send", .prepare = with_full, .run = do_send},
    {.name = "writev", .prepare = with_full, .run = do_writev},
    {.name = "sendfile", .prepare = with_full, .run = do_sendfile},
    {.name = "accept", .prepare = with_listener, .run = do_accept},
    {.name = "connect", .prepare = with_connect, .run = do_connect},
    {.name = "close that lingers", .prepare = with_linger, .run = do_close},
    {.name = "poll", .prepare = with_stream, .run = do_poll},
    {.name = "ppoll", .prepare = with_stream, .run = do_ppoll},
    {.name = "poll of a listener", .prepare = with_listener, .run = do_poll},
    {.name = "poll of datagrams", .prepare = with_datagram, .run = do_poll},
    {.name = "recv from a peer", .prepare = with_peer, .run = do_recv},
    {.name = "select", .prepare = with_stream, .run = do_select},
    {.name = "pselect", .prepare = with_stream, .run = do_pselect},
    {.name = "epoll_wait", .prepare = with_epoll, .run = do_epoll_wait},
    {.name = "epoll_pwait", .prepare = with_epoll, .run = do_epoll_pwait},
    {.name = "epoll_pwait2", .prepare = with_epoll, .run = do_epoll_pwait2},
    {.name = "epoll_wait, nested", .prepare = with_nested, .run = do_epoll_wait},
    /* These hear the kernel as well, and go on with it. */
    {.name = "accept at the wildcard", .prepare = with_wildcard, .run = do_accept},
    {.name = "poll at the wildcard", .prepare = with_wildcard, .run = do_poll},
    {.name = "ppoll at the wildcard", .prepare = with_wildcard, .run = do_ppoll},
    {.name = "select at the wildcard", .prepare = with_wildcard, .run = do_select},
    {.name = "epoll_wait at the wildcard", .prepare = with_watched_wildcard, .run = do_epoll_wait},
    {.name = "pselect at the wildcard", .prepare = with_wildcard, .run = do_pselect},
    {.name = "epoll_pwait at the wildcard", .prepare = with_watched_wildcard, .run = do_epoll_pwait},
    {.name = "epoll_pwait2 at the wildcard", .prepare = with_watched_wildcard, .run = do_epoll_pwait2},
    {.name = "epoll_wait for edges at the wildcard", .prepare = with_edge_wildcard, .run = do_epoll_wait},
    {.name = "recv at the wildcard", .prepare = with_open_datagram, .run = do_recv},
    {.name = "recvmmsg at the wildcard", .prepare = with_open_datagram, .run = do_recvmmsg},
    {.name = "poll of datagrams at the wildcard", .prepare = with_open_datagram, .run = do_poll},
    {.name = "pselect of datagrams at the wildcard", .prepare = with_open_datagram, .run = do_pselect},
    {.name = "epoll_pwait of datagrams at the wildcard", .prepare = with_watched_datagram, .run = do_epoll_pwait},
    {.name = "epoll_wait for edges of datagrams", .prepare = with_edge_datagram, .run = do_epoll_wait},
};
enum { CALLS = sizeof calls / sizeof *calls, ALONE = 24, OPEN = ALONE + 9 };

static void *run(void *context) {
  struct call *call = context;
  call->result = call->run(call);
  call->error = errno;
  return NULL;
}

static void say_end(const struct call *call) {
  if (call->result < 0) printf("%s: %s\n", call->name, strerrorname_np(call->error));
  else if (call->run == do_accept) printf("%s: a connection\n", call->name);
  else printf("%s: %lx\n", call->name, (unsigned long)call->result);
}

/* ---- Afterwards ------------------------------------------------------------------------------------------ */

static void say_sleep(int fd) {
  struct rusage before, after;
  struct pollfd one = {.fd = fd, .events = POLLIN};
  getrusage(RUSAGE_THREAD, &before);
  SAY(poll(&one, 1, 300));
  getrusage(RUSAGE_THREAD, &after);
  printf("it slept %s\n", after.ru_nvcsw - before.ru_nvcsw < 30 ? "all the time" : "again and again");
}

/* Who waits for the kernel's connections sleeps. */
static void say_quiet(const struct call *call) {
  say_sleep(call->fd);
  fcntl(call->fd, F_SETFL, O_NONBLOCK);
  SAY(accept(call->fd, NULL, NULL));
  fcntl(call->fd, F_SETFL, 0);
  struct timeval timeout = {.tv_usec = 20000};
  SAY(setsockopt(call->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout));
  SAY(accept(call->fd, NULL, NULL));
}

/* Datagrams to and fro. */
static void say_datagrams(const struct call *call) {
  char byte;
  int other = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in from;
  socklen_t bytes = sizeof from;
  struct timeval timeout = {.tv_usec = 20000};
  struct pollfd one = {.fd = call->fd, .events = POLLIN | POLLOUT};
  SAY(setsockopt(call->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout));
  SAY(recv(call->fd, &byte, 1, 0));
  SAY(recv(call->fd, &byte, 1, MSG_DONTWAIT));
  SAY(poll(&one, 1, 0) == 1 && one.revents == POLLOUT);
  SAY(sendto(other, "a", 1, 0, kernels(call->port, false), home_bytes));
  SAY(poll(&one, 1, PATIENCE_MS) == 1 && one.revents == (POLLIN | POLLOUT));
  SAY(recvfrom(call->fd, &byte, 1, 0, (struct sockaddr *)&from, &bytes));
  SAY(sendto(call->fd, "b", 1, 0, (struct sockaddr *)&from, bytes));
  SAY(recv(other, &byte, 1, 0));
  SAY(send(call->fd, "c", 1, 0));
  SAY(connect(call->fd, (struct sockaddr *)&from, bytes));
  SAY(send(call->fd, "c", 1, 0));
  SAY(recv(other, &byte, 1, 0));
  SAY(int_option(call->fd, SOL_SOCKET, SO_ERROR));
}

/* A child hears the listener by an instance, of its own (-1) or inherited; exits with 0 if all is well. */
static int child_hears(int fd, int epfd) {
  struct epoll_event event = {.events = EPOLLIN};
  struct rusage before, after;
  if (epfd < 0) epoll_ctl(epfd = epoll_create1(0), EPOLL_CTL_ADD, fd, &event);
  if (epoll_wait(epfd, &event, 1, PATIENCE_MS) != 1) return 1;
  if (accept(fd, NULL, NULL) < 0) return 2;
  getrusage(RUSAGE_THREAD, &before);
  if (epoll_wait(epfd, &event, 1, 100) != 0) return 3;
  getrusage(RUSAGE_THREAD, &after);
  return after.ru_nvcsw - before.ru_nvcsw < 30 ? 0 : 4;
}

static void say_child(const struct call *call, int epfd) {
  int status = -1, to = socket(AF_INET, SOCK_STREAM, 0);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) _exit(child_hears(call->fd, epfd));
  usleep(50000); /* most times it waits by then */
  must(connect(to, kernels(call->port, false), home_bytes) == 0, "connect to the child");
  waitpid(child, &status, 0);
  SAY(status);
}

static void say_kernel_works(void) {
  int fresh = socket(AF_INET, SOCK_STREAM, 0), to = socket(AF_INET, SOCK_STREAM, 0);
  SAY(bind(fresh, kernels(0, false), home_bytes));
  SAY(listen(fresh, 1));
  uint16_t port = port_of(fresh);
  SAY(connect(to, kernels(port, false), home_bytes));
}

int main(int argc, char **argv) {
  pthread_t threads[CALLS];
  int a, b;
  uint16_t port;
  start(argc, argv);
  signal(SIGPIPE, SIG_IGN);
  for (int i = 0; i < CALLS; i++) calls[i].prepare(&calls[i]);
  stream(&a, &b);
  int u = datagram(&port);
  for (int i = 0; i < CALLS; i++) pthread_create(&threads[i], NULL, run, &calls[i]);
  usleep(200000);
  printf("waiting\n");
  for (int i = 0; i < ALONE; i++) {
    pthread_join(threads[i], NULL);
    say_end(&calls[i]);
  }
  SAY(recv(a, nothing, 1, 0));
  SAY(recv(a, nothing, 1, 0));
  SAY(send(a, "x", 1, MSG_NOSIGNAL));
  SAY(recv(u, nothing, 1, MSG_DONTWAIT));
  SAY(sendto(u, "x", 1, 0, at(9), home_bytes));
  SAY(close(a));
  say_sleep(u);
  for (int i = ALONE; i < CALLS; i++) {
    bool is_datagram = calls[i].is_datagram;
    int to = socket(AF_INET, is_datagram ? SOCK_DGRAM : SOCK_STREAM, 0);
    must(connect(to, kernels(calls[i].port, false), home_bytes) == 0, "connect to the kernel's socket");
    if (is_datagram) must(send(to, "x", 1, 0) == 1, "send to the kernel's socket");
    pthread_join(threads[i], NULL);
    say_end(&calls[i]);
    if (is_datagram && calls[i].run != do_recv && calls[i].run != do_recvmmsg) SAY(recv(calls[i].fd, nothing, 10, 0));
    if (!is_datagram && calls[i].run != do_accept) SAY(accept(calls[i].fd, NULL, NULL) > 0);
  }
  say_quiet(&calls[ALONE]);
  SAY(int_option(calls[ALONE].fd, SOL_SOCKET, SO_ERROR));
  SAY(listen(calls[ALONE].fd, 2));
  say_sleep(calls[OPEN].fd);
  say_datagrams(&calls[OPEN]);
  say_child(&calls[ALONE + 1], -1);
  say_child(&calls[ALONE + 4], calls[ALONE + 4].other);
  say_kernel_works();
  return 0;
}
