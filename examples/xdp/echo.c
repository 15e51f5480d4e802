/* Answers pings to any address: a whole protocol in the driver. Long ones are cut to 512 bytes. */
#include "packet.h"

#define LONGEST 512

SEC("xdp")
int echo(struct xdp_md *ctx) {
  struct iphdr *ip = ipv4_of(ctx);
  if (!ip || ip->protocol != IPPROTO_ICMP) return XDP_PASS;
  if (ip->frag_off & bpf_htons(0x3fff)) return XDP_PASS;
  struct icmphdr *icmp = (void *)(ip + 1);
  if ((void *)(icmp + 1) > end_of(ctx) || icmp->type != ICMP_ECHO) return XDP_PASS;
  icmp->type = ICMP_ECHOREPLY;
  icmp->checksum = adjust16(icmp->checksum, bpf_htons(ICMP_ECHO << 8), 0);
  __be32 addr = ip->saddr;
  ip->saddr = ip->daddr;
  ip->daddr = addr;
  swap_macs(eth_of(ip));
  int length = ctx->data_end - ctx->data;
  if (length <= LONGEST) return XDP_TX;
  if (bpf_xdp_adjust_tail(ctx, LONGEST - length)) return XDP_DROP;
  struct ethhdr *eth = data_of(ctx);
  ip = (void *)(eth + 1);
  icmp = (void *)(ip + 1);
  __u16 *words = (void *)icmp;
  if ((void *)eth + LONGEST > end_of(ctx)) return XDP_DROP;
  ip->tot_len = bpf_htons(LONGEST - sizeof *eth);
  ip->check = 0;
  ip->check = ipv4_checksum(ip);
  icmp->checksum = 0;
  __u32 sum = 0;
  for (int i = 0; i < (LONGEST - (int)sizeof *eth - (int)sizeof *ip) / 2; i++) sum += words[i];
  icmp->checksum = ~fold(sum);
  return XDP_TX;
}

char _license[] SEC("license") = "Apache-2.0";
