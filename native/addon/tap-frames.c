/*
 * Moving frames between a TAP descriptor and the arena, many per call.
 *
 * Each frame lies in the arena at its offset with the 12 bytes of its virtio-net header directly
 * before it, so that one system call moves both. Every place is checked against the arena here:
 * a wrong offset is an error in our own TypeScript, and must not become one in foreign memory.
 */
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "addon.h"

#define VIRTIO_HEADER_BYTES 12

/* Whether a frame of up to `room` bytes at `at`, its header included, lies in the memory. */
static bool in_memory(const Memory *memory, int32_t at, int32_t room) {
  return at >= VIRTIO_HEADER_BYTES && room >= 0 && (size_t)at <= memory->length &&
         (size_t)room <= memory->length - (size_t)at;
}

static bool all_in_memory(const Memory *memory, const int32_t *ats, int32_t n, int32_t room) {
  for (int32_t i = 0; i < n; i++) {
    if (!in_memory(memory, ats[i], room)) return false;
  }
  return true;
}

/*
 * Reads one frame. Its first `small_room` bytes go to `small_at`; what is more goes to the place in
 * the big slot where it belongs if the frame began at `big_at`, and the beginning is then copied
 * there. So small frames need no copy, and big ones only that of their beginning.
 */
static ssize_t read_frame(int fd, uint8_t *memory, int32_t small_at, int32_t small_room,
                          int32_t big_at, int32_t big_room) {
  struct iovec parts[2] = {
      {memory + small_at - VIRTIO_HEADER_BYTES, (size_t)small_room + VIRTIO_HEADER_BYTES},
      {memory + big_at + small_room, (size_t)(big_room - small_room)},
  };
  ssize_t n;
  do n = readv(fd, parts, 2);
  while (n < 0 && errno == EINTR);
  if (n < 0) return -errno;
  n -= VIRTIO_HEADER_BYTES;
  if (n > small_room) memcpy(memory + big_at, memory + small_at, (size_t)small_room);
  return n;
}

/*
 * tapReceive(fd, memory, smallAts, bigAts, lengths, [n, nBig, smallRoom, bigRoom])
 *
 * Reads up to n frames until there is none; how many, or -errno when the first read failed
 * (-EAGAIN: no frame). Frame i is lengths[i] bytes long. When that is at most smallRoom it lies at
 * smallAts[i]; else it is the k-th such frame of this call and lies at bigAts[k], its header still
 * before smallAts[i]. The last big place is kept: reading stops when the others are used. When it is
 * the only one, the big frames that go there overwrite each other: they are lost, but the small
 * frames behind them are not held up.
 */
static napi_value tap_receive(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  Memory memory;
  int32_t fd, *small_ats, *big_ats, *lengths, *sizes;
  if (!arg_int(&args, 0, &fd) || !arg_bytes(&args, 1, &memory) || !arg_int32s(&args, 5, 4, &sizes)) {
    return int_result(env, -EINVAL);
  }
  int32_t n = sizes[0], n_big = sizes[1], small_room = sizes[2], big_room = sizes[3];
  if (!arg_int32s(&args, 2, n, &small_ats) || !arg_int32s(&args, 3, n_big, &big_ats) ||
      !arg_int32s(&args, 4, n, &lengths) || n_big < 1 || small_room < 0 || big_room < small_room) {
    return int_result(env, -EINVAL);
  }
  if (!all_in_memory(&memory, small_ats, n, small_room) ||
      !all_in_memory(&memory, big_ats, n_big, big_room)) {
    return int_result(env, -EFAULT);
  }
  int32_t big = 0;
  for (int32_t i = 0; i < n; i++) {
    ssize_t length =
        read_frame(fd, memory.bytes, small_ats[i], small_room, big_ats[big], big_room);
    if (length < 0) return int_result(env, i > 0 ? i : (int32_t)length);
    lengths[i] = (int32_t)length;
    if (length <= small_room || n_big == 1) continue;
    if (++big == n_big - 1) return int_result(env, i + 1);
  }
  return int_result(env, n);
}

/*
 * tapTransmit(fd, memory, ats, lengths, n)
 *
 * Writes frames until the kernel takes no more for now; how many it dealt with. Those that it
 * refused have their negative errno in lengths[i].
 */
static napi_value tap_transmit(napi_env env, napi_callback_info info) {
  Args args = args_of(env, info);
  Memory memory;
  int32_t fd, n, *ats, *lengths;
  if (!arg_int(&args, 0, &fd) || !arg_bytes(&args, 1, &memory) || !arg_int(&args, 4, &n) ||
      !arg_int32s(&args, 2, n, &ats) || !arg_int32s(&args, 3, n, &lengths)) {
    return int_result(env, -EINVAL);
  }
  for (int32_t i = 0; i < n; i++) {
    if (!in_memory(&memory, ats[i], lengths[i])) return int_result(env, -EFAULT);
  }
  for (int32_t i = 0; i < n; i++) {
    ssize_t written;
    do {
      written = write(fd, memory.bytes + ats[i] - VIRTIO_HEADER_BYTES,
                      (size_t)lengths[i] + VIRTIO_HEADER_BYTES);
    } while (written < 0 && errno == EINTR);
    if (written >= 0) continue;
    if (errno == EAGAIN) return int_result(env, i);
    lengths[i] = -errno;
  }
  return int_result(env, n);
}

bool export_tap_frames(napi_env env, napi_value exports) {
  return export_function(env, exports, "tapReceive", tap_receive) &&
         export_function(env, exports, "tapTransmit", tap_transmit);
}
