/*
 * exec. A program that this one starts keeps the preload library and Millrace's variables, whatever
 * environment it is given, and finds the accelerated sockets that it inherits.
 */
#include <alloca.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "core.h"
#include "interpose.h"
#include "process.h"
#include "signals.h"

extern char **environ;

/* ---- What must be in the environment --------------------------------------------------------------- */

#define MOST_KEPT 64

static char *kept[MOST_KEPT];      /* "NAME=value" of this process's start */
static char *library;              /* path of this library */
static const char PRELOAD[] = "LD_PRELOAD=";

static bool is_kept_name(const char *variable) {
  return strncmp(variable, "MILLRACE_", 9) == 0 && strncmp(variable, "MILLRACE_DOOR=", 14) != 0;
}

/* Copies, because the program may change what the environment points to. */
static void remember_environment(void) {
  Dl_info self;
  int n = 0;
  if (dladdr((void *)&kept, &self) != 0 && self.dli_fname != NULL) library = strdup(self.dli_fname);
  for (char **at = environ; at != NULL && *at != NULL && n < MOST_KEPT; at++) {
    if (is_kept_name(*at)) kept[n++] = strdup(*at);
  }
}

/* Length of NAME in "NAME=value". */
static size_t name_length(const char *variable) {
  const char *end = strchr(variable, '=');
  return end == NULL ? strlen(variable) : (size_t)(end - variable);
}

static bool has_name(char *const given[], const char *variable) {
  size_t n = name_length(variable);
  for (; given != NULL && *given != NULL; given++) {
    if (strncmp(*given, variable, n) == 0 && (*given)[n] == '=') return true;
  }
  return false;
}

static bool was_preloaded(void) {
  static int known = -1;
  const char *value = known < 0 ? getenv("LD_PRELOAD") : NULL;
  if (known < 0) known = library != NULL && value != NULL && strstr(value, library) != NULL;
  return known > 0;
}

/* Memory comes from mmap: after fork in a program with threads malloc may not be called. */
struct mr_environment mr_environment_kept(char *const given[], const char *more) {
  struct mr_environment same = {.variables = (char **)given};
  size_t n = 0, text = 0, missing = 0;
  bool has_preload = false;
  if (!was_preloaded()) return same;
  for (; given != NULL && given[n] != NULL; n++) {
    if (strncmp(given[n], PRELOAD, sizeof PRELOAD - 1) != 0) continue;
    if (strstr(given[n], library) != NULL) has_preload = true;
    else text = strlen(given[n]);
  }
  for (int i = 0; i < MOST_KEPT && kept[i] != NULL; i++) missing += !has_name(given, kept[i]);
  missing += *more != '\0';
  if (has_preload && missing == 0) return same;
  text += sizeof PRELOAD + strlen(library) + 2;
  size_t bytes = (n + missing + 2) * sizeof(char *) + text;
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return same;
  char **made = memory;
  size_t at = 0;
  char *preload = (char *)memory + (n + missing + 2) * sizeof(char *);
  strcat(strcpy(preload, PRELOAD), library);
  for (size_t i = 0; i < n; i++) {
    bool is_preload = strncmp(given[i], PRELOAD, sizeof PRELOAD - 1) == 0;
    if (is_preload && !has_preload) {
      const char *others = given[i] + sizeof PRELOAD - 1;
      if (*others != '\0') strcat(strcat(preload, ":"), others);
    } else {
      made[at++] = given[i];
    }
  }
  if (!has_preload) made[at++] = preload;
  for (int i = 0; i < MOST_KEPT && kept[i] != NULL; i++) {
    if (!has_name(given, kept[i])) made[at++] = kept[i];
  }
  if (*more != '\0') made[at++] = (char *)(uintptr_t)more;
  made[at] = NULL;
  return (struct mr_environment){.variables = made, .memory = memory, .bytes = bytes};
}

void mr_environment_free(struct mr_environment *made) {
  int saved = errno;
  if (made->memory != NULL) munmap(made->memory, made->bytes);
  errno = saved;
}

/* Without this library a program has no use for either. */
static int door_for(char variable[MR_DOOR_BYTES], bool is_exec) {
  variable[0] = '\0';
  if (!was_preloaded()) return -1;
  mr_share_bound(is_exec);
  return mr_door_for_program(variable);
}

/* ---- Starting programs ----------------------------------------------------------------------------- */

#define EXEC(environment, call)                                      \
  char variable[MR_DOOR_BYTES];                                      \
  int door = door_for(variable, true);                               \
  struct mr_environment kept_too = mr_environment_kept(environment, variable); \
  char **variables = kept_too.variables;                             \
  mr_signals_for_exec(false);                                        \
  int result = call;                                                 \
  mr_signals_for_exec(true);                                         \
  mr_environment_free(&kept_too);                                    \
  mr_door_close(door);                                               \
  return result

EXPORT int execve(const char *path, char *const arguments[], char *const environment[]) {
  EXEC(environment, real.execve(path, arguments, variables));
}
EXPORT int execvpe(const char *file, char *const arguments[], char *const environment[]) {
  EXEC(environment, real.execvpe(file, arguments, variables));
}
EXPORT int fexecve(int fd, char *const arguments[], char *const environment[]) {
  EXEC(environment, real.fexecve(fd, arguments, variables));
}
EXPORT int execveat(int folder, const char *path, char *const arguments[], char *const environment[],
                    int flags) {
  EXEC(environment, real.execveat(folder, path, arguments, variables, flags));
}
EXPORT int execv(const char *path, char *const arguments[]) {
  return execve(path, arguments, environ);
}
EXPORT int execvp(const char *file, char *const arguments[]) {
  return execvpe(file, arguments, environ);
}

