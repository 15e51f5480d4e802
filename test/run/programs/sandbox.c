/*
 * Programs that lock themselves in: a filter of system calls that allows what they use, and what OpenSSH's child
 * before the login and vsftpd's sessions do: they serve a connection of their parent's with no room for
 * descriptors, and a filter that kills.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>

#include "say.h"

#define ALLOW(number)                                     \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), \
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* As sandbox-seccomp-filter.c of OpenSSH 9.2 has it, without those that only its own functions need, and
 * with what a handler ends by. */
static struct sock_filter of_openssh[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    ALLOW(SYS_brk),
    ALLOW(SYS_clock_gettime),
    ALLOW(SYS_clock_nanosleep),
    ALLOW(SYS_close),
    ALLOW(SYS_exit),
    ALLOW(SYS_exit_group),
    ALLOW(SYS_futex),
    ALLOW(SYS_getpid),
    ALLOW(SYS_getrandom),
    ALLOW(SYS_gettimeofday),
    ALLOW(SYS_madvise),
    ALLOW(SYS_mmap),
    ALLOW(SYS_mremap),
    ALLOW(SYS_munmap),
    ALLOW(SYS_nanosleep),
    ALLOW(SYS_ppoll),
    ALLOW(SYS_pselect6),
    ALLOW(SYS_read),
    ALLOW(SYS_rt_sigprocmask),
    ALLOW(SYS_rt_sigreturn),
    ALLOW(SYS_shutdown),
    ALLOW(SYS_write),
    ALLOW(SYS_writev),
#ifdef SYS_poll
    ALLOW(SYS_poll),
    ALLOW(SYS_select),
    ALLOW(SYS_time),
#endif
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};

/* The least that the child below calls: it waits by select alone. */
static struct sock_filter of_few[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    ALLOW(SYS_exit_group),
    ALLOW(SYS_pselect6),
    ALLOW(SYS_read),
    ALLOW(SYS_write),
#ifdef SYS_select
    ALLOW(SYS_select),
#endif
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};

struct confinement {
  const char *name;
  int most; /* descriptors; -1: as many as before */
  struct sock_filter *code;
  unsigned short count;
  bool by_number;
};

