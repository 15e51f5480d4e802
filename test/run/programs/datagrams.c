/* UDP: datagrams, their flags, connected and not. */
#include "say.h"

static char buffer[70000];

static void flags(void) {
  section("flags");
  uint16_t port, from_port;
  int a = datagram(&from_port), b = datagram(&port);
  say_ready("b", b);
  SAY(recv(b, buffer, 10, MSG_DONTWAIT));
  SAY(sendto(a, "hello", 5, 0, at(port), home_bytes));
  SAY(sendto(a, "", 0, 0, at(port), home_bytes));
  await(b, POLLIN);
  say_ready("b", b);
  int value = -1;
  SAY(ioctl(b, FIONREAD, &value));
  printf("%d\n", value);
  SAY(recv(b, buffer, 2, MSG_PEEK));
  SAY(recv(b, buffer, 2, MSG_PEEK | MSG_TRUNC));
  struct sockaddr_storage from;
  socklen_t bytes = sizeof from;
  SAY(recvfrom(b, buffer, 100, 0, (struct sockaddr *)&from, &bytes));
  printf("from port right %d, bytes %d\n", ntohs(((struct sockaddr_in *)&from)->sin_port) == from_port,
         bytes == home_bytes);
  await(b, POLLIN);
  SAY(recv(b, buffer, 100, 0));
  SAY(sendto(a, "abcdef", 6, 0, at(port), home_bytes));
  await(b, POLLIN);
  struct iovec part = {buffer, 3};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  SAY(recvmsg(b, &message, 0));
  printf("flags %x, name bytes %u\n", message.msg_flags, message.msg_namelen);
  SAY(recv(b, buffer, 1, MSG_OOB | MSG_DONTWAIT));
  SAY(sendto(a, "x", 1, MSG_OOB, at(port), home_bytes));
  SAY(sendto(a, buffer, 65508, 0, at(port), home_bytes) < 0);
  SAY(sendto(a, "x", 1, 0, at(0), home_bytes));
  SAY(send(a, "x", 1, 0));
  SAY(sendto(a, "x", 1, 0, at(port), 3));
  SAY(sendto(a, (void *)1, 1, 0, at(port), home_bytes));
  SAY(sendto(a, "x", 1, 0, (struct sockaddr *)1, home_bytes));
  SAY(sendto(a, buffer, 65507, 0, at(port), home_bytes));
  await(b, POLLIN);
  SAY(recv(b, buffer, sizeof buffer, 0));
  close(a);
  close(b);
}

static void connected(void) {
  section("connected");
  uint16_t port, other_port;
  int a = socket(home.ss_family, SOCK_DGRAM, 0), b = datagram(&port), c = datagram(&other_port);
  struct sockaddr_storage name;
  socklen_t bytes = sizeof name;
  SAY(connect(a, at(port), home_bytes));
  SAY(getpeername(a, (struct sockaddr *)&name, &bytes));
  SAY(send(a, "one", 3, 0));
  await(b, POLLIN);
  bytes = sizeof name;
  SAY(recvfrom(b, buffer, 100, 0, (struct sockaddr *)&name, &bytes));
  SAY(sendto(b, "back", 4, 0, (struct sockaddr *)&name, bytes));
  await(a, POLLIN);
  SAY(recv(a, buffer, 100, 0));
  SAY(sendto(c, "stranger", 8, 0, (struct sockaddr *)&name, bytes));
  usleep(50000);
  SAY(recv(a, buffer, 100, MSG_DONTWAIT));
  SAY(sendto(a, "elsewhere", 9, 0, at(other_port), home_bytes));
  await(c, POLLIN);
  SAY(recv(c, buffer, 100, 0));
  SAY(connect(a, at(other_port), home_bytes));
  SAY(write(a, "two", 3));
  await(c, POLLIN);
  SAY(read(c, buffer, 100));
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  SAY(connect(a, &none, sizeof none));
  SAY(send(a, "x", 1, 0));
  bytes = sizeof name;
  SAY(getpeername(a, (struct sockaddr *)&name, &bytes));
  close(b);
  usleep(20000);
  section("nobody listens");
  SAY(connect(a, at(port), home_bytes));
  SAY(send(a, "x", 1, 0));
  say_ready_after("a", a, POLLERR);
  SAY(recv(a, buffer, 1, 0));
  SAY(recv(a, buffer, 1, MSG_DONTWAIT));
  SAY(send(a, "x", 1, 0));
  await(a, POLLERR);
  printf("SO_ERROR %s\n", strerrorname_np(int_option(a, SOL_SOCKET, SO_ERROR)));
  SAY(int_option(a, SOL_SOCKET, SO_ERROR));
  close(a);
  close(c);
}

