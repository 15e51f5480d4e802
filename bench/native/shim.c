/*
 * What a send plus a recv costs in the shim, with no peer to wait for and the engine awake: the fast paths
 * of stream.c and datagram.c over rings in this process. `bench/native/shim.sh` builds and runs it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../test/native/shim/fake-engine.h"

#define ROUNDS 100000
#define REPEATS 60

static uint8_t out[65536], in[65536];

/* What the engine would do: what was sent is there to be received. No copy, so only the shim counts. */
static void turn_around_stream(struct mr_sock *sock, uint32_t n) {
  struct mr_socket *shared = sock->shared;
  mr_store(&shared->submitted, 0);
  mr_store_release(&shared->tx_head, shared->tx_tail);
  mr_store_release(&shared->rx_tail, shared->rx_tail + n);
}

static double stream_ns(uint32_t n) {
  static struct mr_sock *sock;
  if (sock == NULL) sock = fake_socket(MR_KIND_TCP, AF_INET, 65536, 65536);
  int64_t before = mr_now_ns();
  for (int i = 0; i < ROUNDS; i++) {
    mr_send(sock, 3, out, n, 0, NULL, 0);
    turn_around_stream(sock, n);
    mr_recv(sock, 3, in, n, 0, NULL, NULL);
  }
  return (double)(mr_now_ns() - before) / ROUNDS;
}

static void turn_around_datagram(struct mr_sock *sock, uint32_t n) {
  struct mr_socket *shared = sock->shared;
  struct mr_datagram header = {.payload_bytes = n, .peer = {.family = AF_INET, .port = 9}};
  uint32_t whole = 64 + ((n + 63u) & ~63u);
  mr_store(&shared->submitted, 0);
  mr_store_release(&shared->tx_head, shared->tx_tail);
  memcpy(sock->rx + (shared->rx_tail & (sock->rx_bytes - 1)), &header, sizeof header);
  mr_store_release(&shared->rx_tail, shared->rx_tail + whole);
}

static double datagram_ns(uint32_t n) {
  static struct mr_sock *sock;
  if (sock == NULL) {
    sock = fake_socket(MR_KIND_UDP, AF_INET, 65536, 65536);
    sock->shared->status |= MR_STATUS_CONNECTED;
  }
  struct sockaddr_in from;
  int64_t before = mr_now_ns();
  for (int i = 0; i < ROUNDS; i++) {
    socklen_t from_bytes = sizeof from;
    mr_send(sock, 3, out, n, 0, NULL, 0);
    turn_around_datagram(sock, n);
    mr_recv(sock, 3, in, n, 0, (struct sockaddr *)&from, &from_bytes);
  }
  return (double)(mr_now_ns() - before) / ROUNDS;
}

static double ready_ns(uint32_t unused) {
  (void)unused;
  struct mr_sock *sock = fake_socket(MR_KIND_TCP, AF_INET, 4096, 4096);
  int64_t before = mr_now_ns();
  unsigned sum = 0;
  for (int i = 0; i < ROUNDS; i++) sum += (unsigned)mr_sock_ready(sock);
  if (sum == 1) puts("");
  return (double)(mr_now_ns() - before) / ROUNDS;
}

static void report(const char *name, double (*run)(uint32_t), uint32_t n) {
  double best = 1e9;
  for (int i = 0; i < REPEATS; i++) {
    double ns = run(n);
    if (ns < best) best = ns;
  }
  printf("%-28s %8.1f ns\n", name, best);
}

int main(void) {
  fake_start();
  report("tcp send + recv, 64 B", stream_ns, 64);
  report("tcp send + recv, 1400 B", stream_ns, 1400);
  report("tcp send + recv, 16 KiB", stream_ns, 16384);
  report("udp send + recvfrom, 64 B", datagram_ns, 64);
  report("udp send + recvfrom, 1472 B", datagram_ns, 1472);
  report("readiness of a socket", ready_ns, 0);
  return 0;
}
