/*
 * AF_XDP sockets (Linux: Documentation/networking/af_xdp.rst), one step a function. Frames and rings
 * are read and written in TypeScript; what is here sets up and wakes.
 */
#include <linux/if_xdp.h>
#include <sys/socket.h>

#include "addon.h"

/* Newer than the headers of older distributions. */
#ifndef AF_XDP
#define AF_XDP 44
#endif
#ifndef SOL_XDP
#define SOL_XDP 283
#endif
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#define SO_BUSY_POLL_BUDGET 70
#endif
#define UMEM_TX_METADATA_LEN (1 << 2)

/* struct xdp_umem_reg as of Linux 6.8; older kernels read the part that they know. */
typedef struct {
  uint64_t address;
  uint64_t length;
  uint32_t chunk_size;
  uint32_t headroom;
  uint32_t flags;
  uint32_t tx_metadata_length;
} UmemRegistration;

/* xskOpen() */
static napi_value xsk_open(napi_env env, napi_callback_info info) {
  (void)info;
  return call_result(env, socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
}

/*
 * xskRegister(fd, memory: Uint8Array, at, lengthBytes, chunkBytes, metadataBytes): makes part of the
 * memory the socket's UMEM, with room for transmit metadata in front of each frame unless 0.
 */
static napi_value xsk_register(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, chunk, metadata;
  size_t at, length;
  Memory memory;
  if (!arg_int(&args, 0, &fd) || !arg_bytes(&args, 1, &memory) || !arg_size(&args, 2, &at) ||
      !arg_size(&args, 3, &length) || !arg_int(&args, 4, &chunk) || !arg_int(&args, 5, &metadata)) {
    return int_result(env, -EINVAL);
  }
  if (at > memory.length || length > memory.length - at) return int_result(env, -EFAULT);
  UmemRegistration umem = {
      .address = (uintptr_t)(memory.bytes + at),
      .length = length,
      .chunk_size = (uint32_t)chunk,
      .flags = metadata > 0 ? UMEM_TX_METADATA_LEN : 0,
      .tx_metadata_length = (uint32_t)metadata,
  };
  return call_result(env, setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof umem));
}

/* xskRing(fd, option, entries): makes one of the four rings. */
static napi_value xsk_ring(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, option, entries;
  if (!arg_int(&args, 0, &fd) || !arg_int(&args, 1, &option) || !arg_int(&args, 2, &entries)) {
    return int_result(env, -EINVAL);
  }
  return call_result(env, setsockopt(fd, SOL_XDP, option, &entries, sizeof entries));
}

/* xskOffsets(fd, out: Int32Array(16)): producer, consumer, desc, flags of rx, tx, fill, completion. */
static napi_value xsk_offsets(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, *out;
  struct xdp_mmap_offsets offsets;
  socklen_t size = sizeof offsets;
  if (!arg_int(&args, 0, &fd) || !arg_int32s(&args, 1, 16, &out)) return int_result(env, -EINVAL);
  if (getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &size) < 0) return call_result(env, -1);
  if (size != sizeof offsets) return int_result(env, -ENOSYS); /* Linux before 5.4: no flags */
  const struct xdp_ring_offset *rings[] = {&offsets.rx, &offsets.tx, &offsets.fr, &offsets.cr};
  for (int i = 0; i < 4; i++) {
    out[4 * i] = (int32_t)rings[i]->producer;
    out[4 * i + 1] = (int32_t)rings[i]->consumer;
    out[4 * i + 2] = (int32_t)rings[i]->desc;
    out[4 * i + 3] = (int32_t)rings[i]->flags;
  }
  return int_result(env, 0);
}

/* xskBind(fd, interfaceIndex, queue, flags, sharedFd) */
static napi_value xsk_bind(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, index, queue, flags, shared;
  if (!arg_int(&args, 0, &fd) || !arg_int(&args, 1, &index) || !arg_int(&args, 2, &queue) ||
      !arg_int(&args, 3, &flags) || !arg_int(&args, 4, &shared)) {
    return int_result(env, -EINVAL);
  }
  struct sockaddr_xdp address = {
      .sxdp_family = AF_XDP,
      .sxdp_flags = (uint16_t)flags,
      .sxdp_ifindex = (uint32_t)index,
      .sxdp_queue_id = (uint32_t)queue,
      .sxdp_shared_umem_fd = (uint32_t)shared,
  };
  return call_result(env, bind(fd, (struct sockaddr *)&address, sizeof address));
}

/* xskIsZeroCopy(fd): 1 or 0. */
static napi_value xsk_is_zero_copy(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  struct xdp_options options = {0};
  socklen_t size = sizeof options;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  int result = getsockopt(fd, SOL_XDP, XDP_OPTIONS, &options, &size);
  return call_result(env, result < 0 ? -1 : (options.flags & XDP_OPTIONS_ZEROCOPY) != 0);
}

/*
 * xskStatistics(fd, out: Int32Array(6)): dropped, invalid rx descriptors, invalid tx descriptors, rx
 * ring full, fill ring empty, tx ring empty; each modulo 2^32.
 */
static napi_value xsk_statistics(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, *out;
  uint64_t values[6] = {0};
  socklen_t size = sizeof values;
  if (!arg_int(&args, 0, &fd) || !arg_int32s(&args, 1, 6, &out)) return int_result(env, -EINVAL);
  if (getsockopt(fd, SOL_XDP, XDP_STATISTICS, values, &size) < 0) return call_result(env, -1);
  for (int i = 0; i < 6; i++) out[i] = (int32_t)values[i];
  return int_result(env, 0);
}

/* xskBusyPoll(fd, busyUs, budgetFrames): system calls of this socket drive the NIC's queue. */
static napi_value xsk_busy_poll(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, busy_us, budget;
  const int on = 1;
  if (!arg_int(&args, 0, &fd) || !arg_int(&args, 1, &busy_us) || !arg_int(&args, 2, &budget)) {
    return int_result(env, -EINVAL);
  }
  if (setsockopt(fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &on, sizeof on) < 0 ||
      setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &busy_us, sizeof busy_us) < 0) {
    return call_result(env, -1);
  }
  return call_result(env, setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof budget));
}

/* xskSend(fd): has the kernel look at the tx ring; in copy mode it sends up to 32 frames. */
static napi_value xsk_send(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  return call_result(env, (int)sendto(fd, NULL, 0, MSG_DONTWAIT, NULL, 0));
}

/* xskReceive(fd): has the kernel look at the fill ring, or poll the NIC. */
static napi_value xsk_receive(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  return call_result(env, (int)recvfrom(fd, NULL, 0, MSG_DONTWAIT, NULL, NULL));
}

bool export_xsk(napi_env env, napi_value exports) {
  return export_function(env, exports, "xskOpen", xsk_open) &&
         export_function(env, exports, "xskRegister", xsk_register) &&
         export_function(env, exports, "xskRing", xsk_ring) &&
         export_function(env, exports, "xskOffsets", xsk_offsets) &&
         export_function(env, exports, "xskBind", xsk_bind) &&
         export_function(env, exports, "xskIsZeroCopy", xsk_is_zero_copy) &&
         export_function(env, exports, "xskStatistics", xsk_statistics) &&
         export_function(env, exports, "xskBusyPoll", xsk_busy_poll) &&
         export_function(env, exports, "xskSend", xsk_send) &&
         export_function(env, exports, "xskReceive", xsk_receive);
}
