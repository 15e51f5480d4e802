/*
 * Messages to and from the kernel over a netlink socket (netlink(7)) of socket.c. What is in them is
 * built and parsed in TypeScript (sys/netlink.ts).
 */
#include <sys/socket.h>

#include <linux/netlink.h>

#include "addon.h"

/* netlinkSend(fd, bytes, n): sends the first n bytes to the kernel; how many went. */
static napi_value netlink_send(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, n;
  Memory message;
  if (!arg_int(&args, 0, &fd) || !arg_bytes(&args, 1, &message) || !arg_int(&args, 2, &n) ||
      n < 0 || (size_t)n > message.length) {
    return int_result(env, -EINVAL);
  }
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  return call_result(env, (int)sendto(fd, message.bytes, (size_t)n, 0, (struct sockaddr *)&kernel,
                                      sizeof kernel));
}

/*
 * netlinkReceive(fd, out): takes one datagram; its length. -EAGAIN when there is none, -EMSGSIZE
 * when it was longer than `out` and is lost, -ENOBUFS when the kernel has dropped some before, 0 for
 * one that is not the kernel's, which is not looked at.
 */
static napi_value netlink_receive(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  Memory out;
  if (!arg_int(&args, 0, &fd) || !arg_bytes(&args, 1, &out)) return int_result(env, -EINVAL);
  struct sockaddr_nl from = {0};
  struct iovec place = {.iov_base = out.bytes, .iov_len = out.length};
  struct msghdr message = {
      .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &place, .msg_iovlen = 1};
  ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);
  if (n < 0) return call_result(env, -1);
  if (message.msg_flags & MSG_TRUNC) return int_result(env, -EMSGSIZE);
  return int_result(env, from.nl_family == AF_NETLINK && from.nl_pid == 0 ? (int32_t)n : 0);
}

bool export_netlink(napi_env env, napi_value exports) {
  return export_function(env, exports, "netlinkSend", netlink_send) &&
         export_function(env, exports, "netlinkReceive", netlink_receive);
}
