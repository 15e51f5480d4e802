/* epoll, poll and select on accelerated sockets, alone and beside descriptors of the kernel. */
#include "harness.h"

static void level(void) {
  int pair[2], epfd = epoll_create1(0);
  tcp_pair(pair);
  ADD(epfd, pair[1], EPOLLIN, 1);
  wait_and_say("nothing", epfd, 8, 0);
  MUST(send(pair[0], "abc", 3, 0));
  wait_and_say("data", epfd, 8, PATIENCE_MS);
  wait_and_say("data, again", epfd, 8, 0);
  char byte;
  say("read %s", outcome(read(pair[1], &byte, 1)));
  wait_and_say("some left", epfd, 8, 0);
  char rest[8];
  say("read %s", outcome(read(pair[1], rest, sizeof rest)));
  wait_and_say("none left", epfd, 8, 0);
  MOD(epfd, pair[1], EPOLLIN | EPOLLOUT, 2);
  wait_and_say("writable", epfd, 8, 0);
  MOD(epfd, pair[1], EPOLLRDHUP, 3);
  wait_and_say("no hang-up", epfd, 8, 0);
  MUST(shutdown(pair[0], SHUT_WR));
  wait_and_say("half closed", epfd, 8, PATIENCE_MS);
  MOD(epfd, pair[1], EPOLLIN, 4);
  wait_and_say("half closed, IN", epfd, 8, 0);
  MUST(shutdown(pair[1], SHUT_WR));
  await(pair[1], POLLHUP);
  settle(pair[1]);
  wait_and_say("closed", epfd, 8, PATIENCE_MS);
  MUST(epoll_ctl(epfd, EPOLL_CTL_DEL, pair[1], NULL));
  wait_and_say("removed", epfd, 8, 0);
  close(pair[0]), close(pair[1]), close(epfd);
}

static void edge(void) {
  int pair[2], epfd = epoll_create1(0);
  tcp_pair(pair);
  ADD(epfd, pair[1], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, 1);
  wait_and_say("added", epfd, 8, 0);
  wait_and_say("told once", epfd, 8, 0);
  MUST(send(pair[0], "a", 1, 0));
  wait_and_say("data", epfd, 8, PATIENCE_MS);
  wait_and_say("told once", epfd, 8, 0);
  MUST(send(pair[0], "b", 1, 0));
  wait_and_say("more data", epfd, 8, PATIENCE_MS);
  char bytes[8];
  say("read %s", outcome(read(pair[1], bytes, sizeof bytes)));
  wait_and_say("reading tells nothing", epfd, 8, 0);
  MUST(send(pair[1], "c", 1, 0));
  await_bytes(pair[0], 1);
  settle(pair[1]);
  wait_and_say("an acknowledgment tells nothing", epfd, 8, 0);
  MOD(epfd, pair[1], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, 2);
  wait_and_say("changed", epfd, 8, 0);
  MUST(shutdown(pair[0], SHUT_WR));
  wait_and_say("end", epfd, 8, PATIENCE_MS);
  wait_and_say("told once", epfd, 8, 0);
  close(pair[0]), close(pair[1]), close(epfd);
}

/* Takes all that its peer has sent. */
static void empty(int fd, int peer) {
  static char bytes[65536];
  struct pollfd polled = {.fd = fd, .events = POLLIN};
  for (int queued = 1; queued > 0;) {
    while (poll(&polled, 1, 200) == 1 && recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
    }
    MUST(ioctl(peer, TIOCOUTQ, &queued));
  }
}

static void edge_out_after_full(void) {
  int pair[2], epfd = epoll_create1(0);
  tcp_pair(pair);
  ADD(epfd, pair[0], EPOLLOUT | EPOLLET, 1);
  wait_and_say("added", epfd, 8, 0);
  for (int i = 0; i < 20; i++) {
    char byte;
    MUST(send(pair[0], "x", 1, 0));
    MUST(recv(pair[1], &byte, 1, 0));
  }
  settle(pair[0]);
  wait_and_say("never full", epfd, 8, 0);
  fill(pair[0]);
  wait_and_say("full", epfd, 8, 0);
  empty(pair[1], pair[0]);
  wait_and_say("room again", epfd, 8, PATIENCE_MS);
  settle(pair[0]);
  wait_and_say("told once", epfd, 8, 0);
  close(pair[0]), close(pair[1]), close(epfd);
}

