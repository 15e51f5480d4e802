/* A program whose filter of system calls allows what it uses: its sockets go on. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "say.h"

#ifdef SYS_readlink
#define READLINK SYS_readlink
#else
#define READLINK SYS_readlinkat
#endif

static int a, b;

/* A thread whose first lock this is. */
static void *talk(void *nothing) {
  char byte;
  SAY(send(a, "x", 1, 0));
  SAY(recv(b, &byte, 1, 0));
  return nothing;
}

int main(int argc, char **argv) {
  int pair[2];
  start(argc, argv);
  stream(&a, &b);
  pthread_t thread;
  pthread_create(&thread, NULL, talk, NULL); /* libc sets a handler with the first one */
  pthread_join(thread, NULL);
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
  SAY(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter));
  struct pollfd fds = {.fd = pair[0], .events = POLLIN};
  SAY(write(pair[1], "x", 1));
  SAY(poll(&fds, 1, 0));
  pthread_create(&thread, NULL, talk, NULL);
  pthread_join(thread, NULL);
  fflush(stdout);
  _exit(0);
}
