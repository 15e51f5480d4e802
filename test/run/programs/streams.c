/* TCP: reading, writing and their flags, ends of all kinds. */
#include "say.h"

static char buffer[65536];

static void reading_and_writing(void) {
  section("reading and writing");
  int a, b;
  stream(&a, &b);
  SAY(send(a, "hello world", 11, 0));
  await(b, POLLIN);
  say_ready("b", b);
  SAY(recv(b, buffer, 5, MSG_PEEK));
  SAY(recv(b, buffer, 5, 0));
  SAY(recv(b, buffer, 100, MSG_TRUNC));
  SAY(recv(b, buffer, 100, MSG_DONTWAIT));
  SAY(read(b, buffer, 0));
  SAY(write(a, "", 0));
  SAY(send(a, "", 0, 0));
  struct iovec parts[3] = {{"ab", 2}, {"", 0}, {"cdef", 4}};
  SAY(writev(a, parts, 3));
  await(b, POLLIN);
  char one[2], two[8];
  struct iovec to[2] = {{one, 2}, {two, 8}};
  SAY(readv(b, to, 2));
  printf("%.2s %.4s\n", one, two);
  SAY(writev(a, parts, 0));
  volatile int too_few = -1, too_many = 5000;
  SAY(writev(a, parts, too_few));
  SAY(writev(a, parts, too_many));
  SAY(sendto(a, "x", 1, 0, at(9), home_bytes)); /* the address is ignored */
  struct sockaddr_storage from;
  socklen_t from_bytes = sizeof from;
  SAY(recvfrom(b, buffer, 10, 0, (struct sockaddr *)&from, &from_bytes));
  printf("from_bytes %u\n", from_bytes);
  close(a);
  close(b);
}

static void waitall(void) {
  section("MSG_WAITALL and SO_RCVLOWAT");
  int a, b;
  stream(&a, &b);
  if (fork() == 0) {
    for (int i = 0; i < 10; i++) {
      usleep(2000);
      send(a, "0123456789", 10, 0);
    }
    _exit(0);
  }
  close(a);
  SAY(recv(b, buffer, 50, MSG_WAITALL));
  SAY(recv(b, buffer, 30, MSG_PEEK | MSG_WAITALL));
  SAY(recv(b, buffer, 100, MSG_WAITALL)); /* the end comes first */
  SAY(recv(b, buffer, 100, MSG_WAITALL));
  wait(NULL);
  close(b);
  stream(&a, &b);
  SAY(set_int(b, SOL_SOCKET, SO_RCVLOWAT, 4));
  send(a, "ab", 2, 0);
  await_bytes(b, 2);
  say_ready("b with 2 of 4", b);
  SAY(recv(b, buffer, 10, MSG_DONTWAIT));
  send(a, "abcd", 4, 0);
  await(b, POLLIN);
  say_ready("b with 4 of 4", b);
  SAY(int_option(b, SOL_SOCKET, SO_RCVLOWAT));
  SAY(set_int(b, SOL_SOCKET, SO_RCVLOWAT, 0));
  SAY(int_option(b, SOL_SOCKET, SO_RCVLOWAT));
  SAY(set_int(b, SOL_SOCKET, SO_RCVLOWAT, -1));
  close(a);
  close(b);
}

static void peek_offset(void) {
  section("SO_PEEK_OFF");
  int a, b;
  stream(&a, &b);
  SAY(int_option(b, SOL_SOCKET, SO_PEEK_OFF));
  SAY(set_int(b, SOL_SOCKET, SO_PEEK_OFF, 2));
  send(a, "abcdefgh", 8, 0);
  await(b, POLLIN);
  SAY(recv(b, buffer, 2, MSG_PEEK));
  printf("%.2s\n", buffer);
  SAY(recv(b, buffer, 2, MSG_PEEK));
  printf("%.2s\n", buffer);
  SAY(recv(b, buffer, 3, 0));
  printf("%.3s\n", buffer);
  SAY(recv(b, buffer, 2, MSG_PEEK));
  printf("%.2s\n", buffer);
  close(a);
  close(b);
}

