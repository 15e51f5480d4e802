/*
 * Unix sockets that carry whole messages and descriptors (SOCK_SEQPACKET, SCM_RIGHTS), and sets of
 * descriptors that are watched as one (epoll). All are non-blocking and closed on exec.
 *
 * A name that begins with a zero byte is abstract (unix(7)): its length counts, so it is passed as
 * bytes and not as text.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "addon.h"

#define MAX_PASSED 8
/* SCM_MAX_FD of the kernel: what does not fit would be closed by it, here, and closing may block. */
#define MAX_RECEIVED 253
#define MAX_TAKEN 64

/* The address of argument 0, a Uint8Array of 1 to 108 bytes; its length, or 0. */
static socklen_t address_of(const Args *args, struct sockaddr_un *address) {
  Memory name;
  if (!arg_bytes(args, 0, &name) || name.length == 0 || name.length > sizeof address->sun_path) {
    return 0;
  }
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, name.bytes, name.length);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name.length);
}

static int open_socket(void) {
  return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* `fd`, or what went wrong with it after closing it. */
static napi_value fd_or_error(napi_env env, int fd, int result) {
  if (result >= 0) return int_result(env, fd);
  int error = errno;
  close(fd);
  return int_result(env, -error);
}

/* unixListen(name, backlog): binds the name and listens; a descriptor. */
static napi_value unix_listen(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  struct sockaddr_un address;
  int32_t backlog;
  socklen_t length = address_of(&args, &address);
  if (length == 0 || !arg_int(&args, 1, &backlog)) return int_result(env, -EINVAL);
  int fd = open_socket();
  if (fd < 0) return call_result(env, fd);
  int result = bind(fd, (struct sockaddr *)&address, length);
  if (result == 0) result = listen(fd, backlog);
  return fd_or_error(env, fd, result);
}

/* unixConnect(name): a connected descriptor; -EAGAIN when the listener's queue is full. */
static napi_value unix_connect(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  struct sockaddr_un address;
  socklen_t length = address_of(&args, &address);
  if (length == 0) return int_result(env, -EINVAL);
  int fd = open_socket();
  if (fd < 0) return call_result(env, fd);
  return fd_or_error(env, fd, connect(fd, (struct sockaddr *)&address, length));
}

/* unixAccept(fd): a connection, or -EAGAIN. */
static napi_value unix_accept(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  return call_result(env, accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

/* unixSend(fd, message, passed): sends one message, with the descriptor `passed` unless below 0. */
static napi_value unix_send(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, passed;
  Memory message;
  if (!arg_int(&args, 0, &fd) || !arg_bytes(&args, 1, &message) || !arg_int(&args, 2, &passed)) {
    return int_result(env, -EINVAL);
  }
  struct iovec part = {message.bytes, message.length};
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
  if (passed >= 0) {
    memset(&control, 0, sizeof control);
    header.msg_control = control.bytes;
    header.msg_controllen = sizeof control.bytes;
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &passed, sizeof(int));
  }
  ssize_t sent;
  do sent = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (sent < 0 && errno == EINTR);
  return call_result(env, (int)sent);
}

/*
 * Takes the descriptors out of a received message: the first becomes *fd, any others are closed. It
 * is made non-blocking, so that no peer stops us by an event that is full.
 */
static void take_descriptors(struct msghdr *header, int32_t *fd) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < n; i++) {
      int received;
      memcpy(&received, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
      if (*fd < 0) *fd = received;
      else close(received);
    }
  }
  if (*fd < 0) return;
  int flags = fcntl(*fd, F_GETFL);
  if (flags >= 0) fcntl(*fd, F_SETFL, flags | O_NONBLOCK);
}

/*
 * unixReceive(fd, message, out: Int32Array(1)): receives one message; its length, which is 0 when
 * the peer has closed, or -EAGAIN. out[0] is the descriptor that came with it, the caller's, or -1.
 * -EMSGSIZE for a message that is longer than the given memory; it is gone.
 */
