/* Programs, XDP links and objects by number of bpf(2). */
#include <string.h>

#include "addon.h"
#include "bpf.h"

#define LOAD_ATTEMPTS 5

/*
 * bpfProgLoad(type, code: Uint8Array, license, name, flags, attachType, log: Uint8Array or null,
 * interfaceIndex: of the device that the program is bound to, or 0, btfFd: or 0, functions: Uint8Array,
 * lines: Uint8Array): with a log, the verifier writes what it did there, ended by a zero byte; -ENOSPC when
 * it is too small. `functions` and `lines` refer to the types of btfFd: struct bpf_func_info, bpf_line_info.
 * The descriptor is the caller's.
 */
static napi_value prog_load(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t type, flags, attach_type, index, btf;
  Memory code, functions, lines, log = {0};
  char license[128];
  union bpf_attr attr = {0};
  napi_valuetype kind;
  if (!arg_int(&args, 0, &type) || !arg_bytes(&args, 1, &code) ||
      !arg_text(&args, 2, license, sizeof license) ||
      !arg_text(&args, 3, attr.prog_name, sizeof attr.prog_name) || !arg_int(&args, 4, &flags) ||
      !arg_int(&args, 5, &attach_type) || napi_typeof(env, args.at[6], &kind) != napi_ok ||
      (kind != napi_null && !arg_bytes(&args, 6, &log)) || !arg_int(&args, 7, &index) ||
      !arg_int(&args, 8, &btf) || !arg_bytes(&args, 9, &functions) ||
      !arg_bytes(&args, 10, &lines)) {
    return int_result(env, -EINVAL);
  }
  if (btf > 0) {
    attr.prog_btf_fd = (uint32_t)btf;
    attr.func_info = address_of(functions.bytes);
    attr.func_info_rec_size = sizeof(struct bpf_func_info);
    attr.func_info_cnt = (uint32_t)(functions.length / sizeof(struct bpf_func_info));
    attr.line_info = address_of(lines.bytes);
    attr.line_info_rec_size = sizeof(struct bpf_line_info);
    attr.line_info_cnt = (uint32_t)(lines.length / sizeof(struct bpf_line_info));
  }
  attr.prog_ifindex = (uint32_t)index;
  attr.prog_type = (uint32_t)type;
  attr.insns = address_of(code.bytes);
  attr.insn_cnt = (uint32_t)(code.length / sizeof(struct bpf_insn));
  attr.license = address_of(license);
  attr.prog_flags = (uint32_t)flags;
  attr.expected_attach_type = (uint32_t)attach_type;
  if (log.length > 0) {
    log.bytes[0] = 0;
    attr.log_buf = address_of(log.bytes);
    attr.log_size = (uint32_t)log.length;
    attr.log_level = 1;
  }
  /* The verifier gives way to signals; the program is not at fault then. */
  int result = -EAGAIN;
  for (int i = 0; i < LOAD_ATTEMPTS && result == -EAGAIN; i++) result = bpf(BPF_PROG_LOAD, &attr);
  return int_result(env, result);
}

/* bpfBtfLoad(types: Uint8Array): a descriptor of the types, which is the caller's. */
static napi_value btf_load(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  Memory types;
  union bpf_attr attr = {0};
  if (!arg_bytes(&args, 0, &types)) return int_result(env, -EINVAL);
  attr.btf = address_of(types.bytes);
  attr.btf_size = (uint32_t)types.length;
  return int_result(env, bpf(BPF_BTF_LOAD, &attr));
}

/*
 * bpfTestRun(fd, data: Uint8Array, out: Uint8Array, context: Uint8Array or null, repeat,
 * results: Int32Array(3)): runs a program on bytes; the results are its return value, the bytes that
 * it left, and nanoseconds per run. The context is what the program finds, and then what it left.
 */
