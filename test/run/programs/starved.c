/*
 * A program that has as many descriptors as it may have, and sockets of before: what it can do with them, and again
 * when it has closed some. `starved ADDRESS` on the kernel needs none for all of this. `starved ADDRESS few`: has two, and
 * then three. `starved ADDRESS memory`: the same of address space.
 */
#include "harness.h"
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define MOST 64
#define ENOUGH 8

static int taken[MOST], taken_count;

static void take_all(void) {
  for (int fd; taken_count < MOST && (fd = dup(0)) >= 0;) taken[taken_count++] = fd;
  say("one more: %s", outcome(dup(0)));
}

static void give_some(void) {
  for (int i = 0; i < ENOUGH; i++) close(taken[--taken_count]);
}

static const char *to(int fd, int (*call)(int, const struct sockaddr *, socklen_t), struct sockaddr_in *at) {
  return outcome(call(fd, (struct sockaddr *)at, sizeof *at));
}

/* sendmmsg(2) of one datagram. */
static int send_one(int fd, struct sockaddr_in *at) {
  struct iovec bytes = {"a", 1};
  struct mmsghdr one = {.msg_hdr = {.msg_name = at, .msg_namelen = sizeof *at, .msg_iov = &bytes, .msg_iovlen = 1}};
  return sendmmsg(fd, &one, 1, 0);
}

static void cases(void) {
  struct sockaddr_in stream_at, datagram_at = base_address, loopback_at;
  struct sockaddr_in wildcard = {.sin_family = AF_INET};
  socklen_t bytes = sizeof stream_at;
  listener(&stream_at);
  int receiver = new_socket(SOCK_DGRAM);
  MUST(bind(receiver, (struct sockaddr *)&datagram_at, bytes));
  MUST(getsockname(receiver, (struct sockaddr *)&datagram_at, &bytes));
  loopback_at = stream_at;
  loopback_at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  loopback_at.sin_port = htons(1); /* nobody is there */
  int client = new_socket(SOCK_STREAM), sender = new_socket(SOCK_DGRAM), other = new_socket(SOCK_STREAM);
  int server = new_socket(SOCK_STREAM), heard = new_socket(SOCK_DGRAM), many = new_socket(SOCK_DGRAM);
  take_all();
  say("socket: %s", outcome(socket(AF_INET, SOCK_STREAM, 0)));
  say("connect: %s", to(client, connect, &stream_at));
  say("sendto: %s", outcome(sendto(sender, "a", 1, 0, (struct sockaddr *)&datagram_at, sizeof datagram_at)));
  say("sendmmsg: %s", outcome(send_one(many, &datagram_at)));
  say("connect to the kernel's: %s", to(other, connect, &loopback_at));
  say("bind: %s", to(server, bind, &wildcard));
  say("listen: %s", outcome(listen(server, 1)));
  say("bind: %s", to(heard, bind, &wildcard));
  give_some();
  int again = connect(client, (struct sockaddr *)&stream_at, sizeof stream_at);
  say("connected: %d", again == 0 || errno == EISCONN);
  say("sendto again: %s", outcome(sendto(sender, "b", 1, 0, (struct sockaddr *)&datagram_at, sizeof datagram_at)));
  char got = 0;
  do MUST(recv(receiver, &got, 1, 0));
  while (got != 'b');
  say("heard");
}

/* The numbers that it has are low, far from the limit. */
static void cases_of_few(void) {
  struct sockaddr_in nobody = base_address, own = base_address;
  nobody.sin_port = htons(1);
  int low[3];
  for (int i = 0; i < 3; i++) MUST(low[i] = dup(0));
  int before = new_socket(SOCK_DGRAM), first = new_socket(SOCK_STREAM), second = new_socket(SOCK_STREAM);
  MUST(bind(before, (struct sockaddr *)&own, sizeof own)); /* the engine is known, its memory for streams is not */
  take_all();
  close(low[2]);
  close(low[1]);
  say("connect: %s", to(first, connect, &nobody));
  say("connect another: %s", to(second, connect, &nobody));
  close(low[0]);
  say("connect again: %s", to(second, connect, &nobody));
}

static rlim_t limit_memory(rlim_t bytes) {
  struct rlimit limit;
  MUST(getrlimit(RLIMIT_AS, &limit));
  rlim_t before = limit.rlim_cur;
  limit.rlim_cur = bytes;
  MUST(setrlimit(RLIMIT_AS, &limit));
  return before;
}

static rlim_t memory_now(void) {
  unsigned long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  must(file != NULL && fscanf(file, "%lu", &pages) == 1, "statm");
  fclose(file);
  return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* Of address space: what a socket takes is mapped. */
static void memory_cases(void) {
  struct sockaddr_in nobody = base_address, wildcard = {.sin_family = AF_INET};
  nobody.sin_port = htons(1);
  int client = new_socket(SOCK_STREAM), server = new_socket(SOCK_STREAM), heard = new_socket(SOCK_DGRAM);
  rlim_t before = limit_memory(memory_now() + 65536);
  say("connect: %s", to(client, connect, &nobody));
  say("bind: %s", to(server, bind, &wildcard));
  say("listen: %s", outcome(listen(server, 1)));
  say("bind: %s", to(heard, bind, &wildcard));
  limit_memory(before);
  say("connect again: %s", to(client, connect, &nobody));
}

/* Who may raise the limit has as many as he likes. */
static void starve(char **words, const char *what) {
  char cases_of[32];
  snprintf(cases_of, sizeof cases_of, "starved of %s", what);
  struct rlimit most = {MOST, MOST};
  MUST(setrlimit(RLIMIT_NOFILE, &most));
  MUST(prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE, 0, 0, 0));
  execl(words[0], words[0], words[1], cases_of, (char *)NULL);
  MUST(-1);
}

int main(int count, char **words) {
  base_address.sin_family = AF_INET;
  inet_pton(AF_INET, words[1], &base_address.sin_addr);
  const char *what = count > 2 ? words[2] : "none";
  if (strcmp(what, "memory") == 0) memory_cases();
  else if (strcmp(what, "starved of none") == 0) cases();
  else if (strcmp(what, "starved of few") == 0) cases_of_few();
  else starve(words, what);
  return 0;
}
