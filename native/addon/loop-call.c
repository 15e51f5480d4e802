/*
 * A call from the event loop as libuv makes it: outside of every callback scope of Node's.
 *
 * Node runs ticks and microtasks where the outermost of its scopes ends. Timers, immediates and Node-API's own
 * callbacks are such scopes, so native code that calls JavaScript several times from within one (an HTTP/2
 * session that is handed several frames) has ticks run after all of it; handed the same by libuv, after each.
 *
 * libuv's idle handle is the one that calls in the next iteration of the loop whatever else happens.
 */
#include <stdlib.h>

#include "addon.h"

/* libuv's, which Node exports: as uv.h 1.x declares them, for handles that only libuv looks into. */
typedef struct uv_handle_s uv_handle_t;
extern size_t uv_handle_size(int type);
extern void *uv_handle_get_data(const uv_handle_t *handle);
extern void uv_handle_set_data(uv_handle_t *handle, void *data);
extern void uv_close(uv_handle_t *handle, void (*done)(uv_handle_t *handle));
extern int uv_idle_init(struct uv_loop_s *loop, uv_handle_t *idle);
extern int uv_idle_start(uv_handle_t *idle, void (*call)(uv_handle_t *idle));
extern int uv_idle_stop(uv_handle_t *idle);
#define UV_IDLE 6

static const char LOOP_CALL_KIND = 'l';

/* Lives until the environment ends. */
typedef struct {
  Handle handle;
  napi_env env;
  napi_ref call, scoped;
  napi_async_cleanup_hook_handle hook;
  uv_handle_t *idle;
  bool ended;
  /* JavaScript may hold on to it, and libuv: the last one frees it. */
  int holders;
} LoopCall;

static void leave(LoopCall *l) {
  if (--l->holders > 0) return;
  free(l->idle);
  free(l);
}

/* What was thrown becomes an uncaught exception, as from libuv's own callbacks. */
static void tell_thrown(napi_env env) {
  napi_value error;
  bool is_pending = false;
  if (napi_is_exception_pending(env, &is_pending) != napi_ok || !is_pending) return;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

static void call_javascript(uv_handle_t *idle) {
  LoopCall *l = uv_handle_get_data(idle);
  napi_handle_scope scope;
  napi_value receiver, call;
  uv_idle_stop(idle);
  if (l->ended || napi_open_handle_scope(l->env, &scope) != napi_ok) return;
  if (napi_get_reference_value(l->env, l->call, &call) == napi_ok &&
      napi_get_global(l->env, &receiver) == napi_ok) {
    napi_call_function(l->env, receiver, call, 0, NULL, NULL);
    tell_thrown(l->env);
  }
  napi_close_handle_scope(l->env, scope);
}

static void on_closed(uv_handle_t *idle) {
  LoopCall *l = uv_handle_get_data(idle);
  napi_remove_async_cleanup_hook(l->hook);
  leave(l);
}

static void on_environment_end(napi_async_cleanup_hook_handle hook, void *data) {
  LoopCall *l = data;
  (void)hook;
  l->ended = true;
  uv_close(l->idle, on_closed);
}

static void release(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  leave(data);
}

static bool is_function(napi_env env, napi_value value) {
  napi_valuetype type;
  return value != NULL && napi_typeof(env, value, &type) == napi_ok && type == napi_function;
}

/*
 * loopCallOpen(call: () => void, scoped: () => void): a handle, or -errno.
 */
static napi_value loop_call_open(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  struct uv_loop_s *loop;
  napi_value result;
  if (!is_function(env, args.at[0]) || !is_function(env, args.at[1]) ||
      napi_get_uv_event_loop(env, &loop) != napi_ok) {
    return int_result(env, -EINVAL);
  }
  LoopCall *l = calloc(1, sizeof *l);
  if (l == NULL) return int_result(env, -ENOMEM);
  l->handle.kind = &LOOP_CALL_KIND;
  l->env = env;
  l->idle = calloc(1, uv_handle_size(UV_IDLE));
  if (l->idle == NULL || uv_idle_init(loop, l->idle) < 0) {
    free(l->idle);
    free(l);
    return int_result(env, -ENOMEM);
  }
  uv_handle_set_data(l->idle, l);
  l->holders = 1;
  if (napi_add_async_cleanup_hook(env, on_environment_end, l, &l->hook) != napi_ok) {
    l->ended = true;
  } else if (napi_create_reference(env, args.at[0], 1, &l->call) == napi_ok &&
             napi_create_reference(env, args.at[1], 1, &l->scoped) == napi_ok &&
             napi_create_external(env, l, release, NULL, &result) == napi_ok) {
    l->holders = 2;
    return result;
  }
  return int_result(env, -ENOMEM); /* out of memory: what there is ends with the environment */
}

/* loopCallSoon(handle): in the next iteration of the loop, once however often it is asked before. */
static napi_value loop_call_soon(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  LoopCall *l = arg_handle(&args, 0, &LOOP_CALL_KIND);
  if (l == NULL || l->ended) return int_result(env, -EINVAL);
  return int_result(env, uv_idle_start(l->idle, call_javascript));
}

/* loopCallScoped(handle): calls `scoped` now, within a callback scope; what it throws is thrown. */
static napi_value loop_call_scoped(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  LoopCall *l = arg_handle(&args, 0, &LOOP_CALL_KIND);
  napi_value receiver, scoped;
  if (l == NULL || l->ended || napi_get_reference_value(env, l->scoped, &scoped) != napi_ok ||
      napi_get_global(env, &receiver) != napi_ok) {
    return int_result(env, -EINVAL);
  }
  if (napi_make_callback(env, NULL, receiver, scoped, 0, NULL, NULL) != napi_ok) return NULL;
  return int_result(env, 0);
}

/* exceptionThrow(error): an uncaught exception, now. */
static napi_value exception_throw(napi_env env, napi_callback_info info) {
  napi_value error;
  size_t n = 1;
  if (napi_get_cb_info(env, info, &n, &error, NULL, NULL) != napi_ok || n == 0) {
    return int_result(env, -EINVAL);
  }
  napi_fatal_exception(env, error);
  return int_result(env, 0);
}

bool export_loop_call(napi_env env, napi_value exports) {
  return export_function(env, exports, "loopCallOpen", loop_call_open) &&
         export_function(env, exports, "loopCallSoon", loop_call_soon) &&
         export_function(env, exports, "loopCallScoped", loop_call_scoped) &&
         export_function(env, exports, "exceptionThrow", exception_throw);
}
