/*
 * Classifies packets by their headers alone, by some forty paths: what the tree of conditions costs when no map is
 * asked. Each class leaves its number in the first byte of the destination address.
 */
#include "../../examples/xdp/packet.h"

INLINE int done(struct xdp_md *ctx, __u8 class) {
  __u8 *data = data_of(ctx);
  if ((void *)(data + 14) > end_of(ctx)) return XDP_DROP;
  data[0] = class;
  return XDP_PASS;
}

INLINE int tcp_class(struct tcphdr *tcp, int base) {
  if (tcp->rst) return base;
  if (tcp->syn) return tcp->ack ? base + 1 : base + 2;
  if (tcp->fin) return base + 3;
  if (tcp->dest == bpf_htons(80) || tcp->source == bpf_htons(80)) return base + 4;
  if (tcp->dest == bpf_htons(443) || tcp->source == bpf_htons(443)) return base + 5;
  if (tcp->psh) return base + 6;
  return base + 7;
}

INLINE int udp_class(struct udphdr *udp, int base) {
  if (udp->dest == bpf_htons(53) || udp->source == bpf_htons(53)) return base;
  if (udp->dest == bpf_htons(67) || udp->dest == bpf_htons(68)) return base + 1;
  if (udp->dest == bpf_htons(123)) return base + 2;
  return udp->check ? base + 3 : base + 4;
}

SEC("xdp")
int classify(struct xdp_md *ctx) {
  struct ethhdr *eth = data_of(ctx);
  if ((void *)(eth + 1) > end_of(ctx)) return XDP_DROP;
  if (eth->h_proto == bpf_htons(ETH_P_ARP)) return done(ctx, 1);
  if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr *ip = (void *)(eth + 1);
    if ((void *)(ip + 1) > end_of(ctx)) return done(ctx, 2);
    if (ip->nexthdr == IPPROTO_ICMPV6) return done(ctx, 3);
    if (ip->nexthdr == IPPROTO_TCP) {
      struct tcphdr *tcp = (void *)(ip + 1);
      if ((void *)(tcp + 1) > end_of(ctx)) return done(ctx, 4);
      return done(ctx, tcp_class(tcp, 8));
    }
    struct udphdr *udp = (void *)(ip + 1);
    if (ip->nexthdr != IPPROTO_UDP || (void *)(udp + 1) > end_of(ctx)) return done(ctx, 5);
    return done(ctx, udp_class(udp, 16));
  }
  struct iphdr *ip = ipv4_of(ctx);
  if (!ip) return done(ctx, 6);
  if (ip->frag_off & bpf_htons(0x3fff)) return done(ctx, 7);
  if (ip->protocol == IPPROTO_ICMP) return done(ctx, 24);
  if (ip->protocol == IPPROTO_TCP) {
    struct tcphdr *tcp = (void *)(ip + 1);
    if ((void *)(tcp + 1) > end_of(ctx)) return done(ctx, 25);
    return done(ctx, tcp_class(tcp, 32));
  }
  struct udphdr *udp = (void *)(ip + 1);
  if (ip->protocol != IPPROTO_UDP || (void *)(udp + 1) > end_of(ctx)) return done(ctx, 26);
  return done(ctx, udp_class(udp, 40));
}

char _license[] SEC("license") = "Apache-2.0";
