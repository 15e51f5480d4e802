/*
 * bpf(2): maps, programs, XDP links, test runs, and who has a program on an interface.
 *
 * The kernel copies as many bytes as a map's key and value have, whatever the caller's arrays hold,
 * so the sizes are asked for before each access. Descriptors are close-on-exec, as bpf(2) makes them.
 */
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "addon.h"

#define LOAD_ATTEMPTS 5
#define VALUE_ALIGN 8

static uint64_t address_of(const void *place) { return (uint64_t)(uintptr_t)place; }

/* 0, a descriptor, or -errno. */
static int bpf(enum bpf_cmd command, union bpf_attr *attr) {
  long result = syscall(SYS_bpf, command, attr, sizeof *attr);
  return result < 0 ? -errno : (int)result;
}

/* bpfMapCreate(type, keyBytes, valueBytes, maxEntries, flags, name) */
static napi_value map_create(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t type, key, value, entries, flags;
  union bpf_attr attr = {0};
  if (!arg_int(&args, 0, &type) || !arg_int(&args, 1, &key) || !arg_int(&args, 2, &value) ||
      !arg_int(&args, 3, &entries) || !arg_int(&args, 4, &flags) ||
      !arg_text(&args, 5, attr.map_name, sizeof attr.map_name)) {
    return int_result(env, -EINVAL);
  }
  attr.map_type = (uint32_t)type;
  attr.key_size = (uint32_t)key;
  attr.value_size = (uint32_t)value;
  attr.max_entries = (uint32_t)entries;
  attr.map_flags = (uint32_t)flags;
  return int_result(env, bpf(BPF_MAP_CREATE, &attr));
}

