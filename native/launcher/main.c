/* The entry point: which command, then the steps of `run`. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher.h"

#define TRIES 3 /* an engine may end just then, for want of programs */

/* Commands that Node.js does; src/cli/main.ts knows them, a test compares. */
static const char *const COMMANDS[] = {"capture", "doctor", "engine", "help", "perf", "stat", "xdp"};

static bool is_command(const char *word) {
  for (size_t i = 0; i < sizeof COMMANDS / sizeof COMMANDS[0]; i++) {
    if (strcmp(word, COMMANDS[i]) == 0) return true;
  }
  return false;
}

static _Noreturn void fail(int status, const char *what, int error) {
  fprintf(stderr, "millrace: %s: %s\n", what, strerror(error));
  exit(status);
}

static void set(const char *name, const char *value) {
  if (setenv(name, value, 1) < 0) fail(FAILED, name, errno);
}

/* Puts the library in front of what is preloaded already. */
static void preload(const char *library) {
  const char *before = getenv("LD_PRELOAD");
  size_t n = strlen(library);
  if (before == NULL || before[0] == '\0') {
    set("LD_PRELOAD", library);
    return;
  }
  if (strncmp(before, library, n) == 0 && (before[n] == '\0' || before[n] == ':' || before[n] == ' ')) return;
  char *all = malloc(n + strlen(before) + 2);
  if (all == NULL) abort();
  sprintf(all, "%s:%s", library, before);
  set("LD_PRELOAD", all);
  free(all);
}

/* Why the program will not be accelerated, if so. Whether the library may be preloaded at all. */
static bool warn_of(const struct program *program, bool no_warn) {
  enum obstacle obstacle = program->obstacle;
  if (obstacle == NO_OBSTACLE) return true;
  if (!no_warn) {
    fprintf(stderr, "millrace: %s %s: it runs unaccelerated\n", program->interpreter, obstacle_text(obstacle));
  }
  /* Others may start programs that can be accelerated. */
  return obstacle != IS_OTHER_MACHINE && obstacle != IS_OTHER_LIBC;
}

/* The rules file, given or from the environment, as an absolute path; NULL: none. */
static const char *rules_path(const struct options *options, char out[PATH_MAX]) {
  const char *given = options->rules, *name = "--rules";
  if (given == NULL) given = getenv(name = "MILLRACE_RULES");
  if (given == NULL || given[0] == '\0') return NULL;
  if (realpath(given, out) == NULL) {
    fprintf(stderr, "millrace: %s: %s: %s\n", name, given, strerror(errno));
    exit(FAILED);
  }
  if (strlen(out) > 255) fail(FAILED, out, ENAMETOOLONG);
  return out;
}

static void set_environment(const struct options *options, const char *engine, const char *rules) {
  set("MILLRACE_ENGINE", engine);
  if (rules != NULL) set("MILLRACE_RULES", rules);
  if (options->address != NULL) {
    char address[64] = {0};
    strncpy(address, options->address, strcspn(options->address, "/") < 63 ? strcspn(options->address, "/") : 63);
    set("MILLRACE_ADDRESS", address);
  }
  if (options->profile != NULL) set("MILLRACE_PROFILE", options->profile);
  if (options->spin != NULL) set("MILLRACE_SPIN_US", options->spin);
  if (options->application_id != NULL) set("MILLRACE_APPLICATION_ID", options->application_id);
  if (options->loopback) set("MILLRACE_LOOPBACK", "1");
  if (options->no_auto) set("MILLRACE_DEFAULT_DISABLE", "1");
  if (options->debug) set("MILLRACE_DEBUG", "1");
  if (options->no_warn) set("MILLRACE_NO_WARN", "1");
}

/* For `millrace doctor COMMAND`: a line each. */
static int print_inspection(const struct program *program) {
  printf("path %s\nerror %d\ninterpreter %s\nloader %s\nobstacle %d\n", program->path, program->error,
         program->interpreter, program->loader, (int)program->obstacle);
  return 0;
}

/* As the library has it. */
static bool is_set(const char *name) {
  const char *set = getenv(name);
  return set != NULL && set[0] != '\0' && strcmp(set, "0") != 0;
}

