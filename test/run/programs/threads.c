/* Threads that wait in one epoll instance, and limits that several calls share. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "harness.h"

/* Until the thread sleeps in the kernel; Millrace's threads come to that, too. */
static void until_asleep(atomic_int *tid) {
  char path[64], text[512];
  for (int i = 0; i < PATIENCE_MS; i++, usleep(1000)) {
    if (*tid == 0) continue;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", *tid);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) continue;
    text[n] = '\0';
    if (strncmp(strrchr(text, ')'), ") S", 3) == 0) return;
  }
  must(false, "until_asleep");
}

struct waiting {
  pthread_t thread;
  atomic_int tid;
  int epfd, result;
  struct epoll_event event;
};

static void *wait_once(void *context) {
  struct waiting *waiting = context;
  waiting->tid = gettid();
  waiting->result = epoll_wait(waiting->epfd, &waiting->event, 1, PATIENCE_MS);
  return NULL;
}

static void begin_waiting(struct waiting *waiting, int epfd) {
  *waiting = (struct waiting){.epfd = epfd};
  must(pthread_create(&waiting->thread, NULL, wait_once, waiting) == 0, "pthread_create");
  until_asleep(&waiting->tid);
}

static void end_waiting(struct waiting *waiting, const char *what) {
  must(pthread_join(waiting->thread, NULL) == 0, "pthread_join");
  say("%s: %d, %llu:%s", what, waiting->result, (unsigned long long)waiting->event.data.u64,
      waiting->result > 0 ? events_text(waiting->event.events) : "");
}

/* Whoever sleeps when there is no socket yet hears of those that come. */
static void members_after_sleep(void) {
  int pair[2], end[2], epfd = epoll_create1(0);
  struct waiting waiting;
  tcp_pair(pair);
  MUST(pipe(end));
  ADD(epfd, end[0], EPOLLIN, 1);
  begin_waiting(&waiting, epfd);
  ADD(epfd, pair[0], EPOLLOUT, 2);
  end_waiting(&waiting, "ready when it was added");
  MUST(control(epfd, EPOLL_CTL_DEL, pair[0], 0, 0));
  begin_waiting(&waiting, epfd);
  ADD(epfd, pair[0], EPOLLIN, 3);
  MUST(send(pair[1], "a", 1, 0));
  end_waiting(&waiting, "ready later");
  MUST(control(epfd, EPOLL_CTL_DEL, pair[0], 0, 0));
  begin_waiting(&waiting, epfd);
  MUST(write(end[1], "x", 1));
  end_waiting(&waiting, "the pipe");
  close(pair[0]), close(pair[1]), close(end[0]), close(end[1]), close(epfd);
}

/* Two sleep; each thing that happens wakes one of them. */
static void two_sleepers(void) {
  int first[2], second[2], epfd = epoll_create1(0);
  struct waiting waiting[2];
  tcp_pair(first);
  tcp_pair(second);
  begin_waiting(&waiting[0], epfd);
  begin_waiting(&waiting[1], epfd);
  ADD(epfd, first[0], EPOLLIN | EPOLLONESHOT, 1);
  ADD(epfd, second[0], EPOLLIN | EPOLLONESHOT, 2);
  MUST(send(first[1], "a", 1, 0));
  MUST(send(second[1], "b", 1, 0));
  for (int i = 0; i < 2; i++) must(pthread_join(waiting[i].thread, NULL) == 0, "pthread_join");
  say("%d %d, both sockets: %s", waiting[0].result, waiting[1].result,
      waiting[0].event.data.u64 + waiting[1].event.data.u64 == 3 ? "yes" : "no");
  close(first[0]), close(first[1]), close(second[0]), close(second[1]), close(epfd);
}

/* A socket that is decided while somebody sleeps in an instance that watches it. */
static void decided_after_sleep(void) {
  int epfd = epoll_create1(0), late = new_socket(SOCK_DGRAM), from = new_socket(SOCK_DGRAM);
  struct waiting waiting;
  ADD(epfd, late, EPOLLIN, 5);
  begin_waiting(&waiting, epfd);
  struct sockaddr_in at = base_address;
  socklen_t bytes = sizeof at;
  MUST(bind(late, (struct sockaddr *)&at, bytes));
  MUST(getsockname(late, (struct sockaddr *)&at, &bytes));
  MUST(sendto(from, "x", 1, 0, (struct sockaddr *)&at, bytes));
  end_waiting(&waiting, "bound later");
  close(late), close(from), close(epfd);
}

