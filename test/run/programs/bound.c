/* TCP sockets that are bound and no more when another process gets them. */
#include "harness.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

extern char **environ;
static const char *self;

static int bound(struct sockaddr_in *at) {
  struct sockaddr_in any = {.sin_family = AF_INET};
  socklen_t bytes = sizeof any;
  int fd = new_socket(SOCK_STREAM);
  MUST(bind(fd, (struct sockaddr *)&any, bytes));
  MUST(getsockname(fd, (struct sockaddr *)&any, &bytes));
  *at = base_address;
  at->sin_port = any.sin_port;
  return fd;
}

static int client_of(const struct sockaddr_in *at) {
  int fd = new_socket(SOCK_STREAM);
  MUST(connect(fd, (const struct sockaddr *)at, sizeof *at));
  return fd;
}

/* Accepts one, and says whose word it is. */
static int serve(int server, const char *word) {
  int peer = accept(server, NULL, NULL);
  if (peer < 0 || send(peer, word, strlen(word), 0) < 0) return 1;
  close(peer);
  return 0;
}

static void say_served(const char *what, const struct sockaddr_in *at) {
  char text[32] = {0};
  int fd = client_of(at);
  ssize_t n = recv(fd, text, sizeof text - 1, 0);
  say("%s: %s '%s'", what, outcome(n), text);
  close(fd);
}

static void end_of(pid_t child) {
  int status;
  MUST(waitpid(child, &status, 0));
  say("child: %d", status);
}

/* A child that goes on when it is told to. */
struct follower {
  pid_t pid;
  int go[2], done[2];
};

static bool follows(struct follower *child) {
  MUST(pipe(child->go));
  MUST(pipe(child->done));
  child->pid = fork();
  return child->pid == 0;
}
static void wait_for(int fd) {
  char byte;
  if (read(fd, &byte, 1) != 1) _exit(9);
}
static void signal_to(int fd) { MUST(write(fd, "x", 1)); }
static void leave(struct follower *child) {
  end_of(child->pid);
  for (int i = 0; i < 2; i++) close(child->go[i]), close(child->done[i]);
}

/* ---- fork ------------------------------------------------------------------------------------------- */

static void child_listens(void) {
  struct sockaddr_in at;
  int server = bound(&at);
  struct follower child;
  if (follows(&child)) {
    if (listen(server, 5) < 0) _exit(1);
    signal_to(child.done[1]);
    wait_for(child.go[0]);
    _exit(serve(server, "child"));
  }
  wait_for(child.done[0]);
  int client = client_of(&at), accepting = -1;
  socklen_t bytes = sizeof accepting;
  MUST(getsockopt(server, SOL_SOCKET, SO_ACCEPTCONN, &accepting, &bytes));
  say("accepting %d, parent accepts %d", accepting, serve(server, "parent"));
  char text[16] = {0};
  say("%s '%s'", outcome(recv(client, text, sizeof text, 0)), text);
  say("listens, too: %s", outcome(listen(server, 9)));
  signal_to(child.go[1]);
  say_served("from the child", &at);
  leave(&child);
  MUST(fcntl(server, F_SETFL, O_NONBLOCK));
  client = client_of(&at);
  await(server, POLLIN);
  say("the child is gone: %d", serve(server, "parent"));
  say("nobody: %s", outcome(accept(server, NULL, NULL)));
  close(client), close(server);
}

