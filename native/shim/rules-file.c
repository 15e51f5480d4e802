/*
 * The file of rules, read here and handed to the engine as sealed memory: a file may be on a file system that
 * never answers (FUSE, NFS), and then only the program that named it is to wait.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "core.h"

/* As src/socket/rules.ts has it. */
#define MOST_BYTES (64u << 10)
#define FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

/* What was read; children that have given up their root or their rights since then still have it. Guarded by
 * the mutex of session.c, like everything here. */
static struct {
  char *bytes; /* NULL: not yet */
  size_t count;
} kept;

static int read_all(int fd, char *into, size_t *count) {
  struct stat status;
  if (fstat(fd, &status) < 0) return -errno;
  if (!S_ISREG(status.st_mode)) return -EINVAL; /* a device might never end */
  size_t n = 0;
  while (n <= MOST_BYTES) {
    ssize_t got = real.read(fd, into + n, MOST_BYTES + 1 - n);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -errno;
    if (got == 0) break;
    n += (size_t)got;
  }
  *count = n;
  return n <= MOST_BYTES ? 0 : -EFBIG;
}

static int keep(const char *path) {
  int fd = (int)real.open(path, FLAGS, 0);
  if (fd < 0) return -errno;
  char *room = mmap(NULL, MOST_BYTES + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int failed = room == MAP_FAILED ? -errno : read_all(fd, room, &kept.count);
  real.close(fd);
  if (failed == 0) kept.bytes = room;
  else if (room != MAP_FAILED) munmap(room, MOST_BYTES + 1);
  return failed;
}

static int write_all(int fd) {
  struct rlimit limit; /* writing past it would end the program: SIGXFSZ */
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < kept.count) return -EFBIG;
  for (size_t n = 0; n < kept.count;) {
    ssize_t put = real.write(fd, kept.bytes + n, kept.count - n);
    if (put < 0 && errno != EINTR) return -errno;
    if (put > 0) n += (size_t)put;
  }
  return real.fcntl(fd, F_ADD_SEALS, (void *)(intptr_t)SEALS) < 0 ? -errno : 0;
}

int mr_rules_pass(const char *path, char *reason, size_t room) {
  int failed = kept.bytes == NULL ? keep(path) : 0;
  const char *what = failed == -EINVAL ? "expected a plain file"
                     : failed == -EFBIG ? "expected at most 65536 bytes of rules"
                                        : strerror(-failed);
  int fd = failed != 0 ? -1 : real.memfd_create("millrace-rules", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (failed == 0) {
    failed = fd < 0 ? -errno : write_all(fd);
    what = failed == -EFBIG ? "more bytes than the program may write (ulimit -f)" : strerror(-failed);
  }
  if (failed == 0) return fd;
  if (fd >= 0) real.close(fd);
  snprintf(reason, room, "rules %s: %s", path, what);
  return failed;
}