/* The connection waits until there is a descriptor for it. */
static void accepting_without_descriptors(void) {
  struct sockaddr_in at;
  int server = listener(&at), client = new_socket(SOCK_STREAM), taken[1024], n = 0;
  set_nonblocking(server);
  struct rlimit before, limit;
  MUST(getrlimit(RLIMIT_NOFILE, &before));
  limit = (struct rlimit){.rlim_cur = 1024, .rlim_max = before.rlim_max};
  MUST(connect(client, (struct sockaddr *)&at, sizeof at));
  await(server, POLLIN);
  MUST(setrlimit(RLIMIT_NOFILE, &limit));
  while (n < 1024 && (taken[n] = dup(client)) >= 0) n++;
  say("dup %s", strerrorname_np(errno));
  say("accept %s", outcome(accept(server, NULL, NULL)));
  say("accept %s", outcome(accept(server, NULL, NULL)));
  while (n > 0) close(taken[--n]);
  MUST(setrlimit(RLIMIT_NOFILE, &before));
  int accepted = accept(server, NULL, NULL);
  MUST(accepted);
  MUST(send(client, "hello", 5, 0));
  char bytes[8];
  say("recv %s", outcome(recv(accepted, bytes, sizeof bytes, 0)));
  close(server), close(client), close(accepted);
}

/* What is kept hidden for connections to come makes room when the program has no descriptor left. */
static void running_out_of_descriptors(void) {
  struct sockaddr_in at;
  int server = listener(&at), taken[256], n = 0, sockets = 0;
  struct rlimit before, limit;
  MUST(getrlimit(RLIMIT_NOFILE, &before));
  for (int i = 0; i < 20; i++) {
    int client = new_socket(SOCK_STREAM);
    MUST(connect(client, (struct sockaddr *)&at, sizeof at));
    int accepted = accept(server, NULL, NULL);
    MUST(accepted);
    close(accepted), close(client);
  }
  limit = (struct rlimit){.rlim_cur = 256, .rlim_max = before.rlim_max};
  MUST(setrlimit(RLIMIT_NOFILE, &limit));
  while (n < 256 && (taken[n] = open("/dev/null", O_RDONLY)) >= 0) n++;
  say("open %s", strerrorname_np(errno));
  for (int fd = 0; fd < 1 << 14; fd++) {
    struct stat what;
    sockets += fstat(fd, &what) == 0 && S_ISSOCK(what.st_mode);
  }
  say("%s", sockets < 6 ? "few sockets" : "hidden ones are left");
  while (n > 0) close(taken[--n]);
  MUST(setrlimit(RLIMIT_NOFILE, &before));
  close(server);
}

/* Memory of sockets that are closed is given back, but for what the next ones need. */
static void memory_of_closed_sockets(void) {
  enum { MANY = 100 };
  int fds[MANY];
  struct sockaddr_in at;
  for (int i = 0; i < MANY; i++) fds[i] = udp_bound(&at);
  for (int i = 0; i < MANY; i++) MUST(close(fds[i]));
  FILE *maps = fopen("/proc/self/maps", "r");
  char line[4096];
  unsigned long from, to, bytes_mapped = 0; /* 25 MiB for all of them; 16 are kept for others */
  while (fgets(line, sizeof line, maps) != NULL) {
    if (strstr(line, "millrace-region") == NULL || sscanf(line, "%lx-%lx", &from, &to) != 2) continue;
    bytes_mapped += to - from;
  }
  fclose(maps);
  say("%s", bytes_mapped <= 20 << 20 ? "few regions" : "many regions");
  fds[0] = udp_bound(&at);
  MUST(sendto(fds[0], "again", 5, 0, (struct sockaddr *)&at, sizeof at));
  char bytes[8];
  say("recv %s", outcome(recv(fds[0], bytes, sizeof bytes, 0)));
  close(fds[0]);
}

static const struct test_case cases[] = {
    {"members_after_sleep", members_after_sleep},
    {"two_sleepers", two_sleepers},
    {"decided_after_sleep", decided_after_sleep},
    {"accepting_without_descriptors", accepting_without_descriptors},
    {"running_out_of_descriptors", running_out_of_descriptors},
    {"memory_of_closed_sockets", memory_of_closed_sockets},
};

int main(int argc, char **argv) { return run_cases(argc, argv, cases, sizeof cases / sizeof *cases); }