static napi_value unix_receive(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, *out;
  Memory message;
  if (!arg_int(&args, 0, &fd) || !arg_bytes(&args, 1, &message) || !arg_int32s(&args, 2, 1, &out)) {
    return int_result(env, -EINVAL);
  }
  struct iovec part = {message.bytes, message.length};
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(MAX_PASSED * sizeof(int))];
  } control;
  struct msghdr header = {.msg_iov = &part,
                          .msg_iovlen = 1,
                          .msg_control = control.bytes,
                          .msg_controllen = sizeof control.bytes};
  ssize_t n;
  do n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  out[0] = -1;
  if (n < 0) return call_result(env, -1);
  take_descriptors(&header, out);
  if ((header.msg_flags & MSG_TRUNC) == 0) return int_result(env, (int32_t)n);
  if (out[0] >= 0) close(out[0]);
  out[0] = -1;
  return int_result(env, -EMSGSIZE);
}

/*
 * unixSendAll(fd, message, passed: Int32Array, n): as unixSend, with the first n descriptors, in this
 * order.
 */
static napi_value unix_send_all(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, n, *passed;
  Memory message;
  if (!arg_int(&args, 0, &fd) || !arg_bytes(&args, 1, &message) || !arg_int(&args, 3, &n) || n < 0 ||
      n > MAX_PASSED || !arg_int32s(&args, 2, n, &passed)) {
    return int_result(env, -EINVAL);
  }
  struct iovec part = {message.bytes, message.length};
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(MAX_PASSED * sizeof(int))];
  } control;
  struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
  if (n > 0) {
    memset(&control, 0, sizeof control);
    header.msg_control = control.bytes;
    header.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
    memcpy(CMSG_DATA(c), passed, (size_t)n * sizeof(int));
  }
  ssize_t sent;
  do sent = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (sent < 0 && errno == EINTR);
  return call_result(env, (int)sent);
}

/*
 * unixReceiveAll(fd, message, out: Int32Array(255)): as unixReceive, with all its descriptors: out[0]
 * is how many, out[1] whether some are lost because this process may have no more; then they follow, the
 * caller's and as they were sent, but closed on exec. They come with -EMSGSIZE, too: none is closed here,
 * as that may block.
 */
static napi_value unix_receive_all(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, *out;
  Memory message;
  if (!arg_int(&args, 0, &fd) || !arg_bytes(&args, 1, &message) ||
      !arg_int32s(&args, 2, 2 + MAX_RECEIVED, &out)) {
    return int_result(env, -EINVAL);
  }
  struct iovec part = {message.bytes, message.length};
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(MAX_RECEIVED * sizeof(int))];
  } control;
  struct msghdr header = {.msg_iov = &part,
                          .msg_iovlen = 1,
                          .msg_control = control.bytes,
                          .msg_controllen = sizeof control.bytes};
  ssize_t n;
  do n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  out[0] = out[1] = 0;
  if (n < 0) return call_result(env, -1);
  out[1] = (header.msg_flags & MSG_CTRUNC) != 0;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c != NULL; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int received;
      memcpy(&received, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
      if (out[0] < MAX_RECEIVED) out[1 + ++out[0]] = received;
      else close(received);
    }
  }
  return int_result(env, header.msg_flags & MSG_TRUNC ? -EMSGSIZE : (int32_t)n);
}

/* unixPeer(fd, out: Int32Array(3)): process, user and group of the other end when it connected. */
static napi_value unix_peer(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, *out;
  struct ucred peer;
  socklen_t length = sizeof peer;
  if (!arg_int(&args, 0, &fd) || !arg_int32s(&args, 1, 3, &out)) return int_result(env, -EINVAL);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) return call_result(env, -1);
  out[0] = peer.pid;
  out[1] = (int32_t)peer.uid;
  out[2] = (int32_t)peer.gid;
  return int_result(env, 0);
}

/*
 * socketKind(fd): what a descriptor that came from somebody is: domain * 256 + type, + 65536 when it
 * has a peer; -ENOTSOCK, without asking the file system that it is of.
 */
