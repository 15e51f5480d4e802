/*
 * AF_PACKET sockets (packet(7)) with TPACKET_V2 rings, one step a function. Frames and their states
 * are read and written in TypeScript; what is here sets up and wakes.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include "addon.h"

/* packetOpen(): receives nothing until it is bound. */
static napi_value packet_open(napi_env env, napi_callback_info info) {
  (void)info;
  return call_result(env, socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

/* packetOption(fd, option, value): an integer option of SOL_PACKET. */
static napi_value packet_option(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, option, value;
  if (!arg_int(&args, 0, &fd) || !arg_int(&args, 1, &option) || !arg_int(&args, 2, &value)) {
    return int_result(env, -EINVAL);
  }
  return call_result(env, setsockopt(fd, SOL_PACKET, option, &value, sizeof value));
}

/* packetRing(fd, isTx, blockBytes, blocks, frameBytes, frames) */
static napi_value packet_ring(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, is_tx, values[4];
  bool is_whole = arg_int(&args, 0, &fd) && arg_int(&args, 1, &is_tx);
  for (int i = 0; i < 4; i++) is_whole = is_whole && arg_int(&args, i + 2, &values[i]);
  if (!is_whole) return int_result(env, -EINVAL);
  struct tpacket_req request = {
      .tp_block_size = (unsigned)values[0],
      .tp_block_nr = (unsigned)values[1],
      .tp_frame_size = (unsigned)values[2],
      .tp_frame_nr = (unsigned)values[3],
  };
  int option = is_tx ? PACKET_TX_RING : PACKET_RX_RING;
  return call_result(env, setsockopt(fd, SOL_PACKET, option, &request, sizeof request));
}

/* packetBind(fd, interfaceIndex): receives every protocol from now on. */
static napi_value packet_bind(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, index;
  if (!arg_int(&args, 0, &fd) || !arg_int(&args, 1, &index)) return int_result(env, -EINVAL);
  struct sockaddr_ll address = {
      .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = index};
  return call_result(env, bind(fd, (struct sockaddr *)&address, sizeof address));
}

/* packetMembership(fd, interfaceIndex, type): PACKET_MR_PROMISC or PACKET_MR_ALLMULTI, until closed. */
static napi_value packet_membership(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, index, type;
  if (!arg_int(&args, 0, &fd) || !arg_int(&args, 1, &index) || !arg_int(&args, 2, &type)) {
    return int_result(env, -EINVAL);
  }
  struct packet_mreq request = {.mr_ifindex = index, .mr_type = (unsigned short)type};
  return call_result(
      env, setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request));
}

/* packetStatistics(fd, out: Int32Array(2)): frames and drops since it was last asked. */
static napi_value packet_statistics(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, *out;
  struct tpacket_stats stats = {0};
  socklen_t size = sizeof stats;
  if (!arg_int(&args, 0, &fd) || !arg_int32s(&args, 1, 2, &out)) return int_result(env, -EINVAL);
  int result = getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size);
  out[0] = (int32_t)stats.tp_packets;
  out[1] = (int32_t)stats.tp_drops;
  return call_result(env, result);
}

/* packetSend(fd): has the kernel send what the tx ring holds. */
static napi_value packet_send(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  ssize_t sent = send(fd, NULL, 0, MSG_DONTWAIT);
  return call_result(env, sent < 0 ? -1 : 0);
}

bool export_packet(napi_env env, napi_value exports) {
  return export_function(env, exports, "packetOpen", packet_open) &&
         export_function(env, exports, "packetOption", packet_option) &&
         export_function(env, exports, "packetRing", packet_ring) &&
         export_function(env, exports, "packetBind", packet_bind) &&
         export_function(env, exports, "packetMembership", packet_membership) &&
         export_function(env, exports, "packetStatistics", packet_statistics) &&
         export_function(env, exports, "packetSend", packet_send);
}
