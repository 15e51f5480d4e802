/* Addresses: between the kernel's sockaddr, as programs give and take it, and mr_address. */
#include <arpa/inet.h>
#include <stdio.h>

#include "core.h"

int mr_sockaddr_read(struct sockaddr_storage *to, const struct sockaddr *user, socklen_t bytes) {
  if ((int)bytes < 0 || bytes > sizeof *to) return -EINVAL;
  memset(to, 0, sizeof *to);
  return bytes == 0 ? 0 : mr_copy_from(to, user, bytes);
}

int mr_sockaddr_write(const struct sockaddr_storage *from, socklen_t bytes, struct sockaddr *user,
                      socklen_t *room) {
  socklen_t given;
  int failed = mr_copy_from(&given, room, sizeof given);
  if (failed != 0) return failed;
  if ((int)given < 0) return -EINVAL;
  socklen_t part = given < bytes ? given : bytes;
  if (part > 0) failed = mr_copy_to(user, from, part);
  return failed != 0 ? failed : mr_copy_to(room, &bytes, sizeof bytes);
}

int mr_address_from(struct mr_address *to, const struct sockaddr *from, socklen_t bytes,
                    uint16_t family) {
  *to = (struct mr_address){.family = AF_INET};
  if (family == AF_INET) {
    if (bytes < sizeof(struct sockaddr_in)) return -EINVAL;
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)from;
    if (in->sin_family != AF_INET) return -EAFNOSUPPORT;
    memcpy(to->address, &in->sin_addr, 4);
    to->port = ntohs(in->sin_port);
    return 0;
  }
  /* AF_INET6 sockets take AF_INET in sendto, and nowhere else: who calls checks that. */
  if (bytes >= sizeof(struct sockaddr_in) && from->sa_family == AF_INET) {
    return mr_address_from(to, from, bytes, AF_INET);
  }
  if (bytes < MR_SOCKADDR_IN6_LEAST) return -EINVAL;
  const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)from;
  if (in6->sin6_family != AF_INET6) return -EAFNOSUPPORT;
  to->port = ntohs(in6->sin6_port);
  if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
    memcpy(to->address, &in6->sin6_addr.s6_addr[12], 4);
    return 0;
  }
  to->family = AF_INET6;
  memcpy(to->address, &in6->sin6_addr, 16);
  bool has_scope = IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr) || IN6_IS_ADDR_MC_LINKLOCAL(&in6->sin6_addr);
  if (has_scope && bytes >= sizeof *in6) to->scope = in6->sin6_scope_id;
  return 0;
}

socklen_t mr_address_to(struct sockaddr_storage *to, const struct mr_address *from, uint16_t family) {
  memset(to, 0, sizeof(struct sockaddr_in6));
  if (family == AF_INET) {
    struct sockaddr_in *in = (struct sockaddr_in *)to;
    in->sin_family = AF_INET;
    in->sin_port = htons(from->port);
    if (from->family == AF_INET) memcpy(&in->sin_addr, from->address, 4);
    return sizeof *in;
  }
  struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;
  in6->sin6_family = AF_INET6;
  in6->sin6_port = htons(from->port);
  if (from->family == AF_INET) {
    memset(&in6->sin6_addr.s6_addr[10], 0xff, 2);
    memcpy(&in6->sin6_addr.s6_addr[12], from->address, 4);
  } else if (from->family == AF_INET6) {
    memcpy(&in6->sin6_addr, from->address, 16);
    in6->sin6_scope_id = from->scope;
  }
  return sizeof *in6;
}

bool mr_address_is_loopback(const struct mr_address *address) {
  if (address->family == AF_INET) return address->address[0] == 127;
  return address->family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)(const void *)address->address);
}

bool mr_address_is_wildcard(const struct mr_address *address) {
  static const uint8_t zero[16];
  return memcmp(address->address, zero, address->family == AF_INET6 ? 16 : 4) == 0;
}

bool mr_address_is_multicast(const struct mr_address *address) {
  if (address->family == AF_INET) return address->address[0] >> 4 == 14;
  return address->family == AF_INET6 && address->address[0] == 0xff;
}

void mr_address_text(char *text, size_t room, const struct mr_address *address) {
  char host[INET6_ADDRSTRLEN] = "*";
  if (address->family != 0) inet_ntop(address->family, address->address, host, sizeof host);
  snprintf(text, room, address->family == AF_INET6 ? "[%s]:%u" : "%s:%u", host, address->port);
}

/* A consistent copy: `names` is odd while the engine writes, and differs afterwards. */
static struct mr_address read_name(struct mr_sock *sock, bool of_peer) {
  struct mr_socket *shared = sock->shared;
  struct mr_address name;
  for (int tries = 0;; tries++) {
    uint32_t before = mr_load(&shared->names);
    const uint32_t *words = (const uint32_t *)(const void *)(of_peer ? &shared->remote : &shared->local);
    uint32_t copy[sizeof name / sizeof(uint32_t)];
    for (size_t i = 0; i < sizeof name / sizeof(uint32_t); i++) copy[i] = mr_load(&words[i]);
    memcpy(&name, copy, sizeof name);
    if ((before & 1) == 0 && mr_load(&shared->names) == before) return name;
    if (tries > 1000 && mr_engine_died()) return name; /* it died in between */
    mr_pause();
  }
}

static bool has_peer(struct mr_sock *sock) {
  uint32_t status = mr_sock_status(sock);
  if (sock->companion_peer) return true;
  if (sock->shared->kind == MR_KIND_UDP) return (status & MR_STATUS_CONNECTED) != 0;
  if (sock->shared->kind == MR_KIND_LISTENER || (status & MR_STATUS_GONE)) return false;
  uint32_t tcp = mr_load(&sock->shared->tcp_state);
  /* CLOSE, SYN_SENT, and TIME_WAIT, which in the kernel is no socket's any more. */
  return (status & MR_STATUS_CONNECTED) != 0 && tcp != 7 && tcp != 2 && tcp != 6;
}

int mr_sock_name(struct mr_sock *sock, bool of_peer, struct sockaddr *address, socklen_t *bytes) {
  if (sock->companion_peer) {
    return of_peer ? real.getpeername(sock->companion, address, bytes)
                   : real.getsockname(sock->companion, address, bytes);
  }
  if (of_peer && !has_peer(sock)) return (int)mr_return(-ENOTCONN);
  struct mr_address name = read_name(sock, of_peer);
  if (name.port == 0 && mr_load(&sock->shared->connect_state) == MR_CONNECT_STARTED) {
    mr_call(sock, -1, MR_OP_PING, 0, NULL); /* the engine has not seen the connect yet */
    name = read_name(sock, of_peer);
  }
  if (of_peer && name.port == 0) return (int)mr_return(-ENOTCONN); /* UDP has one there, and does not say so */
  struct sockaddr_storage storage;
  /* Wildcards are of the socket's own family. */
  if (!of_peer && mr_address_is_wildcard(&name)) name.family = sock->shared->family;
  socklen_t length = mr_address_to(&storage, &name, sock->shared->family);
  return (int)mr_return(mr_sockaddr_write(&storage, length, address, bytes));
}
