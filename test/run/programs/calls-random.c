/*
 * Random socket calls of two processes, over TCP and UDP, IPv4 and IPv6: `calls-random ADDRESS4 ADDRESS6 FIRST LAST
 * [PAUSE_US]` plays the games of those seeds and prints what each call said, and what poll says of all sockets after it.
 * What is drawn depends on the seed alone, never on what a call said; addresses and ports are printed by whose they are.
 * Between calls things come to rest, so that what is printed is no matter of time.
 */
#include "calls-random-moves.h"

/* ---- Games ---------------------------------------------------------------------------------------------- */

static void pass(int to) { MUST(write(turns[to][1], "", 1)); }
static void await_turn(void) {
  char byte;
  must(read(turns[me][0], &byte, 1) == 1, "turn");
}

/* Sockets that are not bound yet are each process's own to decide: docs/shim.md, "What differs". */
static void drop_undecided(void) {
  for (int i = 0; i < SLOTS; i++) {
    if (fds[i] >= 0 && is_undecided(i)) drop(i);
  }
}

/* Both run the same loop: who acts waits until the other has looked. */
static void play_on(uint32_t seed, int forks_at) {
  for (int step = forks_at; step < STEPS; step++) {
    state = seed * 1000003u + (uint32_t)step * 7919u;
    int whose = (int)draw(PROCESSES);
    if (whose == me) {
      call();
      come_to_rest();
      for (int i = 0; i < SLOTS; i++) note_port(i);
      look();
      pass(1 - me);
      await_turn();
    } else {
      await_turn();
      look();
      pass(whose);
    }
  }
}

static void play(uint32_t seed) {
  me = 0;
  *looked = '\0';
  memset(shared, 0, sizeof *shared);
  for (int i = 0; i < SLOTS; i++) fds[i] = -1;
  for (int i = 0; i < PROCESSES; i++) MUST(pipe2(turns[i], O_CLOEXEC));
  MUST(epfd = epoll_create1(EPOLL_CLOEXEC));
  state = seed;
  int forks_at = draw(2) == 0 ? 0 : (int)draw(25);
  for (int step = 0; step < forks_at; step++) {
    state = seed * 1000003u + (uint32_t)step * 7919u;
    call();
    come_to_rest();
    for (int i = 0; i < SLOTS; i++) note_port(i);
    look();
  }
  drop_undecided();
  for (int i = 0; i < SLOTS; i++) is_inherited[i] = true;
  say("fork");
  pid_t child = fork();
  MUST(child);
  if (child == 0) {
    me = 1;
    close(epfd);
    MUST(epfd = epoll_create1(EPOLL_CLOEXEC));
    for (int i = 0; i < SLOTS; i++) note_port(i);
  }
  play_on(seed, forks_at);
  for (int i = 0; i < SLOTS; i++) drop(i);
  if (child == 0) _exit(0);
  int status;
  MUST(waitpid(child, &status, 0));
  must(status == 0, "the other process");
  close(epfd);
  for (int i = 0; i < PROCESSES; i++) {
    close(turns[i][0]);
    close(turns[i][1]);
  }
}

int main(int argc, char **argv) {
  if (argc < 5 || inet_pton(AF_INET, argv[1], &home4) != 1 || inet_pton(AF_INET6, argv[2], &home6) != 1) return 2;
  if (argc > 5) pause_us = atoi(argv[5]);
  signal(SIGPIPE, SIG_IGN);
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  must(shared != MAP_FAILED, "mmap");
  base_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = home4};
  struct sockaddr_in at;
  resting = listener(&at);
  for (uint32_t seed = (uint32_t)atoi(argv[3]); seed <= (uint32_t)atoi(argv[4]); seed++) {
    printf("seed %u\n", seed);
    fflush(stdout);
    alarm(60);
    play(seed);
  }
  return 0;
}
