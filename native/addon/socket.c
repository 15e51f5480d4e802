/*
 * Sockets of the kernel: those that ask it over netlink, those that hold its ports for us, and those
 * that Millrace is measured against. Each function is one system call; addresses and options are laid
 * out in TypeScript, as the kernel's headers have them. Sockets are non-blocking and close-on-exec.
 */
#include <string.h>
#include <sys/socket.h>

#include <linux/filter.h>

#include "addon.h"

/* An argument that is a whole struct sockaddr of some family. */
static bool arg_address(const Args *args, int i, Memory *out) {
  return arg_bytes(args, i, out) && out->length >= sizeof(sa_family_t) &&
         out->length <= sizeof(struct sockaddr_storage);
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

/* socketOpen(family, type, protocol): its descriptor */
static napi_value socket_open(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t family, type, protocol;
  if (!arg_int(&args, 0, &family) || !arg_int(&args, 1, &type) || !arg_int(&args, 2, &protocol)) {
    return int_result(env, -EINVAL);
  }
  return call_result(env, socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
}

/* socketBind(fd, address) */
static napi_value socket_bind(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  Memory address;
  if (!arg_int(&args, 0, &fd) || !arg_address(&args, 1, &address)) return int_result(env, -EINVAL);
  return call_result(env, bind(fd, (struct sockaddr *)address.bytes, (socklen_t)address.length));
}

/* socketConnect(fd, address): -EINPROGRESS for streams */
static napi_value socket_connect(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  Memory address;
  if (!arg_int(&args, 0, &fd) || !arg_address(&args, 1, &address)) return int_result(env, -EINVAL);
  return call_result(env, connect(fd, (struct sockaddr *)address.bytes, (socklen_t)address.length));
}

/* As much of an address as fits into `out`; the length of all of it. */
static int32_t address_into(const struct sockaddr_storage *address, socklen_t length, Memory out) {
  if (length > sizeof *address) length = sizeof *address;
  if (out.length > 0) memcpy(out.bytes, address, out.length < length ? out.length : length);
  return (int32_t)length;
}

/* socketName(fd, out): its own address, as much of it as fits; the length of all of it */
static napi_value socket_name(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  Memory out;
  if (!arg_int(&args, 0, &fd) || !arg_bytes(&args, 1, &out)) return int_result(env, -EINVAL);
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  if (getsockname(fd, (struct sockaddr *)&address, &length) < 0) return call_result(env, -1);
  return int_result(env, address_into(&address, length, out));
}

/* socketPeer(fd): 0 when it is connected, -ENOTCONN */
static napi_value socket_peer(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  return call_result(env, getpeername(fd, (struct sockaddr *)&address, &length));
}

/* socketListen(fd, backlog) */
static napi_value socket_listen(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, backlog;
  if (!arg_int(&args, 0, &fd) || !arg_int(&args, 1, &backlog)) return int_result(env, -EINVAL);
  return call_result(env, listen(fd, backlog));
}

/* socketAccept(fd): the connection's descriptor */
static napi_value socket_accept(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  return call_result(env, accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

/* socketError(fd): 0, or the pending error (SO_ERROR) negated */
static napi_value socket_error(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  int error = 0;
  socklen_t bytes = sizeof error;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) < 0) return call_result(env, -1);
  return int_result(env, -error);
}

/* socketSetOption(fd, level, option, value): the bytes of the value */
static napi_value socket_set_option(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, level, option;
  Memory value;
  if (!arg_int(&args, 0, &fd) || !arg_int(&args, 1, &level) || !arg_int(&args, 2, &option) ||
      !arg_bytes(&args, 3, &value) || value.length > INT32_MAX) {
    return int_result(env, -EINVAL);
  }
  return call_result(env, setsockopt(fd, level, option, value.bytes, (socklen_t)value.length));
}

/* socketDropAll(fd): whatever comes to it is dropped unseen */
static napi_value socket_drop_all(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
  struct sock_fprog program = {.len = 1, .filter = &drop};
  return call_result(env, setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
}

/* socketSend(fd, bytes, at, n): to the connected peer */
static napi_value socket_send(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  uint8_t *bytes;
  size_t n;
  int wrong = fd_and_bytes(&args, &fd, &bytes, &n);
  if (wrong != 0) return int_result(env, wrong);
  return call_result(env, (int)send(fd, bytes, n, MSG_NOSIGNAL));
}

/* socketReceive(fd, bytes, at, n) */
static napi_value socket_receive(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  uint8_t *bytes;
  size_t n;
  int wrong = fd_and_bytes(&args, &fd, &bytes, &n);
  if (wrong != 0) return int_result(env, wrong);
  return call_result(env, (int)recv(fd, bytes, n, 0));
}

/* socketSendTo(fd, bytes, at, n, address) */
static napi_value socket_send_to(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  uint8_t *bytes;
  size_t n;
  Memory address;
  int wrong = fd_and_bytes(&args, &fd, &bytes, &n);
  if (wrong != 0) return int_result(env, wrong);
  if (!arg_address(&args, 4, &address)) return int_result(env, -EINVAL);
  return call_result(env, (int)sendto(fd, bytes, n, MSG_NOSIGNAL, (struct sockaddr *)address.bytes,
                                      (socklen_t)address.length));
}

/* socketReceiveFrom(fd, bytes, at, n, from): as much of the sender's address as fits into `from` */
static napi_value socket_receive_from(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  uint8_t *bytes;
  size_t n;
  Memory from;
  int wrong = fd_and_bytes(&args, &fd, &bytes, &n);
  if (wrong != 0) return int_result(env, wrong);
  if (!arg_bytes(&args, 4, &from)) return int_result(env, -EINVAL);
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  ssize_t got = recvfrom(fd, bytes, n, 0, (struct sockaddr *)&address, &length);
  if (got >= 0) address_into(&address, length, from);
  return call_result(env, (int)got);
}

bool export_socket(napi_env env, napi_value exports) {
  return export_function(env, exports, "socketOpen", socket_open) &&
         export_function(env, exports, "socketBind", socket_bind) &&
         export_function(env, exports, "socketConnect", socket_connect) &&
         export_function(env, exports, "socketName", socket_name) &&
         export_function(env, exports, "socketPeer", socket_peer) &&
         export_function(env, exports, "socketListen", socket_listen) &&
         export_function(env, exports, "socketAccept", socket_accept) &&
         export_function(env, exports, "socketError", socket_error) &&
         export_function(env, exports, "socketSetOption", socket_set_option) &&
         export_function(env, exports, "socketDropAll", socket_drop_all) &&
         export_function(env, exports, "socketSend", socket_send) &&
         export_function(env, exports, "socketReceive", socket_receive) &&
         export_function(env, exports, "socketSendTo", socket_send_to) &&
         export_function(env, exports, "socketReceiveFrom", socket_receive_from);
}
