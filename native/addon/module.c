/* The addon's entry point, and the reading of arguments. */
#include <string.h>

#include "addon.h"

Args args_of(napi_env env, napi_callback_info info) {
  Args args = {.env = env};
  size_t n = MAX_ARGS;
  /* Node-API fills the places of absent arguments with undefined. */
  if (napi_get_cb_info(env, info, &n, args.at, NULL, NULL) != napi_ok) memset(args.at, 0, sizeof args.at);
  return args;
}

bool arg_int(const Args *args, int i, int32_t *out) {
  return napi_get_value_int32(args->env, args->at[i], out) == napi_ok;
}

bool arg_size(const Args *args, int i, size_t *out) {
  double value;
  if (napi_get_value_double(args->env, args->at[i], &value) != napi_ok) return false;
  if (!(value >= 0 && value <= 9007199254740992.0)) return false; /* NaN fails too */
  *out = (size_t)value;
  return (double)*out == value;
}

bool arg_text(const Args *args, int i, char *out, size_t room) {
  size_t length;
  if (napi_get_value_string_utf8(args->env, args->at[i], NULL, 0, &length) != napi_ok) return false;
  if (length >= room) return false;
  return napi_get_value_string_utf8(args->env, args->at[i], out, room, &length) == napi_ok &&
         strlen(out) == length;
}

bool arg_bytes(const Args *args, int i, Memory *out) {
  napi_typedarray_type type;
  void *data;
  if (napi_get_typedarray_info(args->env, args->at[i], &type, &out->length, &data, NULL, NULL) !=
      napi_ok) {
    return false;
  }
  out->bytes = data;
  return type == napi_uint8_array;
}

bool arg_int32s(const Args *args, int i, int32_t n, int32_t **out) {
  napi_typedarray_type type;
  size_t length;
  void *data;
  if (napi_get_typedarray_info(args->env, args->at[i], &type, &length, &data, NULL, NULL) !=
      napi_ok) {
    return false;
  }
  *out = data;
  return type == napi_int32_array && n >= 0 && length >= (size_t)n;
}

void *arg_handle(const Args *args, int i, const void *kind) {
  void *data;
  if (napi_get_value_external(args->env, args->at[i], &data) != napi_ok) return NULL;
  return ((Handle *)data)->kind == kind ? data : NULL;
}

napi_value int_result(napi_env env, int32_t value) {
  napi_value result;
  return napi_create_int32(env, value, &result) == napi_ok ? result : NULL;
}

napi_value call_result(napi_env env, int result) {
  return int_result(env, result < 0 ? -errno : result);
}

napi_value text_result(napi_env env, const char *text) {
  napi_value result;
  return napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &result) == napi_ok ? result : NULL;
}

bool export_function(napi_env env, napi_value exports, const char *name, napi_callback callback) {
  napi_value function;
  return napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, NULL, &function) == napi_ok &&
         napi_set_named_property(env, exports, name, function) == napi_ok;
}

/* One for each file, in the order of the alphabet. */
static bool (*const EXPORTERS[])(napi_env env, napi_value exports) = {
    export_bpf,
    export_bpf_map,
    export_exec,
    export_clock,
    export_fd,
    export_interface,
    export_loop_call,
    export_mapping,
    export_memory,
    export_netlink,
    export_packet,
    export_socket,
    export_tap,
    export_tap_frames,
    export_unix_socket,
    export_wait,
    export_watch,
    export_xdp_query,
    export_xsk,
};

NAPI_MODULE_INIT() {
  for (size_t i = 0; i < sizeof EXPORTERS / sizeof EXPORTERS[0]; i++) {
    if (EXPORTERS[i](env, exports)) continue;
    napi_throw_error(env, NULL, "millrace: the addon could not define its functions");
    return NULL;
  }
  return exports;
}
