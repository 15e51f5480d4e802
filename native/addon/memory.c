/*
 * Shared memory: sealed memfds, and mapping them over a range of a WebAssembly.Memory, so that
 * TypeScript, WebAssembly code and another process see the same bytes (design: one address space).
 *
 * A mapping replaces pages inside the engine's own reservation, so it needs no clean-up of its own:
 * they go when the memory is collected. The memory must never grow, and must not be a plain
 * ArrayBuffer, whose pages belong to the allocator; the wrapper in src/sys/memory.ts sees to it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "addon.h"

/* memfdCreate(name, bytes): sealed against shrinking and growing, so that no peer can make us fault. */
static napi_value memfd_make(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  char name[64];
  size_t bytes;
  if (!arg_text(&args, 0, name, sizeof name) || !arg_size(&args, 1, &bytes)) {
    return int_result(env, -EINVAL);
  }
  int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return call_result(env, fd);
  if (ftruncate(fd, (off_t)bytes) < 0 ||
      fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
    int error = errno;
    close(fd);
    return int_result(env, -error);
  }
  return int_result(env, fd);
}

/* 0 or a negated error number; a write that falls short says nothing of why. */
static int write_all(int fd, const uint8_t *bytes, size_t length) {
  while (length > 0) {
    ssize_t n = write(fd, bytes, length);
    if (n == 0) return -EIO;
    if (n < 0 && errno != EINTR) return -errno;
    if (n < 0) continue;
    bytes += n;
    length -= (size_t)n;
  }
  return 0;
}

/* memfdFilled(name, contents): holds these bytes for good. */
static napi_value memfd_filled(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  char name[64];
  Memory contents;
  if (!arg_text(&args, 0, name, sizeof name) || !arg_bytes(&args, 1, &contents)) {
    return int_result(env, -EINVAL);
  }
  int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return call_result(env, fd);
  int failed = write_all(fd, contents.bytes, contents.length);
  if (failed == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
    failed = -errno;
  }
  if (failed == 0) return int_result(env, fd);
  close(fd);
  return int_result(env, failed);
}

/* memfdSeals(fd): the F_SEAL bits; -EINVAL for what is no memfd. */
static napi_value memfd_seals(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  return call_result(env, fcntl(fd, F_GET_SEALS));
}

/* fdBytes(fd): the size of what is behind a descriptor, as a double. */
static napi_value fd_bytes(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  struct stat status;
  napi_value result;
  if (!arg_int(&args, 0, &fd)) return int_result(env, -EINVAL);
  if (fstat(fd, &status) < 0) return call_result(env, -1);
  return napi_create_double(env, (double)status.st_size, &result) == napi_ok ? result : NULL;
}

/*
 * heapKeep(bytes): has malloc keep about twice as much of freed memory, instead of giving it back to
 * the kernel and having it cleared again. glibc learns that from freeing a large piece (mallopt(3),
 * M_MMAP_THRESHOLD, "dynamic"), as from any that the program itself frees; its settings stay as they are.
 */
static napi_value heap_keep(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  size_t bytes;
  if (!arg_size(&args, 0, &bytes)) return int_result(env, -EINVAL);
  void *volatile piece = malloc(bytes); /* volatile: compilers leave out what is freed unused */
  if (piece == NULL) return int_result(env, -ENOMEM);
  free(piece);
  return int_result(env, 0);
}

/* Copies by stores that go past the caches; the two ranges do not overlap. */
static void copy_past(uint8_t *to, const uint8_t *from, size_t n) {
#ifdef __SSE2__
  size_t head = (size_t)(-(uintptr_t)to & 63);
  if (head > n) head = n;
  memcpy(to, from, head);
  to += head;
  from += head;
  n -= head;
  for (; n >= 64; n -= 64, to += 64, from += 64) {
    __m128i a = _mm_loadu_si128((const __m128i *)from);
    __m128i b = _mm_loadu_si128((const __m128i *)(from + 16));
    __m128i c = _mm_loadu_si128((const __m128i *)(from + 32));
    __m128i d = _mm_loadu_si128((const __m128i *)(from + 48));
    _mm_stream_si128((__m128i *)to, a);
    _mm_stream_si128((__m128i *)(to + 16), b);
    _mm_stream_si128((__m128i *)(to + 32), c);
    _mm_stream_si128((__m128i *)(to + 48), d);
  }
  _mm_sfence(); /* whoever is told by a later store finds the bytes there */
#endif
  memcpy(to, from, n);
}