/* The arguments of an execl as an array on the caller's stack; `rest` is left behind the NULL. */
#define COLLECT(first, rest, arguments)                                          \
  size_t n = 1;                                                                  \
  va_list counted;                                                               \
  va_copy(counted, rest);                                                        \
  while (va_arg(counted, char *) != NULL) n++;                                   \
  va_end(counted);                                                               \
  char **arguments = alloca((n + 1) * sizeof(char *));                           \
  arguments[0] = (char *)first;                                                  \
  for (size_t i = 1; i <= n; i++) arguments[i] = va_arg(rest, char *)

EXPORT int execl(const char *path, const char *first, ...) {
  va_list rest;
  va_start(rest, first);
  COLLECT(first, rest, arguments);
  va_end(rest);
  return execv(path, arguments);
}
EXPORT int execlp(const char *file, const char *first, ...) {
  va_list rest;
  va_start(rest, first);
  COLLECT(first, rest, arguments);
  va_end(rest);
  return execvp(file, arguments);
}
EXPORT int execle(const char *path, const char *first, ...) {
  va_list rest;
  va_start(rest, first);
  COLLECT(first, rest, arguments);
  char **environment = va_arg(rest, char **);
  va_end(rest);
  return execve(path, arguments, environment);
}

#define SPAWN(name)                                                                                 \
  EXPORT int name(pid_t *child, const char *path, const posix_spawn_file_actions_t *actions,        \
                  const posix_spawnattr_t *attributes, char *const arguments[],                     \
                  char *const environment[]) {                                                      \
    char variable[MR_DOOR_BYTES];                                                                   \
    int door = door_for(variable, false);                                                           \
    struct mr_environment kept_too = mr_environment_kept(environment, variable);                    \
    mr_spares_giving();                                                                             \
    int result = real.name(child, path, actions, attributes, arguments, kept_too.variables);        \
    mr_spares_given();                                                                              \
    mr_environment_free(&kept_too);                                                                 \
    mr_door_close(door);                                                                            \
    return result;                                                                                  \
  }
SPAWN(posix_spawn)
SPAWN(posix_spawnp)

/* libc starts the shell where nobody sees it. */
EXPORT FILE *popen(const char *command, const char *mode) {
  char unused[MR_DOOR_BYTES];
  int door = door_for(unused, false);
  mr_spares_giving();
  FILE *stream = real.popen(command, mode);
  mr_spares_given();
  mr_door_close(door);
  return stream;
}

/* ---- Descriptors that came from elsewhere ----------------------------------------------------------- */

/* Its address family, or -1: it is no socket. */
static int family_of(int fd) {
  struct stat what;
  int family = -1;
  socklen_t bytes = sizeof family;
  if (fstat(fd, &what) < 0 || !S_ISSOCK(what.st_mode)) return -1;
  return real.getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &bytes) < 0 ? -1 : family;
}

/* The pair of an accelerated socket is of AF_UNIX and SOCK_SEQPACKET, which hardly anything else is. */
static bool may_be_ours(int fd) {
  int type = 0;
  socklen_t bytes = sizeof type;
  if (family_of(fd) != AF_UNIX) return false;
  return real.getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) == 0 && type == SOCK_SEQPACKET;
}

/* A socket that came as the kernel's stays so, whatever is done with it here. Who looks for the reason is told. */
static void say_if_kernels(int fd) {
  int family = family_of(fd);
  if (family != AF_INET && family != AF_INET6) return;
  mr_debug("fd %d stays with the kernel: another process passed it on before it was Millrace's", fd);
}

static void adopt(int fd) {
  if (!may_be_ours(fd)) return;
  mr_sock_adopt(fd);
  if (fd <= 2 && mr_fd_kind_of(fd) == MR_FD_SOCKET) mr_stdio_follow(fd);
}

void mr_adopt_received(const struct msghdr *message) {
  int saved = errno;
  for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL;
       at = CMSG_NXTHDR((struct msghdr *)message, at)) {
    if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) continue;
    size_t n = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < n; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(at) + i * sizeof fd, sizeof fd);
      mr_fresh_fd(fd);
      say_if_kernels(fd);
      adopt(fd);
    }
  }
  errno = saved;
}

struct folder_entry {
  uint64_t inode;
  int64_t offset;
  uint16_t bytes;
  uint8_t type;
  char name[];
};

/* Whether there may be sockets of ours: a way to the engine comes first. */
static bool find_door(int fd) {
  say_if_kernels(fd);
  return may_be_ours(fd) && !mr_door_is(fd);
}
static struct mr_given given;
static bool activate_one(int fd) {
  if (fd >= given.from && fd < given.to) mr_activate(fd);
  return false;
}
static bool adopt_one(int fd) {
  adopt(fd);
  return false;
}

/* Whether `visit` said so of any. Without malloc and opendir: the program's own may not be ready yet. */
static bool each_inherited(bool (*visit)(int fd)) {
  int folder = real.open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  char room[2048] __attribute__((aligned(8)));
  bool any = false;
  long n;
  if (folder < 0) return false;
  while ((n = real.syscall(SYS_getdents64, folder, (long)room, sizeof room, 0, 0, 0)) > 0) {
    for (long at = 0; at < n;) {
      const struct folder_entry *entry = (const struct folder_entry *)(room + at);
      int fd = atoi(entry->name);
      if (entry->name[0] != '.' && fd != folder && mr_fd_kind_of(fd) == MR_FD_PLAIN) any |= visit(fd);
      at += entry->bytes;
    }
  }
  real.close(folder);
  return any;
}

__attribute__((constructor(103))) static void start(void) {
  int saved = errno;
  remember_environment();
  mr_door_open();
  given = mr_activation();
  if (given.from < given.to) each_inherited(activate_one);
  if (each_inherited(find_door)) each_inherited(adopt_one);
  errno = saved;
}
