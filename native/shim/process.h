/* fork.c and exec.c, for the functions that interpose them. */
#ifndef MILLRACE_PROCESS_H
#define MILLRACE_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/* Around every way to fork; libc's fork, daemon and forkpty call them by pthread_atfork. */
void mr_before_fork(void);
void mr_after_fork_in_parent(void);
void mr_after_fork_in_child(void);

/* Around a clone with CLONE_VM and without CLONE_FILES; whether the child can be told from its parent. */
bool mr_lodger_begin(unsigned long flags);
void mr_lodger_end(bool is_child);

/* An environment for a program to be started: the one given, and what the shim needs to be in there, too. */
struct mr_environment {
  char **variables;
  void *memory;
  size_t bytes;
};
/* `more`: one variable that is added, or "". */
struct mr_environment mr_environment_kept(char *const given[], const char *more);
void mr_environment_free(struct mr_environment *made);

/* activation.c: which descriptors a service manager has bound for this process, and making one of them Millrace's
 * when the door is open. */
struct mr_given {
  int from, to; /* to: not itself */
};
struct mr_given mr_activation(void);
void mr_activate(int fd);

#endif
