/*
 * Source NAT: hosts inside get ports of one public address, the way back is kept beside the way out.
 * Flows that are not used make room for new ones.
 */
#include "packet.h"

volatile const __u32 inside = 0x0a000000;
volatile const __u32 inside_mask = 0xff000000;
volatile const __u32 public_addr = 0xc6336401; /* 198.51.100.1 */

struct binding {
  __be32 addr;
  __be16 port;
  __u16 unused;
};

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 32768);
  __type(key, struct flow);
  __type(value, struct binding);
} bindings SEC(".maps");

__u32 next_port;

INLINE __u16 *checksum_of(struct xdp_md *ctx, struct iphdr *ip) {
  if (ip->protocol == IPPROTO_TCP) {
    struct tcphdr *tcp = (void *)(ip + 1);
    return (void *)(tcp + 1) > end_of(ctx) ? 0 : &tcp->check;
  }
  struct udphdr *udp = (void *)(ip + 1);
  return (void *)(udp + 1) > end_of(ctx) || !udp->check ? 0 : &udp->check;
}

/* Rewrites one end of a packet. */
INLINE void rewrite(__u16 *check, struct iphdr *ip, __be32 *addr, __be16 *port, struct binding *to) {
  if (check) *check = adjust16(adjust32(*check, *addr, to->addr), *port, to->port);
  ip->check = adjust32(ip->check, *addr, to->addr);
  *addr = to->addr;
  *port = to->port;
}

SEC("xdp")
int nat(struct xdp_md *ctx) {
  struct iphdr *ip = ipv4_of(ctx);
  struct flow flow = {};
  if (!ip || !flow_of(ctx, ip, &flow)) return XDP_PASS;
  struct udphdr *ports = (void *)(ip + 1);
  if ((void *)(ports + 1) > end_of(ctx)) return XDP_PASS;
  int is_outward = (bpf_ntohl(flow.saddr) & inside_mask) == inside;
  struct binding *known = bpf_map_lookup_elem(&bindings, &flow);
  if (!known && !is_outward) return XDP_PASS;
  struct binding to;
  if (known) {
    to = *known;
  } else {
    __u32 port = 1024 + __sync_fetch_and_add(&next_port, 1) % 60000;
    to = (struct binding){.addr = bpf_htonl(public_addr), .port = bpf_htons(port)};
    struct flow back = {
        .saddr = flow.daddr,
        .daddr = to.addr,
        .sport = flow.dport,
        .dport = to.port,
        .protocol = flow.protocol,
    };
    struct binding origin = {.addr = flow.saddr, .port = flow.sport};
    if (bpf_map_update_elem(&bindings, &flow, &to, BPF_ANY)) return XDP_ABORTED;
    if (bpf_map_update_elem(&bindings, &back, &origin, BPF_ANY)) return XDP_ABORTED;
  }
  __u16 *check = checksum_of(ctx, ip);
  if (is_outward) rewrite(check, ip, &ip->saddr, &ports->source, &to);
  else rewrite(check, ip, &ip->daddr, &ports->dest, &to);
  return XDP_TX;
}

char _license[] SEC("license") = "Apache-2.0";
