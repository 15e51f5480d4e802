/* Port 0 is a port like others to connect to, at which nobody is; a datagram's own destination it cannot be. */
#include "say.h"

static char byte[1];

/* The refusal has come, if there is to be one. */
static void say_all(int fd, short wanted) {
  say_ready_after("it", fd, wanted);
  SAY(int_option(fd, SOL_SOCKET, SO_ERROR) == ECONNREFUSED);
  SAY(int_option(fd, SOL_SOCKET, SO_ERROR));
  SAY(recv(fd, byte, 1, MSG_DONTWAIT));
  struct sockaddr_storage name;
  socklen_t bytes = sizeof name;
  SAY(getpeername(fd, (struct sockaddr *)&name, &bytes));
  SAY(port_of(fd) != 0);
}

static void stream_to_zero(int flags, bool is_bound) {
  printf("-- TCP, %s, %s\n", flags ? "not blocking" : "blocking", is_bound ? "bound" : "not bound");
  int a = socket(home.ss_family, SOCK_STREAM | flags, 0);
  if (is_bound) SAY(bind(a, at(0), home_bytes));
  SAY(connect(a, at(0), home_bytes) < 0 && (errno == EINPROGRESS || errno == ECONNREFUSED));
  say_all(a, POLLHUP);
  uint16_t port;
  int l = listener(&port);
  fcntl(a, F_SETFL, 0);
  SAY(connect(a, at(port), home_bytes));
  if (flags) SAY(connect(a, at(port), home_bytes)); /* the first was told how the last one ended */
  SAY(connect(a, at(0), home_bytes));
  SAY(send(a, byte, 1, MSG_NOSIGNAL));
  close(a);
  close(l);
}

static void datagram_to_zero(int flags) {
  printf("-- UDP, %s\n", flags ? "not blocking" : "blocking");
  int a = socket(home.ss_family, SOCK_DGRAM | flags, 0);
  SAY(connect(a, at(0), home_bytes));
  say_ready("it", a);
  SAY(send(a, byte, 1, 0));
  await(a, POLLERR);
  say_all(a, POLLOUT);
  uint16_t port;
  int b = datagram(&port);
  SAY(connect(a, at(port), home_bytes));
  SAY(send(a, byte, 1, 0));
  SAY(recv(b, byte, 1, 0));
  SAY(connect(a, at(0), home_bytes));
  SAY(send(a, byte, 1, 0));
  await(a, POLLERR);
  SAY(send(a, byte, 1, 0));
  SAY(sendto(a, byte, 1, 0, at(0), home_bytes));
  SAY(sendto(a, byte, 1, 0, at(port), home_bytes));
  SAY(recv(b, byte, 1, 0));
  SAY(sendto(b, byte, 1, 0, at(0), home_bytes));
  close(a);
  close(b);
  a = socket(home.ss_family, SOCK_DGRAM | flags, 0);
  SAY(sendto(a, byte, 1, 0, at(0), home_bytes));
  close(a);
}

int main(int argc, char **argv) {
  start(argc, argv);
  for (int turn = 0; turn < 4; turn++) stream_to_zero(turn & 1 ? SOCK_NONBLOCK : 0, turn >= 2);
  datagram_to_zero(0);
  datagram_to_zero(SOCK_NONBLOCK);
  return 0;
}
