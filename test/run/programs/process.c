/* Descriptors and processes: dup, fork, exec, passing, streams, files into sockets. */
#include "harness.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>

extern char **environ;
static const char *self;

static void say_read(const char *what, int fd) {
  char bytes[64] = {0};
  ssize_t n = read(fd, bytes, sizeof bytes - 1);
  say("%s: %s '%s'", what, outcome(n), n > 0 ? bytes : "");
}

/* How a child ended that may have printed. */
static void end_of(pid_t child) {
  int status;
  MUST(waitpid(child, &status, 0));
  if (WIFEXITED(status)) say("child: exit %d", WEXITSTATUS(status));
  else say("child: signal %d", WTERMSIG(status));
}

static void duplicates(void) {
  int pair[2];
  tcp_pair(pair);
  int copy = dup(pair[1]), high = fcntl(pair[1], F_DUPFD_CLOEXEC, 100), low = fcntl(pair[1], F_DUPFD, 60);
  say("high %d low %d", high >= 100, low >= 60);
  say("cloexec %d %d", fcntl(high, F_GETFD), fcntl(low, F_GETFD));
  MUST(send(pair[0], "abcdef", 6, 0));
  char byte;
  MUST(recv(copy, &byte, 1, 0));
  say("%c", byte);
  MUST(close(pair[1]));
  MUST(recv(high, &byte, 1, 0));
  say("%c", byte);
  int end[2];
  MUST(pipe(end));
  int over = end[0];
  say("dup2 %d", dup2(copy, over) == over);
  say_read("over a pipe", over);
  say("dup2 of itself %d", dup2(over, over) == over);
  say("dup2 of none %s", outcome(dup2(999, over)));
  say("dup3 of itself %s", outcome(dup3(over, over, 0)));
  say("dup3 %d", dup3(over, 70, O_CLOEXEC) == 70);
  say("cloexec %d", fcntl(70, F_GETFD));
  close(copy), close(high), close(low), close(over);
  MUST(send(pair[0], "x", 1, 0));
  say_read("the last", 70);
  /* A pipe over the last number of a socket closes it. */
  MUST(dup2(end[1], 70));
  await(pair[0], POLLIN);
  say_read("the peer", pair[0]);
  close(70), close(end[1]), close(pair[0]);
  tcp_pair(pair);
  MUST(fcntl(pair[0], F_SETFL, O_NONBLOCK));
  copy = dup(pair[0]);
  say("shared O_NONBLOCK %d", (fcntl(copy, F_GETFL) & O_NONBLOCK) != 0);
  say("recv %s", outcome(recv(copy, &byte, 1, 0)));
  MUST(close_range((unsigned)copy, (unsigned)copy, 0));
  say("closed %s", outcome(fcntl(copy, F_GETFD)));
  close(pair[0]), close(pair[1]);
}

static void forked(void) {
  int pair[2];
  tcp_pair(pair);
  pid_t child = fork();
  if (child == 0) {
    close(pair[0]);
    char byte;
    if (recv(pair[1], &byte, 1, 0) != 1) _exit(1);
    if (send(pair[1], "from the child", 14, 0) != 14) _exit(2);
    struct sockaddr_in name;
    socklen_t bytes = sizeof name;
    if (getpeername(pair[1], (struct sockaddr *)&name, &bytes) < 0 || name.sin_port == 0) _exit(3);
    int error;
    bytes = sizeof error;
    if (getsockopt(pair[1], SOL_SOCKET, SO_ERROR, &error, &bytes) < 0 || error != 0) _exit(4);
    _exit(0);
  }
  MUST(send(pair[0], "a", 1, 0));
  end_of(child);
  say_read("the parent's end", pair[0]);
  /* The child's exit closed nothing: the parent has the socket, too. */
  MUST(send(pair[1], "from the parent", 15, 0));
  say_read("the parent's end", pair[0]);
  close(pair[1]);
  say_read("at the end", pair[0]);
  close(pair[0]);
}

