/* TCP connections one after the other in one process: what one leaves behind must not show in the next. */
#include <spawn.h>

#include "say.h"

extern char **environ;

static int server;
static uint16_t server_port;

/* Connects (`kind`: socket(2)'s flags) and accepts (`flags`). */
static void one(int *a, int *b, int kind, int flags) {
  *a = socket(home.ss_family, SOCK_STREAM | kind, 0);
  int result = connect(*a, at(server_port), home_bytes);
  must(result == 0 || errno == EINPROGRESS, "connect");
  *b = accept4(server, NULL, NULL, flags);
  must(*b >= 0, "accept4");
  must(await(*a, POLLOUT), "connected");
}

/* What comes; `moment`: or that nothing does. */
static const char *news_within(int fd, int moment) {
  char byte;
  struct pollfd polled = {.fd = fd, .events = POLLIN};
  if (poll(&polled, 1, moment) == 0) return "nothing";
  ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
  return n == 0 ? "end" : n > 0 ? "data" : strerrorname_np(errno);
}

static const char *news(int fd) { return news_within(fd, LONG_MS); }
static const char *silence(int fd) { return news_within(fd, 400); }

static void many(void) {
  section("many, one after the other");
  int wrong = 0;
  for (int i = 0; i < 200; i++) {
    int a, b;
    char text[32], got[32] = "";
    one(&a, &b, 0, 0);
    int n = snprintf(text, sizeof text, "connection %d", i);
    wrong += send(a, text, (size_t)n, 0) != n;
    wrong += recv(b, got, sizeof got, 0) != n || memcmp(text, got, (size_t)n) != 0;
    if (i % 3 == 0) wrong += send(b, "x", 1, 0) != 1 || strcmp(news(a), "data") != 0;
    close(i % 2 == 0 ? a : b);
    wrong += strcmp(news(i % 2 == 0 ? b : a), "end") != 0;
    close(i % 2 == 0 ? b : a);
  }
  printf("wrong: %d\n", wrong);
}

/* Each is set before each of some connections. */
static void options_before(void) {
  section("options before");
  static const struct {
    int level, option;
    const char *name;
  } known[] = {
      {IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY"}, {IPPROTO_TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE"},
      {SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE"}, {SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR"},
      {SOL_SOCKET, SO_SNDBUF, "SO_SNDBUF"},       {SOL_SOCKET, SO_RCVTIMEO, "SO_RCVTIMEO"},
  };
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    for (int n = 0; n < 4; n++) {
      struct timeval moment = {.tv_sec = 7};
      int value = known[i].option == SO_SNDBUF ? 100000 : 1;
      bool is_time = known[i].option == SO_RCVTIMEO;
      int a = socket(home.ss_family, SOCK_STREAM, 0);
      int set = setsockopt(a, known[i].level, known[i].option, is_time ? (void *)&moment : (void *)&value,
                           is_time ? sizeof moment : sizeof value);
      int result = connect(a, at(server_port), home_bytes);
      int failed = result == 0 ? 0 : errno;
      int b = result == 0 ? accept(server, NULL, NULL) : -1;
      int64_t got[2] = {0};
      socklen_t bytes = is_time ? sizeof moment : sizeof value;
      getsockopt(a, known[i].level, known[i].option, got, &bytes);
      printf("%s %d: %s, %lld\n", known[i].name, set, failed == 0 ? "connected" : strerrorname_np(failed),
             (long long)got[0]);
      close(a);
      close(b);
    }
  }
}

static void side_by_side(void) {
  section("many at once");
  enum { N = 40 };
  int a[N], b[N], wrong = 0;
  for (int round = 0; round < 4; round++) {
    for (int i = 0; i < N; i++) one(&a[i], &b[i], 0, 0);
    for (int i = 0; i < N; i++) wrong += send(a[i], &i, sizeof i, 0) != sizeof i;
    for (int i = 0; i < N; i++) {
      int got = -1;
      wrong += recv(b[i], &got, sizeof got, MSG_WAITALL) != sizeof got || got != i;
    }
    for (int i = 0; i < N; i++) close(a[i]), close(b[i]);
  }
  printf("wrong: %d\n", wrong);
}

/* What belongs to the description of a file, and options. */
static void flags_of(int fd) {
  printf("flags%s%s%s, nodelay %d, keepalive %d, lowat %d\n", fcntl(fd, F_GETFL) & O_NONBLOCK ? " nonblock" : "",
         fcntl(fd, F_GETFL) & O_ASYNC ? " async" : "", fcntl(fd, F_GETFD) & FD_CLOEXEC ? " cloexec" : "",
         int_option(fd, IPPROTO_TCP, TCP_NODELAY) != 0, int_option(fd, SOL_SOCKET, SO_KEEPALIVE),
         int_option(fd, SOL_SOCKET, SO_RCVLOWAT));
}

static void fresh(void) {
  section("nothing of the last one shows");
  int kinds[] = {0, SOCK_NONBLOCK, 0, SOCK_CLOEXEC, SOCK_NONBLOCK | SOCK_CLOEXEC, 0};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    int a, b;
    one(&a, &b, kinds[i], kinds[i]);
    flags_of(a);
    flags_of(b);
    set_int(a, IPPROTO_TCP, TCP_NODELAY, 1);
    set_int(b, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_int(b, SOL_SOCKET, SO_RCVLOWAT, 7);
    flags_of(a);
    flags_of(b);
    if (i == 1) fcntl(b, F_SETFL, 0);
    if (i == 2) fcntl(a, F_SETFL, O_NONBLOCK);
    if (i == 3) fcntl(b, F_SETFL, O_ASYNC), fcntl(b, F_SETOWN, getpid());
    shutdown(i % 2 == 0 ? a : b, i == 4 ? SHUT_RD : SHUT_WR);
    close(a);
    close(b);
  }
}

