/*
 * Random operations on sockets and epoll instances: `epoll-random ADDRESS FIRST LAST` plays the games of
 * those seeds and prints what epoll said. Nothing random decides between runs, so both print the same.
 */
#include "harness.h"

enum { SOCKETS = 5, INSTANCES = 3, STEPS = 120 };

static uint32_t state;

/* xorshift32 */
static uint32_t draw(uint32_t below) {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return (state >> 8) % below;
}

static struct {
  int watched, peer;   /* what instances watch, and the other end */
  int waiting;         /* bytes that lie at `watched` */
  bool is_ended;
  int copy;            /* a dup of watched, or -1 */
} ends[SOCKETS];
static int epfds[INSTANCES], pipe_ends[2], pipe_waiting;

static uint32_t draw_events(void) {
  uint32_t events = 0;
  if (draw(4) > 0) events |= EPOLLIN;
  if (draw(3) == 0) events |= EPOLLOUT;
  if (draw(3) == 0) events |= EPOLLRDHUP;
  if (draw(2) == 0) events |= EPOLLET;
  if (draw(4) == 0) events |= EPOLLONESHOT;
  return events;
}

static void send_some(int at) {
  static char bytes[200];
  if (ends[at].is_ended) return;
  int n = 1 + (int)draw(100);
  say("send %d: %d", at, n);
  MUST(send(ends[at].peer, bytes, (size_t)n, 0));
  ends[at].waiting += n;
  await_bytes(ends[at].watched, ends[at].waiting);
  settle(ends[at].watched);
}

static void receive_some(int at) {
  char bytes[4096];
  size_t n = draw(2) == 0 ? sizeof bytes : 1 + draw(50);
  ssize_t got = recv(ends[at].watched, bytes, n, MSG_DONTWAIT);
  if (got > 0) ends[at].waiting -= (int)got;
  say("recv %d: %s", at, outcome(got));
}

static void end(int at) {
  if (ends[at].is_ended) return;
  ends[at].is_ended = true;
  say("end %d", at);
  MUST(shutdown(ends[at].peer, SHUT_WR));
  await(ends[at].watched, POLLRDHUP);
  settle(ends[at].watched);
}

/* Full, and then empty again: in between it depends on timers of the stack what is told. */
static void fill_and_empty(int at) {
  static char bytes[65536];
  say("fill and empty %d", at);
  struct pollfd polled = {.fd = ends[at].peer, .events = POLLIN};
  while (send(ends[at].watched, bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
  }
  while (poll(&polled, 1, 200) == 1 && recv(ends[at].peer, bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
  }
  await(ends[at].watched, POLLOUT);
  settle(ends[at].watched);
}

static void change_copy(int at) {
  if (ends[at].copy < 0) {
    say("dup %d", at);
    ends[at].copy = dup(ends[at].watched);
    MUST(ends[at].copy);
    return;
  }
  /* Registrations of the copy go on, as the kernel has it; delete them, or nobody can. */
  for (int i = 0; i < INSTANCES; i++) epoll_ctl(epfds[i], EPOLL_CTL_DEL, ends[at].copy, NULL);
  say("close copy %d", at);
  close(ends[at].copy);
  ends[at].copy = -1;
}

static void change_pipe(void) {
  char byte = 0;
  if (pipe_waiting > 0 && draw(2) == 0) {
    MUST(read(pipe_ends[0], &byte, 1));
    pipe_waiting--;
  } else {
    MUST(write(pipe_ends[1], &byte, 1));
    pipe_waiting++;
  }
}

static void change_instance(void) {
  static const int ops[] = {EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_MOD, EPOLL_CTL_DEL};
  int which = (int)draw(INSTANCES), at = (int)draw(SOCKETS + 1), op = ops[draw(5)];
  uint32_t events = draw_events();
  int fd = at == SOCKETS ? pipe_ends[0] : ends[at].watched;
  bool of_copy = at < SOCKETS && ends[at].copy >= 0 && draw(3) == 0;
  if (of_copy) fd = ends[at].copy;
  uint64_t data = (uint64_t)at * 10 + of_copy;
  say("ctl %d %d of %d (%x): %s", op, which, (int)data, events,
      outcome(control(epfds[which], op, fd, events, data)));
}

static void look(void) {
  int which = (int)draw(INSTANCES);
  char what[32];
  snprintf(what, sizeof what, "instance %d", which);
  wait_and_say(what, epfds[which], 64, 0);
}

static void play(uint32_t seed) {
  state = seed * 2654435761u + 12345;
  printf("seed %u\n", seed);
  MUST(pipe(pipe_ends));
  pipe_waiting = 0;
  for (int i = 0; i < INSTANCES; i++) MUST(epfds[i] = epoll_create1(0));
  for (int i = 0; i < SOCKETS; i++) {
    int pair[2];
    tcp_pair(pair);
    ends[i] = (__typeof__(ends[0])){.watched = pair[i % 2], .peer = pair[1 - i % 2], .copy = -1};
  }
  for (int step = 0; step < STEPS; step++) {
    int at = (int)draw(SOCKETS);
    uint32_t what = draw(100);
    if (what < 25) change_instance();
    else if (what < 60) look();
    else if (what < 76) send_some(at);
    else if (what < 90) receive_some(at);
    else if (what < 92) end(at);
    else if (what < 94) fill_and_empty(at);
    else if (what < 98) change_pipe();
    else change_copy(at);
  }
  for (int i = 0; i < INSTANCES; i++) wait_and_say("at last", epfds[i], 64, 0);
  for (int i = 0; i < SOCKETS; i++) {
    close(ends[i].watched), close(ends[i].peer);
    if (ends[i].copy >= 0) close(ends[i].copy);
  }
  for (int i = 0; i < INSTANCES; i++) wait_and_say("closed", epfds[i], 64, 0);
  for (int i = 0; i < INSTANCES; i++) close(epfds[i]);
  close(pipe_ends[0]), close(pipe_ends[1]);
}

int main(int argc, char **argv) {
  if (argc < 4 || inet_pton(AF_INET, argv[1], &base_address.sin_addr) != 1) return 2;
  base_address.sin_family = AF_INET;
  signal(SIGPIPE, SIG_IGN);
  for (uint32_t seed = (uint32_t)atoi(argv[2]); seed <= (uint32_t)atoi(argv[3]); seed++) play(seed);
  return 0;
}
