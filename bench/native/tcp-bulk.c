/*
 * Bulk TCP over kernel sockets: the baseline, and the far end, of the throughput scenarios.
 *
 *   tcp-bulk sink ADDRESS PORT              accepts one connection, reads to its end, prints JSON
 *   tcp-bulk source ADDRESS PORT SECONDS    connects, writes 128 KiB at a time, prints JSON
 *
 * The sink's figure is the one to use: it counts what arrived, from the first byte to the last.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK_BYTES = 131072 };

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static _Noreturn void fail(const char *call) {
  fprintf(stderr, "tcp-bulk: %s: %s\n", call, strerror(errno));
  exit(1);
}

static void report(double bytes, double seconds) {
  printf("{\"bytes\":%.0f,\"seconds\":%.6f,\"gbit_per_s\":%.3f}\n", bytes, seconds,
         bytes * 8 / seconds / 1e9);
}

static void sink(int fd) {
  static char buffer[CHUNK_BYTES];
  double bytes = 0, first = 0;
  for (;;) {
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0) fail("read");
    if (n == 0) break;
    if (first == 0) first = now_s();
    bytes += (double)n;
  }
  report(bytes, now_s() - first);
}

static void source(int fd, double seconds) {
  static char buffer[CHUNK_BYTES];
  double bytes = 0;
  const double start = now_s();
  while (now_s() - start < seconds) {
    const ssize_t n = write(fd, buffer, sizeof buffer);
    if (n < 0) fail("write");
    bytes += (double)n;
  }
  shutdown(fd, SHUT_WR);
  char last;
  if (read(fd, &last, 1) < 0) fail("read");
  report(bytes, now_s() - start);
}

int main(int argc, char **argv) {
  const int is_source = argc == 5 && strcmp(argv[1], "source") == 0;
  if (!is_source && (argc != 4 || strcmp(argv[1], "sink") != 0)) {
    fprintf(stderr, "usage: tcp-bulk sink ADDRESS PORT | source ADDRESS PORT SECONDS\n");
    return 2;
  }
  struct sockaddr_in address = {.sin_family = AF_INET};
  if (inet_pton(AF_INET, argv[2], &address.sin_addr) != 1) fail("inet_pton");
  address.sin_port = htons((uint16_t)atoi(argv[3]));
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) fail("socket");
  if (is_source) {
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
    source(fd, atof(argv[4]));
    return 0;
  }
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
  if (listen(fd, 1) < 0) fail("listen");
  fd = accept(fd, NULL, NULL);
  if (fd < 0) fail("accept");
  sink(fd);
  return 0;
}
