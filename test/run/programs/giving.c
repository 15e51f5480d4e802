/*
 * Threads that connect, accept and close while others give descriptors away: fork, exec, posix_spawn, system,
 * popen, SCM_RIGHTS. Nobody may hang, and nothing may be left.
 *
 *   PROGRAM ADDRESS SECONDS [WAY…]   so long each way; then `resting`, until standard input ends
 */
#include "say.h"

#include <dirent.h>
#include <spawn.h>
#include <stdatomic.h>

#define CLIENTS 3
#define SERVERS 2
#define THREADS (CLIENTS + SERVERS + 1)
#define TICK_MS 50
#define PATIENCE_TICKS 600 /* of the watcher's own: what stops the program stops them, too */
#define STAYING 24         /* children that live on for as long as their way goes */

extern char **environ;

static int l;
static uint16_t port;
static atomic_bool is_over, is_served;
static pid_t staying[STAYING];
static int staying_count;

/* What each thread does, for whoever wants to know where one hangs. */
static struct progress {
  atomic_ulong turns;
  const char *_Atomic doing;
  const char *who;
} progress[THREADS];

static void fail(struct progress *mine, const char *what) {
  fprintf(stderr, "%s: %s: %s\n", mine->who, what, strerror(errno));
  for (int i = 0; i < staying_count; i++) kill(staying[i], SIGKILL);
  _exit(1);
}