static void level_out(void) {
  int pair[2], epfd = epoll_create1(0);
  tcp_pair(pair);
  ADD(epfd, pair[0], EPOLLOUT, 1);
  wait_and_say("room", epfd, 8, 0);
  fill(pair[0]);
  wait_and_say("full", epfd, 8, 0);
  empty(pair[1], pair[0]);
  wait_and_say("room again", epfd, 8, PATIENCE_MS);
  close(pair[0]), close(pair[1]), close(epfd);
}

static void oneshot(void) {
  int pair[2], epfd = epoll_create1(0);
  tcp_pair(pair);
  ADD(epfd, pair[1], EPOLLIN | EPOLLONESHOT, 1);
  MUST(send(pair[0], "a", 1, 0));
  wait_and_say("data", epfd, 8, PATIENCE_MS);
  MUST(send(pair[0], "b", 1, 0));
  await_bytes(pair[1], 2);
  settle(pair[1]);
  wait_and_say("spent", epfd, 8, 0);
  MUST(close(pair[0]));
  await(pair[1], POLLRDHUP);
  settle(pair[1]);
  wait_and_say("spent, closed", epfd, 8, 0);
  MOD(epfd, pair[1], EPOLLIN | EPOLLONESHOT | EPOLLET, 2);
  wait_and_say("armed again", epfd, 8, 0);
  wait_and_say("spent again", epfd, 8, 0);
  close(pair[1]), close(epfd);
}

static void errors(void) {
  int pair[2], epfd = epoll_create1(0), other = epoll_create1(0), end[2], file = open("/etc/passwd", O_RDONLY);
  MUST(pipe(end));
  tcp_pair(pair);
  struct epoll_event event = {.events = EPOLLIN};
  say("MOD of none %s", outcome(control(epfd, EPOLL_CTL_MOD, pair[0], EPOLLIN, 1)));
  say("DEL of none %s", outcome(control(epfd, EPOLL_CTL_DEL, pair[0], EPOLLIN, 1)));
  say("ADD %s", outcome(control(epfd, EPOLL_CTL_ADD, pair[0], EPOLLIN, 1)));
  say("ADD twice %s", outcome(control(epfd, EPOLL_CTL_ADD, pair[0], EPOLLIN, 1)));
  say("op 9 %s", outcome(control(epfd, 9, pair[0], EPOLLIN, 1)));
  say("no event %s", outcome(epoll_ctl(epfd, EPOLL_CTL_MOD, pair[0], NULL)));
  say("bad event %s", outcome(epoll_ctl(epfd, EPOLL_CTL_MOD, pair[0], (struct epoll_event *)8)));
  say("of a closed number %s", outcome(epoll_ctl(999, EPOLL_CTL_ADD, pair[0], &event)));
  say("a closed number %s", outcome(epoll_ctl(epfd, EPOLL_CTL_ADD, 999, &event)));
  say("of a socket %s", outcome(epoll_ctl(pair[1], EPOLL_CTL_ADD, pair[0], &event)));
  say("of a pipe %s", outcome(epoll_ctl(end[0], EPOLL_CTL_ADD, pair[0], &event)));
  say("itself %s", outcome(epoll_ctl(epfd, EPOLL_CTL_ADD, epfd, &event)));
  say("a file %s", outcome(epoll_ctl(epfd, EPOLL_CTL_ADD, file, &event)));
  say("exclusive %s", outcome(control(epfd, EPOLL_CTL_ADD, pair[1], EPOLLIN | EPOLLEXCLUSIVE, 1)));
  say("exclusive MOD %s", outcome(control(epfd, EPOLL_CTL_MOD, pair[1], EPOLLIN | EPOLLEXCLUSIVE, 1)));
  say("MOD of an exclusive %s", outcome(control(epfd, EPOLL_CTL_MOD, pair[1], EPOLLIN, 1)));
  say("exclusive oneshot %s",
      outcome(control(other, EPOLL_CTL_ADD, pair[1], EPOLLIN | EPOLLONESHOT | EPOLLEXCLUSIVE, 1)));
  say("exclusive instance %s",
      outcome(control(other, EPOLL_CTL_ADD, epfd, EPOLLIN | EPOLLEXCLUSIVE, 1)));
  say("loop %s", outcome(control(other, EPOLL_CTL_ADD, epfd, EPOLLIN, 1)));
  say("loop back %s", outcome(control(epfd, EPOLL_CTL_ADD, other, EPOLLIN, 1)));
  struct epoll_event events[4];
  say("max 0 %s", outcome(epoll_wait(epfd, events, 0, 0)));
  say("max -1 %s", outcome(epoll_wait(epfd, events, -1, 0)));
  say("wait on a socket %s", outcome(epoll_wait(pair[0], events, 4, 0)));
  say("wait on nothing %s", outcome(epoll_wait(999, events, 4, 0)));
  MOD(epfd, pair[0], EPOLLOUT, 1);
  say("bad events %s", outcome(epoll_wait(epfd, (struct epoll_event *)8, 4, 0)));
  wait_and_say("still there", epfd, 4, 0);
  close(pair[0]), close(pair[1]), close(epfd), close(other), close(end[0]), close(end[1]), close(file);
}

