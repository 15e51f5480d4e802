/*
 * system(3), as POSIX describes it and glibc has it. libc's own would start the shell where nobody can add to its
 * environment, and keep what is there for the shell alone (door.c) open until the command has ended; while it
 * runs no connection of the process's could be made of a spare end (spare.c).
 */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core.h"
#include "interpose.h"

extern char **environ;

#define NOT_FOUND (127 << 8) /* as if the shell had ended so */

/* SIGINT and SIGQUIT are ignored while any thread is in there. */
static struct mr_mutex mutex;
static int inside;
static struct sigaction interrupt, quit;

struct running {
  pid_t shell;
  sigset_t mask; /* before */
};

static void begin(struct running *running, sigset_t *defaults) {
  struct sigaction ignore = {.sa_handler = SIG_IGN};
  sigset_t child;
  sigemptyset(defaults);
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  mr_mutex_lock(&mutex);
  if (inside++ == 0) {
    real.sigaction(SIGINT, &ignore, &interrupt);
    real.sigaction(SIGQUIT, &ignore, &quit);
  }
  if (interrupt.sa_handler != SIG_IGN) sigaddset(defaults, SIGINT);
  if (quit.sa_handler != SIG_IGN) sigaddset(defaults, SIGQUIT);
  mr_mutex_unlock(&mutex);
  pthread_sigmask(SIG_BLOCK, &child, &running->mask);
}

static void end(const struct running *running) {
  mr_mutex_lock(&mutex);
  if (--inside == 0) {
    real.sigaction(SIGINT, &interrupt, NULL);
    real.sigaction(SIGQUIT, &quit, NULL);
  }
  mr_mutex_unlock(&mutex);
  pthread_sigmask(SIG_SETMASK, &running->mask, NULL);
}

/* 0 or an error number. */
static int start_shell(struct running *running, const sigset_t *defaults, const char *command) {
  posix_spawnattr_t attributes;
  int failed = posix_spawnattr_init(&attributes);
  if (failed != 0) return failed;
  posix_spawnattr_setsigmask(&attributes, &running->mask);
  posix_spawnattr_setsigdefault(&attributes, defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  char *words[] = {"sh", "-c", "--", (char *)(uintptr_t)command, NULL};
  failed = posix_spawn(&running->shell, "/bin/sh", NULL, &attributes, words, environ);
  posix_spawnattr_destroy(&attributes);
  return failed;
}

/* A thread that waits may be cancelled: then the shell ends, too. */
static void give_up(void *context) {
  const struct running *running = context;
  kill(running->shell, SIGKILL);
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
  while (waitpid(running->shell, NULL, 0) < 0 && errno == EINTR) {
  }
  end(running);
}

static int await_shell(struct running *running, int cancelable) {
  int status = -1;
  pid_t ended;
  pthread_cleanup_push(give_up, running);
  pthread_setcancelstate(cancelable, NULL);
  while ((ended = waitpid(running->shell, &status, 0)) < 0 && errno == EINTR) {
  }
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
  pthread_cleanup_pop(0);
  return ended == running->shell ? status : -1;
}

static int run(const char *command) {
  struct running running;
  sigset_t defaults;
  int cancelable;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelable);
  begin(&running, &defaults);
  int failed = start_shell(&running, &defaults, command);
  int status = failed == 0 ? await_shell(&running, cancelable) : NOT_FOUND;
  int saved = failed != 0 ? failed : errno;
  end(&running);
  pthread_setcancelstate(cancelable, NULL);
  errno = saved;
  return status;
}

EXPORT int system(const char *command) {
  return command == NULL ? run("exit 0") == 0 : run(command);
}
