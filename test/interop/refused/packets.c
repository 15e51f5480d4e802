/* The packet and the context. */
#include "refused.h"

PROGRAM(unchecked_bad) { return *(__u8 *)data_of(ctx); }
PROGRAM(unchecked_ok) {
  __u8 *data = data_of(ctx);
  return data + 1 > (__u8 *)end_of(ctx) ? XDP_PASS : *data;
}

PROGRAM(by_one_bad) {
  __u8 *data = data_of(ctx);
  return data + 14 > (__u8 *)end_of(ctx) ? XDP_PASS : data[14];
}
PROGRAM(by_one_ok) {
  __u8 *data = data_of(ctx);
  return data + 14 > (__u8 *)end_of(ctx) ? XDP_PASS : data[13];
}

PROGRAM(wrong_way_bad) {
  __u8 *data = data_of(ctx);
  return data + 14 <= (__u8 *)end_of(ctx) ? XDP_PASS : data[0];
}
PROGRAM(wrong_way_ok) {
  __u8 *data = data_of(ctx);
  return data + 14 <= (__u8 *)end_of(ctx) ? data[0] : XDP_PASS;
}

/* A word of which the last byte is not there. */
PROGRAM(wide_bad) {
  __u8 *data = data_of(ctx);
  return data + 15 > (__u8 *)end_of(ctx) ? XDP_PASS : *(volatile __u32 *)(data + 12) & 1;
}
PROGRAM(wide_ok) {
  __u8 *data = data_of(ctx);
  return data + 16 > (__u8 *)end_of(ctx) ? XDP_PASS : *(volatile __u32 *)(data + 12) & 1;
}

PROGRAM(in_front_bad) {
  __u8 *data = data_of(ctx);
  return data + 14 > (__u8 *)end_of(ctx) ? XDP_PASS : *(volatile __u8 *)(data - 1);
}
PROGRAM(in_front_ok) {
  __u8 *data = data_of(ctx);
  return data + 14 > (__u8 *)end_of(ctx) ? XDP_PASS : *(volatile __u8 *)(data + 13 - 1);
}

PROGRAM(end_bad) { return *(volatile __u8 *)end_of(ctx); }
PROGRAM(end_ok) { return end_of(ctx) - data_of(ctx) > 64 ? XDP_PASS : XDP_DROP; }

PROGRAM(end_moved_bad) {
  __u8 *data = data_of(ctx), *end = end_of(ctx);
  HIDE(end);
  end += 4;
  HIDE(end);
  return data + 14 > end ? XDP_PASS : data[0];
}
PROGRAM(end_moved_ok) {
  __u8 *data = data_of(ctx), *end = end_of(ctx);
  data += 4;
  return data + 14 > end ? XDP_PASS : data[0];
}

/* A length out of the packet, which nothing bounds. */
PROGRAM(far_bad) {
  __u8 *data = data_of(ctx), *end = end_of(ctx);
  if (data + 8 > end) return XDP_PASS;
  __u8 *to = data + *(__u32 *)data;
  return to + 1 > end ? XDP_PASS : *to;
}
PROGRAM(far_ok) {
  __u8 *data = data_of(ctx), *end = end_of(ctx);
  if (data + 8 > end) return XDP_PASS;
  __u8 *to = data + (*(__u32 *)data & 0xfff);
  return to + 1 > end ? XDP_PASS : *to;
}

/* A header's length is used, and what is behind it not compared again. */
PROGRAM(options_bad) {
  struct iphdr *ip = data_of(ctx) + 14;
  if ((void *)(ip + 1) > end_of(ctx)) return XDP_PASS;
  struct udphdr *udp = (void *)ip + ip->ihl * 4;
  return udp->source & 1;
}
PROGRAM(options_ok) {
  struct iphdr *ip = data_of(ctx) + 14;
  if ((void *)(ip + 1) > end_of(ctx)) return XDP_PASS;
  struct udphdr *udp = (void *)ip + ip->ihl * 4;
  return (void *)(udp + 1) > end_of(ctx) ? XDP_PASS : udp->source & 1;
}

PROGRAM(moved_head_bad) {
  __u8 *data = data_of(ctx), *end = end_of(ctx);
  if (data + 14 > end || bpf_xdp_adjust_head(ctx, 4)) return XDP_PASS;
  data[0] = 1;
  return XDP_TX;
}
PROGRAM(moved_head_ok) {
  if (bpf_xdp_adjust_head(ctx, 4)) return XDP_PASS;
  __u8 *data = data_of(ctx);
  if (data + 14 > (__u8 *)end_of(ctx)) return XDP_PASS;
  data[0] = 1;
  return XDP_TX;
}

PROGRAM(cut_tail_bad) {
  __u8 *data = data_of(ctx);
  if (data + 14 > (__u8 *)end_of(ctx)) return XDP_PASS;
  bpf_xdp_adjust_tail(ctx, -4);
  return data[13];
}
PROGRAM(cut_tail_ok) {
  bpf_xdp_adjust_tail(ctx, -4);
  __u8 *data = data_of(ctx);
  return data + 14 > (__u8 *)end_of(ctx) ? XDP_PASS : data[13];
}

/* The new start with the old end. */
PROGRAM(old_end_bad) {
  void *end = end_of(ctx);
  HIDE(end);
  bpf_xdp_adjust_head(ctx, 4);
  __u8 *data = data_of(ctx);
  return (void *)(data + 14) > end ? XDP_PASS : data[0];
}
PROGRAM(old_end_ok) {
  bpf_xdp_adjust_head(ctx, 4);
  __u8 *data = data_of(ctx);
  return (void *)(data + 14) > end_of(ctx) ? XDP_PASS : data[0];
}

