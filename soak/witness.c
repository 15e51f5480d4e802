/*
 * Two programs that a soak leaves alone: they say to each other, over a connection and by datagrams, what
 * must come back, all the time. Who starves or hears something else says so and ends with status 1.
 *
 *   witness serve ADDRESS PORT
 *   witness ask ADDRESS PORT     at SIGTERM: ROUNDS WORST_MICROSECONDS
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_SECONDS 60 /* on a machine that others use, too, processes wait long for their turn */
#define PAUSE_MS 10
#define BYTES 1000

static uint8_t said[BYTES], heard[65536];
static volatile sig_atomic_t is_over;
static bool is_server;

static void must(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "witness that %s: %s: %s\n", is_server ? "serves" : "asks", what, strerror(errno));
  exit(1);
}

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void serve(const struct sockaddr *own, socklen_t bytes) {
  int listener = socket(AF_INET, SOCK_STREAM, 0), datagrams = socket(AF_INET, SOCK_DGRAM, 0);
  must(bind(listener, own, bytes) == 0 && listen(listener, 1) == 0, "listen");
  must(bind(datagrams, own, bytes) == 0, "bind");
  puts("ready");
  fflush(stdout);
  int connection = accept(listener, NULL, NULL);
  must(connection >= 0, "accept");
  struct pollfd fds[2] = {{.fd = connection, .events = POLLIN}, {.fd = datagrams, .events = POLLIN}};
  for (;;) {
    must(poll(fds, 2, PATIENCE_SECONDS * 1000) > 0, "poll");
    if (fds[0].revents != 0) {
      ssize_t n = recv(connection, heard, sizeof heard, 0);
      if (n == 0) return;
      must(n > 0 && send(connection, heard, (size_t)n, MSG_NOSIGNAL) == n, "echo");
    }
    if (fds[1].revents != 0) {
      struct sockaddr_in from;
      socklen_t from_bytes = sizeof from;
      ssize_t n = recvfrom(datagrams, heard, sizeof heard, 0, (struct sockaddr *)&from, &from_bytes);
      must(n > 0, "recvfrom");
      must(sendto(datagrams, heard, (size_t)n, 0, (struct sockaddr *)&from, from_bytes) == n, "sendto");
    }
  }
}

static void round_trip(int fd) {
  must(send(fd, said, BYTES, MSG_NOSIGNAL) == BYTES, "send");
  for (size_t got = 0; got < BYTES;) {
    ssize_t n = recv(fd, heard + got, sizeof heard - got, 0);
    if (n < 0 && errno == EINTR) continue; /* SIGTERM: with a timeout it does not restart */
    must(n > 0, "recv");
    got += (size_t)n;
  }
  must(memcmp(said, heard, BYTES) == 0, "another answer");
}

static void stop(int signal) { (void)signal, is_over = 1; }

static void ask(const struct sockaddr *to, socklen_t bytes) {
  int fds[2] = {socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET, SOCK_DGRAM, 0)};
  struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
  for (int i = 0; i < 2; i++) {
    must(connect(fds[i], to, bytes) == 0, "connect");
    setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  struct sigaction action = {.sa_handler = stop, .sa_flags = SA_RESTART};
  sigaction(SIGTERM, &action, NULL);
  struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};
  int64_t worst = 0;
  long rounds = 0;
  for (; !is_over; rounds++) {
    memset(said, (int)(rounds & 0xff), BYTES);
    int64_t start = now_us();
    round_trip(fds[rounds % 2]);
    int64_t us = now_us() - start;
    if (us > worst) worst = us;
    nanosleep(&pause, NULL);
  }
  printf("%ld %ld\n", rounds, (long)worst);
}

int main(int argc, char **argv) {
  must(argc == 4, "expected serve or ask, ADDRESS, PORT");
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
  must(inet_aton(argv[2], &at.sin_addr) == 1, argv[2]);
  is_server = strcmp(argv[1], "serve") == 0;
  if (is_server) serve((struct sockaddr *)&at, sizeof at);
  else ask((struct sockaddr *)&at, sizeof at);
}
