/*
 * jit-run: what the kernel's JIT made of an XDP program, called here. Descriptor 3 is the program, standard
 * input the packet; prints one JSON line. The kernel's own test run takes 25 ns around each call, behind which
 * the processor hides a part of the program; here there is the call and nothing else. Packets are in 64 frames, in turn,
 * as they come from a device.
 *
 * The machine code must need nothing of the kernel: no maps, no helpers, no field of the context but the packet's
 * ends. x86-64 only.
 */
#define _GNU_SOURCE
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PROGRAM = 3, IMAGE_BYTES = 1 << 16, HEADROOM = 256, PIECES = 20, PIECE = 1000000 };
/* Frames do not all begin in the same line of the cache. */
enum { FRAMES = 64, FRAME_STRIDE = 2048 + 192 };

/* The beginning of the kernel's struct xdp_buff, which `struct xdp_md` becomes when a program is loaded. */
struct buffer {
  uint8_t *data, *data_end, *data_meta, *hard_start;
  void *receive_queue, *transmit_queue;
  uint32_t frame_bytes, flags;
};

typedef uint32_t (*Program)(struct buffer *, const void *);

static _Noreturn void fail(const char *what) {
  perror(what);
  exit(1);
}

static double cpu_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static Program load(void) {
  uint8_t *image = mmap(NULL, IMAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (image == MAP_FAILED) fail("mmap");
  struct bpf_prog_info info = {.jited_prog_insns = (uintptr_t)image, .jited_prog_len = IMAGE_BYTES};
  union bpf_attr attr = {0};
  attr.info.bpf_fd = PROGRAM;
  attr.info.info_len = sizeof info;
  attr.info.info = (uintptr_t)&info;
  if (syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof attr) < 0) fail("BPF_OBJ_GET_INFO_BY_FD");
  if (info.jited_prog_len == 0 || info.jited_prog_len > IMAGE_BYTES || info.nr_map_ids != 0) {
    fprintf(stderr, "jit-run: no machine code (kernel.kptr_restrict?), or it uses maps\n");
    exit(1);
  }
  /* `leave; jmp` to the kernel's return thunk, on processors that want one, is `leave; ret` here. */
  for (uint32_t i = 0; i + 1 < info.jited_prog_len; i++) {
    if (image[i] == 0xc9 && image[i + 1] == 0xe9) image[i + 1] = 0xc3;
  }
  if (mprotect(image, IMAGE_BYTES, PROT_READ | PROT_EXEC) < 0) fail("mprotect");
  return (Program)(void *)image;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(void) {
  static uint8_t frames[FRAMES * FRAME_STRIDE] __attribute__((aligned(4096)));
  ssize_t length = read(STDIN_FILENO, frames + HEADROOM, FRAME_STRIDE - 2 * HEADROOM);
  if (length < 14) fail("a packet on standard input");
  for (int n = 1; n < FRAMES; n++) memcpy(frames + n * FRAME_STRIDE, frames, FRAME_STRIDE);
  Program run = load();
  double times[PIECES];
  uint64_t verdicts = 0;
  for (int piece = -1; piece < PIECES; piece++) {
    double start = cpu_ns();
    for (int n = 0; n < PIECE; n++) {
      uint8_t *frame = frames + n % FRAMES * FRAME_STRIDE;
      struct buffer buffer = {.data = frame + HEADROOM,
                              .data_end = frame + HEADROOM + length,
                              .data_meta = frame + HEADROOM,
                              .hard_start = frame};
      verdicts += run(&buffer, NULL);
    }
    if (piece >= 0) times[piece] = (cpu_ns() - start) / PIECE;
  }
  qsort(times, PIECES, sizeof *times, ascending);
  printf("{\"ns_per_packet\": %.2f, \"min_ns_per_packet\": %.2f, \"verdict\": %d}\n", times[PIECES / 2],
         times[0], (int)(verdicts / PIECE / (PIECES + 1)));
  return 0;
}
