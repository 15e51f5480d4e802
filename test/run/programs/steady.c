/*
 * A server of echoes and its client in one process: each answer is compared with what was asked, over TCP
 * and UDP, until standard input ends. It says its port first, and how many echoes were right last; the
 * server serves whoever comes.
 *
 *   steady ADDRESS
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS 256
#define BYTES 20000

static struct sockaddr_in at;

static void must(int holds, const char *what) {
  if (holds) return;
  printf("failed: %s: %s\n", what, strerror(errno));
  fflush(stdout);
  _exit(1);
}

/* One that does not listen, or goes away, is nothing to the others. */
static int echo(int fd) {
  char bytes[4096];
  ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return 1;
  for (ssize_t sent = 0, part; sent < n; sent += part) {
    part = send(fd, bytes + sent, (size_t)(n - sent), MSG_NOSIGNAL);
    if (part < 0) return 0;
  }
  return n > 0;
}

static void echo_datagram(int fd) {
  char bytes[4096];
  struct sockaddr_in from;
  socklen_t room = sizeof from;
  ssize_t n = recvfrom(fd, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&from, &room);
  if (n >= 0) sendto(fd, bytes, (size_t)n, MSG_DONTWAIT, (struct sockaddr *)&from, room);
}

static int servers[2];

static void *serve(void *unused) {
  static struct pollfd fds[CONNECTIONS];
  struct timeval soon = {.tv_sec = 1}; /* for those that send and never read */
  int n = 2;
  fds[0] = (struct pollfd){.fd = servers[0], .events = POLLIN};
  fds[1] = (struct pollfd){.fd = servers[1], .events = POLLIN};
  for (;;) {
    must(poll(fds, (nfds_t)n, -1) > 0, "poll");
    for (int i = n - 1; i >= 2; i--) {
      if (fds[i].revents == 0 || echo(fds[i].fd)) continue;
      close(fds[i].fd);
      fds[i] = fds[--n];
    }
    if (fds[1].revents) echo_datagram(servers[1]);
    if (!fds[0].revents || n == CONNECTIONS) continue;
    int fd = accept(servers[0], NULL, NULL);
    if (fd < 0) continue;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon);
    fds[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
  }
  return unused;
}

static void fill(uint8_t *bytes, size_t n, uint32_t seed) {
  for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
}

static void ask_stream(int fd, uint32_t seed) {
  static uint8_t asked[BYTES], answered[BYTES];
  size_t n = 1 + seed * 7919 % BYTES;
  fill(asked, n, seed);
  must(send(fd, asked, n, 0) == (ssize_t)n, "send");
  must(recv(fd, answered, n, MSG_WAITALL) == (ssize_t)n, "recv");
  must(memcmp(asked, answered, n) == 0, "what came back over TCP");
}

/* Datagrams may be lost; a wrong one must not come. */
static void ask_datagram(int fd, uint32_t seed) {
  uint8_t asked[1400], answered[1400];
  size_t n = 4 + seed * 31 % 1396;
  fill(asked, n, seed);
  memcpy(asked, &seed, 4);
  for (int tries = 0; tries < 40; tries++) {
    must(send(fd, asked, n, 0) == (ssize_t)n, "send of a datagram");
    for (ssize_t got; (got = recv(fd, answered, sizeof answered, 0)) >= 0;) {
      uint32_t of = 0;
      memcpy(&of, answered, 4);
      if (of < seed) continue; /* late */
      must(got == (ssize_t)n && memcmp(asked, answered, n) == 0, "what came back over UDP");
      return;
    }
    must(errno == EAGAIN, "recv of a datagram");
  }
  must(0, "forty datagrams without an answer");
}

int main(int argc, char **argv) {
  socklen_t bytes = sizeof at;
  struct timeval half = {.tv_usec = 500000};
  pthread_t thread;
  if (argc != 2 || inet_pton(AF_INET, argv[1], &at.sin_addr) != 1) return 2;
  at.sin_family = AF_INET;
  for (int i = 0; i < 2; i++) {
    servers[i] = socket(AF_INET, i == 0 ? SOCK_STREAM : SOCK_DGRAM, 0);
    must(bind(servers[i], (struct sockaddr *)&at, sizeof at) == 0, "bind");
    getsockname(servers[i], (struct sockaddr *)&at, &bytes);
  }
  must(listen(servers[0], 64) == 0, "listen");
  must(pthread_create(&thread, NULL, serve, NULL) == 0, "pthread_create");
  printf("port %d\n", ntohs(at.sin_port));
  fflush(stdout);
  int stream = socket(AF_INET, SOCK_STREAM, 0), datagrams = socket(AF_INET, SOCK_DGRAM, 0);
  must(connect(stream, (struct sockaddr *)&at, sizeof at) == 0, "connect");
  must(connect(datagrams, (struct sockaddr *)&at, sizeof at) == 0, "connect of a datagram socket");
  setsockopt(datagrams, SOL_SOCKET, SO_RCVTIMEO, &half, sizeof half);
  uint32_t seed = 1;
  for (struct pollfd in = {.fd = 0, .events = POLLIN}; poll(&in, 1, 0) == 0; seed++) {
    ask_stream(stream, seed);
    ask_datagram(datagrams, seed);
    if (seed % 16 != 0) continue;
    close(stream); /* and a new one now and then */
    stream = socket(AF_INET, SOCK_STREAM, 0);
    must(connect(stream, (struct sockaddr *)&at, sizeof at) == 0, "connect");
  }
  printf("%u echoes were right\n", seed - 1);
  return 0;
}
