/*
 * Sockets of the kernel: those that ask it over netlink, and those that hold its ports for us. Each
 * function is one system call; addresses and options are laid out in TypeScript, as the kernel's
 * headers have them.
 */
#include <string.h>
#include <sys/socket.h>

#include <linux/filter.h>

#include "addon.h"

/* socketOpen(family, type, protocol): its descriptor, non-blocking. */
static napi_value socket_open(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t family, type, protocol;
  if (!arg_int(&args, 0, &family) || !arg_int(&args, 1, &type) || !arg_int(&args, 2, &protocol)) {
    return int_result(env, -EINVAL);
  }
  return call_result(env, socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
}

/* socketBind(fd, address): `address` is a whole struct sockaddr of its family. */
static napi_value socket_bind(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  Memory address;
  if (!arg_int(&args, 0, &fd) || !arg_bytes(&args, 1, &address)) return int_result(env, -EINVAL);
  if (address.length < sizeof(sa_family_t) || address.length > sizeof(struct sockaddr_storage)) {
    return int_result(env, -EINVAL);
  }
  return call_result(env, bind(fd, (struct sockaddr *)address.bytes, (socklen_t)address.length));
}

/* socketName(fd, out): its own address, as much of it as fits; the length of all of it. */
static napi_value socket_name(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  Memory out;
  if (!arg_int(&args, 0, &fd) || !arg_bytes(&args, 1, &out)) return int_result(env, -EINVAL);
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  if (getsockname(fd, (struct sockaddr *)&address, &length) < 0) return call_result(env, -1);
  if (length > sizeof address) length = sizeof address;
  if (out.length > 0) memcpy(out.bytes, &address, out.length < length ? out.length : length);
  return int_result(env, (int32_t)length);
}

/* socketListen(fd, backlog) */
static napi_value socket_listen(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, backlog;
  if (!arg_int(&args, 0, &fd) || !arg_int(&args, 1, &backlog)) return int_result(env, -EINVAL);
  return call_result(env, listen(fd, backlog));
}

/* socketSetOption(fd, level, option, value): the bytes of the value. */
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

/* socketDropAll(fd): whatever comes to it is dropped unseen. */
static napi_value socket_drop_all(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
  struct sock_fprog program = {.len = 1, .filter = &drop};
  return call_result(env, setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
}

bool export_socket(napi_env env, napi_value exports) {
  return export_function(env, exports, "socketOpen", socket_open) &&
         export_function(env, exports, "socketBind", socket_bind) &&
         export_function(env, exports, "socketName", socket_name) &&
         export_function(env, exports, "socketListen", socket_listen) &&
         export_function(env, exports, "socketSetOption", socket_set_option) &&
         export_function(env, exports, "socketDropAll", socket_drop_all);
}