static void many_instances(void) {
  int pair[2], epfds[3];
  tcp_pair(pair);
  for (int i = 0; i < 3; i++) {
    epfds[i] = epoll_create1(0);
    ADD(epfds[i], pair[1], EPOLLIN | (i == 1 ? EPOLLET : 0) | (i == 2 ? EPOLLONESHOT : 0), (uint64_t)i);
  }
  MUST(send(pair[0], "a", 1, 0));
  for (int i = 0; i < 3; i++) wait_and_say("data", epfds[i], 8, PATIENCE_MS);
  for (int i = 0; i < 3; i++) wait_and_say("again", epfds[i], 8, 0);
  for (int i = 0; i < 3; i++) close(epfds[i]);
  close(pair[0]), close(pair[1]);
}

static void mixed(void) {
  int pair[2], end[2], epfd = epoll_create1(0), counter = eventfd(0, 0);
  int timer = timerfd_create(CLOCK_MONOTONIC, 0);
  tcp_pair(pair);
  MUST(pipe(end));
  ADD(epfd, pair[1], EPOLLIN, 1);
  ADD(epfd, end[0], EPOLLIN, 2);
  ADD(epfd, counter, EPOLLIN, 3);
  ADD(epfd, timer, EPOLLIN, 4);
  wait_and_say("nothing", epfd, 8, 0);
  MUST(write(end[1], "x", 1));
  wait_and_say("pipe", epfd, 8, PATIENCE_MS);
  MUST(send(pair[0], "a", 1, 0));
  await(pair[1], POLLIN);
  settle(pair[1]);
  wait_and_say("pipe and socket", epfd, 8, PATIENCE_MS);
  uint64_t one = 1;
  MUST(write(counter, &one, 8));
  wait_and_say("and an eventfd", epfd, 8, PATIENCE_MS);
  char byte;
  MUST(read(end[0], &byte, 1));
  MUST(read(counter, &one, 8));
  MUST(recv(pair[1], &byte, 1, 0));
  struct itimerspec soon = {.it_value = {.tv_nsec = 30000000}};
  MUST(timerfd_settime(timer, 0, &soon, NULL));
  wait_and_say("timer", epfd, 8, PATIENCE_MS);
  MUST(read(timer, &one, 8));
  /* Asleep, and either wakes it. */
  for (int kind = 0; kind < 2; kind++) {
    pid_t child = fork();
    if (child == 0) {
      usleep(50000);
      if (kind == 0 ? write(end[1], "y", 1) != 1 : send(pair[0], "b", 1, 0) != 1) _exit(1);
      _exit(0);
    }
    wait_and_say(kind == 0 ? "woken by the pipe" : "woken by the socket", epfd, 8, PATIENCE_MS);
    MUST(read(kind == 0 ? end[0] : pair[1], &byte, 1));
    int status;
    MUST(waitpid(child, &status, 0));
    say("child %d", status);
  }
  close(pair[0]), close(pair[1]), close(end[0]), close(end[1]), close(epfd), close(counter), close(timer);
}