/* The parent closes, the child goes on. */
static void handed_to_child(void) {
  int pair[2];
  tcp_pair(pair);
  int go[2];
  MUST(pipe(go));
  pid_t child = fork();
  if (child == 0) {
    char byte;
    close(pair[0]);
    if (read(go[0], &byte, 1) != 1) _exit(1);
    if (send(pair[1], "hello", 5, 0) != 5) _exit(2);
    _exit(0);
  }
  MUST(close(pair[1]));
  struct pollfd polled = {.fd = pair[0], .events = POLLIN};
  say("still open %s", outcome(poll(&polled, 1, 50)));
  MUST(write(go[1], "x", 1));
  say_read("from the child", pair[0]);
  end_of(child);
  await(pair[0], POLLIN);
  say_read("end", pair[0]);
  close(pair[0]), close(go[0]), close(go[1]);
}

static void preforked(void) {
  enum { WORKERS = 3, CLIENTS = 9 };
  struct sockaddr_in at;
  int server = listener(&at);
  pid_t workers[WORKERS];
  for (int i = 0; i < WORKERS; i++) {
    workers[i] = fork();
    if (workers[i] != 0) continue;
    for (;;) {
      char byte;
      int peer = accept(server, NULL, NULL);
      if (peer < 0) _exit(1);
      if (recv(peer, &byte, 1, 0) != 1) _exit(2);
      if (byte == 'q') _exit(0);
      byte++;
      if (send(peer, &byte, 1, 0) != 1) _exit(3);
      close(peer);
    }
  }
  char answers[CLIENTS + 1] = {0};
  for (int i = 0; i < CLIENTS; i++) {
    int client = new_socket(SOCK_STREAM);
    char byte = (char)('a' + i);
    MUST(connect(client, (struct sockaddr *)&at, sizeof at));
    MUST(send(client, &byte, 1, 0));
    must(recv(client, &answers[i], 1, 0) == 1, "an answer");
    close(client);
  }
  say("%s", answers);
  for (int i = 0; i < WORKERS; i++) {
    int client = new_socket(SOCK_STREAM);
    MUST(connect(client, (struct sockaddr *)&at, sizeof at));
    MUST(send(client, "q", 1, 0));
    char byte;
    say("quit %s", outcome(recv(client, &byte, 1, 0)));
    close(client);
  }
  for (int i = 0; i < WORKERS; i++) end_of(workers[i]);
  close(server);
}

/* As nginx: the instance is the child's, the listener inherited; and an inherited instance. */
static void epoll_in_child(void) {
  struct sockaddr_in at;
  int server = listener(&at), inherited = epoll_create1(0);
  ADD(inherited, server, EPOLLIN, 7);
  for (int kind = 0; kind < 2; kind++) {
    pid_t child = fork();
    if (child == 0) {
      int epfd = kind == 0 ? epoll_create1(0) : inherited;
      if (kind == 0) ADD(epfd, server, EPOLLIN, 7);
      struct epoll_event event;
      if (epoll_wait(epfd, &event, 1, PATIENCE_MS) != 1 || event.data.u64 != 7) _exit(1);
      int peer = accept(server, NULL, NULL);
      if (peer < 0) _exit(2);
      ADD(epfd, peer, EPOLLIN, 8);
      if (epoll_wait(epfd, &event, 1, PATIENCE_MS) != 1 || event.data.u64 != 8) _exit(3);
      char byte;
      if (recv(peer, &byte, 1, 0) != 1 || send(peer, "ok", 2, 0) != 2) _exit(4);
      _exit(0);
    }
    int client = new_socket(SOCK_STREAM);
    MUST(connect(client, (struct sockaddr *)&at, sizeof at));
    MUST(send(client, "x", 1, 0));
    say_read("answer", client);
    end_of(child);
    close(client);
  }
  close(server), close(inherited);
}

