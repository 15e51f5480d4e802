/* Out-of-band data of TCP. */
#include "say.h"

static char buffer[100];

static void say_read(int fd, int flags) {
  memset(buffer, 0, sizeof buffer);
  ssize_t n = recv(fd, buffer, sizeof buffer, flags);
  if (n < 0) printf("recv: %s\n", strerrorname_np(errno));
  else printf("recv: %zd \"%s\"\n", n, buffer);
}

static int at_mark(int fd) {
  int value = -1;
  ioctl(fd, SIOCATMARK, &value);
  return value;
}

static void out_of_line(void) {
  section("out of line");
  int a, b;
  stream(&a, &b);
  SAY(recv(b, buffer, 1, MSG_OOB));
  SAY(send(a, "before", 6, 0));
  SAY(send(a, "xyU", 3, MSG_OOB));
  SAY(send(a, "after", 5, 0));
  say_ready_after("b", b, POLLPRI);
  await_all_of(a, b);
  SAY(at_mark(b));
  say_read(b, 0);
  SAY(at_mark(b));
  say_ready("b", b);
  say_read(b, MSG_OOB | MSG_PEEK);
  say_read(b, MSG_OOB);
  say_read(b, MSG_OOB);
  say_ready("b", b);
  say_read(b, 0);
  SAY(at_mark(b));
  say_read(b, MSG_DONTWAIT);
  section("read past the mark");
  SAY(send(a, "abc", 3, MSG_OOB));
  SAY(send(a, "def", 3, 0));
  say_ready_after("b", b, POLLPRI);
  await_all_of(a, b);
  say_read(b, 0);
  say_read(b, 0);
  say_read(b, MSG_OOB);
  say_ready("b", b);
  close(a);
  close(b);
}

static void in_line(void) {
  section("in line");
  int a, b;
  stream(&a, &b);
  SAY(set_int(b, SOL_SOCKET, SO_OOBINLINE, 1));
  SAY(int_option(b, SOL_SOCKET, SO_OOBINLINE));
  SAY(send(a, "before", 6, 0));
  SAY(send(a, "U", 1, MSG_OOB));
  SAY(send(a, "after", 5, 0));
  say_ready_after("b", b, POLLPRI);
  await_all_of(a, b);
  say_read(b, MSG_OOB);
  say_read(b, 0);
  SAY(at_mark(b));
  say_read(b, 0);
  SAY(at_mark(b));
  say_ready("b", b);
  close(a);
  close(b);
}

int main(int argc, char **argv) {
  start(argc, argv);
  out_of_line();
  in_line();
  return 0;
}
