/*
 * What the kernel charges for the same work, on the loopback interface, in one thread:
 *
 *   kernel-cost udp-rx BYTES COUNT  ns per send() and per recv() of a datagram; udp-tx the same
 *   kernel-cost tcp BYTES COUNT     ns per segment of BYTES, sent and received, stream of COUNT
 *
 * Sending over loopback includes the kernel's receive path up to the socket queue, so `tx` holds
 * more than a transmit path and `rx` only the copy out of the queue; their sum is the honest figure
 * for "one datagram from program to program". `ns_per_packet` is half of it: one direction.
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

enum { BATCH = 64 };

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); // as per-packet.ts; loopback's softirqs are in it
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static _Noreturn void fail(const char *call) {
  fprintf(stderr, "kernel-cost: %s: %s\n", call, strerror(errno));
  exit(1);
}

static char buffer[65536];

static void udp(size_t bytes, long count) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  const int rx = socket(AF_INET, SOCK_DGRAM, 0), tx = socket(AF_INET, SOCK_DGRAM, 0);
  const int room = 4 << 20;
  setsockopt(rx, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  if (bind(rx, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
  getsockname(rx, (struct sockaddr *)&address, &length);
  if (connect(tx, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
  double tx_ns = 0, rx_ns = 0;
  for (long done = 0; done < count; done += BATCH) {
    const double start = now_ns();
    for (int i = 0; i < BATCH; i++)
      if (send(tx, buffer, bytes, 0) < 0) fail("send");
    const double sent = now_ns();
    for (int i = 0; i < BATCH; i++)
      if (recv(rx, buffer, sizeof buffer, 0) < 0) fail("recv");
    rx_ns += now_ns() - sent;
    tx_ns += sent - start;
  }
  printf("{\"tx_ns_per_packet\":%.1f,\"rx_ns_per_packet\":%.1f,\"ns_per_packet\":%.1f}\n",
         tx_ns / (double)count, rx_ns / (double)count, (tx_ns + rx_ns) / 2 / (double)count);
}

static void tcp(size_t bytes, long count) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM, 0), tx = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
  if (listen(listener, 1) < 0) fail("listen");
  getsockname(listener, (struct sockaddr *)&address, &length);
  if (connect(tx, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
  const int rx = accept(listener, NULL, NULL);
  if (rx < 0) fail("accept");
  setsockopt(tx, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  double rx_ns = 0;
  const double start = now_ns();
  for (long done = 0; done < count; done += BATCH) {
    for (int i = 0; i < BATCH; i++)
      if (send(tx, buffer, bytes, 0) != (ssize_t)bytes) fail("send");
    const double sent = now_ns();
    for (size_t left = bytes * BATCH; left > 0;) {
      const ssize_t n = recv(rx, buffer, bytes, 0);
      if (n <= 0) fail("recv");
      left -= (size_t)n;
    }
    rx_ns += now_ns() - sent;
  }
  printf("{\"rx_ns_per_packet\":%.1f,\"ns_per_packet\":%.1f}\n", rx_ns / (double)count,
         (now_ns() - start) / (double)count);
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: kernel-cost udp-rx|udp-tx|tcp BYTES COUNT\n");
    return 2;
  }
  const size_t bytes = (size_t)atol(argv[2]);
  const long count = atol(argv[3]) / BATCH * BATCH;
  if (strncmp(argv[1], "udp", 3) == 0) udp(bytes, count);
  else tcp(bytes, count);
  return 0;
}
