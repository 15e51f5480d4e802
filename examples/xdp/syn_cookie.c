/*
 * Answers SYNs without keeping anything (RFC 4987): the cookie is a keyed hash of the flow, and only
 * ACKs that carry it get through.
 */
#include "packet.h"

volatile const __u32 secret = 0x6d696c6c;

struct counters {
  __u64 syns;
  __u64 accepted;
  __u64 refused;
};

struct counters counters;

INLINE __u32 cookie(const struct flow *flow, __u32 seq) { return mix(hash_flow(flow, secret), seq); }

/* The sum over pseudo header and header of a TCP segment without options and data. */
static __noinline __u16 tcp_checksum(struct iphdr *ip, struct tcphdr *tcp) {
  __u32 sum = (ip->saddr & 0xffff) + (ip->saddr >> 16) + (ip->daddr & 0xffff) + (ip->daddr >> 16);
  sum += bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof *tcp);
  __u16 *words = (void *)tcp;
  for (int i = 0; i < (int)sizeof *tcp / 2; i++) sum += words[i];
  return ~fold(sum);
}

SEC("xdp")
int syn_cookie(struct xdp_md *ctx) {
  struct iphdr *ip = ipv4_of(ctx);
  struct flow flow = {};
  if (!ip || !flow_of(ctx, ip, &flow) || flow.protocol != IPPROTO_TCP) return XDP_PASS;
  struct tcphdr *tcp = (void *)(ip + 1);
  if ((void *)(tcp + 1) > end_of(ctx)) return XDP_DROP;
  if (tcp->rst || tcp->fin) return XDP_PASS;
  if (!tcp->syn) {
    /* The first ACK has the cookie plus one; its sequence number is the SYN's plus one. */
    if (bpf_ntohl(tcp->ack_seq) - 1 == cookie(&flow, bpf_ntohl(tcp->seq) - 1)) {
      counters.accepted++;
      return XDP_PASS;
    }
    counters.refused++;
    return XDP_DROP;
  }
  if (tcp->ack) return XDP_DROP;
  counters.syns++;
  __u32 seq = bpf_ntohl(tcp->seq);
  int extra = ctx->data_end - ctx->data - (int)(sizeof(struct ethhdr) + sizeof *ip + sizeof *tcp);
  if (extra > 0 && bpf_xdp_adjust_tail(ctx, -extra)) return XDP_DROP;
  struct ethhdr *eth = data_of(ctx);
  ip = (void *)(eth + 1);
  tcp = (void *)(ip + 1);
  if ((void *)(tcp + 1) > end_of(ctx)) return XDP_DROP;
  swap_macs(eth);
  ip->saddr = flow.daddr;
  ip->daddr = flow.saddr;
  ip->tot_len = bpf_htons(sizeof *ip + sizeof *tcp);
  ip->ttl = 64;
  ip->check = 0;
  ip->check = ipv4_checksum(ip);
  tcp->source = flow.dport;
  tcp->dest = flow.sport;
  tcp->ack_seq = bpf_htonl(seq + 1);
  tcp->seq = bpf_htonl(cookie(&flow, seq));
  tcp->doff = 5;
  tcp->ack = 1;
  tcp->window = bpf_htons(65535);
  tcp->check = 0;
  tcp->check = tcp_checksum(ip, tcp);
  return XDP_TX;
}

char _license[] SEC("license") = "Apache-2.0";
