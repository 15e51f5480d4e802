/* Where the package's parts are: all beside the launcher, which is in native/build or prebuilds/linux-ARCH. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launcher.h"

/* Cuts the last part off a path. */
static void to_parent(char *path) {
  char *slash = strrchr(path, '/');
  if (slash != NULL) *slash = '\0';
}

static void join(char out[PATH_MAX], const char *folder, const char *name) {
  if (snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX) return;
  fprintf(stderr, "millrace: %s is too long a path\n", folder);
  exit(FAILED);
}

void find_place(struct place *place) {
  char self[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n < 0) {
    fprintf(stderr, "millrace: /proc/self/exe: %s; is /proc mounted?\n", strerror(errno));
    exit(FAILED);
  }
  self[n] = '\0';
  to_parent(self);
  const char *library = getenv("MILLRACE_SHIM");
  if (library != NULL && library[0] == '/' && strlen(library) < PATH_MAX) {
    strcpy(place->library, library);
  } else {
    join(place->library, self, "libmillrace.so");
  }
  to_parent(self);
  to_parent(self);
  join(place->script, self, "bin/millrace.js");
  join(place->preload, self, "dist/bundle/node/register.js");
}

/* Set where the launcher was itself started by Node.js; then the same one is used. */
static const char *node_program(void) {
  const char *node = getenv("MILLRACE_NODE");
  return node != NULL && node[0] != '\0' ? node : "node";
}

/* Node.js does not go on ignoring what was ignored when it began (nohup), so it is told. SIGINT, which scripts' jobs in
 * the background ignore, is not: who sends that one to a capture means it, as with tcpdump. */
static bool ignores_hang_ups(void) {
  struct sigaction action;
  return sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

_Noreturn void become_node(const struct place *place, char *const *args) {
  int n = 0;
  while (args[n] != NULL) n++;
  char **all = calloc((size_t)n + 3, sizeof *all);
  if (all == NULL) abort();
  all[0] = (char *)node_program();
  all[1] = (char *)place->script;
  memcpy(all + 2, args, (size_t)n * sizeof *all);
  setenv("MILLRACE_LAUNCHED", "1", 1);
  if (ignores_hang_ups()) setenv("MILLRACE_NOHUP", "1", 1);
  if (!has_descriptors("Node.js")) exit(NO_ROOM);
  execvp(all[0], all);
  fprintf(stderr, "millrace: cannot run %s: %s; Node.js 20.19 or newer is needed\n", all[0], strerror(errno));
  exit(NOT_FOUND);
}
