/*
 * A program that a soak kills: it keeps many sockets of every kind in every state, talks to the other
 * programs through them, checks what it hears, and now and then has a child that shares them all.
 *
 *   program SEED INDEX PROGRAMS SOCKETS ADDRESS FIRST_PORT
 *
 * It runs until it is killed. Exit status 1: it heard what nobody has said, and says what.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_MS 40       /* between rounds: 64 programs share two cores with the engine */
#define ACTIONS 6         /* of a round */
#define OPENED 16         /* sockets that a round opens at most */
#define CHUNK 20000
#define CHILD_SECONDS 2
#define ROUNDS_A_CHILD 250
#define EVENTS 64

enum kind { CONNECTION, DATAGRAMS, LISTENER };

struct held {
  int fd;
  enum kind kind;
  bool shut;
  uint32_t sent, heard; /* bytes of the stream: what is at place n is n modulo 251 */
};

static struct held *all;
static int count, most, room, set, programs, index_here, first_port;
static struct in_addr address;
static uint8_t stream[CHUNK + 251], buffer[65536];
static uint64_t state;

static uint32_t draw(uint32_t below) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((state >> 33) % below);
}

static void must(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "program %d: %s: %s\n", index_here, what, strerror(errno));
  exit(1);
}

static struct sockaddr_in at(int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = address};
  return to;
}

static void hold(int fd, enum kind kind) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  must(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
  all[count++] = (struct held){.fd = fd, .kind = kind};
}

static void let_go(int i) {
  close(all[i].fd);
  all[i] = all[--count];
}

static struct held *find(int fd) {
  for (int i = 0; i < count; i++) {
    if (all[i].fd == fd) return &all[i];
  }
  return NULL;
}

/* ---- Opening ---------------------------------------------------------------------------------- */

/* Half of them at the wildcard, so that a socket of the kernel stands beside them. */
static void open_listener(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  if (fd < 0) return;
  struct sockaddr_in own = at(first_port + index_here);
  if (index_here % 2 == 0) own.sin_addr.s_addr = INADDR_ANY;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  /* The last life of this program may not be noticed yet: another time, then. */
  if (bind(fd, (struct sockaddr *)&own, sizeof own) == 0 && listen(fd, 64) == 0) hold(fd, LISTENER);
  else close(fd);
}

static void open_connection(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  struct sockaddr_in to = at(first_port + (int)draw((uint32_t)programs));
  if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 || errno == EINPROGRESS) hold(fd, CONNECTION);
  else close(fd);
}

static void open_datagrams(void) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  struct sockaddr_in own = at(0);
  if (draw(4) == 0) own.sin_addr.s_addr = INADDR_ANY;
  if (bind(fd, (struct sockaddr *)&own, sizeof own) == 0) hold(fd, DATAGRAMS);
  else close(fd);
}

static void open_more(void) {
  if (count == 0 || all[0].kind != LISTENER) {
    open_listener();
    /* The listener is always the first. */
    if (count > 1 && all[count - 1].kind == LISTENER) {
      struct held listener = all[count - 1];
      all[count - 1] = all[0];
      all[0] = listener;
    }
  }
  for (int i = 0; i < OPENED && count < most; i++) {
    if (draw(4) == 0) open_datagrams();
    else open_connection();
  }
}

/* ---- Talking ------------------------------------------------------------------------------------ */

static void speak(struct held *s) {
  uint32_t n = 1 + draw(draw(4) == 0 ? CHUNK : 200);
  ssize_t sent = send(s->fd, stream + s->sent % 251, n, MSG_NOSIGNAL);
  if (sent > 0) s->sent += (uint32_t)sent;
}

/* A datagram says its length in each of its bytes. */
static void say_somewhere(struct held *s) {
  struct sockaddr_in to;
  socklen_t bytes = sizeof to;
  struct held *other = &all[draw((uint32_t)count)];
  if (other->kind != DATAGRAMS || getsockname(other->fd, (struct sockaddr *)&to, &bytes) != 0) return;
  to.sin_addr = address;
  uint32_t n = 1 + draw(draw(8) == 0 ? 9000 : 200);
  memset(buffer, (int)(n & 0xff), n);
  sendto(s->fd, buffer, n, MSG_NOSIGNAL, (struct sockaddr *)&to, bytes);
}

