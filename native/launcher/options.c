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

bool is_number(const char *text) {
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

/* An option's value, or the variable's that stands for it; NULL: neither. */
static const char *value_of(const char *option, const char *name, const char **named) {
  const char *set = getenv(name);
  *named = option != NULL ? *named : name;
  return option != NULL ? option : set != NULL && set[0] != '\0' ? set : NULL;
}

_Noreturn void refuse_value(const char *name, const char *expected, const char *got) {
  fprintf(stderr, "millrace run: %s: expected %s, got %s\n(see millrace run --help)\n", name, expected, got);
  exit(USAGE);
}

/* Separated by commas, as docs/node.md has them. */
static void check_addresses(const char *name, const char *text) {
  char *all = strdup(text), *rest = NULL;
  if (all == NULL) abort();
  for (char *one = strtok_r(all, ",", &rest); one != NULL; one = strtok_r(NULL, ",", &rest)) {
    check_address(name, one, MUST_HAVE_BITS, "a host's address with its prefix length like 10.77.0.2/24");
  }
  free(all);
}

/* As src/node/settings.ts has them; other words would mean yes here and no there. The library knows 1 and 0. */
static void check_flag(const char *name) {
  const char *set = getenv(name);
  if (set == NULL || set[0] == '\0') return;
  bool is_yes = strcmp(set, "1") == 0 || strcmp(set, "true") == 0;
  if (!is_yes && strcmp(set, "0") != 0 && strcmp(set, "false") != 0) refuse_value(name, "1 or 0", set);
  setenv(name, is_yes ? "1" : "0", 1);
}

static void check_values(const struct options *o) {
  const char *name = "--profile";
  const char *p = value_of(o->profile, "MILLRACE_PROFILE", &name);
  if (p != NULL && strcmp(p, "latency") != 0 && strcmp(p, "balanced") != 0 && strcmp(p, "idle") != 0)
    refuse_value(name, "latency, balanced or idle", p);
  name = "--spin";
  const char *spin = value_of(o->spin, "MILLRACE_SPIN_US", &name);
  if (spin != NULL && strcmp(spin, "forever") != 0 && !is_number(spin))
    refuse_value(name, "microseconds or forever", spin);
  name = "--address";
  const char *address = value_of(o->address, "MILLRACE_ADDRESS", &name);
  if (address != NULL && o->in_process) check_addresses(name, address);
  else if (address != NULL) check_address(name, address, MAY_HAVE_BITS, "a host's address like 10.77.0.2");
  if (o->network != NULL)
    check_address("--network", o->network, MUST_HAVE_BITS, "the machine's address with its prefix length like 10.77.0.1/16");
  if (o->gateway != NULL) check_address("--gateway", o->gateway, NO_BITS, "a router's address like 10.0.0.1");
  bool has_nic = o->nic != NULL || getenv("MILLRACE_NIC") != NULL;
  if (!has_nic && o->gateway != NULL) refuse("--gateway is an interface's; expected --nic ", "with it");
  if (!has_nic && o->xdp != NULL) refuse("--xdp is an interface's; expected --nic ", "with it");
  static const char *const FLAGS[] = {"MILLRACE_LOOPBACK", "MILLRACE_DEFAULT_DISABLE", "MILLRACE_DEBUG",
                                      "MILLRACE_NO_WARN"};
  for (size_t i = 0; i < sizeof FLAGS / sizeof FLAGS[0]; i++) check_flag(FLAGS[i]);
  name = "--application-id";
  const char *id = value_of(o->application_id, "MILLRACE_APPLICATION_ID", &name);
  if (id != NULL && strlen(id) > 63) refuse_value(name, "at most 63 characters", id);
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
    if (value[0] == '\0') refuse("needs a value that is not empty: ", option->name);
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