static napi_value test_run(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, repeat, *results;
  Memory data, out, context = {0};
  napi_valuetype kind;
  union bpf_attr attr = {0};
  if (!arg_int(&args, 0, &fd) || !arg_bytes(&args, 1, &data) || !arg_bytes(&args, 2, &out) ||
      napi_typeof(env, args.at[3], &kind) != napi_ok ||
      (kind != napi_null && !arg_bytes(&args, 3, &context)) || !arg_int(&args, 4, &repeat) ||
      !arg_int32s(&args, 5, 3, &results)) {
    return int_result(env, -EINVAL);
  }
  attr.test.prog_fd = (uint32_t)fd;
  attr.test.data_in = address_of(data.bytes);
  attr.test.data_size_in = (uint32_t)data.length;
  attr.test.data_out = address_of(out.bytes);
  attr.test.data_size_out = (uint32_t)out.length;
  attr.test.repeat = (uint32_t)repeat;
  if (context.length > 0) {
    attr.test.ctx_in = address_of(context.bytes);
    attr.test.ctx_size_in = (uint32_t)context.length;
    attr.test.ctx_out = address_of(context.bytes);
    attr.test.ctx_size_out = (uint32_t)context.length;
  }
  int result = bpf(BPF_PROG_TEST_RUN, &attr);
  results[0] = (int32_t)attr.test.retval;
  results[1] = (int32_t)attr.test.data_size_out;
  results[2] = (int32_t)attr.test.duration;
  return int_result(env, result);
}

/* bpfLinkXdp(progFd, interfaceIndex, flags): closing the link's descriptor detaches the program. */
static napi_value link_xdp(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, index, flags;
  union bpf_attr attr = {0};
  if (!arg_int(&args, 0, &fd) || !arg_int(&args, 1, &index) || !arg_int(&args, 2, &flags)) {
    return int_result(env, -EINVAL);
  }
  attr.link_create.prog_fd = (uint32_t)fd;
  attr.link_create.target_ifindex = (uint32_t)index;
  attr.link_create.attach_type = BPF_XDP;
  attr.link_create.flags = (uint32_t)flags;
  return int_result(env, bpf(BPF_LINK_CREATE, &attr));
}

/* bpfInfo(fd, out: Uint8Array): the kernel's information structure; its length. */
static napi_value object_info(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  Memory out;
  union bpf_attr attr = {0};
  if (!arg_int(&args, 0, &fd) || !arg_bytes(&args, 1, &out)) return int_result(env, -EINVAL);
  /* Some of its fields are places to write to: zeroes ask for nothing. */
  memset(out.bytes, 0, out.length);
  attr.info.bpf_fd = (uint32_t)fd;
  attr.info.info_len = (uint32_t)out.length;
  attr.info.info = address_of(out.bytes);
  int result = bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
  return int_result(env, result < 0 ? result : (int32_t)attr.info.info_len);
}

/* Kinds of objects: 1 programs, 2 maps, 3 links. 0 is none, so that no odd argument means one. */
static const enum bpf_cmd NEXT_ID[] = {0, BPF_PROG_GET_NEXT_ID, BPF_MAP_GET_NEXT_ID,
                                       BPF_LINK_GET_NEXT_ID};
static const enum bpf_cmd FD_BY_ID[] = {0, BPF_PROG_GET_FD_BY_ID, BPF_MAP_GET_FD_BY_ID,
                                        BPF_LINK_GET_FD_BY_ID};
#define LAST_KIND 3

/* bpfNextId(kind, id): the id of the object after it, from 0 on; -ENOENT after the last. */
static napi_value next_id(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t kind, id;
  union bpf_attr attr = {0};
  if (!arg_int(&args, 0, &kind) || kind < 1 || kind > LAST_KIND || !arg_int(&args, 1, &id)) {
    return int_result(env, -EINVAL);
  }
  attr.start_id = (uint32_t)id;
  int result = bpf(NEXT_ID[kind], &attr);
  return int_result(env, result < 0 ? result : (int32_t)attr.next_id);
}

/* bpfOpenId(kind, id): a descriptor of it. */
static napi_value open_id(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t kind, id;
  union bpf_attr attr = {0};
  if (!arg_int(&args, 0, &kind) || kind < 1 || kind > LAST_KIND || !arg_int(&args, 1, &id)) {
    return int_result(env, -EINVAL);
  }
  attr.prog_id = (uint32_t)id; /* the same place for every kind */
  return int_result(env, bpf(FD_BY_ID[kind], &attr));
}

bool export_bpf(napi_env env, napi_value exports) {
  return export_function(env, exports, "bpfProgLoad", prog_load) &&
         export_function(env, exports, "bpfBtfLoad", btf_load) &&
         export_function(env, exports, "bpfTestRun", test_run) &&
         export_function(env, exports, "bpfLinkXdp", link_xdp) &&
         export_function(env, exports, "bpfInfo", object_info) &&
         export_function(env, exports, "bpfNextId", next_id) &&
         export_function(env, exports, "bpfOpenId", open_id);
}
