/* What a command is: found in the search path, `#!` lines followed, its ELF headers looked at. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "launcher.h"

#define MOST_SCRIPTS 4 /* as Linux allows one to name another */
#define MOST_HEADERS 64

#if defined __x86_64__
#define OUR_MACHINE EM_X86_64
#elif defined __aarch64__
#define OUR_MACHINE EM_AARCH64
#else
#define OUR_MACHINE EM_NONE
#endif

/* Whether execve(2) would take it: 0, or why not. */
static int why_not_run(const char *path) {
  struct stat found;
  if (stat(path, &found) < 0) return errno;
  if (S_ISDIR(found.st_mode)) return EACCES;
  return access(path, X_OK) < 0 ? errno : 0;
}

/* As execvp(3): EACCES is remembered while the search goes on. */
static int look_up(const char *command, char out[PATH_MAX]) {
  out[0] = '\0';
  if (command[0] == '\0') return ENOENT;
  if (strchr(command, '/') != NULL) {
    if (strlen(command) >= PATH_MAX) return ENAMETOOLONG;
    strcpy(out, command);
    return why_not_run(out);
  }
  const char *path = getenv("PATH");
  if (path == NULL) path = "/bin:/usr/bin";
  int error = ENOENT;
  for (;;) {
    size_t n = strcspn(path, ":");
    const char *folder = n == 0 ? "." : path;
    int wrote = snprintf(out, PATH_MAX, "%.*s/%s", n == 0 ? 1 : (int)n, folder, command);
    if (wrote < PATH_MAX) {
      int result = why_not_run(out);
      if (result == 0) return 0;
      if (result == EACCES) error = EACCES;
    }
    if (path[n] == '\0') return error;
    path += n + 1;
  }
}

/* Copies one word, from the first character that is no blank. Returns what follows. */
static const char *take_word(const char *text, char *out, size_t room) {
  text += strspn(text, " \t");
  size_t n = strcspn(text, " \t\n");
  size_t kept = n < room ? n : room - 1;
  memcpy(out, text, kept);
  out[kept] = '\0';
  return text + n;
}

#define NO_SCRIPT (-1)

/* The interpreter of a script; `#!/usr/bin/env python3` is python3. 0, NO_SCRIPT, or an error number: there is
 * no such interpreter as is then in `interpreter`. */
static int read_script(const char *path, char interpreter[PATH_MAX]) {
  char line[PATH_MAX] = {0};
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return NO_SCRIPT;
  ssize_t n = read(fd, line, sizeof line - 1);
  close(fd);
  if (n < 3 || line[0] != '#' || line[1] != '!') return NO_SCRIPT;
  char word[PATH_MAX];
  const char *rest = take_word(line + 2, word, sizeof word);
  const char *name = strrchr(word, '/');
  if (name != NULL && strcmp(name, "/env") == 0) {
    do rest = take_word(rest, word, sizeof word);
    while (word[0] == '-' || (word[0] != '\0' && strchr(word, '=') != NULL));
    return word[0] != '\0' && look_up(word, interpreter) == 0 ? 0 : NO_SCRIPT; /* env says why not */
  }
  if (word[0] == '\0') return NO_SCRIPT;
  int error = why_not_run(word); /* not searched for */
  strcpy(interpreter, word);
  return error;
}

/* Whether the notes of a segment include one of Go's linker. */
static bool has_go_note(int fd, const Elf64_Phdr *header) {
  char notes[1024];
  size_t n = header->p_filesz < sizeof notes ? header->p_filesz : sizeof notes;
  if (pread(fd, notes, n, (off_t)header->p_offset) != (ssize_t)n) return false;
  for (size_t at = 0; at + sizeof(Elf64_Nhdr) <= n;) {
    Elf64_Nhdr note;
    memcpy(&note, notes + at, sizeof note);
    at += sizeof note;
    if (note.n_namesz == 4 && at + 4 <= n && memcmp(notes + at, "Go\0", 4) == 0) return true;
    if (note.n_namesz > n || note.n_descsz > n) return false;
    at += ((note.n_namesz + 3) & ~3u) + ((note.n_descsz + 3) & ~3u);
  }
  return false;
}

static bool is_elf(int fd) {
  char magic[SELFMAG];
  return pread(fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic && memcmp(magic, ELFMAG, SELFMAG) == 0;
}

static enum obstacle inspect_headers(int fd, struct program *program) {
  Elf64_Ehdr file;
  if (pread(fd, &file, sizeof file, 0) != sizeof file) return NO_OBSTACLE;
  if (file.e_ident[EI_CLASS] != ELFCLASS64 || file.e_machine != OUR_MACHINE) return IS_OTHER_MACHINE;
  bool is_go = false;
  for (int i = 0; i < file.e_phnum && i < MOST_HEADERS; i++) {
    Elf64_Phdr header;
    off_t at = (off_t)(file.e_phoff + (Elf64_Off)i * file.e_phentsize);
    if (pread(fd, &header, sizeof header, at) != sizeof header) break;
    if (header.p_type == PT_NOTE && has_go_note(fd, &header)) is_go = true;
    if (header.p_type != PT_INTERP || header.p_filesz >= sizeof program->loader) continue;
    ssize_t n = pread(fd, program->loader, header.p_filesz, (off_t)header.p_offset);
    program->loader[n < 0 ? 0 : n] = '\0';
  }
  if (is_go) return IS_GO;
  if (program->loader[0] == '\0') return IS_STATIC;
  return strstr(program->loader, "/ld-linux") == NULL ? IS_OTHER_LIBC : NO_OBSTACLE;
}

/* Whether the loader will ignore what is preloaded (AT_SECURE). */
static bool is_privileged(int fd) {
  struct stat found;
  if (fstat(fd, &found) < 0) return false;
  if ((found.st_mode & S_ISUID) != 0 && found.st_uid != getuid()) return true;
  if ((found.st_mode & S_ISGID) != 0 && found.st_gid != getgid()) return true;
  return getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0;
}

void inspect_program(const char *command, struct program *program) {
  memset(program, 0, sizeof *program);
  program->error = look_up(command, program->path);
  if (program->error != 0) return;
  strcpy(program->interpreter, program->path);
  for (int i = 0; i < MOST_SCRIPTS; i++) {
    char next[PATH_MAX];
    program->error = read_script(program->interpreter, next);
    if (program->error == NO_SCRIPT) break;
    strcpy(program->interpreter, next);
    if (program->error != 0) return;
  }
  program->error = 0;
  int fd = open(program->interpreter, O_RDONLY | O_CLOEXEC);
  if (fd >= 0 && !is_elf(fd)) { /* execvp has a shell run what the kernel does not know */
    strcpy(program->interpreter, "/bin/sh");
    close(fd);
    fd = open(program->interpreter, O_RDONLY | O_CLOEXEC);
  }
  if (fd < 0) return; /* may be run, not read: nothing is known */
  program->obstacle = inspect_headers(fd, program);
  if (program->obstacle == NO_OBSTACLE && is_privileged(fd)) program->obstacle = IS_PRIVILEGED;
  close(fd);
}

const char *obstacle_text(enum obstacle obstacle) {
  switch (obstacle) {
    case IS_STATIC:
      return "is statically linked, so nothing can be preloaded";
    case IS_GO:
      return "is a Go program, which asks the kernel without libc";
    case IS_PRIVILEGED:
      return "has a set-user-id bit, a set-group-id bit or file capabilities, so the loader ignores preloads";
    case IS_OTHER_MACHINE:
      return "is for another kind of processor than Millrace's library";
    case IS_OTHER_LIBC:
      return "uses another C library than glibc";
    default:
      return "";
  }
}