static bool debugs(const struct options *options) { return options->debug || is_set("MILLRACE_DEBUG"); }

static _Noreturn void refuse_program(const char *command, int error, bool is_short) {
  if (error == ENOENT && is_short && strchr(command, '/') == NULL) {
    fprintf(stderr, "millrace: '%s' is neither a command of millrace nor a program (see millrace --help)\n",
            command);
  } else {
    fprintf(stderr, "millrace: cannot run '%s': %s\n", command, strerror(error));
  }
  exit(error == ENOENT ? NOT_FOUND : CANNOT_RUN);
}

/* A script is there, what reads it is not. */
static _Noreturn void refuse_script(const struct program *program) {
  fprintf(stderr, "millrace: cannot run '%s': its interpreter %s: %s\n", program->path, program->interpreter,
          strerror(program->error));
  exit(program->error == ENOENT ? NOT_FOUND : CANNOT_RUN);
}

/* 0, or an exit status: mistakes have been told. */
static int check_rules(const struct place *place, const char *rules) {
  char *check[] = {(char *)rules};
  int status = rules == NULL ? 0 : run_node(place, "--check-rules", check, 1);
  return status == NO_ROOM ? 0 : status; /* the engine reads them, too */
}

/* A binary whose name does not begin with `node`; scripts and shells may come to start one. */
static void warn_of_other_program(const struct program *program) {
  const char *slash = strrchr(program->path, '/');
  const char *name = slash != NULL ? slash + 1 : program->path;
  static const char *const STARTERS[] = {"env", "sh", "bash", "dash", "zsh", "nice", "timeout", "strace", "taskset"};
  if (strcmp(program->path, program->interpreter) != 0 || strncmp(name, "node", 4) == 0) return;
  for (size_t i = 0; i < sizeof STARTERS / sizeof STARTERS[0]; i++) {
    if (strcmp(name, STARTERS[i]) == 0) return;
  }
  fprintf(stderr, "millrace: --in-process is for Node.js, and %s is something else: its sockets stay with the kernel\n",
          name);
}

static int run_in_process(const struct place *place, const struct options *options,
                          const struct program *program, bool is_short) {
  char buffer[PATH_MAX];
  const char *rules = rules_path(options, buffer);
  int status = check_rules(place, rules);
  if (status != 0) return status;
  if (!options->no_warn && !is_set("MILLRACE_NO_WARN")) warn_of_other_program(program);
  prepare_in_process(place, options, rules);
  execvp(options->command[0], options->command);
  refuse_program(options->command[0], errno, is_short);
}

/* Root can open another user's folder, whose engine talks to that user alone. */
static void report_hang_ups(const char *engine) {
  struct stat found;
  if (stat(engine, &found) == 0 && found.st_uid != geteuid()) {
    fprintf(stderr,
            "millrace: the engine at %s is another user's (%u), and serves no others; unset MILLRACE_ENGINE and "
            "XDG_RUNTIME_DIR (su and sudo keep them), or become that user\n",
            engine, (unsigned)found.st_uid);
    return;
  }
  fprintf(stderr,
          "millrace: the engine at %s hangs up; if it is of another version, end it first (millrace stat "
          "--counters says its pid)\n",
          engine);
}

static void report_silence(const char *engine, pid_t pid) {
  char number[16] = "";
  if (pid > 0) snprintf(number, sizeof number, " %d", (int)pid);
  fprintf(stderr, "millrace: the engine at %s does not answer: no answer within %d s; is it stopped (kill -CONT%s)?\n",
          engine, ANSWER_MS / 1000, number);
}

/* There is no room for an engine: whether the program may do without. What was asked for it would not have. */
static bool may_go_without(const struct options *options, const char *command, bool no_warn) {
  if (options->has_engine_options || getenv("MILLRACE_ADDRESS") != NULL) return false;
  if (!no_warn) fprintf(stderr, "millrace: there is no engine: the sockets of %s stay with the kernel\n", command);
  return true;
}