/* The first that the child does with the socket is to sleep on it: longer than anybody polls. */
static void poll_in_child(void) {
  int pair[2];
  tcp_pair(pair);
  MUST(send(pair[1], "a", 1, 0)); /* the parent has used it */
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    struct pollfd wanted = {.fd = pair[1], .events = POLLIN};
    alarm(20); /* who is not woken is killed */
    say("poll %s", outcome(poll(&wanted, 1, -1)));
    say_read("the child", pair[1]);
    fflush(stdout);
    _exit(0);
  }
  usleep(300000);
  MUST(send(pair[0], "late", 4, 0));
  end_of(child);
  close(pair[0]), close(pair[1]);
}

static void *fork_beside(void *argument) {
  int *pair = argument;
  for (int i = 0; i < 100; i++) {
    char byte;
    if (send(pair[0], "x", 1, 0) != 1 || recv(pair[1], &byte, 1, 0) != 1) return (void *)1;
  }
  return NULL;
}

static void forked_with_threads(void) {
  int pair[2], own[2];
  tcp_pair(pair);
  tcp_pair(own);
  pthread_t thread;
  pthread_create(&thread, NULL, fork_beside, pair);
  int failures = 0;
  for (int i = 0; i < 6; i++) {
    pid_t child = fork();
    if (child == 0) {
      char byte;
      int more[2];
      if (send(own[0], "y", 1, 0) != 1 || recv(own[1], &byte, 1, 0) != 1) _exit(1);
      tcp_pair(more);
      if (send(more[0], "z", 1, 0) != 1 || recv(more[1], &byte, 1, 0) != 1) _exit(2);
      _exit(0);
    }
    int status;
    MUST(waitpid(child, &status, 0));
    failures += status != 0;
  }
  void *result;
  pthread_join(thread, &result);
  say("failures %d, thread %d", failures, result != NULL);
  close(pair[0]), close(pair[1]), close(own[0]), close(own[1]);
}

/* ---- exec ------------------------------------------------------------------------------------------- */

static char number[16];

static char **arguments_for(const char *what, int fd) {
  static char *arguments[5];
  snprintf(number, sizeof number, "%d", fd);
  char address[32];
  static char kept[32];
  inet_ntop(AF_INET, &base_address.sin_addr, address, sizeof address);
  strcpy(kept, address);
  arguments[0] = (char *)self, arguments[1] = kept, arguments[2] = "-child";
  arguments[3] = (char *)what, arguments[4] = number;
  return arguments;
}

/* What main does with -child WHAT FD. */
static int as_child(const char *what, int fd, char **argv) {
  (void)argv;
  if (strcmp(what, "echo") == 0) {
    char bytes[64];
    ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    if (n <= 0 || send(fd, bytes, (size_t)n, 0) != n) return 1;
    struct sockaddr_in name;
    socklen_t room = sizeof name;
    if (getsockname(fd, (struct sockaddr *)&name, &room) < 0 || name.sin_family != AF_INET) return 2;
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    return poll(&polled, 1, 0) == 0 ? 0 : 3;
  }
  if (strcmp(what, "accept") == 0) {
    int peer = accept(fd, NULL, NULL);
    return peer >= 0 && send(peer, "accepted", 8, 0) == 8 ? 0 : 1;
  }
  if (strcmp(what, "stdio") == 0) {
    char line[64];
    if (fgets(line, sizeof line, stdin) == NULL) return 1;
    printf("you said %s", line);
    return fflush(stdout) == 0 ? 0 : 2;
  }
  return 9;
}

static pid_t start(const char *what, int fd, int how) {
  char **arguments = arguments_for(what, fd);
  static char *own_environment[] = {"PATH=/usr/bin:/bin", "LANG=C", NULL};
  pid_t child;
  if (how == 3) {
    must(posix_spawn(&child, self, NULL, NULL, arguments, own_environment) == 0, "posix_spawn");
    return child;
  }
  child = how == 2 ? vfork() : fork();
  if (child != 0) return child;
  if (how == 0) execv(self, arguments);
  if (how == 1) execve(self, arguments, own_environment);
  if (how == 2) execl(self, self, arguments[1], arguments[2], arguments[3], arguments[4], NULL);
  _exit(99);
}