/* Each process listens for itself, as servers' workers do. */
static void all_listen(void) {
  enum { WORKERS = 3 };
  struct sockaddr_in at;
  int server = bound(&at);
  struct follower workers[WORKERS];
  for (int i = 0; i < WORKERS; i++) {
    if (!follows(&workers[i])) continue;
    int epfd = epoll_create1(0), client;
    set_nonblocking(server);
    if (listen(server, 16) < 0) _exit(1);
    ADD(epfd, server, EPOLLIN, 1);
    signal_to(workers[i].done[1]);
    for (;;) {
      struct epoll_event event;
      if (epoll_wait(epfd, &event, 1, PATIENCE_MS) != 1) _exit(2);
      if ((client = accept(server, NULL, NULL)) < 0) continue;
      char byte;
      if (recv(client, &byte, 1, 0) != 1 || send(client, &byte, 1, 0) != 1) _exit(3);
      close(client);
      if (byte == 'q') _exit(0);
    }
  }
  for (int i = 0; i < WORKERS; i++) wait_for(workers[i].done[0]);
  char answers[16] = {0};
  for (int i = 0; i < 9 + WORKERS; i++) {
    int client = client_of(&at);
    char byte = (char)(i < 9 ? 'a' + i : 'q');
    MUST(send(client, &byte, 1, 0));
    MUST(recv(client, &answers[i], 1, 0));
    close(client);
  }
  say("%s", answers);
  for (int i = 0; i < WORKERS; i++) leave(&workers[i]);
  close(server);
}

static void watched_before(void) {
  struct sockaddr_in at;
  int server = bound(&at), copy = dup(server), epfd = epoll_create1(0);
  ADD(epfd, server, EPOLLIN, 7);
  wait_and_say("bound", epfd, 4, 0);
  struct follower child;
  if (follows(&child)) {
    if (listen(copy, 5) < 0) _exit(1);
    signal_to(child.done[1]);
    _exit(0);
  }
  wait_for(child.done[0]);
  wait_and_say("listens", epfd, 4, 0);
  int client = client_of(&at);
  wait_and_say("somebody came", epfd, 4, PATIENCE_MS);
  say("accepts %d", serve(copy, "x"));
  close(client), close(server);
  leave(&child);
  client = client_of(&at);
  wait_and_say("by the copy", epfd, 4, PATIENCE_MS);
  close(copy), close(client), close(epfd);
}

/* It was not to listen after all. */
static void connects(void) {
  struct sockaddr_in at, own, peer;
  socklen_t bytes = sizeof own;
  int server = listener(&at), client = bound(&own);
  struct follower child;
  if (follows(&child)) {
    wait_for(child.go[0]);
    _exit(0);
  }
  struct sockaddr_in any = {.sin_family = AF_INET};
  say("bound already: %s", outcome(bind(client, (struct sockaddr *)&any, sizeof any)));
  say("connect %s", outcome(connect(client, (struct sockaddr *)&at, sizeof at)));
  int accepted = accept(server, (struct sockaddr *)&peer, &bytes);
  say("from its port %d", peer.sin_port == own.sin_port);
  MUST(send(accepted, "hello", 5, 0));
  char text[16] = {0};
  say("%s '%s'", outcome(recv(client, text, sizeof text, 0)), text);
  say("listen %s", outcome(listen(client, 1)));
  signal_to(child.go[1]);
  leave(&child);
  close(client), close(accepted), close(server);
}

static void connects_to_kernel(void) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, own, peer;
  socklen_t bytes = sizeof at;
  int server = new_socket(SOCK_STREAM);
  MUST(bind(server, (struct sockaddr *)&at, bytes));
  MUST(listen(server, 4));
  MUST(getsockname(server, (struct sockaddr *)&at, &bytes));
  for (int is_nonblocking = 0; is_nonblocking < 2; is_nonblocking++) {
    int client = bound(&own), copy = dup(client);
    struct follower child;
    if (follows(&child)) _exit(0);
    leave(&child);
    if (is_nonblocking) set_nonblocking(client);
    int result = connect(client, (struct sockaddr *)&at, sizeof at);
    say("connect %s", outcome(result));
    await(copy, POLLOUT);
    int accepted = accept(server, (struct sockaddr *)&peer, &bytes);
    say("from its port %d", peer.sin_port == own.sin_port);
    MUST(send(copy, "x", 1, 0));
    char byte;
    say("%s", outcome(recv(accepted, &byte, 1, 0)));
    say("%s", outcome(recv(client, &byte, 1, MSG_DONTWAIT)));
    say("flags %d", (fcntl(copy, F_GETFL) & O_NONBLOCK) != 0);
    close(client), close(copy);
    say("end %s", outcome(recv(accepted, &byte, 1, 0)));
    close(accepted);
  }
  close(server);
}