/* One value for each CPU: the kernel copies them all at once. */
static bool is_per_cpu(uint32_t type) {
  return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
         type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

/* Checks that arrays of these lengths hold what the kernel will copy; `cpus` is the caller's count. */
static int check_sizes(int32_t fd, size_t key_bytes, size_t value_bytes, int32_t cpus) {
  struct bpf_map_info map = {0};
  union bpf_attr attr = {0};
  attr.info.bpf_fd = (uint32_t)fd;
  attr.info.info_len = sizeof map;
  attr.info.info = address_of(&map);
  int result = bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
  if (result < 0) return result == -EBADFD ? -EBADF : result;
  size_t value = map.value_size;
  if (is_per_cpu(map.type)) {
    if (cpus < 1) return -EINVAL;
    value = (value + VALUE_ALIGN - 1) / VALUE_ALIGN * VALUE_ALIGN * (size_t)cpus;
  }
  return key_bytes < map.key_size || value_bytes < value ? -EFAULT : 0;
}

/* The value's array does not matter to this call. */
#define ANY_VALUE SIZE_MAX

/* bpfMapLookup(fd, key: Uint8Array, value: Uint8Array, cpus) */
static napi_value map_lookup(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, cpus;
  Memory key, value;
  union bpf_attr attr = {0};
  if (!arg_int(&args, 0, &fd) || !arg_bytes(&args, 1, &key) || !arg_bytes(&args, 2, &value) ||
      !arg_int(&args, 3, &cpus)) {
    return int_result(env, -EINVAL);
  }
  int wrong = check_sizes(fd, key.length, value.length, cpus);
  if (wrong < 0) return int_result(env, wrong);
  attr.map_fd = (uint32_t)fd;
  attr.key = address_of(key.bytes);
  attr.value = address_of(value.bytes);
  return int_result(env, bpf(BPF_MAP_LOOKUP_ELEM, &attr));
}

/* bpfMapUpdate(fd, key: Uint8Array, value: Uint8Array, flags, cpus) */
static napi_value map_update(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd, flags, cpus;
  Memory key, value;
  union bpf_attr attr = {0};
  if (!arg_int(&args, 0, &fd) || !arg_bytes(&args, 1, &key) || !arg_bytes(&args, 2, &value) ||
      !arg_int(&args, 3, &flags) || !arg_int(&args, 4, &cpus)) {
    return int_result(env, -EINVAL);
  }
  int wrong = check_sizes(fd, key.length, value.length, cpus);
  if (wrong < 0) return int_result(env, wrong);
  attr.map_fd = (uint32_t)fd;
  attr.key = address_of(key.bytes);
  attr.value = address_of(value.bytes);
  attr.flags = (uint64_t)(uint32_t)flags;
  return int_result(env, bpf(BPF_MAP_UPDATE_ELEM, &attr));
}

/* bpfMapDelete(fd, key: Uint8Array) */
static napi_value map_delete(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  Memory key;
  union bpf_attr attr = {0};
  if (!arg_int(&args, 0, &fd) || !arg_bytes(&args, 1, &key)) return int_result(env, -EINVAL);
  int wrong = check_sizes(fd, key.length, ANY_VALUE, 1);
  if (wrong < 0) return int_result(env, wrong);
  attr.map_fd = (uint32_t)fd;
  attr.key = address_of(key.bytes);
  return int_result(env, bpf(BPF_MAP_DELETE_ELEM, &attr));
}

/* bpfMapNextKey(fd, key: Uint8Array or null for the first, next: Uint8Array) */
static napi_value map_next_key(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t fd;
  Memory key, next;
  napi_valuetype kind;
  union bpf_attr attr = {0};
  if (!arg_int(&args, 0, &fd) || !arg_bytes(&args, 2, &next) ||
      napi_typeof(env, args.at[1], &kind) != napi_ok) {
    return int_result(env, -EINVAL);
  }
  bool from_start = kind == napi_null;
  if (from_start) key = next;
  else if (!arg_bytes(&args, 1, &key)) return int_result(env, -EINVAL);
  size_t shorter = key.length < next.length ? key.length : next.length;
  int wrong = check_sizes(fd, shorter, ANY_VALUE, 1);
  if (wrong < 0) return int_result(env, wrong);
  attr.map_fd = (uint32_t)fd;
  attr.key = from_start ? 0 : address_of(key.bytes);
  attr.next_key = address_of(next.bytes);
  return int_result(env, bpf(BPF_MAP_GET_NEXT_KEY, &attr));
}

/*
 * bpfProgLoad(type, code: Uint8Array, license, name, flags, attachType, log: Uint8Array or null):
 * with a log, the verifier writes what it did there, ended by a zero byte; -ENOSPC when it is too
 * small. The descriptor is the caller's.
 */
static napi_value prog_load(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t type, flags, attach_type;
  Memory code, log = {0};
  char license[128];
  union bpf_attr attr = {0};
  napi_valuetype kind;
  if (!arg_int(&args, 0, &type) || !arg_bytes(&args, 1, &code) ||
      !arg_text(&args, 2, license, sizeof license) ||
      !arg_text(&args, 3, attr.prog_name, sizeof attr.prog_name) || !arg_int(&args, 4, &flags) ||
      !arg_int(&args, 5, &attach_type) || napi_typeof(env, args.at[6], &kind) != napi_ok ||
      (kind != napi_null && !arg_bytes(&args, 6, &log))) {
    return int_result(env, -EINVAL);
  }
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

/*
 * bpfTestRun(fd, data: Uint8Array, out: Uint8Array, context: Uint8Array or null, repeat,
 * results: Int32Array(3)): runs a program on bytes; the results are its return value, the bytes that
 * it left, and nanoseconds per run.
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

/* interfaceIndex(name) */
static napi_value interface_index(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  char name[IFNAMSIZ];
  if (!arg_text(&args, 0, name, sizeof name)) return int_result(env, -EINVAL);
  unsigned int index = if_nametoindex(name);
  return call_result(env, index == 0 ? -1 : (int)index);
}

/* Fills results from the IFLA_XDP attribute: how a program is attached (XDP_ATTACHED_…), its id. */
static void read_xdp(struct rtattr *outer, int32_t *results) {
  int left = (int)RTA_PAYLOAD(outer);
  for (struct rtattr *a = RTA_DATA(outer); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
    int type = a->rta_type & NLA_TYPE_MASK;
    if (type == IFLA_XDP_ATTACHED) results[0] = *(uint8_t *)RTA_DATA(a);
    /* With several modes at once there is one id for each; the first will do to name it. */
    bool is_id = type == IFLA_XDP_PROG_ID || type == IFLA_XDP_DRV_PROG_ID ||
                 type == IFLA_XDP_SKB_PROG_ID || type == IFLA_XDP_HW_PROG_ID;
    if (is_id && results[1] == 0) memcpy(&results[1], RTA_DATA(a), sizeof results[1]);
  }
}

/* Asks rtnetlink about one interface: 0 or -errno. */
static int query_link(int socket_fd, int32_t index, int32_t *results) {
  struct {
    struct nlmsghdr header;
    struct ifinfomsg body;
  } request = {
      .header = {.nlmsg_len = sizeof request, .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST},
      .body = {.ifi_family = AF_UNSPEC, .ifi_index = index},
  };
  _Alignas(struct nlmsghdr) char answer[32768];
  if (send(socket_fd, &request, sizeof request, 0) < 0) return -errno;
  ssize_t n = recv(socket_fd, answer, sizeof answer, 0);
  if (n < 0) return -errno;
  struct nlmsghdr *header = (struct nlmsghdr *)answer;
  if (!NLMSG_OK(header, (size_t)n)) return -EPROTO;
  if (header->nlmsg_type == NLMSG_ERROR) return ((struct nlmsgerr *)NLMSG_DATA(header))->error;
  struct ifinfomsg *body = NLMSG_DATA(header);
  int left = (int)IFLA_PAYLOAD(header);
  for (struct rtattr *a = IFLA_RTA(body); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
    if ((a->rta_type & NLA_TYPE_MASK) == IFLA_XDP) read_xdp(a, results);
  }
  return 0;
}

/* xdpQuery(interfaceIndex, results: Int32Array(2)): the mode (0 none, 1 native, 2 generic, 3 hardware,
 * 4 several) and the id of the program that is attached. */
static napi_value xdp_query(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  int32_t index, *results;
  if (!arg_int(&args, 0, &index) || !arg_int32s(&args, 1, 2, &results)) return int_result(env, -EINVAL);
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return call_result(env, -1);
  results[0] = 0;
  results[1] = 0;
  int result = query_link(fd, index, results);
  close(fd);
  return int_result(env, result);
}

bool export_bpf(napi_env env, napi_value exports) {
  return export_function(env, exports, "bpfMapCreate", map_create) &&
         export_function(env, exports, "bpfMapLookup", map_lookup) &&
         export_function(env, exports, "bpfMapUpdate", map_update) &&
         export_function(env, exports, "bpfMapDelete", map_delete) &&
         export_function(env, exports, "bpfMapNextKey", map_next_key) &&
         export_function(env, exports, "bpfProgLoad", prog_load) &&
         export_function(env, exports, "bpfTestRun", test_run) &&
         export_function(env, exports, "bpfLinkXdp", link_xdp) &&
         export_function(env, exports, "bpfInfo", object_info) &&
         export_function(env, exports, "bpfNextId", next_id) &&
         export_function(env, exports, "bpfOpenId", open_id) &&
         export_function(env, exports, "interfaceIndex", interface_index) &&
         export_function(env, exports, "xdpQuery", xdp_query);
}
