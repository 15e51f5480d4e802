/* Types as vmlinux.h has them, with relocations (CO-RE): the context's pointers are loaded as such. */
#include <linux/types.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define XDP_DROP 1
#define XDP_PASS 2

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct xdp_md {
  void *data;
  void *data_end;
  __u32 unknown_before;
  __u32 ingress_ifindex;
  __u32 never_there;
};

struct ethhdr {
  unsigned char h_dest[6];
  unsigned char h_source[6];
  __be16 h_proto;
};

#pragma clang attribute pop

__u64 bytes_seen;

SEC("xdp")
int core_types(struct xdp_md *ctx) {
  struct ethhdr *eth = ctx->data;
  if ((void *)(eth + 1) > ctx->data_end) return XDP_DROP;
  if (bpf_core_field_exists(ctx->never_there)) return ctx->never_there;
  bytes_seen += bpf_core_field_size(ctx->ingress_ifindex) + ctx->ingress_ifindex;
  bytes_seen += bpf_core_type_exists(struct ethhdr);
  return eth->h_proto == bpf_htons(0x0800) ? XDP_PASS : XDP_DROP;
}

char _license[] SEC("license") = "Apache-2.0";
