/*
 * TAP interfaces: opening and configuring. Each function is one step, so that the wrapper can say
 * which step failed. Frames are moved in tap-frames.c.
 */
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include "addon.h"

/* Newer than the oldest kernel headers that we build with (Linux 6.2). */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define VIRTIO_HEADER_BYTES 12
#define MAC_BYTES 6

/* tapOpen(path): the descriptor of the TAP driver, non-blocking, attached to no interface yet. */
static napi_value tap_open(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  char path[128];
  if (!arg_text(&args, 0, path, sizeof path)) return int_result(env, -EINVAL);
  return call_result(env, open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC));
}

/* tapAttach(fd, name, multiQueue): creates the interface or takes an existing one. */
static napi_value tap_attach(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, multi_queue;
  struct ifreq request = {0};
  if (!arg_int(&args, 0, &fd) || !arg_text(&args, 1, request.ifr_name, IFNAMSIZ) ||
      !arg_int(&args, 2, &multi_queue)) {
    return int_result(env, -EINVAL);
  }
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if (multi_queue) request.ifr_flags |= IFF_MULTI_QUEUE;
  return call_result(env, ioctl(fd, TUNSETIFF, &request));
}

/* tapName(fd): the interface's name now (it may be renamed), or -errno. */
static napi_value tap_name(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  struct ifreq request = {0};
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  if (ioctl(fd, TUNGETIFF, &request) < 0) return call_result(env, -1);
  request.ifr_name[IFNAMSIZ - 1] = '\0';
  return text_result(env, request.ifr_name);
}

/* tapHeader(fd): every frame has a 12-byte little-endian virtio-net header in front. */
static napi_value tap_header(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  int header_bytes = VIRTIO_HEADER_BYTES, little_endian = 1;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  if (ioctl(fd, TUNSETVNETHDRSZ, &header_bytes) < 0) return call_result(env, -1);
  return call_result(env, ioctl(fd, TUNSETVNETLE, &little_endian));
}

/*
 * tapOffload(fd, wanted): what the kernel may leave undone in frames that it gives us. 0 nothing,
 * 1 checksums and TCP segmentation, 2 UDP segmentation too, where the kernel knows it (Linux 6.2).
 * Returns the level that is in force.
 */
static napi_value tap_offload(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, wanted;
  if (!arg_int(&args, 0, &fd) || !arg_int(&args, 1, &wanted)) return int_result(env, -EINVAL);
  unsigned long tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  if (wanted >= 2 && ioctl(fd, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) == 0) {
    return int_result(env, 2);
  }
  int level = wanted >= 1 ? 1 : 0;
  return call_result(env, ioctl(fd, TUNSETOFFLOAD, level == 1 ? tcp : 0UL) < 0 ? -1 : level);
}

/* One interface request by name through a socket made for it; 0 or -errno. */
static int interface_request(unsigned long request_code, struct ifreq *request) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  int result = ioctl(fd, request_code, request) < 0 ? -errno : 0;
  close(fd);
  return result;
}

/* interfaceMac(name, out: Uint8Array(6)) */
static napi_value interface_mac(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  Memory out;
  struct ifreq request = {0};
  if (!arg_text(&args, 0, request.ifr_name, IFNAMSIZ) || !arg_bytes(&args, 1, &out) ||
      out.length < MAC_BYTES) {
    return int_result(env, -EINVAL);
  }
  int result = interface_request(SIOCGIFHWADDR, &request);
  if (result == 0) memcpy(out.bytes, request.ifr_hwaddr.sa_data, MAC_BYTES);
  return int_result(env, result);
}

/* interfaceSetMac(name, mac: Uint8Array(6)) */
static napi_value interface_set_mac(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  Memory mac;
  struct ifreq request = {0};
  if (!arg_text(&args, 0, request.ifr_name, IFNAMSIZ) || !arg_bytes(&args, 1, &mac) ||
      mac.length < MAC_BYTES) {
    return int_result(env, -EINVAL);
  }
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  memcpy(request.ifr_hwaddr.sa_data, mac.bytes, MAC_BYTES);
  return int_result(env, interface_request(SIOCSIFHWADDR, &request));
}

/* interfaceMtu(name): bytes or -errno. */
static napi_value interface_mtu(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  struct ifreq request = {0};
  if (!arg_text(&args, 0, request.ifr_name, IFNAMSIZ)) return int_result(env, -EINVAL);
  int result = interface_request(SIOCGIFMTU, &request);
  return int_result(env, result < 0 ? result : request.ifr_mtu);
}

/* interfaceSetMtu(name, bytes) */
static napi_value interface_set_mtu(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  struct ifreq request = {0};
  if (!arg_text(&args, 0, request.ifr_name, IFNAMSIZ) || !arg_int(&args, 1, &request.ifr_mtu)) {
    return int_result(env, -EINVAL);
  }
  return int_result(env, interface_request(SIOCSIFMTU, &request));
}

/* interfaceIsUp(name): 1, 0 or -errno. */
static napi_value interface_is_up(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  struct ifreq request = {0};
  if (!arg_text(&args, 0, request.ifr_name, IFNAMSIZ)) return int_result(env, -EINVAL);
  int result = interface_request(SIOCGIFFLAGS, &request);
  return int_result(env, result < 0 ? result : (request.ifr_flags & IFF_UP) != 0);
}

/* interfaceSetUp(name, up): leaves the other flags as they are. */
static napi_value interface_set_up(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t up;
  struct ifreq request = {0};
  if (!arg_text(&args, 0, request.ifr_name, IFNAMSIZ) || !arg_int(&args, 1, &up)) {
    return int_result(env, -EINVAL);
  }
  int result = interface_request(SIOCGIFFLAGS, &request);
  if (result < 0) return int_result(env, result);
  if (up) request.ifr_flags |= IFF_UP;
  else request.ifr_flags &= ~IFF_UP;
  return int_result(env, interface_request(SIOCSIFFLAGS, &request));
}

bool export_tap(napi_env env, napi_value exports) {
  return export_function(env, exports, "tapOpen", tap_open) &&
         export_function(env, exports, "tapAttach", tap_attach) &&
         export_function(env, exports, "tapName", tap_name) &&
         export_function(env, exports, "tapHeader", tap_header) &&
         export_function(env, exports, "tapOffload", tap_offload) &&
         export_function(env, exports, "interfaceMac", interface_mac) &&
         export_function(env, exports, "interfaceSetMac", interface_set_mac) &&
         export_function(env, exports, "interfaceMtu", interface_mtu) &&
         export_function(env, exports, "interfaceSetMtu", interface_set_mtu) &&
         export_function(env, exports, "interfaceIsUp", interface_is_up) &&
         export_function(env, exports, "interfaceSetUp", interface_set_up);
}