static napi_value socket_kind(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  int domain, type;
  socklen_t length = sizeof(int);
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0) return call_result(env, -1);
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0) return call_result(env, -1);
  struct sockaddr_storage peer;
  length = sizeof peer;
  bool has_peer = getpeername(fd, (struct sockaddr *)&peer, &length) == 0;
  return int_result(env, domain * 256 + type + (has_peer ? 65536 : 0));
}

/* unixWaiting(fd): the bytes of all messages that wait to be received. */
static napi_value unix_waiting(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  int bytes = 0;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  return ioctl(fd, FIONREAD, &bytes) < 0 ? call_result(env, -1) : int_result(env, bytes);
}

/* unixShut(fd): nobody can send anything here any more. */
static napi_value unix_shut(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  return call_result(env, shutdown(fd, SHUT_RDWR));
}

/* unixPair(out: Int32Array(2)): two ends that are connected to each other. */
static napi_value unix_pair(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t *out;
  if (!arg_int32s(&args, 0, 2, &out)) return int_result(env, -EINVAL);
  return call_result(
      env, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, out));
}

/*
 * pollSetTake(set, out: Int32Array(2 * n), n): up to n of the members that are readable or have hung
 * up, without waiting: descriptor and EPOLL bits of each; how many.
 */
static napi_value poll_set_take(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t set, n, *out;
  struct epoll_event events[MAX_TAKEN];
  if (!arg_int(&args, 0, &set) || !arg_int(&args, 2, &n) || n < 1 || n > MAX_TAKEN ||
      !arg_int32s(&args, 1, 2 * n, &out)) {
    return int_result(env, -EINVAL);
  }
  int ready = epoll_wait(set, events, n, 0);
  for (int i = 0; i < ready; i++) {
    out[2 * i] = events[i].data.fd;
    out[2 * i + 1] = (int32_t)events[i].events;
  }
  return call_result(env, ready < 0 && errno == EINTR ? 0 : ready);
}

/* pollSetCreate(): a descriptor that is readable while one of its members is. */
static napi_value poll_set_create(napi_env env, napi_callback_info info) {
  (void)info;
  return call_result(env, epoll_create1(EPOLL_CLOEXEC));
}

/* pollSetAdd(set, fd, edge): watches fd for reading and hang-up; `edge` 1: once each time it changes. */
static napi_value poll_set_add(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t set, fd, edge;
  if (!arg_int(&args, 0, &set) || !arg_int(&args, 1, &fd) || !arg_int(&args, 2, &edge)) {
    return int_result(env, -EINVAL);
  }
  uint32_t how = EPOLLIN | EPOLLRDHUP | (edge ? EPOLLET : 0);
  struct epoll_event event = {.events = how, .data.fd = fd};
  return call_result(env, epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
}

/* pollSetRemove(set, fd) */
static napi_value poll_set_remove(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t set, fd;
  if (!arg_int(&args, 0, &set) || !arg_int(&args, 1, &fd)) return int_result(env, -EINVAL);
  return call_result(env, epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL));
}

bool export_unix_socket(napi_env env, napi_value exports) {
  return export_function(env, exports, "unixListen", unix_listen) &&
         export_function(env, exports, "unixConnect", unix_connect) &&
         export_function(env, exports, "unixAccept", unix_accept) &&
         export_function(env, exports, "unixSend", unix_send) &&
         export_function(env, exports, "unixReceive", unix_receive) &&
         export_function(env, exports, "unixSendAll", unix_send_all) &&
         export_function(env, exports, "unixReceiveAll", unix_receive_all) &&
         export_function(env, exports, "unixPeer", unix_peer) &&
         export_function(env, exports, "socketKind", socket_kind) &&
         export_function(env, exports, "unixWaiting", unix_waiting) &&
         export_function(env, exports, "unixShut", unix_shut) &&
         export_function(env, exports, "unixPair", unix_pair) &&
         export_function(env, exports, "pollSetTake", poll_set_take) &&
         export_function(env, exports, "pollSetCreate", poll_set_create) &&
         export_function(env, exports, "pollSetAdd", poll_set_add) &&
         export_function(env, exports, "pollSetRemove", poll_set_remove);
}
