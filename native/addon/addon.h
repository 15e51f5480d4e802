/*
 * What every file of the addon shares: reading arguments, and the one error convention.
 *
 * Every function that fails returns a negative errno to JavaScript (-EPERM), as system calls do;
 * nothing throws. The typed wrappers in src/sys/ turn that into an error which names the call and
 * says what to do. Wrong argument types or places outside the given memory are -EINVAL and -EFAULT.
 *
 * Node-API only: one binary runs on every Node.js from 20 on.
 */
#ifndef MILLRACE_ADDON_H
#define MILLRACE_ADDON_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <node_api.h>

/* The bytes behind a typed array. The pointer is valid until the function returns to JavaScript. */
typedef struct {
  uint8_t *bytes;
  size_t length; /* in bytes */
} Memory;

#define MAX_ARGS 11

/* Arguments of one call; absent ones read as undefined and so fail to convert. */
typedef struct {
  napi_env env;
  napi_value at[MAX_ARGS];
} Args;

Args args_of(napi_env env, napi_callback_info info);
bool arg_int(const Args *args, int i, int32_t *out);
/* An integer from 0 to 2^53, for sizes and places of memory. */
bool arg_size(const Args *args, int i, size_t *out);
/* A string of fewer than `room` bytes; longer ones fail. */
bool arg_text(const Args *args, int i, char *out, size_t room);
/* A Uint8Array over an ArrayBuffer or a SharedArrayBuffer. */
bool arg_bytes(const Args *args, int i, Memory *out);
/* An Int32Array with at least `n` values. */
bool arg_int32s(const Args *args, int i, int32_t n, int32_t **out);

/*
 * What a handle's structure starts with, so that one handle is not taken for another's: a pointer to
 * a place of its file's own.
 */
typedef struct {
  const void *kind;
} Handle;

/* The structure behind a handle of this kind, or NULL. */
void *arg_handle(const Args *args, int i, const void *kind);

napi_value int_result(napi_env env, int32_t value);
/* `result` as system calls return it: itself, or -errno when it is -1. */
napi_value call_result(napi_env env, int result);
napi_value text_result(napi_env env, const char *text);

bool export_function(napi_env env, napi_value exports, const char *name, napi_callback callback);

/* Before and after a call that a peer can make block (watch.c). */
void watch_step(void);

/* One for each file: adds its functions to the exports. */
bool export_bpf(napi_env env, napi_value exports);
bool export_bpf_map(napi_env env, napi_value exports);
bool export_exec(napi_env env, napi_value exports);
bool export_clock(napi_env env, napi_value exports);
bool export_fd(napi_env env, napi_value exports);
bool export_interface(napi_env env, napi_value exports);
bool export_loop_call(napi_env env, napi_value exports);
bool export_mapping(napi_env env, napi_value exports);
bool export_memory(napi_env env, napi_value exports);
bool export_packet(napi_env env, napi_value exports);
bool export_tap(napi_env env, napi_value exports);
bool export_tap_frames(napi_env env, napi_value exports);
bool export_unix_socket(napi_env env, napi_value exports);
bool export_wait(napi_env env, napi_value exports);
bool export_watch(napi_env env, napi_value exports);
bool export_xdp_query(napi_env env, napi_value exports);
bool export_socket(napi_env env, napi_value exports);
bool export_netlink(napi_env env, napi_value exports);
bool export_xsk(napi_env env, napi_value exports);

#endif