/* copyPast(to: Uint8Array, toAt, from: Uint8Array, fromAt, n): for bytes that another core reads next. */
static napi_value memory_copy_past(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  Memory to, from;
  size_t to_at, from_at, n;
  if (!arg_bytes(&args, 0, &to) || !arg_size(&args, 1, &to_at) || !arg_bytes(&args, 2, &from) ||
      !arg_size(&args, 3, &from_at) || !arg_size(&args, 4, &n)) {
    return int_result(env, -EINVAL);
  }
  if (to_at > to.length || n > to.length - to_at || from_at > from.length ||
      n > from.length - from_at) {
    return int_result(env, -EFAULT);
  }
  copy_past(to.bytes + to_at, from.bytes + from_at, n);
  return int_result(env, 0);
}

/* Whether [at, at + bytes) lies in the memory and covers whole pages of the machine. */
static int check_range(const Memory *memory, size_t at, size_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  if (at > memory->length || bytes > memory->length - at) return -EFAULT;
  if (bytes == 0 || bytes % page != 0 || ((uintptr_t)memory->bytes + at) % page != 0) return -EINVAL;
  return 0;
}

/* memoryMap(bytes: Uint8Array, at, length, fd, fdAt, writable) */
static napi_value memory_map(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  Memory memory;
  size_t at, length, fd_at;
  int32_t fd, writable;
  struct stat status;
  if (!arg_bytes(&args, 0, &memory) || !arg_size(&args, 1, &at) || !arg_size(&args, 2, &length) ||
      !arg_int(&args, 3, &fd) || !arg_size(&args, 4, &fd_at) || !arg_int(&args, 5, &writable)) {
    return int_result(env, -EINVAL);
  }
  int wrong = check_range(&memory, at, length);
  if (wrong < 0) return int_result(env, wrong);
  /* Touching a page beyond the file's end would kill the process. */
  if (fstat(fd, &status) < 0) return call_result(env, -1);
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  size_t file_bytes = ((size_t)status.st_size + page - 1) / page * page; /* its last page is whole */
  if (fd_at > file_bytes || length > file_bytes - fd_at) return int_result(env, -ENXIO);
  int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  void *mapped = mmap(memory.bytes + at, length, protection, MAP_SHARED | MAP_FIXED, fd, (off_t)fd_at);
  return call_result(env, mapped == MAP_FAILED ? -1 : 0);
}

/* memoryUnmap(bytes: Uint8Array, at, length): fresh zeroed private pages in place of a mapping. */
static napi_value memory_unmap(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  Memory memory;
  size_t at, length;
  if (!arg_bytes(&args, 0, &memory) || !arg_size(&args, 1, &at) || !arg_size(&args, 2, &length)) {
    return int_result(env, -EINVAL);
  }
  int wrong = check_range(&memory, at, length);
  if (wrong < 0) return int_result(env, wrong);
  void *mapped = mmap(memory.bytes + at, length, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  return call_result(env, mapped == MAP_FAILED ? -1 : 0);
}

bool export_memory(napi_env env, napi_value exports) {
  return export_function(env, exports, "memfdCreate", memfd_make) &&
         export_function(env, exports, "memfdFilled", memfd_filled) &&
         export_function(env, exports, "memfdSeals", memfd_seals) &&
         export_function(env, exports, "fdBytes", fd_bytes) &&
         export_function(env, exports, "heapKeep", heap_keep) &&
         export_function(env, exports, "copyPast", memory_copy_past) &&
         export_function(env, exports, "memoryMap", memory_map) &&
         export_function(env, exports, "memoryUnmap", memory_unmap);
}
