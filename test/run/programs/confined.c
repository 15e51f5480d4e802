/*
 * Servers that become another user, or get another root, when they have opened their port, and what they start
 * then: they cannot go to the engine's socket themselves any more.
 */
#include "harness.h"
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define NOBODY 65534
#define LISTENER 3

extern char **environ;
static char *own_path;

static void serve(int server) {
  char byte;
  int fd = accept(server, NULL, NULL);
  if (fd < 0 || recv(fd, &byte, 1, 0) != 1) exit(1);
  byte = getuid() == NOBODY ? 'n' : 'r';
  if (send(fd, &byte, 1, 0) != 1) exit(1);
  close(fd);
  exit(0);
}

static void ask(struct sockaddr_in *at) {
  char byte = '?';
  int fd = new_socket(SOCK_STREAM);
  MUST(connect(fd, (struct sockaddr *)at, sizeof *at));
  MUST(send(fd, &byte, 1, 0));
  struct pollfd answer = {.fd = fd, .events = POLLIN};
  say("an answer: %d", poll(&answer, 1, PATIENCE_MS));
  ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
  say("recv: %s, %c", outcome(n), byte);
  close(fd);
}

static void await_child(pid_t child) {
  int status;
  MUST(waitpid(child, &status, 0));
  say("status %d", status);
}

static void fork_setuid(void) {
  struct sockaddr_in at;
  int server = listener(&at);
  pid_t child = fork();
  if (child == 0) {
    MUST(setuid(NOBODY));
    serve(server);
  }
  ask(&at);
  await_child(child);
}

static void fork_chroot(void) {
  struct sockaddr_in at;
  int server = listener(&at);
  pid_t child = fork();
  if (child == 0) {
    MUST(chroot("/proc/self/fdinfo"));
    MUST(setuid(NOBODY));
    serve(server);
  }
  ask(&at);
  await_child(child);
}

/* A server whose children are forked by whom the engine would turn away, too. */
static void setuid_fork(void) {
  struct sockaddr_in at;
  int server = listener(&at);
  MUST(setuid(NOBODY));
  for (int i = 0; i < 3; i++) {
    pid_t child = fork();
    if (child == 0) {
      pid_t grandchild = fork();
      if (grandchild == 0) serve(server);
      int status;
      waitpid(grandchild, &status, 0);
      exit(status != 0);
    }
    ask(&at);
    await_child(child);
  }
}

static int listener_for_program(struct sockaddr_in *at) {
  int server = listener(at);
  MUST(dup2(server, LISTENER));
  if (server != LISTENER) close(server);
  MUST(setuid(NOBODY));
  return LISTENER;
}

static void setuid_exec(void) {
  struct sockaddr_in at;
  listener_for_program(&at);
  for (int i = 0; i < 2; i++) {
    pid_t child = fork();
    if (child == 0) {
      execl(own_path, own_path, "serve", NULL);
      exit(2);
    }
    ask(&at);
    await_child(child);
  }
}

static void setuid_spawn(void) {
  struct sockaddr_in at;
  listener_for_program(&at);
  pid_t child;
  char *words[] = {own_path, "serve", NULL}, *empty[] = {NULL};
  for (int i = 0; i < 2; i++) {
    MUST(-posix_spawn(&child, own_path, NULL, NULL, words, i == 0 ? environ : empty));
    ask(&at);
    await_child(child);
  }
}

/* libc starts these where nobody can add to their environment. */
static void setuid_system(void) {
  struct sockaddr_in at;
  char command[4096];
  listener_for_program(&at);
  snprintf(command, sizeof command, "%s serve", own_path);
  pid_t child = fork();
  if (child == 0) exit(system(command) != 0);
  ask(&at);
  await_child(child);
}

/* Descriptors that a program started now would get. */
static int inheritable(void) {
  int found = 0;
  for (int fd = 0; fd < 4096; fd++) {
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *file = fopen(path, "re");
    if (file == NULL) continue;
    unsigned flags = O_CLOEXEC;
    while (fgets(text, sizeof text, file) != NULL) sscanf(text, "flags: %o", &flags);
    fclose(file);
    found += (flags & O_CLOEXEC) == 0;
  }
  return found;
}

static void *run_command(void *status) {
  *(int *)status = system("echo x >&8; read y <&9");
  return NULL;
}

/* What its shell needs of the process is for nobody else, however long the command takes. */
static void setuid_long_command(void) {
  struct sockaddr_in at;
  int in[2], out[2], status = -1, patience = PATIENCE_MS;
  char byte;
  listener_for_program(&at);
  MUST(prctl(PR_SET_DUMPABLE, 1)); /* its /proc is its own again */
  MUST(pipe2(in, O_CLOEXEC));
  MUST(pipe2(out, O_CLOEXEC));
  MUST(dup2(out[1], 8));
  MUST(dup2(in[0], 9));
  int before = inheritable();
  pthread_t thread;
  pthread_create(&thread, NULL, run_command, &status);
  MUST(read(out[0], &byte, 1) - 1); /* it runs */
  while (inheritable() != before && patience-- > 0) usleep(1000);
  say("as before: %d", inheritable() == before);
  MUST(write(in[1], "\n", 1));
  pthread_join(thread, NULL);
  say("status %d", status);
}