static void fairness(void) {
  enum { SOCKETS = 6 };
  int pairs[SOCKETS][2], epfd = epoll_create1(0), seen[SOCKETS] = {0};
  for (int i = 0; i < SOCKETS; i++) {
    tcp_pair(pairs[i]);
    ADD(epfd, pairs[i][1], EPOLLIN, (uint64_t)i);
    MUST(send(pairs[i][0], "a", 1, 0));
  }
  for (int i = 0; i < SOCKETS; i++) {
    await(pairs[i][1], POLLIN);
    settle(pairs[i][1]);
  }
  for (int i = 0; i < SOCKETS; i++) {
    struct epoll_event event[2];
    int n = epoll_wait(epfd, event, 2, PATIENCE_MS);
    for (int k = 0; k < n; k++) seen[event[k].data.u64]++;
  }
  for (int i = 0; i < SOCKETS; i++) say("socket %d: %d times", i, seen[i]);
  for (int i = 0; i < SOCKETS; i++) close(pairs[i][0]), close(pairs[i][1]);
  close(epfd);
}

static void nested(void) {
  int pair[2], inner = epoll_create1(0), outer = epoll_create1(0), outmost = epoll_create1(0);
  tcp_pair(pair);
  ADD(inner, pair[1], EPOLLIN, 1);
  ADD(outer, inner, EPOLLIN, 2);
  ADD(outmost, outer, EPOLLIN, 3);
  wait_and_say("outmost: nothing", outmost, 8, 0);
  MUST(send(pair[0], "a", 1, 0));
  wait_and_say("outmost: data", outmost, 8, PATIENCE_MS);
  wait_and_say("outer: data", outer, 8, PATIENCE_MS);
  wait_and_say("inner: data", inner, 8, PATIENCE_MS);
  wait_and_say("outmost: still", outmost, 8, PATIENCE_MS);
  struct pollfd polled = {.fd = outer, .events = POLLIN};
  say("poll %s", outcome(poll(&polled, 1, 0)));
  char byte;
  MUST(recv(pair[1], &byte, 1, 0));
  wait_and_say("inner: read", inner, 8, 0);
  wait_and_say("outer: read", outer, 8, 0);
  wait_and_say("outmost: read", outmost, 8, 0);
  say("poll %s", outcome(poll(&polled, 1, 0)));
  MUST(send(pair[0], "b", 1, 0));
  wait_and_say("outmost: data", outmost, 8, PATIENCE_MS);
  MUST(recv(pair[1], &byte, 1, 0));
  wait_and_say("outmost: read without looking at the inner", outmost, 8, 0);
  polled.fd = inner;
  MUST(send(pair[0], "c", 1, 0));
  say("poll the inner %s", outcome(poll(&polled, 1, PATIENCE_MS)));
  MUST(recv(pair[1], &byte, 1, 0));
  say("poll the inner %s", outcome(poll(&polled, 1, 0)));
  /* An instance that gets its first socket when it is nested already. */
  int late = epoll_create1(0), around = epoll_create1(0);
  ADD(around, late, EPOLLIN, 4);
  MUST(send(pair[0], "d", 1, 0));
  await(pair[1], POLLIN);
  settle(pair[1]);
  ADD(late, pair[1], EPOLLIN, 5);
  wait_and_say("around", around, 8, PATIENCE_MS);
  close(late), close(around);
  close(pair[0]), close(pair[1]), close(inner), close(outer), close(outmost);
}

