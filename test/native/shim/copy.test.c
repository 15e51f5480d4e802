/* Copies over every length and alignment, and with a fault at every place of them. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../native/shim/shim.h"
#include "check.h"

enum { PAGE = 4096 };

/* Two pages, the second of which cannot be touched. */
static uint8_t *half_mapped(void) {
  uint8_t *at = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(at != MAP_FAILED && mprotect(at + PAGE, PAGE, PROT_NONE) == 0);
  return at;
}

static void every_length_and_alignment_is_copied(void) {
  static uint8_t from[1400], to[1400];
  for (size_t i = 0; i < sizeof from; i++) from[i] = (uint8_t)(i * 7 + 1);
  for (size_t n = 0; n < 1300; n += n < 140 ? 1 : 37) {
    for (size_t shift = 0; shift < 18; shift += 5) {
      memset(to, 0xa5, sizeof to);
      CHECK(mr_copy_to(to + 20, from + shift, n) == 0);
      CHECK(memcmp(to + 20, from + shift, n) == 0);
      CHECK(to[19] == 0xa5 && to[20 + n] == 0xa5);
    }
  }
}

static void a_fault_anywhere_is_an_error(void) {
  uint8_t *edge = half_mapped() + PAGE;
  static uint8_t mine[2048];
  static const size_t lengths[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 100, 511, 512, 513, 2000};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    size_t n = lengths[i];
    for (size_t before = 0; before < n; before += before < 40 ? 1 : 97) {
      CHECK(mr_copy_from(mine, edge - before, n) == -EFAULT);
      CHECK(mr_copy_to(edge - before, mine, n) == -EFAULT);
    }
    CHECK(mr_copy_from(mine, edge - n, n) == 0);
    CHECK(mr_copy_to(edge - n, mine, n) == 0);
  }
  CHECK(mr_copy_from(mine, NULL, 1) == -EFAULT);
  CHECK(mr_copy_from(mine, NULL, 0) == 0);
  CHECK(mr_copy_to((void *)0xdead00000000beefull, mine, 4) == -EFAULT); /* no address at all */
}

static volatile sig_atomic_t faults;
static void *fault_at;

static void on_fault(int signum, siginfo_t *info, void *context) {
  (void)context;
  faults++;
  CHECK(signum == SIGSEGV && info->si_addr == fault_at);
  mprotect((void *)((uintptr_t)fault_at & ~(uintptr_t)(PAGE - 1)), PAGE, PROT_READ | PROT_WRITE);
}

static void the_programs_own_handler_gets_its_own_faults(void) {
  uint8_t *edge = half_mapped() + PAGE;
  uint8_t byte = 1;
  struct sigaction mine = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, old;
  CHECK(sigaction(SIGSEGV, &mine, &old) == 0);
  CHECK(mr_copy_to(edge, &byte, 1) == -EFAULT && faults == 0);
  fault_at = edge;
  *(volatile uint8_t *)edge = 5; /* the handler maps it */
  CHECK(faults == 1 && *edge == 5);
  CHECK(mr_copy_to(edge, &byte, 1) == 0 && *edge == 1);
  struct sigaction now;
  CHECK(sigaction(SIGSEGV, &old, &now) == 0 && now.sa_sigaction == on_fault);
}

/* How a child that does `act` ends. */
static int end_of(void (*act)(void)) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    act();
    _exit(7);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child);
  return status;
}

static void guard(void) {
  char byte;
  struct sigaction standard = {.sa_handler = SIG_DFL};
  sigaction(SIGSEGV, &standard, NULL); /* the sanitizer's handler is not what is tested */
  CHECK(mr_copy_from(&byte, NULL, 1) == -EFAULT);
}
static void touch(void) {
  guard();
  *(volatile char *)8 = 1;
}
static void send_to_myself(void) {
  guard();
  kill(getpid(), SIGSEGV);
  for (;;) pause();
}
static void ignore_and_send(void) {
  guard();
  signal(SIGSEGV, SIG_IGN);
  kill(getpid(), SIGSEGV);
  CHECK(signal(SIGSEGV, SIG_DFL) == SIG_IGN);
  char byte;
  CHECK(mr_copy_from(&byte, NULL, 1) == -EFAULT);
}
static void ignore_and_touch(void) {
  guard();
  signal(SIGSEGV, SIG_IGN);
  *(volatile char *)8 = 1;
}

static void without_a_handler_a_fault_ends_the_program(void) {
  CHECK(WTERMSIG(end_of(touch)) == SIGSEGV);
  CHECK(WTERMSIG(end_of(send_to_myself)) == SIGSEGV);
  CHECK(WEXITSTATUS(end_of(ignore_and_send)) == 7);
  CHECK(WTERMSIG(end_of(ignore_and_touch)) == SIGSEGV);
}

int main(int argc, char **argv) {
  TEST(every_length_and_alignment_is_copied)
  TEST(a_fault_anywhere_is_an_error)
  TEST(the_programs_own_handler_gets_its_own_faults)
  TEST(without_a_handler_a_fault_ends_the_program)
  return 0;
}
