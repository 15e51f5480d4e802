/*
 * Kernel sockets, polled: the baseline that Millrace is measured against (`millrace perf --nic
 * kernel`), without an event loop between the program and the kernel.
 *
 * Sockets are non-blocking and close-on-exec. An address is an Int32Array of six: the four words of
 * the (IPv4-mapped) address as base/ip-address.ts has them, the port, and the interface of a
 * link-local or multicast address (0: any).
 */
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "addon.h"

#define NAME_WORDS 6
#define MAPPED 0x0000ffff

typedef struct {
  struct sockaddr_storage address;
  socklen_t bytes;
} Name;

static bool is_v4(const int32_t *words) {
  return words[0] == 0 && words[1] == 0 && words[2] == MAPPED;
}

static void name_of(const int32_t *words, bool v4, Name *out) {
  memset(out, 0, sizeof *out);
  if (v4) {
    struct sockaddr_in *in = (struct sockaddr_in *)&out->address;
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)words[4]);
    in->sin_addr.s_addr = htonl((uint32_t)words[3]);
    out->bytes = sizeof *in;
    return;
  }
  struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out->address;
  in6->sin6_family = AF_INET6;
  in6->sin6_port = htons((uint16_t)words[4]);
  in6->sin6_scope_id = (uint32_t)words[5];
  for (int i = 0; i < 4; i++) in6->sin6_addr.s6_addr32[i] = htonl((uint32_t)words[i]);
  out->bytes = sizeof *in6;
}

static void words_of(const Name *name, int32_t *out) {
  memset(out, 0, NAME_WORDS * sizeof *out);
  if (name->address.ss_family == AF_INET) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)&name->address;
    out[2] = MAPPED;
    out[3] = (int32_t)ntohl(in->sin_addr.s_addr);
    out[4] = ntohs(in->sin_port);
  } else if (name->address.ss_family == AF_INET6) {
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&name->address;
    for (int i = 0; i < 4; i++) out[i] = (int32_t)ntohl(in6->sin6_addr.s6_addr32[i]);
    out[4] = ntohs(in6->sin6_port);
    out[5] = (int32_t)in6->sin6_scope_id;
  }
}

/* A descriptor and an address; the address is sent as the socket's family (v4) wants it. */
static bool fd_and_name(const Args *args, int32_t *fd, Name *name) {
  int32_t *words;
  if (!arg_int(args, 0, fd) || !arg_int32s(args, 1, NAME_WORDS, &words)) return false;
  name_of(words, is_v4(words), name);
  return true;
}

/* kernelSocketOpen(family: 4 | 6, isStream) */
static napi_value socket_open(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t family, is_stream;
  if (!arg_int(&args, 0, &family) || (family != 4 && family != 6) ||
      !arg_int(&args, 1, &is_stream)) {
    return int_result(env, -EINVAL);
  }
  int type = (is_stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
  return call_result(env, socket(family == 4 ? AF_INET : AF_INET6, type, 0));
}

/* kernelSocketSet(fd, level, option, value) */
static napi_value socket_set(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, level, option, value;
  if (!arg_int(&args, 0, &fd) || !arg_int(&args, 1, &level) || !arg_int(&args, 2, &option) ||
      !arg_int(&args, 3, &value)) {
    return int_result(env, -EINVAL);
  }
  return call_result(env, setsockopt(fd, level, option, &value, sizeof value));
}

/* kernelSocketBind(fd, address) */
static napi_value socket_bind(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  Name name;
  if (!fd_and_name(&args, &fd, &name)) return int_result(env, -EINVAL);
  return call_result(env, bind(fd, (struct sockaddr *)&name.address, name.bytes));
}

/* kernelSocketConnect(fd, address): -EINPROGRESS for streams */
static napi_value socket_connect(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  Name name;
  if (!fd_and_name(&args, &fd, &name)) return int_result(env, -EINVAL);
  return call_result(env, connect(fd, (struct sockaddr *)&name.address, name.bytes));
}

/* kernelSocketListen(fd, backlog) */
static napi_value socket_listen(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, backlog;
  if (!arg_int(&args, 0, &fd) || !arg_int(&args, 1, &backlog)) return int_result(env, -EINVAL);
  return call_result(env, listen(fd, backlog));
}

/* kernelSocketAccept(fd): the connection's descriptor */
static napi_value socket_accept(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  return call_result(env, accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

/* kernelSocketError(fd): 0, or the pending error (SO_ERROR) negated */
static napi_value socket_error(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  int error = 0;
  socklen_t bytes = sizeof error;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) < 0) return call_result(env, -1);
  return int_result(env, -error);
}

/* kernelSocketPeer(fd): 0 when it is connected, -ENOTCONN */
static napi_value socket_peer(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  Name name = {.bytes = sizeof name.address};
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  return call_result(env, getpeername(fd, (struct sockaddr *)&name.address, &name.bytes));
}

/* kernelSocketJoin(fd, group): joins on the interface in the address */
static napi_value socket_join(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, *words;
  Name name;
  if (!fd_and_name(&args, &fd, &name) || !arg_int32s(&args, 1, NAME_WORDS, &words)) {
    return int_result(env, -EINVAL);
  }
  struct group_req request = {.gr_interface = (uint32_t)words[5], .gr_group = name.address};
  int level = is_v4(words) ? IPPROTO_IP : IPPROTO_IPV6;
  return call_result(env, setsockopt(fd, level, MCAST_JOIN_GROUP, &request, sizeof request));
}

/* kernelSocketMulticastIf(fd, ifIndex): IPv4 wants a structure where IPv6 wants a number */
static napi_value socket_multicast_if(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, index;
  if (!arg_int(&args, 0, &fd) || !arg_int(&args, 1, &index)) return int_result(env, -EINVAL);
  struct ip_mreqn request = {.imr_ifindex = index};
  return call_result(env, setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request));
}

