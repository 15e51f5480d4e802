/*
 * Streams over sockets. libc's streams read and write with calls that nobody can interpose, so a
 * stream over a socket that is accelerated, or may be, is one with our own functions (fopencookie).
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interpose.h"

static int number_of(void *cookie) { return (int)(intptr_t)cookie; }

static ssize_t stream_read(void *cookie, char *bytes, size_t n) {
  return read(number_of(cookie), bytes, n);
}

static size_t write_all(int fd, const char *bytes, size_t n) {
  size_t written = 0;
  while (written < n) {
    ssize_t taken = write(fd, bytes + written, n - written);
    if (taken < 0) break;
    written += (size_t)taken;
  }
  return written;
}

static ssize_t stream_write(void *cookie, const char *bytes, size_t n) {
  return (ssize_t)write_all(number_of(cookie), bytes, n);
}

static int stream_seek(void *cookie, off64_t *offset, int whence) {
  (void)cookie, (void)offset, (void)whence;
  return mr_fail(ESPIPE);
}

static int stream_close(void *cookie) { return close(number_of(cookie)); }

static FILE *stream_over(int fd, const char *mode) {
  static const cookie_io_functions_t functions = {stream_read, stream_write, stream_seek, stream_close};
  FILE *stream = fopencookie((void *)(intptr_t)fd, mode, functions);
#ifdef __GLIBC__
  if (stream != NULL) stream->_fileno = fd; /* what fileno answers */
#endif
  return stream;
}

static bool may_be_ours(int fd) {
  enum mr_fd_kind kind = mr_fd_kind_of(fd);
  return kind == MR_FD_SOCKET || kind == MR_FD_PENDING;
}

EXPORT FILE *fdopen(int fd, const char *mode) {
  if (!may_be_ours(fd)) return real.fdopen(fd, mode);
  if (mode[0] == '\0' || strchr("rwa", mode[0]) == NULL) {
    errno = EINVAL;
    return NULL;
  }
  return stream_over(fd, mode);
}

/* Streams of libc's own close their number where we cannot see it; ours close it by our close. */
EXPORT int fclose(FILE *stream) {
  int saved = errno;
  int fd = real.fileno(stream);
  errno = saved;
  bool was_ours = fd >= 0 && may_be_ours(fd);
  if (fd >= 0 && !was_ours) mr_fresh_fd(fd);
  int result = real.fclose(stream);
  saved = errno;
  if (was_ours && real.fcntl(fd, F_GETFD, NULL) < 0) mr_fresh_fd(fd);
  errno = saved;
  return result;
}

#define REOPEN(name)                                                          \
  EXPORT FILE *name(const char *path, const char *mode, FILE *stream) {       \
    int fd = real.fileno(stream);                                                \
    FILE *result = real.name(path, mode, stream);                             \
    if (fd >= 0 && mr_fd_kind_of(fd) != MR_FD_PRIVATE) mr_fresh_fd(fd);       \
    return result;                                                            \
  }
REOPEN(freopen)
REOPEN(freopen64)

EXPORT int vdprintf(int fd, const char *format, va_list arguments) {
  if (mr_fd_kind_of(fd) != MR_FD_SOCKET) return real.vdprintf(fd, format, arguments);
  char *text;
  int n = vasprintf(&text, format, arguments);
  if (n < 0) return n;
  size_t written = write_all(fd, text, (size_t)n);
  int saved = errno;
  free(text);
  errno = saved;
  return written == (size_t)n ? n : -1;
}

EXPORT int dprintf(int fd, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int result = vdprintf(fd, format, arguments);
  va_end(arguments);
  return result;
}

/* The fortified forms; `flag` asks for checks of %n that only libc can make. */
EXPORT int __vdprintf_chk(int fd, int flag, const char *format, va_list arguments) {
  (void)flag;
  return vdprintf(fd, format, arguments);
}
EXPORT int __dprintf_chk(int fd, int flag, const char *format, ...) {
  (void)flag;
  va_list arguments;
  va_start(arguments, format);
  int result = vdprintf(fd, format, arguments);
  va_end(arguments);
  return result;
}

/* As inetd leaves it: a socket at 0, 1 and 2. What the old stream holds is not written: between fork
 * and exec that would be the parent's. */
void mr_stdio_follow(int fd) {
  static FILE *ours[3];
  FILE **standard = fd == 0 ? &stdin : fd == 1 ? &stdout : &stderr;
  if (ours[fd] != NULL && *standard == ours[fd]) return;
  FILE *stream = stream_over(fd, fd == 0 ? "r" : "w");
  if (stream == NULL) return;
  if (fd == 2) setvbuf(stream, NULL, _IONBF, 0);
  *standard = ours[fd] = stream;
}
