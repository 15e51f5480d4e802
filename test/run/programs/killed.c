/*
 * What the peer of a TCP socket sees when the program that has it is killed with SIGKILL, in every state
 * that a program can bring a connection to. The victim is a child without a socket of ours; it does what
 * its parent, the peer, asks for by letters.
 */
#include "harness.h"

struct victim {
  pid_t pid;
  int ask, answer;
  struct sockaddr_in at; /* its listener */
};

/* ---- The victim ---------------------------------------------------------------------------------- */

static long state_of(int fd) {
  struct tcp_info info;
  socklen_t bytes = sizeof info;
  MUST(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes));
  return info.tcpi_state;
}

static long have_partner(void) {
  pid_t partner = fork();
  if (partner == 0) {
    for (;;) pause();
  }
  return partner;
}

static void be_victim(int orders, int answers) {
  struct sockaddr_in at;
  int server = listener(&at), fd = -1;
  long result = ntohs(at.sin_port);
  for (char order;;) {
    MUST(write(answers, &result, sizeof result));
    if (read(orders, &order, 1) != 1) exit(0);
    char byte;
    result = 0;
    switch (order) {
      case 'a': fd = accept(server, NULL, NULL); MUST(fd); break;
      case 'c': MUST(close(server)); break;
      case 'f': result = fill(fd); break;
      case 'r': result = recv(fd, &byte, 1, 0); break;
      case 'w': await(fd, POLLIN); break;
      case 's': result = shutdown(fd, SHUT_WR); break;
      case 'i': result = state_of(fd); break;
      case 'p': result = have_partner(); break;
    }
  }
}

/* ---- The peer ------------------------------------------------------------------------------------ */

static long hear(struct victim *v) {
  long result;
  must(read(v->answer, &result, sizeof result) == sizeof result, "the victim's answer");
  return result;
}

static long ask(struct victim *v, char order) {
  MUST(write(v->ask, &order, 1));
  return hear(v);
}

static struct victim begin(void) {
  int orders[2], answers[2];
  MUST(pipe(orders));
  MUST(pipe(answers));
  struct victim v = {.pid = fork(), .ask = orders[1], .answer = answers[0]};
  MUST(v.pid);
  if (v.pid == 0) {
    close(orders[1]);
    close(answers[0]);
    be_victim(orders[0], answers[1]);
  }
  close(orders[0]);
  close(answers[1]);
  v.at = base_address;
  v.at.sin_port = htons((uint16_t)hear(&v));
  return v;
}

static int connect_to(struct victim *v) {
  int fd = new_socket(SOCK_STREAM);
  MUST(connect(fd, (struct sockaddr *)&v->at, sizeof v->at));
  return fd;
}

/* A victim with a connection. */
static struct victim connected(int *fd) {
  struct victim v = begin();
  *fd = connect_to(&v);
  ask(&v, 'a');
  ask(&v, 'c');
  return v;
}

static void is_in(struct victim *v, long state, const char *name) {
  for (int i = 0; ask(v, 'i') != state; i++) {
    must(i < PATIENCE_MS, name);
    usleep(1000);
  }
  say("it is in %s", name);
}

static void kill_it(struct victim *v) {
  MUST(kill(v->pid, SIGKILL));
  MUST(waitpid(v->pid, NULL, 0));
  close(v->ask);
  close(v->answer);
}

/* Everything that comes, and how it ends. */
static void read_all(int fd, long expected) {
  static char buffer[65536];
  long got = 0;
  ssize_t n;
  do {
    await(fd, POLLIN);
    n = recv(fd, buffer, sizeof buffer, 0);
    if (n > 0) got += n;
  } while (n > 0);
  say("%s, then %s", got == expected ? "everything" : "not everything", outcome(n));
}

/* What the peer sends comes back as a reset, sooner or later. */
static void send_until_reset(int fd) {
  ssize_t n = 0;
  for (int i = 0; i < PATIENCE_MS && n >= 0; i++) {
    n = send(fd, "x", 1, MSG_NOSIGNAL);
    if (n >= 0) usleep(1000);
  }
  say("sending ends with %s", errno == EPIPE || errno == ECONNRESET ? "a reset" : outcome(n));
}

/* ---- States -------------------------------------------------------------------------------------- */

static void listening(void) {
  struct victim v = begin();
  kill_it(&v);
  int fd = new_socket(SOCK_STREAM);
  say("connect: %s", outcome(connect(fd, (struct sockaddr *)&v.at, sizeof v.at)));
  close(fd);
}

static void not_accepted(void) {
  struct victim v = begin();
  int fd = connect_to(&v), other = connect_to(&v);
  MUST(send(other, "hello", 5, 0));
  kill_it(&v);
  read_all(fd, 0);
  read_all(other, 0);
  close(fd);
  close(other);
}

static void idle(void) {
  int fd;
  struct victim v = connected(&fd);
  is_in(&v, TCP_ESTABLISHED, "ESTABLISHED");
  kill_it(&v);
  read_all(fd, 0);
  send_until_reset(fd);
  close(fd);
}

static void unread(void) {
  int fd;
  struct victim v = connected(&fd);
  MUST(send(fd, "never read", 10, 0));
  ask(&v, 'w');
  is_in(&v, TCP_ESTABLISHED, "ESTABLISHED");
  kill_it(&v);
  read_all(fd, 0);
  close(fd);
}