/* Registered before, as some libraries do. */
static void watched_before_it_connects(void) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, own;
  socklen_t bytes = sizeof at;
  int server = new_socket(SOCK_STREAM), epfd = epoll_create1(0), client = bound(&own);
  MUST(bind(server, (struct sockaddr *)&at, bytes));
  MUST(listen(server, 4));
  MUST(getsockname(server, (struct sockaddr *)&at, &bytes));
  set_nonblocking(client);
  ADD(epfd, client, EPOLLOUT, 5);
  struct follower child;
  if (follows(&child)) _exit(0);
  leave(&child);
  say("connect %s", outcome(connect(client, (struct sockaddr *)&at, sizeof at)));
  wait_and_say("connected", epfd, 4, PATIENCE_MS);
  struct epoll_event reads = {.events = EPOLLIN, .data.u64 = 6};
  say("mod %s", outcome(epoll_ctl(epfd, EPOLL_CTL_MOD, client, &reads)));
  int accepted = accept(server, NULL, NULL);
  MUST(send(accepted, "x", 1, 0));
  wait_and_say("something to read", epfd, 4, PATIENCE_MS);
  close(client), close(accepted), close(server), close(epfd);
}

static long busy_ms(void) {
  struct rusage used;
  MUST(getrusage(RUSAGE_SELF, &used));
  return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000;
}

static void rests_while_it_polls(void) {
  struct sockaddr_in at, own;
  int server = listener(&at), client = bound(&own);
  struct follower child;
  if (follows(&child)) _exit(0);
  leave(&child);
  MUST(connect(client, (struct sockaddr *)&at, sizeof at));
  int accepted = accept(server, NULL, NULL);
  struct pollfd polled = {.fd = client, .events = POLLIN};
  long before = busy_ms();
  say("poll %s", outcome(poll(&polled, 1, 2000)));
  long busy = busy_ms() - before;
  must(busy < 500, "rests");
  close(client), close(accepted), close(server);
}

/* Programs are started by one thread while another one binds, listens and connects. */
static atomic_bool is_over;
static void *start_programs(void *unused) {
  while (!is_over) {
    pid_t child = vfork();
    if (child == 0) execl("/bin/true", "true", NULL);
    if (child == 0) _exit(99);
    must(waitpid(child, NULL, 0) == child, "waitpid");
  }
  return unused;
}
static void beside_others(void) {
  pthread_t starters[3];
  for (int i = 0; i < 3; i++) pthread_create(&starters[i], NULL, start_programs, NULL);
  for (int i = 0; i < 300; i++) {
    struct sockaddr_in at, own;
    int server = bound(&at), client = bound(&own);
    MUST(listen(server, 4));
    MUST(connect(client, (struct sockaddr *)&at, sizeof at));
    int accepted = accept(server, NULL, NULL);
    MUST(accepted);
    close(client), close(accepted), close(server);
  }
  is_over = true;
  for (int i = 0; i < 3; i++) pthread_join(starters[i], NULL);
  is_over = false;
}

/* Behind filters of system calls that this library needs for sockets, and the program does not. */
static void behind_filters(void) {
  static const unsigned forbidden[] = {SYS_newfstatat, SYS_fcntl, SYS_socketpair, SYS_sendmsg};
  for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
    struct sockaddr_in at;
    int shared = bound(&at), status;
    pid_t child = fork();
    if (child == 0) {
      int own = bound(&at);
      struct sock_filter code[] = {
          BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, forbidden[i], 0, 1),
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      };
      struct sock_fprog program = {.len = 4, .filter = code};
      MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
      MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
      pid_t inner = fork();
      if (inner == 0) _exit(listen(own, 1) < 0);
      status = waitpid(inner, &status, 0) == inner ? status : -1;
      _exit(status != 0 ? 2 : listen(own, 1) < 0 || listen(shared, 1) < 0);
    }
    MUST(waitpid(child, &status, 0));
    say("%d", status);
    close(shared);
  }
}