/* In its parent's memory, with descriptors of its own: what it closes stays open there. */
static int lodged;
static int lodge(void *context) {
  int *pair = context, to[2];
  lodged = getpid();
  send(pair[1], "lodger", 6, 0);
  close(pair[0]);
  if (pipe(to) < 0 || dup2(to[1], pair[1]) < 0) _exit(1);
  close_range(0, ~0u, 0);
  _exit(write(pair[1], "x", 1) < 0 ? 7 : 1);
}

static void in_the_same_memory(void) {
  static char stack[1 << 18] __attribute__((aligned(16)));
  int pair[2];
  tcp_pair(pair);
  pid_t child = clone(lodge, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, pair);
  MUST(child);
  say("its memory is ours: %d", lodged == child);
  end_of(child);
  say_read("lodger", pair[0]);
  MUST(send(pair[0], "hello", 5, 0));
  await(pair[1], POLLIN);
  say_read("host", pair[1]);
  int again = dup(pair[0]);
  MUST(close(pair[0]));
  MUST(send(pair[1], "more", 4, 0));
  await(again, POLLIN);
  say_read("copy", again);
  MUST(close(again));
  await(pair[1], POLLIN);
  say_read("end", pair[1]);
  close(pair[1]);
}

static void executed(void) {
  for (int how = 0; how < 4; how++) {
    int pair[2];
    tcp_pair(pair);
    MUST(fcntl(pair[0], F_SETFD, FD_CLOEXEC));
    pid_t child = start("echo", pair[1], how);
    MUST(close(pair[1]));
    MUST(send(pair[0], "hello", 5, 0));
    say_read("echo", pair[0]);
    end_of(child);
    await(pair[0], POLLIN);
    say_read("end", pair[0]);
    close(pair[0]);
  }
  struct sockaddr_in at;
  int server = listener(&at);
  pid_t child = start("accept", server, 1);
  int client = new_socket(SOCK_STREAM);
  MUST(connect(client, (struct sockaddr *)&at, sizeof at));
  say_read("an inherited listener", client);
  end_of(child);
  close(client), close(server);
}

/* As inetd starts its servers. */
static void standard_streams(void) {
  int pair[2];
  tcp_pair(pair);
  pid_t child = fork();
  if (child == 0) {
    dup2(pair[1], 0), dup2(pair[1], 1);
    close(pair[0]), close(pair[1]);
    execv(self, arguments_for("stdio", 0));
    _exit(99);
  }
  close(pair[1]);
  MUST(send(pair[0], "a line\n", 7, 0));
  say_read("answer", pair[0]);
  end_of(child);
  close(pair[0]);
}

/* ---- Passing ---------------------------------------------------------------------------------------- */

static int pass(int over, int fd) {
  char byte = 'p', room[CMSG_SPACE(sizeof fd)] = {0};
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return (int)sendmsg(over, &message, 0);
}

static int take(int over) {
  char byte, room[CMSG_SPACE(sizeof(int))];
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
  if (recvmsg(over, &message, 0) != 1) return -1;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  int fd = -1;
  if (header != NULL) memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

static void passed(void) {
  int over[2], pair[2], ends[2];
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, over));
  pid_t child = fork();
  if (child == 0) {
    close(over[0]);
    int fd = take(over[1]);
    char byte;
    if (fd < 0 || recv(fd, &byte, 1, 0) != 1) _exit(1);
    if (send(fd, "passed", 6, 0) != 6) _exit(2);
    close(fd);
    int server = take(over[1]);
    int peer = accept(server, NULL, NULL);
    if (peer < 0 || send(peer, "served", 6, 0) != 6) _exit(3);
    int datagrams = take(over[1]);
    if (recv(datagrams, &byte, 1, 0) != 1 || send(datagrams, "u", 1, 0) != 1) _exit(4);
    _exit(0);
  }
  close(over[1]);
  tcp_pair(pair);
  MUST(pass(over[0], pair[1]));
  MUST(close(pair[1]));
  MUST(send(pair[0], "x", 1, 0));
  say_read("a connection", pair[0]);
  await(pair[0], POLLIN);
  say_read("its end", pair[0]);
  struct sockaddr_in at;
  int server = listener(&at);
  MUST(pass(over[0], server));
  int client = new_socket(SOCK_STREAM);
  MUST(connect(client, (struct sockaddr *)&at, sizeof at));
  say_read("a listener", client);
  udp_pair(ends);
  MUST(pass(over[0], ends[1]));
  MUST(send(ends[0], "d", 1, 0));
  say_read("a datagram socket", ends[0]);
  end_of(child);
  /* To oneself: another number of the same socket. */
  int own[2];
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, own));
  MUST(pass(own[0], ends[0]));
  int again = take(own[1]);
  MUST(close(ends[0]));
  MUST(send(ends[1], "again", 5, 0));
  say_read("to oneself", again);
  close(again), close(own[0]), close(own[1]);
  close(over[0]), close(pair[0]), close(server), close(client), close(ends[1]);
}

