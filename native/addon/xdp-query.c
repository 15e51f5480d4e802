/* Whose XDP program is on an interface, by rtnetlink: bpf(2) knows of those with a link only. */
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addon.h"

/* interfaceIndex(name) */
static napi_value interface_index(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  char name[IFNAMSIZ];
  if (!arg_text(&args, 0, name, sizeof name)) return int_result(env, -EINVAL);
  unsigned int index = if_nametoindex(name);
  return call_result(env, index == 0 ? -1 : (int)index);
}

/* Fills results from the IFLA_XDP attribute: how a program is attached (XDP_ATTACHED_…), its id. */
static void read_xdp(struct rtattr *outer, int32_t *results) {
  int left = (int)RTA_PAYLOAD(outer);
  for (struct rtattr *a = RTA_DATA(outer); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
    int type = a->rta_type & NLA_TYPE_MASK;
    if (type == IFLA_XDP_ATTACHED) results[0] = *(uint8_t *)RTA_DATA(a);
    /* With several modes at once there is one id for each; the first will do to name it. */
    bool is_id = type == IFLA_XDP_PROG_ID || type == IFLA_XDP_DRV_PROG_ID ||
                 type == IFLA_XDP_SKB_PROG_ID || type == IFLA_XDP_HW_PROG_ID;
    if (is_id && results[1] == 0) memcpy(&results[1], RTA_DATA(a), sizeof results[1]);
  }
}

/* Asks rtnetlink about one interface: 0 or -errno. */
static int query_link(int socket_fd, int32_t index, int32_t *results) {
  struct {
    struct nlmsghdr header;
    struct ifinfomsg body;
  } request = {
      .header = {.nlmsg_len = sizeof request, .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST},
      .body = {.ifi_family = AF_UNSPEC, .ifi_index = index},
  };
  _Alignas(struct nlmsghdr) char answer[32768];
  if (send(socket_fd, &request, sizeof request, 0) < 0) return -errno;
  ssize_t n = recv(socket_fd, answer, sizeof answer, 0);
  if (n < 0) return -errno;
  struct nlmsghdr *header = (struct nlmsghdr *)answer;
  if (!NLMSG_OK(header, (size_t)n)) return -EPROTO;
  if (header->nlmsg_type == NLMSG_ERROR) return ((struct nlmsgerr *)NLMSG_DATA(header))->error;
  struct ifinfomsg *body = NLMSG_DATA(header);
  int left = (int)IFLA_PAYLOAD(header);
  for (struct rtattr *a = IFLA_RTA(body); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
    if ((a->rta_type & NLA_TYPE_MASK) == IFLA_XDP) read_xdp(a, results);
  }
  return 0;
}

/* xdpQuery(interfaceIndex, results: Int32Array(2)): the mode (0 none, 1 native, 2 generic, 3 hardware,
 * 4 several) and the id of the program that is attached. */
static napi_value xdp_query(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t index, *results;
  if (!arg_int(&args, 0, &index) || !arg_int32s(&args, 1, 2, &results)) return int_result(env, -EINVAL);
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return call_result(env, -1);
  results[0] = 0;
  results[1] = 0;
  int result = query_link(fd, index, results);
  close(fd);
  return int_result(env, result);
}

bool export_xdp_query(napi_env env, napi_value exports) {
  return export_function(env, exports, "interfaceIndex", interface_index) &&
         export_function(env, exports, "xdpQuery", xdp_query);
}
