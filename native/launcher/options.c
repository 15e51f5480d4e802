/* The arguments of `millrace run`. src/cli/run.ts has the same ones, with their help; a test compares. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launcher.h"

enum effect {
  TO_ENGINE, /* with a value: concerns the engine; kept */
  TO_TEXT,   /* with a value: kept */
  TO_FLAG,
  TO_NODE,   /* Node.js does it */
};

struct known {
  const char *name;
  enum effect effect;
  size_t at; /* in struct options */
};

#define AT(field) offsetof(struct options, field)
static const struct known KNOWN[] = {
    {"--nic", TO_ENGINE, AT(nic)},
    {"--gateway", TO_ENGINE, AT(gateway)},
    {"--xdp", TO_ENGINE, AT(xdp)},
    {"--config", TO_ENGINE, AT(config)},
    {"--network", TO_ENGINE, AT(network)},
    {"--address", TO_TEXT, AT(address)},
    {"--profile", TO_TEXT, AT(profile)},
    {"--spin", TO_TEXT, AT(spin)},
    {"--rules", TO_TEXT, AT(rules)},
    {"--application-id", TO_TEXT, AT(application_id)},
    {"--loopback", TO_FLAG, AT(loopback)},
    {"--in-process", TO_FLAG, AT(in_process)},
    {"--no-auto", TO_FLAG, AT(no_auto)},
    {"--debug", TO_FLAG, AT(debug)},
    {"--no-warn", TO_FLAG, AT(no_warn)},
    {"--inspect", TO_FLAG, AT(is_inspect)},
    {"--help", TO_NODE, 0},
    {"-h", TO_NODE, 0},
    {"--check-rules", TO_NODE, 0},
    {"--start-only", TO_NODE, 0},
};
#undef AT

/* The option that a word names, `--name=value` included. */
static const struct known *find_option(const char *word) {
  size_t n = strcspn(word, "=");
  for (size_t i = 0; i < sizeof KNOWN / sizeof KNOWN[0]; i++) {
    if (strlen(KNOWN[i].name) == n && memcmp(KNOWN[i].name, word, n) == 0) return &KNOWN[i];
  }
  return NULL;
}

bool is_run_option(const char *word) {
  const struct known *option = find_option(word);
  return option != NULL && strcmp(option->name, "--help") != 0 && strcmp(option->name, "-h") != 0;
}

static _Noreturn void refuse(const char *text, const char *word) {
  fprintf(stderr, "millrace run: %s%s\n(see millrace run --help)\n", text, word);
  exit(USAGE);
}

static bool is_number(const char *text) {
  return text[0] != '\0' && strlen(text) <= 9 && text[strspn(text, "0123456789")] == '\0';
}

/* What makes no sense, or cannot be had, without an engine. */
static void check_in_process(const struct options *o) {
  const char *refused = o->config != NULL ? "--config" : o->network != NULL ? "--network" : NULL;
  if (o->xdp != NULL) refused = "--xdp";
  if (o->spin != NULL) refused = "--spin";
  if (o->xdp != NULL) refused = "--xdp: say --nic NIC,xdp=FILE";
  if (o->no_auto) refused = "--no-auto";
  if (refused != NULL) refuse("--in-process goes without an engine, and has no ", refused);
  if (o->is_repeated) refuse("--in-process takes one ", "--nic and one --gateway");
}

static void check_values(const struct options *o) {
  const char *p = o->profile;
  if (p != NULL && strcmp(p, "latency") != 0 && strcmp(p, "balanced") != 0 && strcmp(p, "idle") != 0)
    refuse("--profile: expected latency, balanced or idle, got ", p);
  if (o->spin != NULL && strcmp(o->spin, "forever") != 0 && !is_number(o->spin))
    refuse("--spin: expected microseconds or forever, got ", o->spin);
  if (o->address != NULL && (o->address[0] == '\0' || strlen(o->address) > 60))
    refuse("--address: expected an address like 10.77.0.2, got ", o->address);
  if (o->application_id != NULL && strlen(o->application_id) > 63)
    refuse("--application-id: expected at most 63 characters, got ", o->application_id);
}

struct options read_options(char **args) {
  struct options o = {0};
  char **at = args;
  while (*at != NULL && (*at)[0] == '-') {
    char *word = *at++;
    if (strcmp(word, "--") == 0) break;
    const struct known *option = find_option(word);
    if (option == NULL) refuse("unknown option ", word);
    if (option->effect == TO_NODE) {
      o.is_for_node = true;
      return o;
    }
    char *value = strchr(word, '=');
    if (option->effect == TO_FLAG) {
      if (value != NULL) refuse("takes no value: ", word);
      *(bool *)((char *)&o + option->at) = true;
      continue;
    }
    if (value != NULL) value++;
    else if (*at != NULL) value = *at++;
    else refuse("needs a value: ", word);
    const char **kept = (const char **)((char *)&o + option->at);
    if (option->effect == TO_ENGINE) o.has_engine_options = true;
    if (option->effect == TO_ENGINE && *kept != NULL) o.is_repeated = true;
    *kept = value;
  }
  o.command = at;
  o.own_count = (int)(at - args);
  check_values(&o);
  if (o.in_process) check_in_process(&o);
  return o;
}