/* ---- Streams and files ------------------------------------------------------------------------------ */

static void streams(void) {
  int pair[2];
  tcp_pair(pair);
  FILE *out = fdopen(pair[0], "w"), *in = fdopen(dup(pair[1]), "r");
  say("fileno %d", fileno(out) == pair[0]);
  fprintf(out, "line %d\n", 1);
  fputs("line 2\n", out);
  say("flush %d", fflush(out));
  char line[32];
  for (int i = 0; i < 2; i++) say("%s", fgets(line, sizeof line, in) != NULL ? strtok(line, "\n") : "none");
  say("dprintf %s", outcome(dprintf(pair[0], "line %d\n", 3)));
  say("%s", fgets(line, sizeof line, in) != NULL ? strtok(line, "\n") : "none");
  say("seek %s", outcome(fseek(out, 0, SEEK_SET)));
  static char big[300000];
  memset(big, 'b', sizeof big);
  pid_t child = fork();
  if (child == 0) {
    size_t n = fwrite(big, 1, sizeof big, out);
    _exit(n == sizeof big && fclose(out) == 0 ? 0 : 1);
  }
  size_t got = fread(big, 1, sizeof big, in);
  say("big %zu", got);
  end_of(child);
  say("close %d", fclose(out));
  say("end %d %d", fgetc(in), feof(in) != 0);
  fclose(in);
  say("closed %s", outcome(fcntl(pair[0], F_GETFD)));
  close(pair[1]);
  FILE *wrong = fdopen(pair[0], "r");
  say("of a closed number %s", wrong == NULL ? strerrorname_np(errno) : "a stream");
}

static int file_of(size_t bytes) {
  int fd = memfd_create("test", 0);
  static char part[4096];
  for (size_t at = 0; at < bytes; at += sizeof part) {
    for (size_t i = 0; i < sizeof part; i++) part[i] = (char)((at + i) * 31 >> 3);
    MUST(write(fd, part, bytes - at < sizeof part ? bytes - at : sizeof part));
  }
  return fd;
}

static uint32_t sum_of(int fd, size_t bytes) {
  static char part[65536];
  uint32_t sum = 17;
  size_t got = 0;
  while (got < bytes) {
    size_t wanted = bytes - got < sizeof part ? bytes - got : sizeof part;
    ssize_t n = read(fd, part, wanted);
    if (n <= 0) break;
    for (ssize_t i = 0; i < n; i++) sum = sum * 33 + (unsigned char)part[i];
    got += (size_t)n;
  }
  return got == bytes ? sum : 0;
}