static void closing(void) {
  int pair[2], epfd = epoll_create1(0);
  tcp_pair(pair);
  ADD(epfd, pair[1], EPOLLIN, 1);
  MUST(send(pair[0], "a", 1, 0));
  wait_and_say("data", epfd, 8, PATIENCE_MS);
  int copy = dup(pair[1]);
  MUST(copy);
  MUST(close(pair[1]));
  wait_and_say("its copy keeps it", epfd, 8, 0);
  say("DEL of the closed number %s", outcome(epoll_ctl(epfd, EPOLL_CTL_DEL, pair[1], NULL)));
  say("DEL of the copy %s", outcome(epoll_ctl(epfd, EPOLL_CTL_DEL, copy, NULL)));
  ADD(epfd, copy, EPOLLIN, 2);
  wait_and_say("twice", epfd, 8, 0);
  MUST(close(copy));
  wait_and_say("gone", epfd, 8, 0);
  int same[2];
  tcp_pair(same);
  ADD(epfd, same[0], EPOLLOUT, 3);
  int other = dup(epfd);
  MUST(close(epfd));
  wait_and_say("a copy of the instance", other, 8, 0);
  close(same[0]), close(same[1]), close(pair[0]), close(other);
}

static void connecting(void) {
  struct sockaddr_in at;
  int server = listener(&at), epfd = epoll_create1(0), client = new_socket(SOCK_STREAM);
  set_nonblocking(client);
  ADD(epfd, client, EPOLLIN | EPOLLOUT, 1);
  wait_and_say("not connected", epfd, 8, 0);
  ADD(epfd, server, EPOLLIN, 2);
  MOD(epfd, client, EPOLLIN | EPOLLOUT | EPOLLET, 1);
  wait_and_say("not connected, ET", epfd, 8, 0);
  int result = connect(client, (struct sockaddr *)&at, sizeof at);
  say("connect %s", outcome(result));
  await(client, POLLOUT);
  await(server, POLLIN);
  settle(client);
  wait_and_say("connected", epfd, 8, PATIENCE_MS);
  int error = -1;
  socklen_t bytes = sizeof error;
  MUST(getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &bytes));
  int peer = accept(server, NULL, NULL);
  say("error %d, accepted %s", error, peer >= 0 ? "yes" : "no");
  wait_and_say("nothing more", epfd, 8, 0);
  MUST(close(server));
  int refused = new_socket(SOCK_STREAM);
  set_nonblocking(refused);
  ADD(epfd, refused, EPOLLIN | EPOLLOUT, 3);
  result = connect(refused, (struct sockaddr *)&at, sizeof at);
  if (result < 0 && errno == EINPROGRESS) say("connect in progress");
  else say("connect %s", outcome(result));
  wait_and_say("refused", epfd, 8, PATIENCE_MS);
  MUST(getsockopt(refused, SOL_SOCKET, SO_ERROR, &error, &bytes));
  say("error %s", strerrorname_np(error));
  wait_and_say("after it was told", epfd, 8, 0);
  close(client), close(peer), close(refused), close(epfd);
}

static void reset(void) {
  int pair[2], epfd = epoll_create1(0);
  tcp_pair(pair);
  ADD(epfd, pair[1], EPOLLIN, 1);
  struct linger hard = {.l_onoff = 1};
  MUST(setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &hard, sizeof hard));
  MUST(close(pair[0]));
  wait_and_say("reset", epfd, 8, PATIENCE_MS);
  MOD(epfd, pair[1], EPOLLIN | EPOLLOUT | EPOLLRDHUP, 1);
  wait_and_say("reset, all", epfd, 8, 0);
  char byte;
  say("read %s", outcome(read(pair[1], &byte, 1)));
  say("read %s", outcome(read(pair[1], &byte, 1)));
  wait_and_say("after it was told", epfd, 8, 0);
  close(pair[1]), close(epfd);
}

