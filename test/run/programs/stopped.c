/*
 * What a process does while the engine has stopped, and one of its threads waits for it: each case says "ready", and
 * goes on with a line of input, when the engine has stopped; and with another one, when it goes on.
 */
#include "harness.h"
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>

extern char **environ;

static atomic_int opened = -2; /* what the waiting thread has: -2 not yet */
static int udp = -1;

static void await_line(void) {
  if (getchar() == EOF) exit(1);
}

static void await_exit(pid_t child) {
  int status;
  MUST(waitpid(child, &status, 0));
  say("status %d", status);
}

/* Until the thread has had time to come as far as the engine: then it waits there. */
static pthread_t start(void *(*function)(void *)) {
  pthread_t thread;
  say("ready");
  await_line();
  pthread_create(&thread, NULL, function, NULL);
  usleep(QUIET_MS * 1000);
  return thread;
}

static void say_still(const char *what) { say("%s while it waits: %d", what, atomic_load(&opened) == -2); }

static void start_processes(void) {
  pid_t child = fork();
  if (child == 0) _exit(0);
  await_exit(child);
  say_still("forked");
  char *words[] = {"true", NULL};
  MUST(-posix_spawnp(&child, "true", NULL, NULL, words, environ));
  await_exit(child);
  say_still("spawned");
  say("system: %d", system("true"));
  say_still("ran");
}

static void *open_first(void *unused) {
  atomic_store(&opened, socket(AF_INET, SOCK_STREAM, 0));
  return unused;
}

/* Nothing has joined the engine yet. */
static void while_joining(void) {
  pthread_t thread = start(open_first);
  start_processes();
  say("stopped");
  await_line();
  pthread_join(thread, NULL);
  say("a socket: %d", atomic_load(&opened) >= 0);
}

static void *bind_udp(void *unused) {
  struct sockaddr_in any = base_address;
  any.sin_port = 0;
  atomic_store(&opened, bind(udp, (struct sockaddr *)&any, sizeof any));
  return unused;
}

/* How many descriptors of a kind that no program of this test opens. */
static int pair_ends(void) {
  int found = 0;
  for (int fd = 0; fd < 65536; fd++) {
    int type = 0;
    socklen_t bytes = sizeof type;
    found += getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) == 0 && type == SOCK_SEQPACKET;
  }
  return found;
}

/* The engine is asked about a socket. */
static void while_opening(void) {
  struct sockaddr_in at;
  int server = listener(&at);
  MUST(fcntl(server, F_SETFD, FD_CLOEXEC)); /* a program that inherits it joins the engine first of all */
  udp = new_socket(SOCK_DGRAM);
  pthread_t thread = start(bind_udp);
  pid_t child = fork();
  if (child == 0) {
    int on = 1;
    say("the child sets an option: %s", outcome(setsockopt(udp, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on)));
    say("ends in the child: %d", pair_ends());
    _exit(0);
  }
  await_exit(child);
  say_still("forked");
  start_processes();
  say("stopped");
  await_line();
  pthread_join(thread, NULL);
  struct sockaddr_in own;
  socklen_t bytes = sizeof own;
  MUST(getsockname(udp, (struct sockaddr *)&own, &bytes));
  int peer = new_socket(SOCK_DGRAM);
  MUST(sendto(peer, "x", 1, 0, (struct sockaddr *)&own, sizeof own));
  await(udp, POLLIN);
  say("bound: %d, %s", atomic_load(&opened), outcome(recv(udp, (char[1]){0}, 1, MSG_DONTWAIT)));
  close(server);
}

/* By whom the engine is told of each: what it can be told is full at some time. */
static void many_starts(void) {
  struct sockaddr_in at;
  int server = listener(&at);
  MUST(setuid(65534));
  say("ready");
  await_line();
  for (int i = 0; i < 600; i++) {
    pid_t child = fork();
    if (child == 0) _exit(0);
    MUST(waitpid(child, NULL, 0));
  }
  say("stopped");
  await_line();
  int fd = new_socket(SOCK_STREAM), status = -1;
  MUST(connect(fd, (struct sockaddr *)&at, sizeof at));
  /* The engine has to hear of all those first. */
  for (int i = 0; i < PATIENCE_MS / 50 && status != 0; i++) {
    pid_t child = fork();
    if (child == 0) {
      int accepted = accept(server, NULL, NULL);
      _exit(accepted < 0 || send(accepted, "y", 1, 0) != 1);
    }
    MUST(waitpid(child, &status, 0));
    if (status != 0) usleep(50000);
  }
  await(fd, POLLIN);
  say("answer: %s, status %d", outcome(recv(fd, (char[1]){0}, 1, 0)), status);
}

/* A socket that is bound and does not listen yet is to be the child's, too. */
static void while_sharing(void) {
  struct sockaddr_in any = {.sin_family = AF_INET}, at;
  socklen_t bytes = sizeof at;
  int server = new_socket(SOCK_STREAM);
  MUST(bind(server, (struct sockaddr *)&any, sizeof any));
  MUST(getsockname(server, (struct sockaddr *)&at, &bytes));
  say("ready");
  await_line();
  pid_t child = fork();
  if (child == 0) {
    MUST(listen(server, 1));
    say("listens");
    int accepted = accept(server, NULL, NULL);
    _exit(accepted < 0 || send(accepted, "y", 1, 0) != 1);
  }
  MUST(child);
  say("stopped");
  await_line();
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = new_socket(SOCK_STREAM);
  while (connect(fd, (struct sockaddr *)&at, sizeof at) < 0) usleep(20000);
  await(fd, POLLIN);
  say("answer: %s", outcome(recv(fd, (char[1]){0}, 1, 0)));
  await_exit(child);
}

static const struct test_case cases[] = {
    {"while_joining", while_joining},
    {"while_opening", while_opening},
    {"many_starts", many_starts},
    {"while_sharing", while_sharing},
};

int main(int argc, char **argv) { return run_cases(argc, argv, cases, sizeof cases / sizeof *cases); }