static void hear_datagram(struct held *s) {
  for (int i = 0; i < 16; i++) {
    ssize_t n = recv(s->fd, buffer, sizeof buffer, 0);
    if (n <= 0) return;
    must(buffer[0] == (n & 0xff) && buffer[n - 1] == (n & 0xff), "a datagram of another length");
  }
}

/* False: it has ended. */
static bool hear_stream(struct held *s) {
  ssize_t n = recv(s->fd, buffer, 1 + draw(sizeof buffer), 0);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  for (ssize_t i = 0; i < n; i++) {
    uint32_t place = s->heard + (uint32_t)i;
    if (buffer[i] == place % 251) continue;
    fprintf(stderr, "byte %u of a stream is %d, and %zd of %zd of this call\n", place, buffer[i], i, n);
    must(false, "bytes out of order");
  }
  s->heard += (uint32_t)n;
  return n > 0;
}

static void take_connections(struct held *s) {
  int listener = s->fd; /* `all` may move */
  for (int i = 0; i < 8 && count < room; i++) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0) return;
    hold(fd, CONNECTION);
  }
}

/* ---- Ending -------------------------------------------------------------------------------------- */

static void end(int i) {
  struct held *s = &all[i];
  if (s->kind == CONNECTION && !s->shut && draw(2) == 0) {
    shutdown(s->fd, draw(4) == 0 ? SHUT_RDWR : SHUT_WR);
    s->shut = true;
    return;
  }
  struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  if (s->kind == CONNECTION && draw(8) == 0) {
    setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  let_go(i);
}

/* Has all sockets, too, uses some, and ends by a signal, before or after its parent. */
static void have_child(void) {
  if (fork() != 0) return;
  alarm(CHILD_SECONDS);
  struct timespec pause = {.tv_nsec = 10000000};
  for (;;) {
    struct held *s = &all[draw((uint32_t)count)];
    if (s->kind == DATAGRAMS) say_somewhere(s);
    nanosleep(&pause, NULL);
    if (draw(100) == 0) raise(SIGKILL);
  }
}

static void act(void) {
  int i = (int)draw((uint32_t)count);
  struct held *s = &all[i];
  uint32_t choice = draw(100);
  if (choice < 4 && s->kind != LISTENER) end(i);
  else if (choice == 4 && s->kind == LISTENER) let_go(i);
  else if (s->kind == DATAGRAMS) say_somewhere(s);
  else if (s->kind == CONNECTION && !s->shut) speak(s);
}

static void listen_to_all(void) {
  struct epoll_event events[EVENTS];
  int n = epoll_wait(set, events, EVENTS, PAUSE_MS);
  for (int i = 0; i < n; i++) {
    struct held *s = find(events[i].data.fd);
    if (s == NULL) continue;
    if (s->kind == LISTENER) take_connections(s);
    else if (draw(16) == 0) continue; /* stays unread for a while */
    else if (s->kind == DATAGRAMS) hear_datagram(s);
    else if (!hear_stream(s)) let_go((int)(s - all));
  }
}

int main(int argc, char **argv) {
  must(argc == 7, "expected SEED INDEX PROGRAMS SOCKETS ADDRESS FIRST_PORT");
  index_here = atoi(argv[2]);
  programs = atoi(argv[3]);
  most = atoi(argv[4]);
  must(inet_aton(argv[5], &address) == 1, argv[5]);
  first_port = atoi(argv[6]);
  state = (uint64_t)strtoull(argv[1], NULL, 10) * 2654435761u + (uint64_t)getpid();
  for (size_t i = 0; i < sizeof stream; i++) stream[i] = (uint8_t)(i % 251);
  room = most + most / 4; /* for connections that others make */
  all = calloc((size_t)room + 2, sizeof *all);
  set = epoll_create1(0);
  must(all != NULL && set >= 0, "memory");
  signal(SIGCHLD, SIG_IGN);
  struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};
  for (;;) {
    open_more();
    listen_to_all();
    for (int i = 0; i < ACTIONS && count > 0; i++) act();
    if (draw(ROUNDS_A_CHILD) == 0) have_child();
    nanosleep(&pause, NULL);
  }
}
