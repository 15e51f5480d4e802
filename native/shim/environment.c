/*
 * What the environment said when the program started, and its name. Programs overwrite both (nginx does, in memory
 * too), while children that they fork later still have to find the engine, and the rules for that name.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

extern char **environ;

#define MOST_REMEMBERED 64

static char *remembered[MOST_REMEMBERED];
static char program[64];

__attribute__((constructor(101))) static void remember(void) {
  int n = 0;
  strncpy(program, program_invocation_short_name, sizeof program - 1);
  for (char **at = environ; at != NULL && *at != NULL && n < MOST_REMEMBERED; at++) {
    if (strncmp(*at, "MILLRACE_", 9) == 0 || strncmp(*at, "VMA_", 4) == 0) remembered[n++] = strdup(*at);
  }
}

const char *mr_environment_program(void) { return program; }

const char *mr_environment_get(const char *name) {
  size_t n = strlen(name);
  for (int i = 0; i < MOST_REMEMBERED && remembered[i] != NULL; i++) {
    if (strncmp(remembered[i], name, n) == 0 && remembered[i][n] == '=') return remembered[i] + n + 1;
  }
  return getenv(name);
}
