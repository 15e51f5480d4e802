/* Passes IPv6 and frames too short to tell; drops all else. */
#include "packet.h"

SEC("xdp")
int ipv6_filter(struct xdp_md *ctx) {
  struct ethhdr *eth = data_of(ctx);
  if ((void *)(eth + 1) > end_of(ctx)) return XDP_PASS;
  if (eth->h_proto == bpf_htons(ETH_P_IPV6)) return XDP_PASS;
  return XDP_DROP;
}

char _license[] SEC("license") = "Apache-2.0";