static void shutting(void) {
  int pair[2], epfd = epoll_create1(0);
  tcp_pair(pair);
  ADD(epfd, pair[1], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, 1);
  wait_and_say("open", epfd, 8, 0);
  MUST(shutdown(pair[1], SHUT_RD));
  wait_and_say("SHUT_RD", epfd, 8, 0);
  MUST(shutdown(pair[1], SHUT_WR));
  wait_and_say("SHUT_WR", epfd, 8, 0);
  wait_and_say("told once", epfd, 8, 0);
  close(pair[0]), close(pair[1]), close(epfd);
}

static void datagrams(void) {
  int pair[2], epfd = epoll_create1(0);
  udp_pair(pair);
  ADD(epfd, pair[1], EPOLLIN | EPOLLOUT, 1);
  wait_and_say("writable", epfd, 8, 0);
  MUST(send(pair[0], "abc", 3, 0));
  await(pair[1], POLLIN);
  MOD(epfd, pair[1], EPOLLIN | EPOLLET, 2);
  wait_and_say("a datagram", epfd, 8, PATIENCE_MS);
  wait_and_say("told once", epfd, 8, 0);
  MUST(send(pair[0], "", 0, 0));
  wait_and_say("an empty one", epfd, 8, PATIENCE_MS);
  char bytes[8];
  say("recv %s", outcome(recv(pair[1], bytes, sizeof bytes, 0)));
  say("recv %s", outcome(recv(pair[1], bytes, sizeof bytes, 0)));
  say("recv %s", outcome(recv(pair[1], bytes, sizeof bytes, MSG_DONTWAIT)));
  wait_and_say("none", epfd, 8, 0);
  /* Watched before anybody has decided who carries it. */
  int late = new_socket(SOCK_DGRAM);
  ADD(epfd, late, EPOLLIN, 3);
  struct sockaddr_in at = base_address;
  socklen_t room = sizeof at;
  MUST(bind(late, (struct sockaddr *)&at, sizeof at));
  MUST(getsockname(late, (struct sockaddr *)&at, &room));
  wait_and_say("bound", epfd, 8, 0);
  int from = new_socket(SOCK_DGRAM);
  MUST(sendto(from, "x", 1, 0, (struct sockaddr *)&at, sizeof at));
  wait_and_say("watched before", epfd, 8, PATIENCE_MS);
  close(late), close(from), close(pair[0]), close(pair[1]), close(epfd);
}

static void polling(void) {
  int pair[2], end[2];
  tcp_pair(pair);
  MUST(pipe(end));
  struct pollfd fds[6] = {{.fd = pair[1], .events = POLLIN | POLLOUT | POLLRDHUP},
                          {.fd = end[0], .events = POLLIN},
                          {.fd = -1, .events = POLLIN, .revents = 77},
                          {.fd = 999, .events = POLLIN},
                          {.fd = pair[1], .events = POLLIN},
                          {.fd = pair[1], .events = 0}};
  say("poll %s", outcome(poll(fds, 6, 0)));
  for (int i = 0; i < 6; i++) say("%d: %s", i, events_text((uint32_t)fds[i].revents));
  fds[3].fd = -1;
  MUST(write(end[1], "x", 1));
  MUST(send(pair[0], "a", 1, 0));
  await(pair[1], POLLIN);
  say("poll %s", outcome(poll(fds, 6, PATIENCE_MS)));
  for (int i = 0; i < 6; i++) say("%d: %s", i, events_text((uint32_t)fds[i].revents));
  MUST(close(pair[0]));
  await(pair[1], POLLRDHUP);
  say("poll %s", outcome(poll(fds, 6, PATIENCE_MS)));
  for (int i = 0; i < 6; i++) say("%d: %s", i, events_text((uint32_t)fds[i].revents));
  say("bad pointer %s", outcome(poll((struct pollfd *)8, 1, 0)));
  struct timespec wrong = {.tv_nsec = 1000000000};
  say("wrong time %s", outcome(ppoll(fds, 1, &wrong, NULL)));
  close(pair[1]), close(end[0]), close(end[1]);
}

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000ll + now.tv_nsec / 1000;
}