static void partly_read(void) {
  int fd;
  struct victim v = connected(&fd);
  MUST(send(fd, "hardly read", 11, 0));
  ask(&v, 'w');
  say("it reads %ld", ask(&v, 'r'));
  kill_it(&v);
  read_all(fd, 0);
  close(fd);
}

static void unsent(void) {
  int fd;
  struct victim v = connected(&fd);
  long sent = ask(&v, 'f');
  is_in(&v, TCP_ESTABLISHED, "ESTABLISHED");
  kill_it(&v);
  read_all(fd, sent);
  close(fd);
}

static void both_full(void) {
  int fd;
  struct victim v = connected(&fd);
  ask(&v, 'f');
  fill(fd);
  is_in(&v, TCP_ESTABLISHED, "ESTABLISHED");
  kill_it(&v);
  /* What was on its way before the reset may have been read or not. */
  static char buffer[65536];
  ssize_t n;
  do {
    await(fd, POLLIN);
    n = recv(fd, buffer, sizeof buffer, 0);
  } while (n > 0);
  say("in the end %s", outcome(n));
  close(fd);
}

static void fin_wait_1(void) {
  int fd;
  struct victim v = connected(&fd);
  long sent = ask(&v, 'f');
  ask(&v, 's');
  is_in(&v, TCP_FIN_WAIT1, "FIN_WAIT1");
  kill_it(&v);
  read_all(fd, sent);
  send_until_reset(fd);
  close(fd);
}

static void fin_wait_2(void) {
  int fd;
  struct victim v = connected(&fd);
  ask(&v, 's');
  is_in(&v, TCP_FIN_WAIT2, "FIN_WAIT2");
  kill_it(&v);
  read_all(fd, 0);
  send_until_reset(fd);
  close(fd);
}

static void close_wait(void) {
  int fd;
  struct victim v = connected(&fd);
  MUST(shutdown(fd, SHUT_WR));
  is_in(&v, TCP_CLOSE_WAIT, "CLOSE_WAIT");
  kill_it(&v);
  read_all(fd, 0);
  close(fd);
}

static void close_wait_unread(void) {
  int fd;
  struct victim v = connected(&fd);
  MUST(send(fd, "never read", 10, 0));
  MUST(shutdown(fd, SHUT_WR));
  is_in(&v, TCP_CLOSE_WAIT, "CLOSE_WAIT");
  kill_it(&v);
  read_all(fd, 0);
  close(fd);
}

static void close_wait_unsent(void) {
  int fd;
  struct victim v = connected(&fd);
  MUST(shutdown(fd, SHUT_WR));
  is_in(&v, TCP_CLOSE_WAIT, "CLOSE_WAIT");
  long sent = ask(&v, 'f');
  kill_it(&v);
  read_all(fd, sent);
  close(fd);
}

static void last_ack(void) {
  int fd;
  struct victim v = connected(&fd);
  MUST(shutdown(fd, SHUT_WR));
  is_in(&v, TCP_CLOSE_WAIT, "CLOSE_WAIT");
  long sent = ask(&v, 'f');
  ask(&v, 's');
  is_in(&v, TCP_LAST_ACK, "LAST_ACK");
  kill_it(&v);
  read_all(fd, sent);
  close(fd);
}

static void closing(void) {
  int fd;
  struct victim v = connected(&fd);
  long sent = ask(&v, 'f');
  ask(&v, 's');
  MUST(shutdown(fd, SHUT_WR));
  is_in(&v, TCP_CLOSING, "CLOSING");
  kill_it(&v);
  read_all(fd, sent);
  close(fd);
}

static void time_wait(void) {
  int fd, on = 1;
  struct victim v = connected(&fd);
  ask(&v, 's');
  is_in(&v, TCP_FIN_WAIT2, "FIN_WAIT2");
  MUST(shutdown(fd, SHUT_WR));
  kill_it(&v);
  read_all(fd, 0);
  close(fd);
  int again = new_socket(SOCK_STREAM);
  MUST(setsockopt(again, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
  say("its port: bind %s", outcome(bind(again, (struct sockaddr *)&v.at, sizeof v.at)));
  say("listen %s", outcome(listen(again, 1)));
  close(again);
}

/* The connection lives as long as one of them does. */
static void shared(void) {
  int fd;
  struct victim v = connected(&fd);
  pid_t partner = (pid_t)ask(&v, 'p');
  struct pollfd end = {.fd = fd, .events = POLLIN};
  kill_it(&v);
  say("one is killed: %d", poll(&end, 1, QUIET_MS));
  MUST(kill(partner, SIGKILL));
  read_all(fd, 0);
  close(fd);
}

static const struct test_case cases[] = {
    {"listening", listening},
    {"not_accepted", not_accepted},
    {"idle", idle},
    {"unread", unread},
    {"partly_read", partly_read},
    {"unsent", unsent},
    {"both_full", both_full},
    {"fin_wait_1", fin_wait_1},
    {"fin_wait_2", fin_wait_2},
    {"close_wait", close_wait},
    {"close_wait_unread", close_wait_unread},
    {"close_wait_unsent", close_wait_unsent},
    {"last_ack", last_ack},
    {"closing", closing},
    {"time_wait", time_wait},
    {"shared", shared},
};

int main(int argc, char **argv) {
  return run_cases(argc, argv, cases, sizeof cases / sizeof *cases);
}
