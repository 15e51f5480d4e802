/* What a driver asks about a network interface: state, driver, queues (netdevice(7)). */
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addon.h"

/*
 * interfaceState(fd, index): through any socket of its network namespace: 1 when it is up and has a
 * carrier, 0 when not, -ENODEV when there is none of this number.
 *
 * IFF_RUNNING follows a new carrier by up to a second (linkwatch), and the kernel sends before. Only
 * then is the carrier itself asked for, as that waits for the lock of all configuration.
 */
static napi_value interface_state(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  struct ifreq request = {0};
  if (!arg_int(&args, 0, &fd) || !arg_int(&args, 1, &request.ifr_ifindex)) {
    return int_result(env, -EINVAL);
  }
  if (ioctl(fd, SIOCGIFNAME, &request) < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0) {
    return call_result(env, -1);
  }
  const short running = IFF_UP | IFF_RUNNING, flags = request.ifr_flags & running;
  if (flags != IFF_UP) return int_result(env, flags == running);
  struct ethtool_value carrier = {.cmd = ETHTOOL_GLINK};
  request.ifr_data = (char *)&carrier;
  return int_result(env, ioctl(fd, SIOCETHTOOL, &request) == 0 && carrier.data != 0);
}

/* One ethtool request; 0 or -errno. */
static int ethtool(const char *name, void *data) {
  struct ifreq request = {.ifr_data = data};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  memcpy(request.ifr_name, name, IFNAMSIZ);
  int result = ioctl(fd, SIOCETHTOOL, &request) < 0 ? -errno : 0;
  close(fd);
  return result;
}

/* interfaceQueues(name): its receive queues; -EOPNOTSUPP for drivers that do not tell. */
static napi_value interface_queues(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  char name[IFNAMSIZ] = {0};
  struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
  if (!arg_text(&args, 0, name, sizeof name)) return int_result(env, -EINVAL);
  int result = ethtool(name, &channels);
  return int_result(env, result < 0 ? result : (int32_t)(channels.rx_count + channels.combined_count));
}

/* interfaceDriver(name): its driver's name, or -errno. */
static napi_value interface_driver(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  char name[IFNAMSIZ] = {0};
  struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
  if (!arg_text(&args, 0, name, sizeof name)) return int_result(env, -EINVAL);
  int result = ethtool(name, &driver);
  if (result < 0) return int_result(env, result);
  driver.driver[sizeof driver.driver - 1] = 0;
  return text_result(env, driver.driver);
}

/* fdUnion(fds: Int32Array, n): a descriptor that is readable when one of them is. */
static napi_value fd_union(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t n, *fds;
  if (!arg_int(&args, 1, &n) || !arg_int32s(&args, 0, n, &fds)) return int_result(env, -EINVAL);
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return call_result(env, -1);
  for (int32_t i = 0; i < n; i++) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fds[i]};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event) == 0) continue;
    int error = errno;
    close(epoll);
    return int_result(env, -error);
  }
  return int_result(env, epoll);
}

bool export_interface(napi_env env, napi_value exports) {
  return export_function(env, exports, "interfaceState", interface_state) &&
         export_function(env, exports, "interfaceQueues", interface_queues) &&
         export_function(env, exports, "interfaceDriver", interface_driver) &&
         export_function(env, exports, "fdUnion", fd_union);
}