PROGRAM(metadata_bad) {
  if (bpf_xdp_adjust_meta(ctx, -4)) return XDP_PASS;
  *(__u32 *)(long)ctx->data_meta = 1;
  return XDP_PASS;
}
PROGRAM(metadata_ok) {
  if (bpf_xdp_adjust_meta(ctx, -4)) return XDP_PASS;
  __u32 *meta = (void *)(long)ctx->data_meta;
  if ((void *)(meta + 1) > data_of(ctx)) return XDP_PASS;
  *meta = 1;
  return XDP_PASS;
}

/* Metadata ends where the packet begins, not where it ends. */
PROGRAM(metadata_end_bad) {
  __u8 *meta = (void *)(long)ctx->data_meta;
  return meta + 4 > (__u8 *)end_of(ctx) ? XDP_PASS : meta[0];
}
PROGRAM(metadata_end_ok) {
  __u8 *meta = (void *)(long)ctx->data_meta;
  return meta + 4 > (__u8 *)data_of(ctx) ? XDP_PASS : meta[0];
}

PROGRAM(context_write_bad) {
  *(volatile __u32 *)&ctx->data = 5;
  return XDP_PASS;
}
PROGRAM(context_write_ok) {
  volatile __u32 copy = ctx->ingress_ifindex;
  copy = 5;
  return copy == 5 ? XDP_PASS : XDP_DROP;
}

PROGRAM(context_end_bad) { return *(volatile __u32 *)((char *)ctx + sizeof *ctx); }
PROGRAM(context_end_ok) { return *(volatile __u32 *)((char *)ctx + 16); }

PROGRAM(context_byte_bad) { return *(volatile __u8 *)&ctx->rx_queue_index; }
PROGRAM(context_byte_ok) { return *(volatile __u32 *)&ctx->rx_queue_index & 0xff; }

PROGRAM(context_variable_bad) {
  return *(volatile __u32 *)((char *)ctx + (ctx->rx_queue_index & 4));
}
PROGRAM(context_variable_ok) {
  return ctx->rx_queue_index & 4 ? ctx->rx_queue_index : ctx->ingress_ifindex;
}

PROGRAM(egress_bad) { return ctx->egress_ifindex; }
SEC("xdp/devmap") int egress_ok(struct xdp_md *ctx) { return ctx->egress_ifindex ? XDP_PASS : XDP_DROP; }
SEC("xdp/cpumap") int on_cpu_ok(struct xdp_md *ctx) { return ctx->ingress_ifindex ? XDP_PASS : XDP_DROP; }
SEC("xdp/cpumap") int on_cpu_bad(struct xdp_md *ctx) { return ctx->egress_ifindex; }

PROGRAM(multiplied_bad) {
  long data = (long)data_of(ctx);
  HIDE(data);
  data *= 2;
  HIDE(data);
  return data > 5 ? XDP_PASS : XDP_DROP;
}
PROGRAM(multiplied_ok) {
  long length = end_of(ctx) - data_of(ctx);
  HIDE(length);
  length *= 2;
  HIDE(length);
  return length > 5 ? XDP_PASS : XDP_DROP;
}

WRITTEN(half_bad, "r2 = *(u32 *)(r1 + 0); w2 += 4; r3 = *(u32 *)(r1 + 4); if r2 > r3 goto +1; r0 = *(u8 *)(r2 - 4); r0 = 2; exit;")
WRITTEN(half_ok, "r2 = *(u32 *)(r1 + 0); r2 += 4; r3 = *(u32 *)(r1 + 4); if r2 > r3 goto +1; r0 = *(u8 *)(r2 - 4); r0 = 2; exit;")

WRITTEN(atomic_bad, "r2 = *(u32 *)(r1 + 0); r3 = *(u32 *)(r1 + 4); r4 = r2; r4 += 8; r0 = 2; if r4 > r3 goto +1; lock *(u64 *)(r2 + 0) += r0; exit;")
WRITTEN(atomic_ok, "r2 = *(u32 *)(r1 + 0); r3 = *(u32 *)(r1 + 4); r4 = r2; r4 += 8; r0 = 2; if r4 > r3 goto +1; *(u64 *)(r2 + 0) = r0; exit;")

PROGRAM(to_helper_bad) {
  __u8 *data = data_of(ctx);
  return data + 16 > (__u8 *)end_of(ctx) ? XDP_PASS : bpf_csum_diff(0, 0, (__be32 *)data, 20, 0) & 1;
}
PROGRAM(to_helper_ok) {
  __u8 *data = data_of(ctx);
  return data + 20 > (__u8 *)end_of(ctx) ? XDP_PASS : bpf_csum_diff(0, 0, (__be32 *)data, 20, 0) & 1;
}

/* Kept in memory that is written in between. */
PROGRAM(stored_bad) {
  void *volatile kept = data_of(ctx);
  *(volatile __u32 *)&kept = 0;
  return (__u8 *)kept + 1 > (__u8 *)end_of(ctx) ? XDP_PASS : *(__u8 *)kept;
}
PROGRAM(stored_ok) {
  void *volatile kept = data_of(ctx);
  __u8 *data = kept;
  return data + 1 > (__u8 *)end_of(ctx) ? XDP_PASS : *data;
}