/* A descriptor and `n` bytes at `at` of a memory. */
static int fd_and_bytes(const Args *args, int32_t *fd, uint8_t **bytes, size_t *n) {
  Memory memory;
  size_t at;
  if (!arg_int(args, 0, fd) || !arg_bytes(args, 1, &memory) || !arg_size(args, 2, &at) ||
      !arg_size(args, 3, n)) {
    return -EINVAL;
  }
  if (at > memory.length || *n > memory.length - at) return -EFAULT;
  *bytes = memory.bytes + at;
  return 0;
}

/* kernelSocketSend(fd, bytes, at, n): to the connected peer */
static napi_value socket_send(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  uint8_t *bytes;
  size_t n;
  int wrong = fd_and_bytes(&args, &fd, &bytes, &n);
  if (wrong != 0) return int_result(env, wrong);
  return call_result(env, (int)send(fd, bytes, n, MSG_NOSIGNAL));
}

/* kernelSocketReceive(fd, bytes, at, n) */
static napi_value socket_receive(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  uint8_t *bytes;
  size_t n;
  int wrong = fd_and_bytes(&args, &fd, &bytes, &n);
  if (wrong != 0) return int_result(env, wrong);
  return call_result(env, (int)recv(fd, bytes, n, 0));
}

/* kernelSocketSendTo(fd, bytes, at, n, address) */
static napi_value socket_send_to(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, *words;
  uint8_t *bytes;
  size_t n;
  int wrong = fd_and_bytes(&args, &fd, &bytes, &n);
  if (wrong != 0) return int_result(env, wrong);
  if (!arg_int32s(&args, 4, NAME_WORDS, &words)) return int_result(env, -EINVAL);
  Name name;
  name_of(words, is_v4(words), &name);
  return call_result(
      env, (int)sendto(fd, bytes, n, MSG_NOSIGNAL, (struct sockaddr *)&name.address, name.bytes));
}

/* kernelSocketReceiveFrom(fd, bytes, at, n, from): the sender's address into `from` */
static napi_value socket_receive_from(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, *words;
  uint8_t *bytes;
  size_t n;
  int wrong = fd_and_bytes(&args, &fd, &bytes, &n);
  if (wrong != 0) return int_result(env, wrong);
  if (!arg_int32s(&args, 4, NAME_WORDS, &words)) return int_result(env, -EINVAL);
  Name name = {.bytes = sizeof name.address};
  ssize_t got = recvfrom(fd, bytes, n, 0, (struct sockaddr *)&name.address, &name.bytes);
  if (got >= 0) words_of(&name, words);
  return call_result(env, (int)got);
}

bool export_kernel_socket(napi_env env, napi_value exports) {
  return export_function(env, exports, "kernelSocketOpen", socket_open) &&
         export_function(env, exports, "kernelSocketSet", socket_set) &&
         export_function(env, exports, "kernelSocketBind", socket_bind) &&
         export_function(env, exports, "kernelSocketConnect", socket_connect) &&
         export_function(env, exports, "kernelSocketListen", socket_listen) &&
         export_function(env, exports, "kernelSocketAccept", socket_accept) &&
         export_function(env, exports, "kernelSocketError", socket_error) &&
         export_function(env, exports, "kernelSocketPeer", socket_peer) &&
         export_function(env, exports, "kernelSocketJoin", socket_join) &&
         export_function(env, exports, "kernelSocketMulticastIf", socket_multicast_if) &&
         export_function(env, exports, "kernelSocketSend", socket_send) &&
         export_function(env, exports, "kernelSocketReceive", socket_receive) &&
         export_function(env, exports, "kernelSocketSendTo", socket_send_to) &&
         export_function(env, exports, "kernelSocketReceiveFrom", socket_receive_from);
}