static void files(void) {
  enum { SIZE = 700001 };
  int pair[2], file = file_of(SIZE);
  tcp_pair(pair);
  pid_t child = fork();
  if (child == 0) {
    off_t at = 1;
    ssize_t n = sendfile(pair[0], file, &at, 5);
    if (n != 5 || at != 6 || lseek(file, 0, SEEK_CUR) != SIZE) _exit(1);
    lseek(file, 0, SEEK_SET);
    size_t sent = 0;
    while (sent < SIZE) {
      n = sendfile(pair[0], file, NULL, SIZE * 2);
      if (n <= 0) _exit(2);
      sent += (size_t)n;
    }
    if (lseek(file, 0, SEEK_CUR) != SIZE) _exit(3);
    _exit(sendfile(pair[0], file, NULL, 10) == 0 ? 0 : 4);
  }
  say("some %x", sum_of(pair[1], 5));
  say("all %x", sum_of(pair[1], SIZE));
  end_of(child);
  off_t wrong = -1;
  say("negative %s", outcome(sendfile(pair[0], file, &wrong, 5)));
  say("bad pointer %s", outcome(sendfile(pair[0], file, (off_t *)8, 5)));
  say("out of a socket %s", outcome(sendfile(file, pair[0], NULL, 5)));
  say("not open %s", outcome(sendfile(pair[0], 999, NULL, 5)));
  int end[2];
  MUST(pipe(end));
  MUST(write(end[1], "through a pipe", 14));
  say("splice in %s", outcome(splice(end[0], NULL, pair[0], NULL, 100, 0)));
  say_read("spliced", pair[1]);
  say("nothing %s", outcome(splice(end[0], NULL, pair[0], NULL, 100, SPLICE_F_NONBLOCK)));
  MUST(send(pair[0], "and back", 8, 0));
  await(pair[1], POLLIN);
  say("splice out %s", outcome(splice(pair[1], NULL, end[1], NULL, 100, 0)));
  say_read("spliced", end[0]);
  say("no pipe %s", outcome(splice(pair[1], NULL, pair[0], NULL, 100, 0)));
  off64_t at = 0;
  say("offset %s", outcome(splice(end[0], &at, pair[0], NULL, 100, 0)));
  say("tee %s", outcome(tee(pair[1], end[1], 10, 0)));
  struct iovec part = {&at, sizeof at};
  say("vmsplice %s", outcome(vmsplice(pair[1], &part, 1, 0)));
  say("pread %s", outcome(pread(pair[1], &at, 1, 0)));
  say("pwrite %s", outcome(pwrite(pair[1], &at, 1, 0)));
  say("lseek %s", outcome(lseek(pair[1], 0, SEEK_SET)));
  say("preadv2 at 0 %s", outcome(preadv2(pair[1], &part, 1, 0, 0)));
  MUST(send(pair[0], "12345678", 8, 0));
  say("preadv2 %s", outcome(preadv2(pair[1], &part, 1, -1, 0)));
  say("preadv2 nowait %s", outcome(preadv2(pair[1], &part, 1, -1, RWF_NOWAIT)));
  say("pwritev2 %s", outcome(pwritev2(pair[0], &part, 1, -1, 0)));
  say("many parts %s", outcome(readv(pair[1], &part, 2000)));
  say("negative parts %s", outcome(writev(pair[1], &part, -1)));
  struct stat what;
  MUST(fstat(pair[1], &what));
  say("a socket %d, a terminal %s", S_ISSOCK(what.st_mode), outcome(isatty(pair[1]) ? 1 : -1));
  close(pair[0]), close(pair[1]), close(end[0]), close(end[1]), close(file);
}