/* Finds the engine or starts one, and has it stay for the program. 0 or an exit status; NO_ROOM: it goes on without. */
static int join_engine(const struct place *place, const struct options *options, const char *engine,
                       char **args, bool no_warn) {
  char reason[128] = "";
  pid_t pid = 0;
  int fd = options->has_engine_options ? -1 : connect_engine(engine, &pid);
  if (fd >= 0 && debugs(options)) fprintf(stderr, "millrace: joins the engine that runs at %s\n", engine);
  for (int tries = 0; tries < TRIES; tries++) {
    if (fd == -1) {
      int status = has_descriptors("the engine") ? run_node(place, "--start-only", args, options->own_count) : NO_ROOM;
      if (status == NO_ROOM && !may_go_without(options, options->command[0], no_warn)) status = FAILED;
      if (status != 0) return status;
      fd = connect_engine(engine, &pid);
    }
    enum launched launched = fd == NO_ANSWER ? ENGINE_SILENT : fd < 0 ? ENGINE_GONE : launch(fd, reason);
    if (fd >= 0) close(fd);
    fd = -1;
    if (launched == ENGINE_HOLDS) return 0;
    if (launched == ENGINE_HOLDS_NOT) {
      if (!no_warn) fprintf(stderr, "millrace: the engine does not wait for the program: %s\n", reason);
      return 0;
    }
    if (launched == ENGINE_SILENT) {
      report_silence(engine, pid);
      return FAILED;
    }
    if (launched == ENGINE_REFUSES) {
      fprintf(stderr, "millrace: the engine at %s refuses: %s\n", engine, reason);
      return FAILED;
    }
  }
  report_hang_ups(engine);
  return FAILED;
}

/* `args`: after `run`. */
static int run(const struct place *place, char **args, bool is_short) {
  struct options options = read_options(args);
  if (options.is_for_node) {
    args[-1] = "run";
    become_node(place, args - 1);
  }
  char *command = options.command[0];
  if (command == NULL) {
    fprintf(stderr, "millrace run: which program?\n(see millrace run --help)\n");
    return USAGE;
  }
  struct program program;
  inspect_program(command, &program);
  if (options.is_inspect) return print_inspection(&program);
  if (program.error != 0 && program.interpreter[0] != '\0') refuse_script(&program);
  if (program.error != 0) refuse_program(command, program.error, is_short);
  if (options.in_process) return run_in_process(place, &options, &program, is_short);
  if (access(place->library, R_OK) < 0) {
    fprintf(stderr, "millrace: %s: %s; build it: npm run install\n", place->library, strerror(errno));
    return FAILED;
  }
  if (strpbrk(place->library, ": ") != NULL) {
    fprintf(stderr, "millrace: %s: the loader takes no path with a space or colon\n", place->library);
    return FAILED;
  }

  char engine[PATH_MAX], rules_buffer[PATH_MAX];
  find_engine(engine);
  const char *rules = rules_path(&options, rules_buffer);
  int status = check_rules(place, rules);
  if (status != 0) return status;
  bool no_warn = options.no_warn || is_set("MILLRACE_NO_WARN");
  set_environment(&options, engine, rules);
  status = join_engine(place, &options, engine, args, no_warn);
  if (status != 0 && status != NO_ROOM) return status;
  bool may_preload = status == 0 && warn_of(&program, no_warn);
  if (may_preload) preload(place->library);
  /* execvp would give a file that the kernel does not know to a shell. */
  if (program.obstacle == IS_OTHER_MACHINE) execv(program.path, options.command);
  else execvp(command, options.command);
  refuse_program(command, errno, is_short);
}

/* What is written to a closed stderr must not go to the engine, whose socket would have its number. */
static void hold_standard_descriptors(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_CLOEXEC) < 0) return; /* the program has them closed */
  }
}

int main(int argc, char **argv) {
  hold_standard_descriptors();
  struct place place;
  find_place(&place);
  if (argc > 1 && strcmp(argv[1], "run") == 0) return run(&place, argv + 2, false);
  if (argc > 1 && (strcmp(argv[1], "--") == 0 || is_run_option(argv[1]))) {
    /* `args - 1` must be a place for the word "run". */
    return run(&place, argv + 1, false);
  }
  if (argc > 1 && argv[1][0] != '-' && !is_command(argv[1])) return run(&place, argv + 1, true);
  become_node(&place, argv + 1);
}
