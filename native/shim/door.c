/*
 * Another way to the engine, for processes that may not go to its socket any more: servers become another user
 * when they have opened their ports, or have another root. Who is about to do so makes its session before. From
 * then on the process gives the engine a pair's end for each one that it starts, as its own message: the other
 * end is that process's control socket.
 *
 * | the new process came by | its end is                        | and says HELLO        |
 * |-------------------------|-----------------------------------|-----------------------|
 * | fork                    | made by itself, with the socket   | at once: then it has  |
 * |                         | of its parent, which it then gives up | what it inherited |
 * | exec, posix_spawn       | made before, named in MILLRACE_DOOR | when the library starts |
 */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/fsuid.h>

#include "core.h"
#include "interpose.h"
#include "process.h"

#define NAME "MILLRACE_DOOR"

static atomic_bool is_confined;
static int door = -1; /* the next link's control socket */

/* ---- Who will not find the engine's socket --------------------------------------------------------- */

void mr_door_confine(void) {
  const char *path = mr_environment_get("MILLRACE_ENGINE");
  if (path == NULL || *path == '\0' || atomic_load(&is_confined)) return;
  int saved = errno;
  mr_enter();
  if (mr_link_get() != NULL) atomic_store(&is_confined, true);
  mr_leave();
  errno = saved;
}

#define CONFINING(name, parameters, arguments) \
  EXPORT int name parameters {                 \
    mr_door_confine();                         \
    return real.name arguments;                \
  }
CONFINING(setuid, (uid_t user), (user))
CONFINING(seteuid, (uid_t user), (user))
CONFINING(setreuid, (uid_t user, uid_t effective), (user, effective))
CONFINING(setresuid, (uid_t user, uid_t effective, uid_t saved), (user, effective, saved))
CONFINING(setfsuid, (uid_t user), (user))
CONFINING(chroot, (const char *folder), (folder))
CONFINING(unshare, (int flags), (flags))
CONFINING(setns, (int fd, int type), (fd, type))

/* ---- Those that it starts -------------------------------------------------------------------------- */

/* A control socket for somebody, or -1. */
static int make(int control_fd, int flags) {
  int pair[2];
  if (mr_pair_make(pair, flags) < 0) return -1;
  bool was_given = mr_control_give(control_fd, MR_MSG_DOOR, pair[1]) == 0;
  real.close(pair[1]);
  if (was_given) return pair[0];
  real.close(pair[0]);
  return -1;
}

void mr_door_inherit(int control_fd) {
  if (atomic_load(&is_confined) && control_fd >= 0) door = make(control_fd, SOCK_CLOEXEC);
}

void mr_door_enter(void) {
  if (door >= 0) mr_link_get();
}

int mr_door_take(void) {
  int taken = door;
  door = -1;
  return taken;
}

int mr_door_for_program(char variable[MR_DOOR_BYTES]) {
  variable[0] = '\0';
  if (!atomic_load(&is_confined)) return -1;
  int saved = errno;
  struct mr_link *link = mr_link_get();
  int fd = link == NULL ? -1 : make(link->control_fd, SOCK_CLOEXEC);
  if (fd >= 0) {
    fd = mr_fd_hide(fd); /* not a number that the program's actions, or its closed streams, have plans for */
    real.fcntl(fd, F_SETFD, (void *)0);
    snprintf(variable, MR_DOOR_BYTES, NAME "=%d:%llu", fd, (unsigned long long)mr_inode_of(fd));
  }
  errno = saved;
  return fd;
}

void mr_door_close(int fd) {
  int saved = errno;
  if (fd >= 0) {
    mr_fd_clear(fd);
    real.close(fd);
  }
  errno = saved;
}

void mr_door_open(void) {
  const char *value = getenv(NAME);
  if (value == NULL) return;
  char *after;
  int fd = (int)strtol(value, &after, 10);
  uint64_t inode = *after == ':' ? strtoull(after + 1, NULL, 10) : 0;
  unsetenv(NAME);
  atomic_store(&is_confined, true);
  if (inode == 0 || mr_inode_of(fd) != inode) return; /* the number is something else's by now */
  /* Others may have it too, started at the same time or by a program without this library: one's own is another. */
  door = make(fd, SOCK_CLOEXEC);
  real.close(fd);
  mr_link_get(); /* the engine does not wait long for who says nothing */
}