static void by_number(void) {
  struct sockaddr_in at = base_address;
  socklen_t room = sizeof at;
  int server = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
  MUST(syscall(SYS_bind, server, &at, sizeof at));
  MUST(syscall(SYS_listen, server, 5));
  MUST(syscall(SYS_getsockname, server, &at, &room));
  int client = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
  MUST(syscall(SYS_connect, client, &at, sizeof at));
  int peer = (int)syscall(SYS_accept4, server, NULL, NULL, SOCK_CLOEXEC);
  say("write %s", outcome(syscall(SYS_write, client, "abc", 3)));
  int epfd = (int)syscall(SYS_epoll_create1, 0);
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = 5};
  MUST(syscall(SYS_epoll_ctl, epfd, EPOLL_CTL_ADD, peer, &event));
  say("epoll_pwait %s", outcome(syscall(SYS_epoll_pwait, epfd, &event, 1, PATIENCE_MS, NULL, 8)));
  char bytes[8];
  say("recvfrom %s", outcome(syscall(SYS_recvfrom, peer, bytes, sizeof bytes, 0, NULL, NULL)));
  int copy = (int)syscall(SYS_dup, peer);
  say("close %s", outcome(syscall(SYS_close, peer)));
  say("read of it %s", outcome(syscall(SYS_read, peer, bytes, 1)));
  MUST(syscall(SYS_sendto, client, "d", 1, 0, NULL, 0));
  struct pollfd polled = {.fd = copy, .events = POLLIN};
  struct timespec time = {.tv_sec = PATIENCE_MS / 1000};
  say("ppoll %s", outcome(syscall(SYS_ppoll, &polled, 1, &time, NULL, 8)));
  say("read of its copy %s", outcome(syscall(SYS_read, copy, bytes, sizeof bytes)));
  say("getpid %d", syscall(SYS_getpid) == getpid());
  say("none %s", outcome(syscall(9999)));
  close(server), close(client), close(copy), close(epfd);
}

/* A program that closes all it does not know must not close what is not its own. */
static void closing_everything(void) {
  int pair[2];
  tcp_pair(pair);
  for (int fd = 3; fd < 1024; fd++) {
    if (fd != pair[0] && fd != pair[1]) close(fd);
  }
  MUST(send(pair[0], "a", 1, 0));
  say_read("after a loop", pair[1]);
  unsigned low = (unsigned)(pair[0] < pair[1] ? pair[0] : pair[1]);
  unsigned high = (unsigned)(pair[0] < pair[1] ? pair[1] : pair[0]);
  if (low > 3) close_range(3, low - 1, 0);
  if (high > low + 1) close_range(low + 1, high - 1, 0);
  close_range(high + 1, ~0u, 0);
  MUST(send(pair[1], "b", 1, 0));
  say_read("after close_range", pair[0]);
  int more[2];
  tcp_pair(more);
  MUST(send(more[0], "c", 1, 0));
  say_read("a new one", more[1]);
  closefrom(3);
  say("closed %s", outcome(send(pair[0], "d", 1, 0)));
  tcp_pair(more);
  MUST(send(more[0], "e", 1, 0));
  say_read("after closefrom", more[1]);
  close(more[0]), close(more[1]);
}

static void *run_for_long(void *unused) {
  system("exec sleep 100"); /* some shells would leave it behind, with our output open */
  return unused;
}
static void say_action(const char *what, int signum) {
  struct sigaction now;
  MUST(sigaction(signum, NULL, &now));
  say("%s: %s", what, now.sa_handler == SIG_IGN ? "ignored" : now.sa_handler == SIG_DFL ? "default" : "handled");
}
static void on_interrupt(int signum) { (void)signum; }

/* system: what it returns, and what becomes of signals. */
static void shells(void) {
  say("a shell: %d", system(NULL) != 0);
  say("%d %d %d", system("true"), system("exit 3"), system("kill -9 $$"));
  say("%d", system("no-such-command 2>/dev/null"));
  say("to itself: %d", system("kill -INT $$; exit 4"));
  signal(SIGQUIT, SIG_IGN);
  say("ignored stays ignored: %d", system("kill -QUIT $$; exit 5"));
  signal(SIGQUIT, SIG_DFL);
  struct sigaction handled = {.sa_handler = on_interrupt};
  MUST(sigaction(SIGINT, &handled, NULL));
  say("not the caller: %d", system("kill -INT $PPID; exit 6"));
  say_action("afterwards", SIGINT);
  signal(SIGINT, SIG_DFL);
  signal(SIGCHLD, SIG_IGN);
  errno = 0;
  say("nobody to ask for: %s", outcome(system("exit 7")));
  signal(SIGCHLD, SIG_DFL);
  pthread_t thread;
  void *ended;
  pthread_create(&thread, NULL, run_for_long, NULL);
  usleep(QUIET_MS * 1000);
  pthread_cancel(thread);
  pthread_join(thread, &ended);
  say("cancelled: %d", ended == PTHREAD_CANCELED);
  say_action("afterwards", SIGINT);
}