#define DO(call)                                        \
  ({                                                    \
    atomic_store(&mine->doing, #call);                  \
    long result_ = (long)(call);                        \
    if (result_ < 0) fail(mine, #call);                 \
    result_;                                            \
  })

/* ---- Connections ---------------------------------------------------------------------------------------- */

static int begin(struct progress *mine) {
  int fd = (int)DO(socket(home.ss_family, SOCK_STREAM, 0));
  DO(connect(fd, at(port), home_bytes));
  return fd;
}

static void end(struct progress *mine, int fd) {
  char byte = 'x';
  DO(send(fd, &byte, 1, MSG_NOSIGNAL));
  if (DO(recv(fd, &byte, 1, 0)) != 1 || byte != 'y') fail(mine, "another answer");
  if (DO(recv(fd, &byte, 1, 0)) != 0) fail(mine, "no end");
  DO(close(fd));
}

static void *client(void *context) {
  struct progress *mine = context;
  while (!is_over) {
    end(mine, begin(mine));
    mine->turns++;
  }
  mine->doing = "resting";
  return NULL;
}

static void *server(void *context) {
  struct progress *mine = context;
  for (;;) {
    mine->doing = "accept";
    int fd = accept(l, NULL, NULL);
    if (fd < 0 && is_served) break;
    if (fd < 0) fail(mine, "accept");
    char byte;
    if (DO(recv(fd, &byte, 1, 0)) != 1 || byte != 'x') fail(mine, "another question");
    byte = 'y';
    DO(send(fd, &byte, 1, MSG_NOSIGNAL));
    DO(close(fd));
    mine->turns++;
  }
  mine->doing = "resting";
  return NULL;
}

/* ---- Ways to give descriptors away ------------------------------------------------------------------------- */

static void reap(struct progress *mine, pid_t child) {
  int status = 0;
  DO(waitpid(child, &status, 0));
  if (status != 0) fail(mine, "the child's status");
}

static void forking(struct progress *mine) {
  pid_t child = (pid_t)DO(fork());
  if (child == 0) _exit(0);
  reap(mine, child);
}

static void executing(struct progress *mine) {
  pid_t child = (pid_t)DO(fork());
  if (child == 0) {
    execl("/bin/true", "true", NULL);
    _exit(127);
  }
  reap(mine, child);
}

/* A child that closes what it knows of and lives on holds no connection up. */
static void forking_for_long(struct progress *mine) {
  if (staying_count == STAYING) {
    usleep(1000);
    return;
  }
  pid_t child = (pid_t)DO(fork());
  if (child == 0) {
    close_range(3, ~0u, 0);
    for (;;) pause();
  }
  staying[staying_count++] = child;
  usleep(5000);
}

static void borrowing(struct progress *mine) {
  pid_t child = vfork();
  if (child < 0) fail(mine, "vfork");
  if (child == 0) {
    execl("/bin/true", "true", NULL);
    _exit(127);
  }
  reap(mine, child);
}

static void spawning(struct progress *mine) {
  char *arguments[] = {"true", NULL};
  pid_t child;
  errno = posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ);
  if (errno != 0) fail(mine, "posix_spawn");
  reap(mine, child);
}

static void asking(struct progress *mine) {
  if (DO(system("exit 0")) != 0) fail(mine, "the shell's status");
}

static void piping(struct progress *mine) {
  char line[8] = "";
  FILE *stream = popen("echo hi", "r");
  if (stream == NULL) fail(mine, "popen");
  if (fgets(line, sizeof line, stream) == NULL || strcmp(line, "hi\n") != 0) fail(mine, "what the child said");
  DO(pclose(stream));
}

/* A connection is ended by who was handed it. */
static void passing(struct progress *mine) {
  int pair[2], fd = begin(mine), got = -1;
  DO(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  char byte = 'p';
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control = {{0}};
  struct iovec vector = {&byte, 1};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control,
                           .msg_controllen = sizeof control};
  control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
  memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
  DO(sendmsg(pair[0], &message, 0));
  DO(close(fd));
  DO(recvmsg(pair[1], &message, 0));
  memcpy(&got, CMSG_DATA(&control.header), sizeof got);
  DO(close(pair[0]));
  DO(close(pair[1]));
  end(mine, got);
}

static const struct way {
  const char *name;
  void (*turn)(struct progress *mine);
} ways[] = {
    {"fork", forking}, {"fork_exec", executing}, {"fork_stay", forking_for_long}, {"vfork", borrowing},
    {"spawn", spawning}, {"system", asking}, {"popen", piping}, {"pass", passing},
};

static void *giver(void *context) {
  struct progress *mine = &progress[THREADS - 1];
  const struct way *way = context;
  while (!is_over) {
    way->turn(mine);
    mine->turns++;
  }
  mine->doing = "resting";
  return NULL;
}

/* ---- Watching -------------------------------------------------------------------------------------------- */

static unsigned long turns_of_all(void) {
  unsigned long sum = 0;
  for (int i = 0; i < THREADS; i++) sum += progress[i].turns;
  return sum;
}

/* Whether every client has gone on. */
static bool have_all_moved(unsigned long before[CLIENTS]) {
  for (int i = 0; i < CLIENTS; i++) {
    if (progress[i].turns == before[i]) return false;
  }
  return true;
}

static void say_where(const char *way) {
  fprintf(stderr, "%s: somebody hangs\n", way);
  for (int i = 0; i < THREADS; i++) {
    fprintf(stderr, "  %s after %lu turns: %s\n", progress[i].who, progress[i].turns, progress[i].doing);
  }
  for (int i = 0; i < staying_count; i++) kill(staying[i], SIGKILL);
  if (getenv("GIVING_STOPS") != NULL) raise(SIGSTOP);
  _exit(1);
}

/* For so many ticks; each client must go on again and again. */
static void watch(const char *way, int ticks) {
  unsigned long before[CLIENTS];
  int still = 0;
  for (int i = 0; i < CLIENTS; i++) before[i] = progress[i].turns;
  for (int tick = 0; tick < ticks || still > 0; tick++) {
    usleep(TICK_MS * 1000);
    still++;
    if (have_all_moved(before)) {
      for (int i = 0; i < CLIENTS; i++) before[i] = progress[i].turns;
      still = 0;
    }
    if (still > PATIENCE_TICKS) say_where(way);
  }
}

static void join(const char *way, pthread_t thread) {
  for (int tick = 0; pthread_tryjoin_np(thread, NULL) != 0; tick++) {
    if (tick > PATIENCE_TICKS) say_where(way);
    usleep(TICK_MS * 1000);
  }
}

/* Sockets among this process's descriptors, hidden ones included. */
static int sockets_held(void) {
  DIR *folder = opendir("/proc/self/fd");
  int held = 0;
  for (struct dirent *at; (at = readdir(folder)) != NULL;) {
    char to[32] = "";
    if (readlinkat(dirfd(folder), at->d_name, to, sizeof to - 1) > 0) held += strncmp(to, "socket:", 7) == 0;
  }
  closedir(folder);
  return held;
}

static void run(const struct way *way, double seconds) {
  pthread_t threads[THREADS];
  is_over = is_served = false;
  l = listener(&port);
  for (int i = 0; i < THREADS; i++) {
    progress[i] = (struct progress){.who = i < CLIENTS ? "client" : i < CLIENTS + SERVERS ? "server" : "giver"};
    void *(*body)(void *) = i < CLIENTS ? client : i < CLIENTS + SERVERS ? server : giver;
    void *context = i < CLIENTS + SERVERS ? (void *)&progress[i] : (void *)(uintptr_t)way;
    must(pthread_create(&threads[i], NULL, body, context) == 0, "pthread_create");
  }
  watch(way->name, (int)(seconds * 1000 / TICK_MS));
  is_over = true;
  for (int i = 0; i < CLIENTS; i++) join(way->name, threads[i]);
  join(way->name, threads[THREADS - 1]);
  is_served = true;
  shutdown(l, SHUT_RDWR);
  for (int i = CLIENTS; i < CLIENTS + SERVERS; i++) join(way->name, threads[i]);
  close(l);
  for (int i = 0; i < staying_count; i++) {
    kill(staying[i], SIGKILL);
    waitpid(staying[i], NULL, 0);
  }
  staying_count = 0;
  if (getenv("GIVING_COUNTS") != NULL) fprintf(stderr, "%s: %lu turns\n", way->name, turns_of_all());
}

int main(int argc, char **argv) {
  start(argc > 2 ? 2 : 1, argv);
  double seconds = strtod(argv[2], NULL);
  struct progress mine = {.who = "main"};
  int before = -1;
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    bool is_wanted = argc == 3;
    for (int k = 3; k < argc; k++) is_wanted |= strcmp(argv[k], ways[i].name) == 0;
    if (!is_wanted) continue;
    run(&ways[i], seconds);
    spawning(&mine); /* what is kept for connections to come goes with it */
    int held = sockets_held();
    printf("%s: %s\n", ways[i].name, before >= 0 && held != before ? "sockets are left" : "nobody hangs");
    before = held;
  }
  printf("resting\n");
  char byte;
  return read(0, &byte, 1) < 0;
}
