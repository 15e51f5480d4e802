/*
 * UDP ping-pong over kernel sockets: the baseline, and the far end, of the latency scenarios.
 *
 *   udp-pingpong server [-b] ADDRESS PORT                       echoes until killed
 *   udp-pingpong client [-b] ADDRESS PORT COUNT BYTES           prints one JSON object
 *
 * Spins (non-blocking receive) unless -b. Figures are half round trips in microseconds; the first
 * tenth of the observations is warm-up and left out.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static _Noreturn void fail(const char *call) {
  fprintf(stderr, "udp-pingpong: %s: %s\n", call, strerror(errno));
  exit(1);
}

static void serve(int fd, int flags) {
  char buffer[65536];
  for (;;) {
    struct sockaddr_in6 from;
    socklen_t length = sizeof from;
    const ssize_t n = recvfrom(fd, buffer, sizeof buffer, flags, (struct sockaddr *)&from, &length);
    if (n < 0) {
      if (errno == EAGAIN || errno == EINTR || errno == ECONNREFUSED) continue;
      fail("recvfrom");
    }
    sendto(fd, buffer, (size_t)n, 0, (struct sockaddr *)&from, length);
  }
}

/* Half round trip of one exchange, or -1 when the answer did not come within 0.2 s. */
static double exchange(int fd, int flags, char *buffer, size_t bytes) {
  const double start = now_us();
  if (send(fd, buffer, bytes, 0) < 0 && errno != ECONNREFUSED) fail("send");
  for (;;) {
    const ssize_t n = recv(fd, buffer, 65536, flags);
    if (n >= 0) return (now_us() - start) / 2;
    if (errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED) fail("recv");
    if (now_us() - start > 200000) return -1;
  }
}

static void measure(int fd, int flags, long count, size_t bytes) {
  static char buffer[65536];
  double *half = calloc((size_t)count, sizeof *half);
  if (half == NULL) fail("calloc");
  const long warmup = count / 10;
  long n = 0, lost = 0;
  for (long i = -warmup; i < count; i++) {
    const double us = exchange(fd, flags, buffer, bytes);
    if (us < 0) lost++;
    else if (i >= 0) half[n++] = us;
    if (lost > 20) break;
  }
  qsort(half, (size_t)n, sizeof *half, by_value);
  if (n == 0) {
    fprintf(stderr, "udp-pingpong: no answer\n");
    exit(1);
  }
  printf("{\"p50_us\":%.3f,\"p99_us\":%.3f,\"p999_us\":%.3f,\"p9999_us\":%.3f,\"min_us\":%.3f,"
         "\"max_us\":%.3f,\"observations\":%ld,\"lost\":%ld}\n",
         half[n / 2], half[(long)((double)n * 0.99)], half[(long)((double)n * 0.999)],
         half[(long)((double)n * 0.9999)], half[0], half[n - 1], n, lost);
}

int main(int argc, char **argv) {
  int flags = MSG_DONTWAIT;
  int arg = 2;
  if (argc > arg && strcmp(argv[arg], "-b") == 0) flags = 0, arg++;
  const int is_client = argc > 1 && strcmp(argv[1], "client") == 0;
  if (argc < arg + (is_client ? 4 : 2)) {
    fprintf(stderr, "usage: udp-pingpong server|client [-b] ADDRESS PORT [COUNT BYTES]\n");
    return 2;
  }
  struct sockaddr_in address = {.sin_family = AF_INET};
  if (inet_pton(AF_INET, argv[arg], &address.sin_addr) != 1) fail("inet_pton");
  address.sin_port = htons((uint16_t)atoi(argv[arg + 1]));
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0) fail("socket");
  if (!is_client) {
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
    serve(fd, flags);
  }
  if (flags == 0) {
    const struct timeval patience = {.tv_usec = 200000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
  measure(fd, flags, atol(argv[arg + 2]), (size_t)atol(argv[arg + 3]));
  return 0;
}