/* A server of the kernel's, on the loopback, in both runs. */
static int kernel_server(struct sockaddr_in *at) {
  *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t bytes = sizeof *at;
  int fd = new_socket(SOCK_DGRAM);
  MUST(bind(fd, (struct sockaddr *)at, bytes));
  MUST(getsockname(fd, (struct sockaddr *)at, &bytes));
  return fd;
}

/* What forks another: that one has no way to the engine, and the kernel's sockets as ever. */
static void in_grandchild(void (*confine)(void)) {
  struct sockaddr_in at;
  int server = kernel_server(&at), pair[2];
  tcp_pair(pair); /* it is joined */
  pid_t child = fork();
  if (child == 0) {
    confine();
    pid_t grandchild = fork();
    if (grandchild == 0) {
      close(0);
      int fd = socket(AF_INET, SOCK_DGRAM, 0);
      _exit(fd != 0 || sendto(fd, "k", 1, 0, (struct sockaddr *)&at, sizeof at) != 1);
    }
    int status = -1;
    waitpid(grandchild, &status, 0);
    _exit(status == 0 ? 0 : 1);
  }
  end_of(child);
  say_read("from the grandchild", server);
  close(pair[0]), close(pair[1]), close(server);
}

static void leave_one_number(void) {
  struct rlimit one = {1, 1};
  MUST(setrlimit(RLIMIT_NOFILE, &one));
  setuid(65534); /* who may raise it has room */
}

static void forbid(unsigned number) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), /* the number */
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static void forbid_messages(void) { forbid(SYS_sendmsg); }

/* Of /proc nothing can be known then. */
static void forbid_links(void) {
#ifdef SYS_readlink
  forbid(SYS_readlink);
#endif
  forbid(SYS_readlinkat);
}

static void without_room(void) { in_grandchild(leave_one_number); }
static void behind_a_filter(void) { in_grandchild(forbid_messages); }

/* What is forked behind it uses what it inherits. */
static void behind_a_filter_of_links(void) {
  int pair[2];
  tcp_pair(pair);
  pid_t child = fork();
  if (child == 0) {
    MUST(send(pair[0], "a", 1, 0));
    forbid_links();
    pid_t grandchild = fork();
    if (grandchild == 0) _exit(send(pair[0], "b", 1, 0) != 1);
    int status = -1;
    waitpid(grandchild, &status, 0);
    _exit(status == 0 ? 0 : 1);
  }
  end_of(child);
  await(pair[1], POLLIN);
  char both[2];
  say("from both: %s", outcome(recv(pair[1], both, 2, MSG_WAITALL)));
  close(pair[0]), close(pair[1]);
}

static const struct test_case cases[] = {
    {"duplicates", duplicates},
    {"forked", forked},
    {"handed_to_child", handed_to_child},
    {"preforked", preforked},
    {"epoll_in_child", epoll_in_child},
    {"poll_in_child", poll_in_child},
    {"forked_with_threads", forked_with_threads},
    {"in_the_same_memory", in_the_same_memory},
    {"executed", executed},
    {"standard_streams", standard_streams},
    {"passed", passed},
    {"streams", streams},
    {"files", files},
    {"by_number", by_number},
    {"shells", shells},
    {"without_room", without_room},
    {"behind_a_filter", behind_a_filter},
    {"behind_a_filter_of_links", behind_a_filter_of_links},
    {"closing_everything", closing_everything},
};

int main(int argc, char **argv) {
  self = "/proc/self/exe";
  static char path[4096];
  if (readlink(self, path, sizeof path - 1) > 0) self = path;
  if (argc == 5 && strcmp(argv[2], "-child") == 0) return as_child(argv[3], atoi(argv[4]), argv);
  return run_cases(argc, argv, cases, sizeof cases / sizeof *cases);
}
