/*
 * Programs that speak the engine's protocol themselves, to make it wait for them. Each says how it
 * ended for them.
 *
 *   hostile WAY SOCKET
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../../native/shim/layout.h"

#define LONG_MS 60000

static int control, session_fd, wake_fd;
static char *session;
static const char *path;

static void must(int holds, const char *what) {
  if (holds) return;
  printf("failed: %s: %s\n", what, strerror(errno));
  exit(1);
}

static ssize_t pass(int socket, const void *message, size_t bytes, const int *fds, size_t n) {
  struct iovec part = {(void *)message, bytes};
  _Alignas(struct cmsghdr) char room[CMSG_SPACE(8 * sizeof(int))] = {0};
  struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
  if (n > 0) {
    header.msg_control = room;
    header.msg_controllen = CMSG_SPACE(n * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(c), fds, n * sizeof(int));
  }
  return sendmsg(socket, &header, MSG_NOSIGNAL);
}

static ssize_t take(void *message, size_t bytes, int *fds, size_t n) {
  struct iovec part = {message, bytes};
  _Alignas(struct cmsghdr) char room[CMSG_SPACE(8 * sizeof(int))];
  struct msghdr header = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
  ssize_t got = recvmsg(control, &header, 0);
  struct cmsghdr *c = got > 0 ? CMSG_FIRSTHDR(&header) : NULL;
  if (c != NULL && fds != NULL) memcpy(fds, CMSG_DATA(c), n * sizeof(int));
  return got;
}

static void join(void) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  struct mr_hello hello = {.type = MR_MSG_HELLO, .version = MR_VERSION, .program = "hostile"};
  struct mr_welcome welcome;
  int fds[2];
  hello.pid = getpid();
  hello.spin_us = UINT32_MAX - 1;
  strncpy(to.sun_path, path, sizeof to.sun_path - 1);
  control = socket(AF_UNIX, SOCK_SEQPACKET, 0);
  must(connect(control, (struct sockaddr *)&to, sizeof to) == 0, "connect");
  must(pass(control, &hello, sizeof hello, NULL, 0) > 0, "HELLO");
  must(take(&welcome, sizeof welcome, fds, 2) > 0 && welcome.result == 0, "WELCOME");
  session_fd = fds[0];
  wake_fd = fds[1];
  session = mmap(NULL, MR_SESSION_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, session_fd, 0);
  must(session != MAP_FAILED, "mmap");
}

static void store(size_t at, uint32_t value) {
  __atomic_store_n((uint32_t *)(session + at), value, __ATOMIC_SEQ_CST);
}

static void wait_for_the_end(void) {
  struct pollfd end = {.fd = control, .events = POLLRDHUP};
  int ready = poll(&end, 1, LONG_MS);
  printf(ready > 0 ? "the engine hung up\n" : "nothing came of it\n");
}

/* An event that nobody can write to, and that makes who tries wait. */
static void stop_up(int event) {
  uint64_t most = UINT64_MAX - 1;
  must(fcntl(event, F_SETFL, 0) == 0, "F_SETFL");
  uint64_t was;
  struct pollfd full = {.fd = event, .events = POLLIN};
  if (poll(&full, 1, 0) > 0) must(read(event, &was, 8) == 8, "read");
  must(write(event, &most, 8) == 8, "write");
}

static void give_waiter(uint32_t number, int event) {
  struct mr_waiter_fd message = {.type = MR_MSG_WAITER, .waiter = number};
  must(pass(control, &message, sizeof message, &event, 1) > 0, "WAITER");
}

/* The engine rings an event at once that was to have been rung. */
static void ring_at_once(void) {
  int event = eventfd(0, 0);
  stop_up(event);
  for (uint32_t i = 0; i < 4; i++) {
    store(MR_WAITERS_AT + i * 64, MR_WAITER_RANG);
    give_waiter(i, event);
  }
  wait_for_the_end();
}

static void submit(uint32_t value) {
  uint32_t tail = __atomic_fetch_add((uint32_t *)(session + offsetof(struct mr_session, submit_tail)), 1,
                                     __ATOMIC_SEQ_CST);
  store(MR_SUBMITS_AT + tail % MR_SUBMITS * 4, (value + 1) | (tail & MR_SUBMITS ? MR_SUBMIT_LAP : 0));
  uint64_t one = 1;
  if (__atomic_exchange_n((uint32_t *)(session + offsetof(struct mr_session, engine_sleeps)), 0,
                          __ATOMIC_SEQ_CST) != 0) {
    must(write(wake_fd, &one, 8) == 8, "wake");
  }
}

/* Who makes a call sleeps until it is answered, with many events that are all stopped up. */
static void ring_for_calls(void) {
  for (uint32_t i = 0; i < 32; i++) {
    int event = eventfd(0, EFD_NONBLOCK);
    give_waiter(i, event);
    stop_up(event);
    struct mr_call call = {.op = MR_OP_PING, .waiter = i};
    memcpy(session + MR_CALLS_AT + i * sizeof call, &call, sizeof call);
    store(MR_WAITERS_AT + i * 64, MR_WAITER_SLEEPS);
    store(MR_CALLS_AT + i * sizeof call, MR_CALL_BUSY);
  }
  /* The engine has the events once it answers what was asked after them. */
  struct mr_region_wanted wanted = {.type = MR_MSG_REGION, .region_id = 77};
  struct mr_opened opened;
  must(pass(control, &wanted, sizeof wanted, NULL, 0) > 0, "REGION");
  must(take(&opened, sizeof opened, NULL, 0) > 0, "its answer");
  for (uint32_t i = 0; i < 32; i++) submit(MR_SUBMIT_CALL | i);
  wait_for_the_end();
}

