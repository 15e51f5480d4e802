/*
 * Another way to the engine, for processes that may not go to its socket any more: servers become another user
 * when they have opened their ports, or have another root. Who is about to do so makes its session before. From
 * then on the process gives the engine a pair's end for each one that it starts, as its own message: the other
 * end is that process's control socket.
 *
 * | the new process came by | its end is                                                               |
 * |-------------------------|--------------------------------------------------------------------------|
 * | fork                    | made by itself, with the socket of its parent, which it then gives up    |
 * | exec, posix_spawn       | made before, and named in MILLRACE_DOOR                                  |
 * | system, popen           | made before, and known by its MARK: nobody can add to that environment   |
 *
 * It says HELLO there at once, and takes the answer when it first needs its session: an engine that has stopped holds
 * up nobody who only starts processes.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/fsuid.h>
#include <sys/mman.h>

#include "core.h"
#include "interpose.h"
#include "process.h"

#define NAME "MILLRACE_DOOR"

static atomic_bool is_confined;
static int door = -1; /* the next link's control socket */

/*
 * Of an engine that has stopped the control socket fills up some time. Who starts a process waits so long for room, and
 * if that was in vain less long the next time, as do all that have come by fork, until there is room again.
 */
#define ROOM_NS 200000000LL
#define NEXT_ROOM_NS 5000000LL
static atomic_uint *was_full; /* memory that they share, or NULL */

static void confine(void) {
  if (atomic_exchange(&is_confined, true)) return;
  void *shared = mmap(NULL, sizeof *was_full, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared != MAP_FAILED) was_full = shared;
}

/* SO_RCVLOWAT of a door, by which nothing but a door can be known: it has no effect on this kind of socket. */
#define MARK 0x646f6f72

/* ---- Room for descriptors ---------------------------------------------------------------------------- */

/*
 * A program that has none left may still start processes, whose way to the engine takes two for a moment: a
 * pair, then what comes with the engine's answer.
 */
static atomic_int rooms[2]; /* + 1; 0: none */

void mr_door_make_room(void) {
  for (int i = 0; i < 2; i++) {
    int fd = atomic_exchange(&rooms[i], 0) - 1;
    if (fd < 0) continue;
    mr_fd_clear(fd);
    real.close(fd);
  }
}

void mr_door_keep_room(void) {
  if (!atomic_load(&is_confined)) return;
  for (int i = 0; i < 2; i++) {
    int none = 0, fd = atomic_load(&rooms[i]) == 0 ? real.eventfd(0, EFD_CLOEXEC) : -1;
    if (fd < 0) continue;
    fd = mr_fd_hide(fd);
    if (atomic_compare_exchange_strong(&rooms[i], &none, fd + 1)) continue;
    mr_fd_clear(fd);
    real.close(fd);
  }
}

/* ---- Who will not find the engine's socket --------------------------------------------------------- */

