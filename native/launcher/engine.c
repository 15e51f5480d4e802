/* Finding the engine, and having Node.js start one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher.h"

void find_engine(char path[PATH_MAX]) {
  const char *given = getenv("MILLRACE_ENGINE");
  if (given != NULL && given[0] == '/' && strlen(given) < PATH_MAX) {
    strcpy(path, given);
    return;
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
  snprintf(path, PATH_MAX, "%s/engine-%lu.sock", folder, (unsigned long)space.st_ino);
}

bool is_engine_there(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return false;
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  bool is_there = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
  /* Who made the socket must be the user: another one could have put it into /tmp first. */
  struct ucred peer;
  socklen_t bytes = sizeof peer;
  if (is_there && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0) is_there = peer.uid == geteuid();
  close(fd);
  return is_there;
}

int run_node(const struct place *place, const char *option, char *const *args, int n) {
  char **all = calloc((size_t)n + 3, sizeof *all);
  if (all == NULL) abort();
  all[0] = "run";
  all[1] = (char *)option;
  memcpy(all + 2, args, (size_t)n * sizeof *all);
  pid_t child = fork();
  if (child == 0) {
    dup2(STDERR_FILENO, STDOUT_FILENO); /* the program's output is the program's */
    become_node(place, all);
  }
  free(all);
  if (child < 0) {
    fprintf(stderr, "millrace: fork: %s\n", strerror(errno));
    return FAILED;
  }
  int status;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return FAILED;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
}