/* Asks and asks, and reads no answer. */
static void ask_only(void) {
  struct mr_region_wanted wanted = {.type = MR_MSG_REGION, .region_id = 1};
  while (pass(control, &wanted, sizeof wanted, NULL, 0) > 0) {}
  printf("the engine hung up\n");
}

/* A TCP socket whose close takes an hour. */
static int lingering(void) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t bytes = sizeof at;
  struct linger hour = {.l_onoff = 1, .l_linger = 3600};
  static char data[1 << 20];
  int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
  must(listen(listener, 1) == 0, "listen");
  getsockname(listener, (struct sockaddr *)&at, &bytes);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  must(connect(fd, (struct sockaddr *)&at, sizeof at) == 0, "connect over TCP");
  must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hour, sizeof hour) == 0, "SO_LINGER");
  while (send(fd, data, sizeof data, MSG_DONTWAIT) > 0) {}
  return fd; /* its peer, never accepted, is open as long as this process */
}

/* Opens a UDP socket; the program's end of its pair, and the engine's, too. */
static void open_socket(int ends[2], int companion) {
  struct mr_open open = {
      .type = MR_MSG_OPEN, .kind = MR_KIND_UDP, .family = AF_INET, .at = MR_AT_BIND, .own.family = AF_INET};
  struct mr_opened opened;
  struct stat status;
  must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0, "socketpair");
  must(fstat(ends[0], &status) == 0, "fstat");
  open.end_inode = status.st_ino;
  open.has_companion = companion >= 0;
  int fds[2] = {ends[1], companion};
  must(pass(control, &open, sizeof open, fds, companion >= 0 ? 2 : 1) > 0, "OPEN");
  must(take(&opened, sizeof opened, NULL, 0) > 0 && opened.result == 0, "its answer");
}

/* The engine stands still until SIGCONT. */
static pid_t stop_engine(void) {
  struct ucred engine;
  socklen_t bytes = sizeof engine;
  char file[64], line[512], state = 0;
  must(getsockopt(control, SOL_SOCKET, SO_PEERCRED, &engine, &bytes) == 0, "SO_PEERCRED");
  must(kill(engine.pid, SIGSTOP) == 0, "SIGSTOP");
  snprintf(file, sizeof file, "/proc/%d/stat", engine.pid);
  while (state != 'T') {
    FILE *status = fopen(file, "r");
    must(status != NULL && fgets(line, sizeof line, status) != NULL, file);
    fclose(status);
    state = strrchr(line, ')')[2];
  }
  return engine.pid;
}

/* Passes a descriptor and keeps none. */
static void hand_over(int socket, const void *message, size_t bytes, int fd, const char *what) {
  must(pass(socket, message, bytes, &fd, 1) > 0, what);
  close(fd);
}

/* Sockets that linger come along with messages, as companions, and in the queues of what comes along. */
static void linger(void) {
  struct mr_open told = {.type = MR_MSG_KERNEL};
  int with_companion[2], to_attach[2], open_for_good[2], companion = lingering();
  open_socket(with_companion, companion);
  open_socket(to_attach, -1);
  open_socket(open_for_good, -1);
  int first = lingering(), at_program = lingering(), at_engine = lingering(), last = lingering();

  /* Who closes a socket last lingers: that is the engine, as it looks at nothing before all is closed here. */
  pid_t engine = stop_engine();
  hand_over(control, &told, sizeof told, first, "KERNEL");
  close(companion);
  close(with_companion[0]);
  close(with_companion[1]);
  hand_over(to_attach[1], "x", 1, at_program, "what waits at the program's end");
  close(to_attach[1]);
  struct mr_attach attach = {.type = MR_MSG_ATTACH, .local = 1, .fd = to_attach[0]};
  hand_over(control, &attach, sizeof attach, to_attach[0], "ATTACH");
  hand_over(open_for_good[0], "x", 1, at_engine, "what waits at the engine's end");
  close(open_for_good[0]);
  close(open_for_good[1]);
  hand_over(control, &told, sizeof told, last, "KERNEL");
  close(control);
  must(kill(engine, SIGCONT) == 0, "SIGCONT");
  join();
  printf("joined again\n");
  fflush(stdout);
  getchar();
}

/* What is done to the memory itself. */
static void shrink(void) {
  const char *how[] = {"shrink", "grow", "seal", "seal more"};
  int results[] = {ftruncate(session_fd, 0), ftruncate(session_fd, 2 * MR_SESSION_BYTES),
                   fcntl(session_fd, F_ADD_SEALS, F_SEAL_WRITE),
                   fcntl(session_fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE)};
  for (int i = 0; i < 4; i++) printf("%s: %s\n", how[i], results[i] < 0 ? "refused" : "done");
  /* A hole reads as zeros, and can be written to. */
  must(fallocate(session_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, MR_SESSION_BYTES) == 0, "hole");
  submit(MR_SUBMIT_CALL | 1);
  join();
  printf("joined again\n");
}

int main(int argc, char **argv) {
  const struct { const char *name; void (*run)(void); } ways[] = {
      {"ring-at-once", ring_at_once}, {"ring-for-calls", ring_for_calls}, {"ask-only", ask_only},
      {"linger", linger},             {"shrink", shrink},
  };
  if (argc != 3) return 2;
  path = argv[2];
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
    if (strcmp(argv[1], ways[i].name) != 0) continue;
    join();
    ways[i].run();
    return 0;
  }
  return 2;
}
