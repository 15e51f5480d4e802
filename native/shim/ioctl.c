/* ioctl of accelerated sockets: what is about the socket is answered here, what is about interfaces by the
 * engine, or by the kernel on a socket of its own. */
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include "core.h"

static int give_int(void *user, int value) { return mr_copy_to(user, &value, sizeof value); }

/* As tcp_inq: up to the urgent mark. */
static int64_t readable(struct mr_sock *sock) {
  struct mr_socket *shared = sock->shared;
  uint32_t status = mr_sock_status(sock);
  uint32_t head = mr_load(&shared->rx_head);
  uint32_t used = mr_load(&shared->rx_tail) - head;
  if ((status & MR_STATUS_MARK) && !mr_load(&shared->oob_inline)) {
    uint32_t distance = mr_load(&shared->urgent_at) - head;
    if (distance > 0 && distance <= used) return distance;
  }
  return (int64_t)used + mr_load(&shared->rx_more);
}

static int fionread(struct mr_sock *sock, void *user) {
  if (sock->shared->kind == MR_KIND_LISTENER) return -EINVAL;
  if (mr_sock_is_stream(sock)) {
    int64_t bytes = readable(sock);
    return give_int(user, bytes > INT32_MAX ? INT32_MAX : (int)bytes);
  }
  int bytes = mr_datagram_next_bytes(sock);
  if (bytes < 0 && sock->companion >= 0) {
    return real.ioctl(sock->companion, FIONREAD, user) < 0 ? -errno : 0;
  }
  return give_int(user, bytes < 0 ? 0 : bytes);
}

static int outq(struct mr_sock *sock, void *user, bool with_sent) {
  struct mr_socket *shared = sock->shared;
  if (shared->kind == MR_KIND_LISTENER) return -EINVAL;
  uint32_t used = mr_load(&shared->tx_tail) - mr_load(&shared->tx_head);
  if (with_sent) used += mr_load(&shared->tx_queued);
  return give_int(user, used > INT32_MAX ? INT32_MAX : (int)used);
}

static int at_mark(struct mr_sock *sock, void *user) {
  struct mr_socket *shared = sock->shared;
  if (!mr_sock_is_stream(sock)) return -ENOTTY;
  bool is_there = (mr_sock_status(sock) & MR_STATUS_MARK) != 0 &&
                  mr_load(&shared->urgent_at) == mr_load(&shared->rx_head);
  return give_int(user, is_there);
}

static int set_flag(uint32_t *word, void *user) {
  int value;
  if (mr_copy_from(&value, user, sizeof value) != 0) return -EFAULT;
  mr_store(word, value != 0);
  return 0;
}

/* What the engine does not know is asked of the kernel on a fresh socket. */
static int ask_kernel(struct mr_sock *sock, unsigned long request, void *user) {
  int fd = real.socket(sock->shared->family, (int)mr_sock_type(sock) | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  int result = mr_interfaces_ioctl(fd, request, user) < 0 ? -errno : 0;
  real.close(fd);
  return result;
}

static int ask_interface(struct mr_sock *sock, int fd, unsigned long request, void *user) {
  struct mr_calling calling;
  struct ifreq asked;
  if (mr_copy_from(&asked, user, sizeof asked) != 0) return -EFAULT;
  int result = mr_call_begin(&calling, sock, fd, MR_OP_IOCTL);
  if (result != 0) return ask_kernel(sock, request, user);
  calling.call->args[0] = (uint32_t)request;
  memcpy(calling.call->data, &asked, sizeof asked);
  calling.call->data_bytes = sizeof asked;
  result = mr_call_wait(&calling, false);
  memcpy(&asked, calling.call->data, sizeof asked);
  mr_call_end(&calling);
  if (result < 0) return ask_kernel(sock, request, user);
  return mr_copy_to(user, &asked, sizeof asked);
}

static bool is_of_interface(unsigned long request) {
  if (request == SIOCGIFINDEX || request == SIOCGIFTXQLEN) return true;
  return request >= SIOCGIFNAME && request <= SIOCGIFHWADDR && request != SIOCGIFCONF;
}

int mr_sock_ioctl(struct mr_sock *sock, int fd, unsigned long request, void *user) {
  int saved = errno;
  int result;
  switch (request) {
    case FIONREAD:
      result = fionread(sock, user);
      break;
    case SIOCOUTQ:
      result = outq(sock, user, true);
      break;
    case SIOCOUTQNSD:
      result = mr_sock_is_stream(sock) ? outq(sock, user, false) : -ENOTTY;
      break;
    case SIOCATMARK:
      result = at_mark(sock, user);
      break;
    case FIONBIO:
      result = real.ioctl(fd, request, user) < 0 ? -errno : set_flag(&sock->shared->nonblock, user);
      break;
    case FIOASYNC:
    case FIOCLEX:
    case FIONCLEX:
    case FIOSETOWN:
    case SIOCSPGRP:
    case FIOGETOWN:
    case SIOCGPGRP:
      result = real.ioctl(fd, request, user) < 0 ? -errno : 0;
      sock->epoch = 0; /* spare.c: the kernel's file has these for good */
      break;
    default:
      result = is_of_interface(request) ? ask_interface(sock, fd, request, user)
                                        : ask_kernel(sock, request, user);
  }
  errno = saved;
  return (int)mr_return(result);
}