/* Waits are as long as asked, at least; how much longer is the machine's. */
static void times(void) {
  int pair[2], epfd = epoll_create1(0);
  tcp_pair(pair);
  ADD(epfd, pair[1], EPOLLIN, 1);
  struct pollfd polled = {.fd = pair[1], .events = POLLIN};
  struct epoll_event event;
  struct timespec short_time = {.tv_nsec = 700000};
  int64_t start = now_us();
  say("ppoll %s", outcome(ppoll(&polled, 1, &short_time, NULL)));
  say("%s", now_us() - start >= 700 ? "long enough" : "too short");
  start = now_us();
  say("epoll_pwait2 %s", outcome(epoll_pwait2(epfd, &event, 1, &short_time, NULL)));
  say("%s", now_us() - start >= 700 ? "long enough" : "too short");
  start = now_us();
  say("epoll_wait %s", outcome(epoll_wait(epfd, &event, 1, 3)));
  say("%s", now_us() - start >= 3000 ? "long enough" : "too short");
  fd_set set;
  FD_ZERO(&set);
  FD_SET(pair[1], &set);
  start = now_us();
  say("pselect %s", outcome(pselect(pair[1] + 1, &set, NULL, NULL, &short_time, NULL)));
  say("%s", now_us() - start >= 700 ? "long enough" : "too short");
  struct timeval left = {.tv_sec = 100};
  FD_SET(pair[1], &set);
  MUST(send(pair[0], "a", 1, 0));
  say("select %s", outcome(select(pair[1] + 1, &set, NULL, NULL, &left)));
  say("%s", left.tv_sec >= 60 && left.tv_sec < 100 ? "the rest is told" : "the rest is wrong");
  close(pair[0]), close(pair[1]), close(epfd);
}

static void selecting(void) {
  int pair[2], end[2];
  tcp_pair(pair);
  MUST(pipe(end));
  fd_set in, out, except;
  FD_ZERO(&in);
  FD_ZERO(&out);
  FD_ZERO(&except);
  FD_SET(pair[1], &in), FD_SET(pair[1], &out), FD_SET(pair[1], &except), FD_SET(end[0], &in);
  struct timeval none = {0};
  say("select %s", outcome(select(32, &in, &out, &except, &none)));
  say("%d %d %d %d", !!FD_ISSET(pair[1], &in), !!FD_ISSET(pair[1], &out), !!FD_ISSET(pair[1], &except),
      !!FD_ISSET(end[0], &in));
  MUST(send(pair[0], "a", 1, 0));
  FD_SET(pair[1], &in), FD_SET(end[0], &in);
  say("select %s", outcome(select(32, &in, NULL, NULL, NULL)));
  say("%d %d", !!FD_ISSET(pair[1], &in), !!FD_ISSET(end[0], &in));
  MUST(close(pair[0]));
  await(pair[1], POLLRDHUP);
  FD_SET(pair[1], &in), FD_SET(pair[1], &out), FD_SET(pair[1], &except);
  say("select %s", outcome(select(32, &in, &out, &except, &none)));
  FD_SET(30, &in), FD_SET(pair[1], &in);
  say("closed number %s", outcome(select(31, &in, NULL, NULL, &none)));
  say("negative %s", outcome(select(-1, &in, NULL, NULL, &none)));
  close(pair[1]), close(end[0]), close(end[1]);
}

