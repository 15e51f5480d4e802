/*
 * A kernel's ring, mapped and given to JavaScript as an ArrayBuffer (mmap(2), AF_XDP, AF_PACKET).
 *
 * The mapping lives until `mappingClose`, which detaches the buffer first, so that no view of it
 * reaches memory that is gone; or until both the handle and the buffer are collected.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "addon.h"

static const char MAPPING_KIND = 'm';

typedef struct {
  Handle handle;
  void *bytes; /* NULL once unmapped */
  size_t length;
  int users;       /* the handle, and the buffer once it is made */
  napi_ref buffer; /* weak */
} Mapping;

static void unmap(Mapping *m) {
  if (m->bytes != NULL) munmap(m->bytes, m->length);
  m->bytes = NULL;
}

static void drop_user(Mapping *m) {
  if (--m->users > 0) return;
  unmap(m);
  free(m);
}

static void free_handle(napi_env env, void *data, void *hint) {
  (void)hint;
  Mapping *m = data;
  if (m->buffer != NULL) napi_delete_reference(env, m->buffer);
  m->buffer = NULL;
  drop_user(m);
}

static void free_buffer(napi_env env, void *data, void *hint) {
  (void)env;
  (void)data;
  drop_user(hint);
}

/* mappingOpen(fd, fdAt, lengthBytes): a mapping of the descriptor's memory, or -errno. */
static napi_value mapping_open(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  size_t fd_at, length;
  napi_value result;
  if (!arg_int(&args, 0, &fd) || !arg_size(&args, 1, &fd_at) || !arg_size(&args, 2, &length)) {
    return int_result(env, -EINVAL);
  }
  Mapping *m = calloc(1, sizeof *m);
  if (m == NULL) return int_result(env, -ENOMEM);
  void *bytes =
      mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)fd_at);
  if (bytes == MAP_FAILED) {
    int error = errno;
    free(m);
    return int_result(env, -error);
  }
  *m = (Mapping){{&MAPPING_KIND}, bytes, length, 1, NULL};
  if (napi_create_external(env, m, free_handle, NULL, &result) == napi_ok) return result;
  drop_user(m);
  return int_result(env, -ENOMEM);
}

/* mappingBuffer(mapping): its bytes as an ArrayBuffer, made once; or -errno. */
static napi_value mapping_buffer(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  Mapping *m = arg_handle(&args, 0, &MAPPING_KIND);
  napi_value buffer;
  if (m == NULL) return int_result(env, -EINVAL);
  if (m->bytes == NULL || m->buffer != NULL) return int_result(env, -EBADF);
  m->users++;
  if (napi_create_external_arraybuffer(env, m->bytes, m->length, free_buffer, m, &buffer) !=
      napi_ok) {
    m->users--;
    return int_result(env, -EOPNOTSUPP); /* this JavaScript engine forbids memory of others */
  }
  napi_create_reference(env, buffer, 0, &m->buffer);
  return buffer;
}

/* mappingClose(mapping): its buffer has no bytes from now on. Idempotent. */
static napi_value mapping_close(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  Mapping *m = arg_handle(&args, 0, &MAPPING_KIND);
  napi_value buffer = NULL;
  if (m == NULL) return int_result(env, -EINVAL);
  if (m->bytes == NULL) return int_result(env, 0);
  if (m->buffer != NULL && napi_get_reference_value(env, m->buffer, &buffer) == napi_ok &&
      buffer != NULL && napi_detach_arraybuffer(env, buffer) != napi_ok) {
    return int_result(env, -EBUSY); /* somebody still sees it: it stays mapped */
  }
  unmap(m);
  return int_result(env, 0);
}

bool export_mapping(napi_env env, napi_value exports) {
  return export_function(env, exports, "mappingOpen", mapping_open) &&
         export_function(env, exports, "mappingBuffer", mapping_buffer) &&
         export_function(env, exports, "mappingClose", mapping_close);
}