static void half_closing(void) {
  section("shutdown of writing");
  int a, b;
  stream(&a, &b);
  catch_signal(SIGPIPE, 0);
  send(a, "last", 4, 0);
  SAY(shutdown(a, SHUT_WR));
  say_ready_after("b", b, POLLRDHUP);
  SAY(recv(b, buffer, 100, MSG_WAITALL));
  SAY(recv(b, buffer, 100, 0));
  SAY(send(a, "x", 1, 0));
  SAY(caught[SIGPIPE]);
  SAY(send(a, "x", 1, MSG_NOSIGNAL));
  SAY(caught[SIGPIPE]);
  SAY(write(a, "x", 1));
  SAY(caught[SIGPIPE]);
  SAY(send(b, "answer", 6, 0));
  await(a, POLLIN);
  say_ready("a", a);
  SAY(recv(a, buffer, 100, 0));
  SAY(shutdown(b, SHUT_WR));
  say_ready_after("a", a, POLLHUP);
  say_ready_after("b", b, POLLHUP);
  SAY(shutdown(a, SHUT_RDWR));
  SAY(recv(a, buffer, 1, 0));
  close(a);
  close(b);
  section("shutdown of reading");
  stream(&a, &b);
  SAY(shutdown(a, SHUT_RD));
  say_ready("a", a);
  SAY(recv(a, buffer, 100, 0));
  SAY(send(a, "still", 5, 0));
  await(b, POLLIN);
  SAY(recv(b, buffer, 100, 0));
  SAY(shutdown(a, 7));
  SAY(shutdown(a, SHUT_RDWR));
  say_ready_after("b", b, POLLRDHUP);
  SAY(recv(b, buffer, 100, 0));
  close(a);
  close(b);
}

static void resets(void) {
  section("a reset");
  int a, b;
  stream(&a, &b);
  struct linger now = {1, 0};
  send(a, "before", 6, 0);
  await(b, POLLIN);
  SAY(setsockopt(a, SOL_SOCKET, SO_LINGER, &now, sizeof now));
  SAY(close(a));
  say_ready_after("b", b, POLLERR | POLLHUP);
  SAY(recv(b, buffer, 100, 0));
  SAY(recv(b, buffer, 100, 0));
  SAY(recv(b, buffer, 100, 0));
  SAY(send(b, "x", 1, MSG_NOSIGNAL));
  SAY(send(b, "x", 1, MSG_NOSIGNAL));
  say_ready("b", b);
  SAY(int_option(b, SOL_SOCKET, SO_ERROR));
  close(b);
  section("a reset, SO_ERROR first");
  stream(&a, &b);
  setsockopt(a, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(a);
  await(b, POLLERR);
  printf("SO_ERROR %s\n", strerrorname_np(int_option(b, SOL_SOCKET, SO_ERROR)));
  SAY(int_option(b, SOL_SOCKET, SO_ERROR));
  SAY(recv(b, buffer, 1, 0));
  SAY(send(b, "x", 1, MSG_NOSIGNAL));
  struct sockaddr_storage name;
  socklen_t bytes = sizeof name;
  SAY(getpeername(b, (struct sockaddr *)&name, &bytes));
  close(b);
  section("closing with unread data");
  stream(&a, &b);
  send(a, "unread", 6, 0);
  await(b, POLLIN);
  close(b);
  say_ready_after("a", a, POLLERR | POLLHUP);
  SAY(recv(a, buffer, 1, 0));
  SAY(recv(a, buffer, 1, 0));
  close(a);
  section("writing to what is closed");
  stream(&a, &b);
  close(b);
  say_ready_after("a", a, POLLRDHUP);
  SAY(send(a, "x", 1, MSG_NOSIGNAL));
  say_ready_after("a", a, POLLHUP);
  SAY(recv(a, buffer, 1, 0));
  SAY(send(a, "x", 1, MSG_NOSIGNAL));
  SAY(send(a, "x", 1, MSG_NOSIGNAL));
  close(a);
}

static void not_connected(void) {
  section("not connected");
  int a = socket(home.ss_family, SOCK_STREAM, 0);
  catch_signal(SIGPIPE, 0);
  caught[SIGPIPE] = 0;
  must(bind(a, at(0), home_bytes) == 0, "bind");
  say_ready("bound", a);
  SAY(recv(a, buffer, 1, 0));
  SAY(recv(a, buffer, 1, MSG_DONTWAIT));
  SAY(send(a, "x", 1, 0));
  SAY(caught[SIGPIPE]);
  SAY(shutdown(a, SHUT_WR));
  struct sockaddr_storage name;
  socklen_t bytes = sizeof name;
  SAY(getpeername(a, (struct sockaddr *)&name, &bytes));
  SAY(accept(a, NULL, NULL));
  SAY(bind(a, at(0), home_bytes));
  close(a);
}

/* Sends byte by byte until that fails: either stack may have moved some more since it was full. */
static ssize_t send_in_vain(int fd, long *sent) {
  ssize_t n;
  while ((n = send(fd, buffer, 1, 0)) > 0) *sent += n;
  return n;
}

static void a_full_buffer(void) {
  section("a full buffer");
  int a, b;
  stream(&a, &b);
  fcntl(a, F_SETFL, O_NONBLOCK);
  long sent = 0, got = 0;
  for (int idle = 0; idle < 25;) { /* full is what stays full while the peer's side takes what it can, on a busy machine, too */
    ssize_t n = send(a, buffer, sizeof buffer, 0);
    if (n > 0) sent += n, idle = 0;
    else if (errno == EAGAIN) idle++, usleep(20000);
    else break;
  }
  SAY(send_in_vain(a, &sent));
  say_ready("a", a);
  struct timeval short_time = {.tv_usec = 50000};
  SAY(setsockopt(a, SOL_SOCKET, SO_SNDTIMEO, &short_time, sizeof short_time));
  fcntl(a, F_SETFL, 0);
  SAY(send_in_vain(a, &sent));
  while (got < sent) {
    ssize_t n = recv(b, buffer, sizeof buffer, 0);
    if (n <= 0) break;
    got += n;
  }
  printf("everything came: %d\n", got == sent);
  say_ready_after("a", a, POLLOUT);
  SAY(await_acknowledged(a));
  close(a);
  close(b);
}

static void *drain(void *context) {
  int fd = *(int *)context;
  long got = 0;
  ssize_t n;
  while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0) got += n;
  return (void *)got;
}

