/*
 * Many threads on the same sockets: they accept from one listener, serve in one epoll instance, open and
 * close, send on one datagram socket. What they count in the end is the same whoever carries it.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "harness.h"

#define WORKERS 3
#define CLIENTS 3
#define ROUNDS 25

static struct sockaddr_in server_at, datagrams_at;
static int server, datagrams, epfd;
static atomic_int served, answered, received;

/* Who has a descriptor is done with it before another thread, told of it by epoll, begins: sanitizers do
 * not know that epoll orders anything. */
static pthread_mutex_t turns[1024];

static void accept_one(void) {
  int fd = accept4(server, NULL, NULL, SOCK_NONBLOCK);
  if (fd < 0) return;
  pthread_mutex_lock(&turns[fd]);
  MUST(control(epfd, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLONESHOT, (uint32_t)fd));
  pthread_mutex_unlock(&turns[fd]);
}

static void serve_one(int fd) {
  char bytes[64];
  pthread_mutex_lock(&turns[fd]);
  ssize_t n = recv(fd, bytes, sizeof bytes, 0);
  if (n > 0) {
    must(send(fd, bytes, (size_t)n, 0) == n, "send");
    MUST(control(epfd, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT, (uint32_t)fd));
  } else {
    must(n == 0, "recv");
    atomic_fetch_add(&served, 1);
    close(fd);
  }
  pthread_mutex_unlock(&turns[fd]);
}

static void *work(void *unused) {
  struct epoll_event event;
  while (epoll_wait(epfd, &event, 1, PATIENCE_MS) == 1 && event.data.u64 != UINT64_MAX) {
    if (event.data.fd == server) accept_one();
    else serve_one(event.data.fd);
  }
  return unused;
}

static void *ask(void *unused) {
  int other = new_socket(SOCK_DGRAM);
  for (int i = 0; i < ROUNDS; i++) {
    char bytes[64];
    int fd = new_socket(SOCK_STREAM);
    MUST(connect(fd, (struct sockaddr *)&server_at, sizeof server_at));
    for (int k = 0; k < 3; k++) {
      must(send(fd, "a question", 10, 0) == 10, "send");
      if (recv(fd, bytes, 10, MSG_WAITALL) == 10) atomic_fetch_add(&answered, 1);
    }
    close(fd);
    must(sendto(i % 2 ? other : datagrams, "x", 1, 0, (struct sockaddr *)&datagrams_at, sizeof datagrams_at) == 1,
         "sendto");
    struct pollfd polled = {.fd = datagrams, .events = POLLIN};
    if (poll(&polled, 1, 50) == 1 && recv(datagrams, bytes, sizeof bytes, MSG_DONTWAIT) == 1) {
      atomic_fetch_add(&received, 1);
    }
  }
  close(other);
  return unused;
}

static void crowd(void) {
  pthread_t workers[WORKERS], clients[CLIENTS];
  server = listener(&server_at);
  set_nonblocking(server);
  datagrams = udp_bound(&datagrams_at);
  epfd = epoll_create1(0);
  for (int i = 0; i < 1024; i++) pthread_mutex_init(&turns[i], NULL);
  for (int i = 0; i < WORKERS; i++) must(pthread_create(&workers[i], NULL, work, NULL) == 0, "pthread_create");
  ADD(epfd, server, EPOLLIN, (uint32_t)server);
  for (int i = 0; i < CLIENTS; i++) must(pthread_create(&clients[i], NULL, ask, NULL) == 0, "pthread_create");
  for (int i = 0; i < CLIENTS; i++) pthread_join(clients[i], NULL);
  for (int i = 0; atomic_load(&served) < CLIENTS * ROUNDS && i < PATIENCE_MS; i++) usleep(1000);
  char byte;
  while (recv(datagrams, &byte, 1, MSG_DONTWAIT) == 1) atomic_fetch_add(&received, 1);
  say("answered %d, served %d, datagrams %d", answered, served, received);
  int end[2];
  MUST(pipe(end));
  ADD(epfd, end[0], EPOLLIN, UINT64_MAX); /* not read: for all of them */
  MUST(write(end[1], "e", 1));
  for (int i = 0; i < WORKERS; i++) pthread_join(workers[i], NULL);
  close(server), close(datagrams), close(epfd), close(end[0]), close(end[1]);
}

static const struct test_case cases[] = {
    {"crowd", crowd},
};

int main(int argc, char **argv) { return run_cases(argc, argv, cases, sizeof cases / sizeof *cases); }
