/*
 * `millrace run`: sees to it that an engine is there, sets the environment, and becomes the program.
 *
 * In C because it stands before every program that is run: Node.js needs 40 ms to start where this needs
 * one (docs/decisions/0004). Everything that is not on that path is left to Node.js: help, starting the
 * engine, checking rules.
 */
#ifndef MILLRACE_LAUNCHER_H
#define MILLRACE_LAUNCHER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Statuses of millrace's own (src/cli/world.ts), and those of a shell for programs. */
#define FAILED 1
#define USAGE 2
#define NO_ROOM 3
#define CANNOT_RUN 126
#define NOT_FOUND 127

/* ---- place.c: where the package's parts are ------------------------------------------------------ */

struct place {
  char library[PATH_MAX]; /* libmillrace.so, or $MILLRACE_SHIM */
  char script[PATH_MAX];  /* bin/millrace.js */
  char preload[PATH_MAX]; /* what Node.js programs preload: dist/bundle/node/register.js */
};

/* Ends the process with a message when the launcher is not where it belongs. */
void find_place(struct place *place);

/* Becomes `node bin/millrace.js` with these arguments, which end with NULL; ends with 127 when there is
 * no Node.js. */
_Noreturn void become_node(const struct place *place, char *const *args);

/* ---- options.c ----------------------------------------------------------------------------------- */

struct options {
  const char *address, *profile, *spin, *rules, *application_id; /* NULL: not given */
  const char *nic, *gateway, *xdp, *config, *network; /* the last ones */
  bool is_repeated;        /* one of these came twice */
  bool has_engine_options; /* --nic and so on: the engine must be asked about them */
  bool in_process;         /* a Node.js program with a stack of its own, without an engine */
  bool loopback, no_auto, debug, no_warn;
  bool is_for_node;        /* --help and what else needs no program */
  bool is_inspect;         /* for `millrace doctor`: print what the program is */
  char **command;          /* ends with NULL; its first word is NULL when there is none */
  int own_count;           /* arguments before the command */
};

/* Reads the arguments after `run`. Ends the process with a message and USAGE when they make no sense. */
struct options read_options(char **args);

/* Whether a word is an option of `run`, so that `millrace --debug nc` is `millrace run --debug nc`. */
bool is_run_option(const char *word);

/* A few decimal digits. */
bool is_number(const char *text);
/* `millrace run: NAME: expected …, got …`, and the end. */
_Noreturn void refuse_value(const char *name, const char *expected, const char *got);

/* ---- address.c ----------------------------------------------------------------------------------- */

enum bits { NO_BITS, MAY_HAVE_BITS, MUST_HAVE_BITS };

/* Ends the process as refuse_value does unless `text` is an address that a host can have. */
void check_address(const char *name, const char *text, enum bits bits, const char *expected);

/* ---- program.c: what will be run ------------------------------------------------------------------ */

enum obstacle {
  NO_OBSTACLE,
  IS_STATIC,       /* no dynamic loader, so nothing is preloaded */
  IS_GO,           /* its runtime asks the kernel without libc */
  IS_PRIVILEGED,   /* set-user-id, set-group-id, file capabilities: the loader ignores preloads */
  IS_OTHER_MACHINE, /* of another architecture than the library */
  IS_OTHER_LIBC,   /* its loader is not glibc's */
};

struct program {
  char path[PATH_MAX];        /* the file that is run */
  char interpreter[PATH_MAX]; /* of a script: what reads it, otherwise as path; empty: `path` cannot be run */
  char loader[PATH_MAX];      /* PT_INTERP, or empty */
  int error;                  /* errno-valued: why it, or its interpreter, cannot be run, or 0 */
  enum obstacle obstacle;
};

/* Looks a command up as execvp(3) does, follows `#!` lines, and looks at the file's headers. */
void inspect_program(const char *command, struct program *program);
/* `is statically linked` and so on; for people. */
const char *obstacle_text(enum obstacle obstacle);

/* ---- limits.c ------------------------------------------------------------------------------------ */

#define NODE_DESCRIPTORS 192 /* src/cli/start.ts says the same */

/* The soft limits to what the hard ones allow. */
void raise_limits(void);
/* Whether there may be enough for Node.js to load `what`; otherwise it was told. */
bool has_descriptors(const char *what);

/* ---- engine.c ------------------------------------------------------------------------------------ */

/* The control socket: $MILLRACE_ENGINE, or as src/engine/socket-path.ts says. */
void find_engine(char path[PATH_MAX]);
#define ANSWER_MS 20000 /* as native/shim/control.c */
#define NO_ANSWER (-2)
/* A connection to the engine that listens there, closed on exec, or -1: there is none; or NO_ANSWER. `pid`: the
 * engine's, where it is known; otherwise as it was. */
int connect_engine(const char *path, pid_t *pid);

enum launched {
  ENGINE_HOLDS,     /* it stays as long as this process */
  ENGINE_HOLDS_NOT, /* it has no room for that; the program may run */
  ENGINE_REFUSES,   /* the program would not have what was asked for */
  ENGINE_SILENT,    /* no answer */
  ENGINE_GONE,      /* it was about to end, or is of another version */
};

/* Tells the engine of the program that this process becomes, and asks for its address ($MILLRACE_ADDRESS).
 * `reason`: in the engine's words, if it has any. */
enum launched launch(int fd, char reason[128]);
/* Runs `node bin/millrace.js run OPTION ARGS…`, with the highest limits, and waits; its status, or NO_ROOM. `args` need not
 * end with NULL. */
int run_node(const struct place *place, const char *option, char *const *args, int n);

/* ---- in-process.c --------------------------------------------------------------------------------- */

/* Sets the environment of a Node.js program that is accelerated in its own process. `rules` may be NULL. */
void prepare_in_process(const struct place *place, const struct options *options, const char *rules);

#endif
