/*
 * Forwards IPv4: both MAC addresses swapped, the TTL one lower and up again, the checksum of the header made
 * anew and adjusted. No map, and the packet is as before after two runs, so it can be run for ever.
 */
#include "packet.h"

SEC("xdp")
int rewrite(struct xdp_md *ctx) {
  struct iphdr *ip = ipv4_of(ctx);
  if (!ip) return XDP_PASS;
  if (ip->ttl <= 1) return XDP_DROP;
  ip->check = 0;
  ip->check = ipv4_checksum(ip);
  decrement_ttl(ip);
  swap_macs(eth_of(ip));
  __be32 addr = ip->saddr;
  ip->saddr = ip->daddr;
  ip->daddr = addr;
  ip->check = adjust16(ip->check, bpf_htons(0x0000), bpf_htons(0x0100));
  ip->ttl++;
  return XDP_TX;
}

char _license[] SEC("license") = "Apache-2.0";