static void closing_right_after_sending(void) {
  section("closing right after sending");
  int a, b;
  stream(&a, &b);
  pthread_t thread;
  static char big[3000000];
  pthread_create(&thread, NULL, drain, &b);
  SAY(send(a, big, sizeof big, 0));
  SAY(close(a));
  void *got;
  pthread_join(thread, &got);
  printf("got %ld\n", (long)got);
  close(b);
}

/* Its port is held in the kernel, too. The peer hears the end all the same, though nothing else is called here. */
static void closing_what_was_bound(void) {
  section("closing a connection from a bound socket");
  uint16_t port;
  struct sockaddr_storage any = {.ss_family = home.ss_family};
  int server = listener(&port), a = socket(home.ss_family, SOCK_STREAM, 0);
  must(bind(a, (struct sockaddr *)&any, home_bytes) == 0, "bind");
  must(connect(a, at(port), home_bytes) == 0, "connect");
  int b = accept(server, NULL, NULL);
  close(a);
  printf("its end came: %d\n", await(b, POLLRDHUP));
  SAY(recv(b, buffer, sizeof buffer, 0));
  close(b);
  close(server);
}

static void *send_and_end(void *context) {
  static char big[3000000];
  send(*(int *)context, big, sizeof big, 0);
  close(*(int *)context);
  return NULL;
}

/* Once the end is told, a read that falls short is the last one: no bytes come after it. */
static void reading_to_the_end(void) {
  section("reading what comes before the end");
  int a, b;
  stream(&a, &b);
  fcntl(b, F_SETFL, O_NONBLOCK);
  pthread_t thread;
  pthread_create(&thread, NULL, send_and_end, &a);
  long got = 0, in_vain = 0, after_short = 0;
  bool was_short = false;
  for (;;) {
    struct pollfd fds = {.fd = b, .events = POLLIN | POLLRDHUP};
    poll(&fds, 1, 20000);
    ssize_t n = recv(b, buffer, 16384, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) break;
    if (fds.revents & POLLRDHUP) {
      if (n < 0) in_vain++;
      else if (was_short) after_short++;
      was_short = was_short || n < 16384;
    }
    if (n > 0) got += n;
  }
  printf("got %ld, read in vain %ld, after one that fell short %ld\n", got, in_vain, after_short);
  pthread_join(thread, NULL);
  close(b);
}

static void counts(void) {
  section("FIONREAD and others");
  int a, b, value = -1;
  stream(&a, &b);
  send(a, "12345", 5, 0);
  await(b, POLLIN);
  SAY(ioctl(b, FIONREAD, &value));
  printf("%d\n", value);
  recv(b, buffer, 2, 0);
  SAY(ioctl(b, FIONREAD, &value));
  printf("%d\n", value);
  SAY(ioctl(b, SIOCATMARK, &value));
  printf("%d\n", value);
  value = 1;
  SAY(ioctl(b, FIONBIO, &value));
  SAY(fcntl(b, F_GETFL) & O_NONBLOCK ? 1 : 0);
  recv(b, buffer, 10, 0);
  SAY(recv(b, buffer, 10, 0));
  value = 0;
  SAY(ioctl(b, FIONBIO, &value));
  SAY(fcntl(b, F_GETFL) & O_NONBLOCK ? 1 : 0);
  SAY(ioctl(b, FIONREAD, NULL));
  close(a);
  close(b);
}

int main(int argc, char **argv) {
  start(argc, argv);
  reading_and_writing();
  waitall();
  peek_offset();
  half_closing();
  resets();
  not_connected();
  a_full_buffer();
  closing_right_after_sending();
  closing_what_was_bound();
  reading_to_the_end();
  counts();
  return 0;
}
