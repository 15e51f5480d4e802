/* Answers long packets with ICMP's "fragmentation needed" (RFC 792, RFC 1191) and their first bytes. */
#include "packet.h"

#define ICMP_DEST_UNREACH 3
#define ICMP_FRAG_NEEDED 4

/* Of an IP packet. */
#define LONGEST 600
/* What of it goes back: its header and more than the 8 bytes behind it that are asked for. */
#define QUOTED 64

struct unreachable {
  __u8 type;
  __u8 code;
  __sum16 checksum;
  __be16 unused;
  __be16 mtu;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} answered SEC(".maps");

/* The frame is the old Ethernet header and what is quoted; the new headers are to go in front of that. */
static __noinline int answer(struct xdp_md *ctx, __be32 from, __be32 to) {
  if (bpf_xdp_adjust_head(ctx, -(int)(sizeof(struct iphdr) + sizeof(struct unreachable))))
    return XDP_DROP;
  struct ethhdr *eth = data_of(ctx);
  struct iphdr *ip = (void *)(eth + 1);
  struct unreachable *icmp = (void *)(ip + 1);
  struct ethhdr *old = (void *)eth + sizeof *ip + sizeof *icmp;
  if ((void *)(icmp + 1) + QUOTED > end_of(ctx)) return XDP_DROP;
  __builtin_memcpy(eth->h_dest, old->h_source, ETH_ALEN);
  __builtin_memcpy(eth->h_source, old->h_dest, ETH_ALEN);
  eth->h_proto = bpf_htons(ETH_P_IP);
  *ip = (struct iphdr){
      .version = 4,
      .ihl = 5,
      .tot_len = bpf_htons(sizeof *ip + sizeof *icmp + QUOTED),
      .ttl = 64,
      .protocol = IPPROTO_ICMP,
      .saddr = from,
      .daddr = to,
  };
  ip->check = ipv4_checksum(ip);
  *icmp = (struct unreachable){
      .type = ICMP_DEST_UNREACH, .code = ICMP_FRAG_NEEDED, .mtu = bpf_htons(LONGEST)};
  icmp->checksum = ~fold(bpf_csum_diff(0, 0, (void *)icmp, sizeof *icmp + QUOTED, 0));
  __u32 only = 0;
  __u64 *count = bpf_map_lookup_elem(&answered, &only);
  if (count) *count += 1;
  return XDP_TX;
}

SEC("xdp")
int too_big(struct xdp_md *ctx) {
  struct iphdr *ip = ipv4_of(ctx);
  if (!ip) return XDP_PASS;
  int length = ctx->data_end - ctx->data;
  if (length <= (int)sizeof(struct ethhdr) + LONGEST) return XDP_PASS;
  /* No errors about errors, nor about fragments behind the first (RFC 1122, section 3.2.2). */
  if (ip->protocol == IPPROTO_ICMP || (ip->frag_off & bpf_htons(0x1fff))) return XDP_DROP;
  __be32 from = ip->daddr, to = ip->saddr;
  if (bpf_xdp_adjust_tail(ctx, (int)sizeof(struct ethhdr) + QUOTED - length)) return XDP_DROP;
  return answer(ctx, from, to);
}

char _license[] SEC("license") = "Apache-2.0";