static void names(void) {
  section("names at once");
  for (int i = 0; i < 3; i++) {
    int a = socket(home.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_storage name;
    socklen_t bytes = sizeof name;
    int result = connect(a, at(server_port), home_bytes);
    printf("connect: %s, ", result < 0 ? strerrorname_np(errno) : "0");
    bool has_port = port_of(a) != 0;
    int b = accept(server, NULL, NULL);
    must(b >= 0 && getpeername(b, (struct sockaddr *)&name, &bytes) == 0, "getpeername");
    printf("own port %d, the peer's %d\n", has_port,
           ntohs(((struct sockaddr_in *)&name)->sin_port) == port_of(a));
    close(a);
    close(b);
  }
}

static void refused(void) {
  section("the listener goes");
  uint16_t port;
  int l = listener(&port);
  for (int i = 0; i < 3; i++) {
    int a = socket(home.ss_family, SOCK_STREAM, 0);
    must(connect(a, at(port), home_bytes) == 0, "connect");
    close(accept(l, NULL, NULL));
    close(a);
  }
  close(l);
  for (int i = 0; i < LONG_MS / 10; i++) { /* the end of a listener takes a moment */
    int a = socket(home.ss_family, SOCK_STREAM, 0);
    int result = connect(a, at(port), home_bytes);
    close(a);
    if (result < 0) break;
    usleep(10000);
  }
  for (int i = 0; i < 2; i++) {
    int a = socket(home.ss_family, SOCK_STREAM | (i == 1 ? SOCK_NONBLOCK : 0), 0);
    int result = connect(a, at(port), home_bytes);
    if (i == 0) printf("connect: %s\n", result < 0 ? strerrorname_np(errno) : "0");
    say_ready_after("a", a, i == 0 ? POLLHUP : POLLERR | POLLHUP); /* connect has told the error */
    printf("SO_ERROR %d\n", int_option(a, SOL_SOCKET, SO_ERROR));
    close(a);
  }
}

/* Others have the socket, too: closing it here does not end it. */
static void held_by_a_child(void) {
  section("a child of fork has it");
  int a, b, go[2];
  must(pipe(go) == 0, "pipe");
  one(&a, &b, 0, 0);
  pid_t child = fork();
  if (child == 0) {
    char byte;
    close(a);
    close(go[1]);
    _exit(read(go[0], &byte, 1) == 1 ? 0 : 1);
  }
  close(b);
  printf("after close: %s\n", silence(a));
  must(write(go[1], "x", 1) == 1, "write");
  waitpid(child, NULL, 0);
  printf("after the child: %s\n", news(a));
  close(a);
  close(go[0]);
  close(go[1]);
}

static void held_by_a_program(const char *how) {
  section(how);
  int a, b, status, go[2];
  must(pipe(go) == 0 && fcntl(go[1], F_SETFD, FD_CLOEXEC) == 0, "pipe");
  must(go[0] < 10, "a descriptor of one digit, which sh wants");
  one(&a, &b, SOCK_CLOEXEC, 0);
  char line[64];
  snprintf(line, sizeof line, "cat <&%d >/dev/null 2>&1", go[0]); /* until we close our end */
  char *words[] = {"sh", "-c", line, NULL};
  pid_t child = -1;
  if (strcmp(how, "system") == 0) must(system(strcat(line, " &")) == 0, "system");
  else must(posix_spawn(&child, "/bin/sh", NULL, NULL, words, environ) == 0, "posix_spawn");
  close(b);
  printf("after close: %s\n", silence(a));
  close(go[1]);
  if (child > 0) waitpid(child, &status, 0);
  await(a, POLLIN);
  printf("after the program: %s\n", news(a));
  close(a);
  close(go[0]);
}

static void passed_on(void) {
  section("passed on");
  int a, b, way[2];
  must(socketpair(AF_UNIX, SOCK_STREAM, 0, way) == 0, "socketpair");
  one(&a, &b, 0, 0);
  char byte = 'x', room[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec vector = {&byte, 1};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
  struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
  *rights = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  memcpy(CMSG_DATA(rights), &b, sizeof b);
  must(sendmsg(way[0], &message, 0) == 1, "sendmsg");
  close(b);
  printf("on the way: %s\n", silence(a));
  message.msg_controllen = sizeof room;
  must(recvmsg(way[1], &message, 0) == 1, "recvmsg");
  memcpy(&b, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof b);
  SAY(send(b, "y", 1, 0));
  printf("arrived: %s\n", news(a));
  close(b);
  printf("closed: %s\n", news(a));
  close(a);
  close(way[0]);
  close(way[1]);
}

int main(int argc, char **argv) {
  start(argc, argv);
  signal(SIGIO, SIG_IGN);
  server = listener(&server_port);
  fcntl(server, F_SETFD, FD_CLOEXEC);
  many();
  options_before();
  side_by_side();
  fresh();
  names();
  refused();
  held_by_a_child();
  many();
  held_by_a_program("posix_spawn");
  held_by_a_program("system");
  many();
  passed_on();
  many();
  return 0;
}
