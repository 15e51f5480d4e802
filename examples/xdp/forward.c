/* Sends IPv4 back where it came from, one hop older: no map. */
#include "packet.h"

SEC("xdp")
int forward(struct xdp_md *ctx) {
  struct iphdr *ip = ipv4_of(ctx);
  if (!ip) return XDP_PASS;
  if (ip->ttl <= 1) return XDP_DROP;
  decrement_ttl(ip);
  swap_macs(eth_of(ip));
  return XDP_TX;
}

char _license[] SEC("license") = "Apache-2.0";