void mr_door_confine(void) {
  const char *path = mr_environment_get("MILLRACE_ENGINE");
  if (path == NULL || *path == '\0' || atomic_load(&is_confined)) return;
  int saved = errno;
  mr_enter();
  mr_holder(); /* while it still sees /proc */
  mr_link_begin();
  if (mr_link_control() >= 0) {
    confine();
    mr_door_keep_room();
  }
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

/* libc has it, and no header that declares it. */
EXPORT int capset(cap_user_header_t header, const cap_user_data_t data);
EXPORT int capset(cap_user_header_t header, const cap_user_data_t data) {
  mr_door_confine();
  return (int)real.syscall(SYS_capset, (long)header, (long)data, 0, 0, 0, 0);
}

/* ---- Those that it starts -------------------------------------------------------------------------- */

/*
 * Doors that programs about to be started are to inherit, by exec or inside libc: not close-on-exec. They are for no
 * other program: a child of fork closes them.
 */
#define OPEN_DOORS 32
static atomic_int open_doors[OPEN_DOORS]; /* + 1; 0: none */

/* False: too many. */
static bool note_door(int fd) {
  for (int i = 0; i < OPEN_DOORS; i++) {
    int none = 0;
    if (atomic_compare_exchange_strong(&open_doors[i], &none, fd + 1)) return true;
  }
  return false;
}

/* Whether it was noted, and is not any more. */
static bool forget_door(int fd) {
  for (int i = 0; i < OPEN_DOORS; i++) {
    int noted = fd + 1;
    if (atomic_compare_exchange_strong(&open_doors[i], &noted, 0)) return true;
  }
  return false;
}

static void close_doors(void) {
  for (int i = 0; i < OPEN_DOORS; i++) {
    int fd = atomic_exchange(&open_doors[i], 0) - 1;
    if (fd < 0) continue;
    mr_fd_clear(fd);
    real.close(fd);
  }
}

/* A control socket for somebody, or -1. */
static int make(int control_fd, int flags) {
  int pair[2];
  if (!mr_allows(SYS_socketpair) || !mr_allows(SYS_sendmsg) || mr_pair_make(pair, flags) < 0) return -1;
  bool is_first = was_full == NULL || atomic_load(was_full) == 0;
  int64_t wait_ns = mr_engine_is_stopped(mr_link_now) ? 0 : is_first ? ROOM_NS : NEXT_ROOM_NS;
  int failed = mr_control_give(control_fd, MR_MSG_DOOR, pair[1], wait_ns);
  if (was_full != NULL) atomic_store(was_full, failed == -ETIMEDOUT);
  real.close(pair[1]);
  if (failed == 0) return pair[0];
  real.close(pair[0]);
  return -1;
}

void mr_door_inherit(int control_fd) {
  if (!atomic_load(&is_confined)) return;
  close_doors();
  mr_door_make_room();
  if (control_fd >= 0) door = make(control_fd, SOCK_CLOEXEC);
}

void mr_door_enter(void) {
  if (door < 0) return;
  mr_link_begin();
  mr_door_keep_room();
}

int mr_door_take(void) {
  int taken = door;
  door = -1;
  return taken;
}

bool mr_door_is_there(void) { return door >= 0; }

int mr_door_for_program(char variable[MR_DOOR_BYTES]) {
  variable[0] = '\0';
  if (!atomic_load(&is_confined)) return -1;
  int saved = errno, mark = MARK, cancelable;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelable);
  mr_link_begin();
  int control_fd = mr_link_control();
  if (control_fd >= 0) mr_door_make_room();
  int fd = control_fd < 0 ? -1 : make(control_fd, SOCK_CLOEXEC);
  if (fd >= 0) {
    fd = mr_fd_hide(fd); /* not a number that the program's actions, or its closed streams, have plans for */
    if (!note_door(fd)) {
      mr_fd_clear(fd);
      real.close(fd);
      fd = -1;
    }
  }
  if (fd >= 0) {
    real.setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof mark);
    real.fcntl(fd, F_SETFD, (void *)0);
    snprintf(variable, MR_DOOR_BYTES, NAME "=%d:%llu", fd, (unsigned long long)mr_inode_of(fd));
  }
  pthread_setcancelstate(cancelable, NULL);
  errno = saved;
  return fd;
}

void mr_door_close(int fd) {
  int saved = errno;
  if (fd >= 0 && forget_door(fd)) { /* else this is a child, forked by a signal's handler meanwhile */
    mr_fd_clear(fd);
    real.close(fd);
  }
  mr_door_keep_room();
  errno = saved;
}

/* Others may have it too, started at the same time or by a program without this library: one's own is another. */
static void use(int fd) {
  confine();
  if (door < 0) door = make(fd, SOCK_CLOEXEC);
  real.close(fd);
  mr_door_enter();
}

bool mr_door_is(int fd) {
  int mark = 0;
  socklen_t bytes = sizeof mark;
  if (real.getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &mark, &bytes) < 0 || mark != MARK) return false;
  use(fd);
  return true;
}

void mr_door_open(void) {
  const char *value = getenv(NAME);
  if (value == NULL) return;
  char *after;
  int fd = (int)strtol(value, &after, 10);
  uint64_t inode = *after == ':' ? strtoull(after + 1, NULL, 10) : 0;
  unsetenv(NAME);
  confine();
  if (inode != 0 && mr_inode_of(fd) == inode) use(fd); /* else the number is something else's by now */
}
