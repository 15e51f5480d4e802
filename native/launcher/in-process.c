/* `millrace run --in-process`: no engine and no library; Node.js preloads millrace/register (docs/node.md). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launcher.h"

static void set(const char *name, const char *value) {
  if (value == NULL || setenv(name, value, 1) == 0) return;
  fprintf(stderr, "millrace: %s: %s\n", name, strerror(errno));
  exit(FAILED);
}

/* Puts `--import FILE` in front of the options that Node.js is given already. */
static void preload(const struct place *place) {
  /* NODE_OPTIONS is split at spaces, and the word is read as a URL. */
  if (strpbrk(place->preload, " \"\\%?#") != NULL) {
    fprintf(stderr, "millrace: %s: Node.js cannot preload from such a path\n", place->preload);
    exit(FAILED);
  }
  const char *before = getenv("NODE_OPTIONS");
  if (before == NULL) before = "";
  if (strstr(before, place->preload) != NULL) return;
  char *all = malloc(strlen(place->preload) + strlen(before) + 16);
  if (all == NULL) abort();
  sprintf(all, "--import %s%s%s", place->preload, before[0] == '\0' ? "" : " ", before);
  set("NODE_OPTIONS", all);
  free(all);
}

void prepare_in_process(const struct place *place, const struct options *options, const char *rules) {
  set("MILLRACE_NIC", options->nic);
  set("MILLRACE_ADDRESS", options->address);
  set("MILLRACE_GATEWAY", options->gateway);
  set("MILLRACE_PROFILE", options->profile);
  set("MILLRACE_RULES", rules);
  set("MILLRACE_APPLICATION_ID", options->application_id);
  if (options->loopback) set("MILLRACE_LOOPBACK", "1");
  if (options->debug) set("MILLRACE_DEBUG", "1");
  preload(place);
}