static void same_port(void) {
  struct sockaddr_in any = {.sin_family = AF_INET};
  int fds[2], on = 1;
  socklen_t bytes = sizeof any;
  for (int i = 0; i < 2; i++) {
    fds[i] = new_socket(SOCK_STREAM);
    MUST(setsockopt(fds[i], SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
    MUST(bind(fds[i], (struct sockaddr *)&any, bytes));
    MUST(getsockname(fds[i], (struct sockaddr *)&any, &bytes));
  }
  struct follower child;
  if (follows(&child)) _exit(listen(fds[1], 1) < 0);
  leave(&child);
  say("the other %s", outcome(listen(fds[0], 1)));
  MUST(close(fds[1]));
  say("alone %s", outcome(listen(fds[0], 1)));
  struct sockaddr_in at = base_address;
  at.sin_port = any.sin_port;
  int client = client_of(&at);
  say("%d", serve(fds[0], "x"));
  close(client), close(fds[0]);
}

/* ---- exec and messages ------------------------------------------------------------------------------ */

static pid_t start(int how, int server, int ready) {
  static char *own_environment[] = {"PATH=/usr/bin:/bin", "LANG=C", NULL};
  char numbers[2][16];
  snprintf(numbers[0], sizeof numbers[0], "%d", server), snprintf(numbers[1], sizeof numbers[1], "%d", ready);
  char *arguments[] = {(char *)(uintptr_t)self, "-child", numbers[0], numbers[1], NULL};
  pid_t child = 0;
  if (how == 2) {
    must(posix_spawn(&child, self, NULL, NULL, arguments, environ) == 0, "posix_spawn");
    return child;
  }
  child = how == 0 ? fork() : vfork();
  if (child == 0) execve(self, arguments, how == 0 ? environ : own_environment);
  if (child == 0) _exit(99);
  return child;
}

static void executed(void) {
  for (int how = 0; how < 3; how++) {
    struct sockaddr_in at;
    int server = bound(&at), ready[2];
    MUST(pipe(ready));
    pid_t child = start(how, server, ready[1]);
    close(server);
    wait_for(ready[0]);
    say_served("served", &at);
    end_of(child);
    close(ready[0]), close(ready[1]);
  }
}

static int as_child(int server, int ready) {
  if (listen(server, 5) < 0) return 1;
  signal_to(ready);
  return serve(server, "executed");
}

static void sent(void) {
  struct sockaddr_in at;
  int over[2];
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, over));
  struct follower child;
  char byte = 'p', room[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
  int server = -1;
  if (follows(&child)) {
    if (recvmsg(over[1], &message, 0) != 1) _exit(1);
    memcpy(&server, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof server);
    if (listen(server, 5) < 0) _exit(2);
    signal_to(child.done[1]);
    _exit(serve(server, "sent"));
  }
  server = bound(&at);
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof server), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  memcpy(CMSG_DATA(header), &server, sizeof server);
  MUST(sendmsg(over[0], &message, 0));
  MUST(close(server));
  wait_for(child.done[0]);
  say_served("served", &at);
  leave(&child);
  close(over[0]), close(over[1]);
}

static const struct test_case cases[] = {
    {"child_listens", child_listens},
    {"all_listen", all_listen},
    {"watched_before", watched_before},
    {"connects", connects},
    {"connects_to_kernel", connects_to_kernel},
    {"watched_before_it_connects", watched_before_it_connects},
    {"rests_while_it_polls", rests_while_it_polls},
    {"beside_others", beside_others},
    {"behind_filters", behind_filters},
    {"same_port", same_port},
    {"executed", executed},
    {"sent", sent},
};

int main(int argc, char **argv) {
  static char path[4096];
  self = readlink("/proc/self/exe", path, sizeof path - 1) > 0 ? path : argv[0];
  if (argc == 4 && strcmp(argv[1], "-child") == 0) return as_child(atoi(argv[2]), atoi(argv[3]));
  return run_cases(argc, argv, cases, sizeof cases / sizeof *cases);
}