static void shut(void) {
  section("shutdown");
  uint16_t port;
  int a = socket(home.ss_family, SOCK_DGRAM, 0), b = datagram(&port);
  SAY(shutdown(b, SHUT_RD));
  SAY(connect(a, at(port), home_bytes));
  SAY(shutdown(a, SHUT_WR));
  catch_signal(SIGPIPE, 0);
  caught[SIGPIPE] = 0;
  SAY(send(a, "x", 1, 0));
  SAY(caught[SIGPIPE]);
  say_ready("a", a);
  SAY(shutdown(a, SHUT_RD));
  say_ready("a", a);
  SAY(recv(a, buffer, 1, 0));
  SAY(recv(a, buffer, 1, MSG_DONTWAIT));
  close(a);
  close(b);
}

static void corked(void) {
  section("MSG_MORE and UDP_CORK");
  uint16_t port;
  int a = socket(home.ss_family, SOCK_DGRAM, 0), b = datagram(&port);
  connect(a, at(port), home_bytes);
  SAY(send(a, "ab", 2, MSG_MORE));
  SAY(send(a, "cd", 2, 0));
  await(b, POLLIN);
  SAY(recv(b, buffer, 100, 0));
  SAY(set_int(a, IPPROTO_UDP, UDP_CORK, 1));
  SAY(int_option(a, IPPROTO_UDP, UDP_CORK));
  SAY(send(a, "123", 3, 0));
  SAY(send(a, "456", 3, 0));
  usleep(20000);
  SAY(recv(b, buffer, 100, MSG_DONTWAIT));
  SAY(set_int(a, IPPROTO_UDP, UDP_CORK, 0));
  await(b, POLLIN);
  SAY(recv(b, buffer, 100, 0));
  close(a);
  close(b);
}

/* Until all that `from` has sent is where it belongs: this comes behind it. */
static void await_all_from(int from) {
  uint16_t port;
  int last = datagram(&port);
  must(sendto(from, "", 0, 0, at(port), home_bytes) == 0 && await(last, POLLIN), "a last datagram");
  close(last);
}

static void peek_offset(void) {
  section("SO_PEEK_OFF");
  uint16_t port;
  int a = socket(home.ss_family, SOCK_DGRAM, 0), b = datagram(&port);
  connect(a, at(port), home_bytes);
  SAY(int_option(b, SOL_SOCKET, SO_PEEK_OFF));
  SAY(set_int(b, SOL_SOCKET, SO_PEEK_OFF, 2));
  send(a, "abcdef", 6, 0);
  send(a, "ghij", 4, 0);
  await_all_from(a);
  SAY(recv(b, buffer, 3, MSG_PEEK));
  printf("%.3s\n", buffer);
  SAY(recv(b, buffer, 3, MSG_PEEK));
  printf("%.1s\n", buffer);
  SAY(recv(b, buffer, 3, MSG_PEEK));
  printf("%.3s\n", buffer);
  SAY(recv(b, buffer, 10, 0));
  SAY(recv(b, buffer, 10, MSG_PEEK));
  printf("%.1s\n", buffer);
  close(a);
  close(b);
}

static void many(void) {
  section("sendmmsg and recvmmsg");
  uint16_t port;
  int a = socket(home.ss_family, SOCK_DGRAM, 0), b = datagram(&port);
  connect(a, at(port), home_bytes);
  struct iovec out[3] = {{"a", 1}, {"bb", 2}, {"ccc", 3}}, in[4];
  struct mmsghdr sent[3] = {0}, got[4] = {0};
  char places[4][8];
  for (int i = 0; i < 3; i++) sent[i].msg_hdr = (struct msghdr){.msg_iov = &out[i], .msg_iovlen = 1};
  for (int i = 0; i < 4; i++) {
    in[i] = (struct iovec){places[i], 2};
    got[i].msg_hdr = (struct msghdr){.msg_iov = &in[i], .msg_iovlen = 1};
  }
  SAY(sendmmsg(a, sent, 3, 0));
  printf("%u %u %u\n", sent[0].msg_len, sent[1].msg_len, sent[2].msg_len);
  await_all_from(a);
  SAY(recvmmsg(b, got, 4, MSG_DONTWAIT, NULL));
  printf("%u %u %u %x\n", got[0].msg_len, got[1].msg_len, got[2].msg_len, got[2].msg_hdr.msg_flags);
  SAY(recvmmsg(b, got, 4, MSG_DONTWAIT, NULL));
  SAY(send(a, "z", 1, 0));
  SAY(recvmmsg(b, got, 4, MSG_WAITFORONE, NULL));
  close(a);
  close(b);
}

int main(int argc, char **argv) {
  start(argc, argv);
  flags();
  connected();
  shut();
  corked();
  peek_offset();
  many();
  return 0;
}