static void setuid_popen(void) {
  struct sockaddr_in at;
  char command[4096];
  listener_for_program(&at);
  snprintf(command, sizeof command, "%s serve", own_path);
  FILE *stream = popen(command, "r");
  ask(&at);
  say("status %d", pclose(stream));
}

/* There is room for the new process's connection, but not yet when it is forked. */
static void setuid_full(void) {
  struct sockaddr_in at;
  int server = listener(&at), last = -1;
  struct rlimit few = {.rlim_cur = 64, .rlim_max = 64};
  MUST(setrlimit(RLIMIT_NOFILE, &few));
  MUST(setuid(NOBODY));
  for (int fd; (fd = open("/dev/null", O_RDONLY)) >= 0;) last = fd;
  say("%s", outcome(-1));
  pid_t child = fork();
  if (child == 0) {
    for (int fd = last; fd > last - 8; fd--) close(fd);
    pid_t grandchild = fork();
    if (grandchild == 0) serve(server);
    int status;
    waitpid(grandchild, &status, 0);
    exit(status != 0);
  }
  for (int fd = last; fd > last - 8; fd--) close(fd);
  ask(&at);
  await_child(child);
}

/* The child is the first process of its namespace. */
static void namespace_fork(void) {
  struct sockaddr_in at;
  int server = listener(&at);
  pid_t child = fork();
  if (child == 0) {
    MUST(unshare(CLONE_NEWPID));
    pid_t first = fork();
    if (first == 0) {
      if (getpid() != 1) exit(3);
      serve(server);
    }
    int status;
    waitpid(first, &status, 0);
    exit(status != 0);
  }
  ask(&at);
  await_child(child);
}

static void namespace_spawn(void) {
  struct sockaddr_in at;
  int server = listener(&at);
  MUST(dup2(server, LISTENER));
  pid_t child = fork();
  if (child == 0) {
    pid_t first;
    char *words[] = {own_path, "serve", NULL};
    MUST(unshare(CLONE_NEWPID));
    MUST(-posix_spawn(&first, own_path, NULL, NULL, words, environ));
    int status;
    waitpid(first, &status, 0);
    exit(status != 0);
  }
  ask(&at);
  await_child(child);
}

static int serve_cloned(void *server) {
  if (getpid() != 1) exit(3);
  serve(*(int *)server);
  return 0;
}
static void namespace_clone(void) {
  static char stack[1 << 20] __attribute__((aligned(16)));
  struct sockaddr_in at;
  int server = listener(&at);
  pid_t child = clone(serve_cloned, stack + sizeof stack, CLONE_NEWPID | SIGCHLD, &server);
  MUST(child);
  ask(&at);
  await_child(child);
}

static void setuid_socket(void) {
  MUST(setuid(NOBODY));
  struct sockaddr_in at;
  int server = listener(&at);
  pid_t child = fork();
  if (child == 0) serve(server);
  ask(&at);
  await_child(child);
}

/* Says when its children are there, whatever the engine does, and has them served by one then. */
static void while_stopped(void) {
  struct sockaddr_in at;
  int server = listener(&at);
  MUST(setuid(NOBODY));
  say("ready");
  if (getchar() == EOF) exit(1);
  pid_t children[3];
  for (int i = 0; i < 3; i++) {
    children[i] = fork();
    if (children[i] != 0) continue;
    say("forked");
    serve(server);
  }
  if (getchar() == EOF) exit(1);
  for (int i = 0; i < 3; i++) ask(&at);
  for (int i = 0; i < 3; i++) await_child(children[i]);
}

static const struct test_case cases[] = {
    {"fork_setuid", fork_setuid},
    {"fork_chroot", fork_chroot},
    {"setuid_fork", setuid_fork},
    {"setuid_exec", setuid_exec},
    {"setuid_spawn", setuid_spawn},
    {"setuid_system", setuid_system},
    {"setuid_long_command", setuid_long_command},
    {"setuid_popen", setuid_popen},
    {"setuid_full", setuid_full},
    {"namespace_fork", namespace_fork},
    {"namespace_spawn", namespace_spawn},
    {"namespace_clone", namespace_clone},
    {"setuid_socket", setuid_socket},
};

int main(int argc, char **argv) {
  own_path = argv[0];
  if (argc == 2 && strcmp(argv[1], "serve") == 0) serve(LISTENER);
  static const struct test_case stopped = {"while_stopped", while_stopped};
  if (argc == 3 && strcmp(argv[2], stopped.name) == 0) return run_cases(argc, argv, &stopped, 1);
  return run_cases(argc, argv, cases, sizeof cases / sizeof *cases);
}