static int lock_in(const struct confinement *by) {
  struct rlimit none = {(rlim_t)by->most, (rlim_t)by->most};
  struct sock_fprog filter = {.len = by->count, .filter = by->code};
  if (by->most >= 0 && setrlimit(RLIMIT_NOFILE, &none) < 0) return -1;
  if (by->code == NULL) return 0;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -1;
  if (by->by_number) return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

/* Echoes until the end, having waited for each byte in one of three ways; then tells the pipe. */
static void serve(int fd, int pipe_end, int end_of_parent, const struct confinement *by) {
  close(end_of_parent);
  if (lock_in(by) < 0) _exit(2);
  char byte;
  for (int turn = 0;; turn++) {
    fd_set in;
    FD_ZERO(&in);
    FD_SET(fd, &in);
    struct pollfd one = {.fd = fd, .events = POLLIN};
    bool may_poll = by->most != 0 && by->code != of_few;
    if (turn % 3 == 1 && may_poll && poll(&one, 1, LONG_MS) != 1) _exit(3);
    if (turn % 3 == 2 && select(fd + 1, &in, NULL, NULL, NULL) != 1) _exit(4);
    ssize_t n = read(fd, &byte, 1);
    if (n == 0) break;
    if (n < 0) _exit(5);
    byte++;
    if (write(fd, &byte, 1) != 1) _exit(6);
  }
  if (write(pipe_end, "e", 1) != 1) _exit(7);
  _exit(0);
}

static void converse(const struct confinement *by) {
  section(by->name);
  int a, b, ends[2], status = -1;
  stream(&a, &b);
  must(pipe(ends) == 0, "pipe");
  pid_t child = fork();
  if (child == 0) serve(b, ends[1], a, by);
  close(b);
  close(ends[1]);
  char byte;
  for (int i = 0; i < 6; i++) {
    byte = (char)('a' + i);
    usleep(i % 2 * 20000); /* the child sleeps, or it does not */
    SAY(write(a, &byte, 1));
    SAY(await(a, POLLIN));
    SAY(read(a, &byte, 1));
    printf("%c\n", byte);
  }
  SAY(shutdown(a, SHUT_WR));
  SAY(read(ends[0], &byte, 1));
  must(waitpid(child, &status, 0) == child, "waitpid");
  printf("status %d\n", status);
  close(a);
  close(ends[0]);
}

/* The handler of SIGPIPE is called though the filter has no tgkill. */
static void write_to_nobody(void) {
  section("SIGPIPE");
  int a, b, status = -1;
  stream(&a, &b);
  pid_t child = fork();
  if (child == 0) {
    close(a);
    catch_signal(SIGPIPE, 0);
    struct confinement by = {"", 1, of_openssh, sizeof of_openssh / sizeof of_openssh[0], false};
    if (lock_in(&by) < 0) _exit(2);
    char byte;
    if (read(b, &byte, 1) != 1) _exit(3);
    shutdown(b, SHUT_WR);
    bool is_epipe = write(b, "x", 1) < 0 && errno == EPIPE;
    _exit(is_epipe && caught[SIGPIPE] == 1 ? 0 : 4);
  }
  close(b);
  SAY(write(a, "x", 1));
  must(waitpid(child, &status, 0) == child, "waitpid");
  printf("status %d\n", status);
  close(a);
}

/* How many wildcard-bound sockets there is room for. */
static void fill(int type) {
  static const int most = 64;
  struct rlimit before, few;
  must(getrlimit(RLIMIT_NOFILE, &before) == 0, "getrlimit");
  few = (struct rlimit){(rlim_t)most, before.rlim_max};
  must(setrlimit(RLIMIT_NOFILE, &few) == 0, "setrlimit");
  struct sockaddr_storage any = {.ss_family = home.ss_family};
  int fds[64], count = 0;
  while (count < most && (fds[count] = socket(home.ss_family, type, 0)) >= 0) {
    must(bind(fds[count], (struct sockaddr *)&any, home_bytes) == 0, "bind");
    must(type == SOCK_DGRAM || listen(fds[count], 1) == 0, "listen");
    count++;
  }
  printf("%d sockets, then %s\n", count, strerrorname_np(errno));
  must(getrlimit(RLIMIT_NOFILE, &few) == 0, "getrlimit");
  printf("the limit is %d\n", (int)few.rlim_cur);
  for (int i = 0; i < count; i++) close(fds[i]);
  must(setrlimit(RLIMIT_NOFILE, &before) == 0, "setrlimit");
}

#ifdef SYS_readlink
#define READLINK SYS_readlink
#else
#define READLINK SYS_readlinkat
#endif

static int near_end, far_end;

/* A thread whose first lock this is. */
static void *talk(void *nothing) {
  char byte;
  SAY(send(near_end, "x", 1, 0));
  SAY(recv(far_end, &byte, 1, 0));
  return nothing;
}

static void talk_in_a_thread(void) {
  pthread_t thread;
  must(pthread_create(&thread, NULL, talk, NULL) == 0, "pthread_create");
  pthread_join(thread, NULL);
}

static void filter_at_last(void) {
  section("a filter of the process's own");
  int pair[2];
  stream(&near_end, &far_end);
  talk_in_a_thread(); /* libc sets a handler with the first one */
  socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigaction, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_readlinkat, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, READLINK, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {.len = sizeof code / sizeof code[0], .filter = code};
  SAY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  SAY(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL));
  SAY(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter));
  struct pollfd fds = {.fd = pair[0], .events = POLLIN};
  SAY(write(pair[1], "x", 1));
  SAY(poll(&fds, 1, 0));
  talk_in_a_thread();
}

int main(int argc, char **argv) {
  start(argc, argv);
#define CODE(name) name, sizeof name / sizeof name[0]
  const struct confinement kinds[] = {
      {"room for one descriptor", 1, NULL, 0, false},
      {"room for none", 0, NULL, 0, false},
      {"the filter of OpenSSH", -1, CODE(of_openssh), false},
      {"both, as sshd", 1, CODE(of_openssh), false},
      {"by its number, and select alone", 0, CODE(of_few), true},
  };
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) converse(&kinds[i]);
  write_to_nobody();
  section("as many sockets as RLIMIT_NOFILE says");
  fill(SOCK_DGRAM);
  fill(SOCK_STREAM);
  filter_at_last();
  fflush(stdout);
  _exit(0);
}
