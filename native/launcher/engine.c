/* Finding the engine, and having Node.js start one. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../shim/layout.h"
#include "launcher.h"

#define CONTROL_BYTES 102 /* longest path of a control socket, as src/engine/socket-path.ts */

void find_engine(char path[PATH_MAX]) {
  const char *given = getenv("MILLRACE_ENGINE");
  if (given != NULL && given[0] != '\0') {
    size_t n = strlen(given);
    if (given[0] == '/' && n <= CONTROL_BYTES) {
      strcpy(path, given);
      return;
    }
    if (given[0] != '/') refuse_value("MILLRACE_ENGINE", "the absolute path of a control socket", given);
    fprintf(stderr,
            "millrace run: MILLRACE_ENGINE: expected the path of a control socket, of 1 to %d bytes, got %s (%zu bytes)\n"
            "(see millrace run --help)\n",
            CONTROL_BYTES, given, n);
    exit(USAGE);
  }
  struct stat space = {0};
  if (stat("/proc/self/ns/net", &space) < 0) {
    fprintf(stderr, "millrace: /proc/self/ns/net: %s; is /proc mounted?\n", strerror(errno));
    exit(FAILED);
  }
  char folder[PATH_MAX - 64];
  const char *runtime = getenv("XDG_RUNTIME_DIR");
  if (runtime != NULL && runtime[0] == '/' && strlen(runtime) < sizeof folder - 16) {
    snprintf(folder, sizeof folder, "%s/millrace", runtime);
  } else {
    snprintf(folder, sizeof folder, "/tmp/millrace-%u", (unsigned)getuid());
  }
  int n = snprintf(path, PATH_MAX, "%s/engine-%lu.sock", folder, (unsigned long)space.st_ino);
  if (n <= CONTROL_BYTES) return;
  fprintf(stderr,
          "millrace: XDG_RUNTIME_DIR: expected the path of a control socket, of 1 to %d bytes, got %s (%d bytes); set "
          "XDG_RUNTIME_DIR to a shorter folder\n",
          CONTROL_BYTES, path, n);
  exit(FAILED);
}

int connect_engine(const char *path, pid_t *pid) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return -1;
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  /* Of one that has stopped the line of those who come fills up some time. */
  struct timeval most = {.tv_sec = ANSWER_MS / 1000};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
  bool is_there = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
  bool is_silent = !is_there && errno == EAGAIN;
  /* Who made the socket must be the user: another one could have put it into /tmp first. */
  struct ucred peer = {0};
  socklen_t bytes = sizeof peer;
  if (is_there && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0) is_there = peer.uid == geteuid();
  if (is_there) *pid = peer.pid;
  if (is_there) return fd;
  close(fd);
  return is_silent ? NO_ANSWER : -1;
}

static void copy(char *to, size_t room, const char *name) {
  const char *value = getenv(name);
  if (value != NULL) strncpy(to, value, room - 1);
}

/* With a pidfd of this process, which is the program's from exec on; without one where the kernel has none:
 * then the engine may end before the program's first socket. */
static bool send_launch(int fd) {
  struct mr_hello hello = {.type = MR_MSG_LAUNCH, .version = MR_VERSION, .pid = (int32_t)getpid()};
  hello.spin_us = UINT32_MAX - 1;
  copy(hello.address, sizeof hello.address, "MILLRACE_ADDRESS");
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec vector = {.iov_base = &hello, .iov_len = sizeof hello};
  struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};
  int pid_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
  if (pid_fd >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), &pid_fd, sizeof pid_fd);
  }
  ssize_t sent = sendmsg(fd, &header, MSG_NOSIGNAL);
  if (pid_fd >= 0) close(pid_fd);
  return sent >= 0;
}

enum launched launch(int fd, char reason[128]) {
  struct mr_welcome answer = {0};
  struct pollfd wanted = {.fd = fd, .events = POLLIN};
  if (!send_launch(fd)) return ENGINE_GONE;
  if (poll(&wanted, 1, ANSWER_MS) == 0) {
    return ENGINE_SILENT;
  }
  ssize_t n = recv(fd, &answer, sizeof answer, MSG_DONTWAIT);
  if (n != (ssize_t)sizeof answer) return ENGINE_GONE;
  if (answer.result == 0) return ENGINE_HOLDS;
  snprintf(reason, 128, "%.*s", (int)sizeof answer.reason, answer.reason);
  bool refuses = answer.result == -EADDRNOTAVAIL || answer.result == -EINVAL || answer.result == -EPROTO;
  return refuses ? ENGINE_REFUSES : ENGINE_HOLDS_NOT;
}

int run_node(const struct place *place, const char *option, char *const *args, int n) {
  char **all = calloc((size_t)n + 3, sizeof *all);
  if (all == NULL) abort();
  all[0] = "run";
  all[1] = (char *)option;
  memcpy(all + 2, args, (size_t)n * sizeof *all);
  pid_t child = fork();
  if (child == 0) {
    raise_limits();
    dup2(STDERR_FILENO, STDOUT_FILENO); /* the program's output is the program's */
    become_node(place, all);
  }
  free(all);
  if (child < 0) {
    fprintf(stderr, "millrace: Node.js cannot be started: %s; see ulimit -u, and pids.max of a container\n", strerror(errno));
    return NO_ROOM;
  }
  int status;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return FAILED;
  }
  if (WIFSIGNALED(status)) {
    fprintf(stderr, "millrace: Node.js was ended by a signal (%s): is there memory for it (ulimit -v, -s, -u, a container's)?\n",
            strsignal(WTERMSIG(status)));
    return NO_ROOM;
  }
  /* That there is no Node.js does not mean that there is no program. */
  return WIFEXITED(status) && WEXITSTATUS(status) != NOT_FOUND ? WEXITSTATUS(status) : FAILED;
}