/* Sets beyond FD_SETSIZE, as programs with many descriptors allocate them. */
static void selecting_high(void) {
  int pair[2], high = 2500;
  tcp_pair(pair);
  int moved = fcntl(pair[1], F_DUPFD, high);
  say("moved %s", moved >= high ? "yes" : strerror(errno));
  if (moved < 0) return;
  size_t bytes = ((size_t)moved / 64 + 1) * 8;
  unsigned long *set = calloc(1, bytes);
  set[moved / 64] |= 1ul << moved % 64;
  MUST(send(pair[0], "a", 1, 0));
  say("select %s", outcome(select(moved + 1, (fd_set *)(void *)set, NULL, NULL, NULL)));
  say("set %d", (int)(set[moved / 64] >> moved % 64 & 1));
  free(set);
  close(pair[0]), close(pair[1]), close(moved);
}

static volatile sig_atomic_t handled;
static void on_signal(int signum) { (void)signum, handled++; }

static void after_ms(int ms) {
  struct itimerval soon = {.it_value = {.tv_usec = ms * 1000}};
  setitimer(ITIMER_REAL, &soon, NULL);
}

/* A single one may be over before the call that it is to interrupt has begun; 0: no more. */
static void every_ms(int ms) {
  struct timeval step = {.tv_usec = ms * 1000};
  setitimer(ITIMER_REAL, &(struct itimerval){step, step}, NULL);
}

static void interrupted(void) {
  int pair[2], epfd = epoll_create1(0);
  tcp_pair(pair);
  ADD(epfd, pair[1], EPOLLIN, 1);
  struct pollfd polled = {.fd = pair[1], .events = POLLIN};
  struct epoll_event event;
  fd_set set;
  FD_ZERO(&set);
  for (int restarts = 0; restarts < 2; restarts++) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = restarts ? SA_RESTART : 0};
    sigaction(SIGALRM, &action, NULL);
    handled = 0;
    every_ms(30);
    say("poll %s", outcome(poll(&polled, 1, PATIENCE_MS)));
    say("epoll_wait %s", outcome(epoll_wait(epfd, &event, 1, PATIENCE_MS)));
    FD_SET(pair[1], &set);
    say("select %s", outcome(select(pair[1] + 1, &set, NULL, NULL, NULL)));
    every_ms(0);
    say("handled each: %d", handled >= 3);
  }
  /* Blocked outside, let in by the wait's mask. */
  handled = 0;
  sigset_t block, none;
  sigemptyset(&none);
  sigemptyset(&block);
  sigaddset(&block, SIGALRM);
  sigprocmask(SIG_BLOCK, &block, NULL);
  after_ms(1);
  usleep(5000);
  say("blocked: handled %d", (int)handled);
  say("ppoll %s", outcome(ppoll(&polled, 1, NULL, &none)));
  say("handled %d", (int)handled);
  after_ms(30);
  say("epoll_pwait %s", outcome(epoll_pwait(epfd, &event, 1, PATIENCE_MS, &none)));
  after_ms(30);
  FD_SET(pair[1], &set);
  say("pselect %s", outcome(pselect(pair[1] + 1, &set, NULL, NULL, NULL, &none)));
  say("handled %d", (int)handled);
  after_ms(1);
  usleep(5000);
  sigset_t now;
  sigprocmask(SIG_SETMASK, NULL, &now);
  say("still blocked %d, handled %d", sigismember(&now, SIGALRM), (int)handled);
  sigprocmask(SIG_UNBLOCK, &block, NULL);
  say("handled %d", (int)handled);
  close(pair[0]), close(pair[1]), close(epfd);
}

static const struct test_case cases[] = {
    {"level", level},
    {"edge", edge},
    {"edge_out_after_full", edge_out_after_full},
    {"level_out", level_out},
    {"oneshot", oneshot},
    {"errors", errors},
    {"many_instances", many_instances},
    {"mixed", mixed},
    {"fairness", fairness},
    {"nested", nested},
    {"closing", closing},
    {"connecting", connecting},
    {"reset", reset},
    {"shutting", shutting},
    {"datagrams", datagrams},
    {"polling", polling},
    {"times", times},
    {"selecting", selecting},
    {"selecting_high", selecting_high},
    {"interrupted", interrupted},
};

int main(int argc, char **argv) {
  return run_cases(argc, argv, cases, sizeof cases / sizeof *cases);
}
