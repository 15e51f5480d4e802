/*
 * The least that AF_XDP can do, in C: what of a figure is the kernel's and the veth's. No library:
 * the program that redirects frames to the socket is five instructions, attached by bpf_link.
 *
 *   xdp-frames echo INTERFACE MODE ADDRESS             answers ARP, echoes UDP; prints "ready"
 *   xdp-frames send INTERFACE MODE MAC BYTES           frames with BYTES of UDP payload, until killed
 *   xdp-frames sink INTERFACE MODE BYTES MILLISECONDS  counts them; prints "ready", then one JSON object
 *
 * MODE is generic or native. Copy mode, need-wakeup, queue 0, 32 frames at a time.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 2048, CHUNKS = 4096, RING = 2048, BATCH = 32, ETHERNET = 14, HEADERS = 42 };

typedef struct {
  uint32_t *producer, *consumer, *flags;
  void *entries;
  uint32_t next;
} Ring;

static uint8_t *umem;
static int xsk;
static Ring rx, tx, fill, done;
static uint8_t own_mac[6];
static uint32_t spare[CHUNKS]; /* chunks that may be sent */
static uint32_t spares;

static _Noreturn void fail(const char *call) {
  fprintf(stderr, "xdp-frames: %s: %s\n", call, strerror(errno));
  exit(1);
}

static int bpf(int command, union bpf_attr *attr) {
  const long result = syscall(SYS_bpf, command, attr, sizeof *attr);
  if (result < 0) fail("bpf");
  return (int)result;
}

/* return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS) */
static void attach(unsigned index, int generic) {
  union bpf_attr map = {.map_type = BPF_MAP_TYPE_XSKMAP, .key_size = 4, .value_size = 4,
                        .max_entries = 1};
  const int sockets = bpf(BPF_MAP_CREATE, &map);
  const struct bpf_insn code[] = {
      {BPF_LDX | BPF_MEM | BPF_W, 2, 1, 16, 0},
      {BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, sockets},
      {0, 0, 0, 0, 0},
      {BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, XDP_PASS},
      {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_map},
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
  };
  union bpf_attr program = {.prog_type = BPF_PROG_TYPE_XDP,
                            .insns = (uint64_t)(uintptr_t)code,
                            .insn_cnt = sizeof code / sizeof *code,
                            .license = (uint64_t)(uintptr_t) "GPL",
                            .expected_attach_type = BPF_XDP};
  union bpf_attr link = {0};
  link.link_create.prog_fd = (uint32_t)bpf(BPF_PROG_LOAD, &program);
  link.link_create.target_ifindex = index;
  link.link_create.attach_type = BPF_XDP;
  link.link_create.flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
  bpf(BPF_LINK_CREATE, &link);
  const uint32_t key = 0;
  union bpf_attr entry = {.map_fd = (uint32_t)sockets,
                          .key = (uint64_t)(uintptr_t)&key,
                          .value = (uint64_t)(uintptr_t)&xsk};
  bpf(BPF_MAP_UPDATE_ELEM, &entry);
}

static Ring map_ring(int option, const struct xdp_ring_offset *at, size_t entry, uint64_t place) {
  const int entries = RING;
  if (setsockopt(xsk, SOL_XDP, option, &entries, sizeof entries) < 0) fail("ring");
  uint8_t *p = mmap(NULL, at->desc + RING * entry, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_POPULATE, xsk, (off_t)place);
  if (p == MAP_FAILED) fail("mmap");
  return (Ring){(uint32_t *)(p + at->producer), (uint32_t *)(p + at->consumer),
                (uint32_t *)(p + at->flags), p + at->desc, 0};
}

static void open_socket(const char *name, int generic) {
  const unsigned index = if_nametoindex(name);
  if (index == 0) fail(name);
  xsk = socket(AF_XDP, SOCK_RAW, 0);
  if (xsk < 0) fail("socket");
  umem = mmap(NULL, CHUNK * CHUNKS, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  const struct xdp_umem_reg registration = {
      .addr = (uintptr_t)umem, .len = CHUNK * CHUNKS, .chunk_size = CHUNK};
  if (setsockopt(xsk, SOL_XDP, XDP_UMEM_REG, &registration, sizeof registration) < 0) fail("umem");
  struct xdp_mmap_offsets at;
  socklen_t size = sizeof at;
  if (getsockopt(xsk, SOL_XDP, XDP_MMAP_OFFSETS, &at, &size) < 0) fail("offsets");
  fill = map_ring(XDP_UMEM_FILL_RING, &at.fr, 8, XDP_UMEM_PGOFF_FILL_RING);
  done = map_ring(XDP_UMEM_COMPLETION_RING, &at.cr, 8, XDP_UMEM_PGOFF_COMPLETION_RING);
  rx = map_ring(XDP_RX_RING, &at.rx, 16, XDP_PGOFF_RX_RING);
  tx = map_ring(XDP_TX_RING, &at.tx, 16, XDP_PGOFF_TX_RING);
  for (uint32_t i = 0; i < CHUNKS / 2; i++) {
    ((uint64_t *)fill.entries)[i] = (uint64_t)i * CHUNK;
    spare[spares++] = (CHUNKS / 2 + i) * CHUNK;
  }
  fill.next = CHUNKS / 2;
  __atomic_store_n(fill.producer, fill.next, __ATOMIC_RELEASE);
  struct ifreq request = {0};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  const int any = socket(AF_INET, SOCK_DGRAM, 0);
  if (ioctl(any, SIOCGIFHWADDR, &request) < 0) fail("mac");
  memcpy(own_mac, request.ifr_hwaddr.sa_data, 6);
  const struct sockaddr_xdp address = {.sxdp_family = AF_XDP, .sxdp_ifindex = index,
                                       .sxdp_flags = XDP_COPY | XDP_USE_NEED_WAKEUP};
  for (int tries = 0; bind(xsk, (const struct sockaddr *)&address, sizeof address) < 0; tries++) {
    if (errno != EBUSY || tries == 300) fail("bind");
    usleep(1000);
  }
  attach(index, generic);
}

static void kick(void) {
  if (__atomic_load_n(tx.flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP) {
    sendto(xsk, NULL, 0, MSG_DONTWAIT, NULL, 0);
  }
}

/* Takes back what was sent. */
static void reclaim(void) {
  const uint32_t end = __atomic_load_n(done.producer, __ATOMIC_ACQUIRE);
  if (end == done.next) return;
  for (; done.next != end; done.next++) {
    spare[spares++] = (uint32_t)((uint64_t *)done.entries)[done.next % RING];
  }
  __atomic_store_n(done.consumer, end, __ATOMIC_RELEASE);
}

static void put(uint64_t chunk_at, uint32_t length) {
  struct xdp_desc *desc = &((struct xdp_desc *)tx.entries)[tx.next++ % RING];
  desc->addr = chunk_at;
  desc->len = length;
  desc->options = 0;
}

static void swap(uint8_t *a, uint8_t *b, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const uint8_t t = a[i];
    a[i] = b[i];
    b[i] = t;
  }
}

/* Turns a request into its answer; whether there is one. UDP checksums stay right when swapped. */
static int answer(uint8_t *frame, uint32_t n, uint32_t own) {
  const uint16_t type = (uint16_t)(frame[12] << 8 | frame[13]);
  uint8_t *p = frame + ETHERNET;
  if (type == 0x0806 && n >= ETHERNET + 28 && p[7] == 1 && memcmp(p + 24, &own, 4) == 0) {
    memcpy(frame, p + 8, 6);
    memcpy(frame + 6, own_mac, 6);
    p[7] = 2;
    memcpy(p + 18, p + 8, 10);
    memcpy(p + 8, own_mac, 6);
    memcpy(p + 14, &own, 4);
    return 1;
  }
  if (type != 0x0800 || n < HEADERS || p[9] != 17 || memcmp(p + 16, &own, 4) != 0) return 0;
  memcpy(frame, frame + 6, 6);
  memcpy(frame + 6, own_mac, 6);
  swap(p + 12, p + 16, 4);
  swap(p + 20, p + 22, 2);
  p[26] = p[27] = 0; /* no checksum: a kernel's may be unfinished */
  return 1;
}

/* Puts a chunk back to be received into. */
static void repost(uint64_t chunk_at) {
  ((uint64_t *)fill.entries)[fill.next++ % RING] = chunk_at & ~(uint64_t)(CHUNK - 1);
}

static void echo(uint32_t own) {
  for (;;) {
    const uint32_t end = __atomic_load_n(rx.producer, __ATOMIC_ACQUIRE);
    if (end == rx.next) continue;
    uint32_t sent = 0;
    for (; rx.next != end && sent < BATCH; rx.next++) {
      const struct xdp_desc *desc = &((struct xdp_desc *)rx.entries)[rx.next % RING];
      if (!answer(umem + desc->addr, desc->len, own)) {
        repost(desc->addr);
        continue;
      }
      put(desc->addr, desc->len);
      sent++;
    }
    __atomic_store_n(rx.consumer, rx.next, __ATOMIC_RELEASE);
    __atomic_store_n(tx.producer, tx.next, __ATOMIC_RELEASE);
    if (sent > 0) kick();
    const uint32_t completed = __atomic_load_n(done.producer, __ATOMIC_ACQUIRE);
    for (; done.next != completed; done.next++) {
      repost(((uint64_t *)done.entries)[done.next % RING]);
    }
    __atomic_store_n(done.consumer, done.next, __ATOMIC_RELEASE);
    __atomic_store_n(fill.producer, fill.next, __ATOMIC_RELEASE);
  }
}

static uint16_t checksum(const uint8_t *b, size_t n) {
  uint32_t sum = 0;
  for (size_t i = 0; i < n; i += 2) sum += (uint32_t)(b[i] << 8 | b[i + 1]);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

static void write_frame(uint8_t *frame, const uint8_t *mac, uint32_t bytes) {
  const uint8_t head[] = {8, 0, 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 77, 2, 1, 10, 77, 2, 2,
                          0, 9, 0, 9};
  memcpy(frame, mac, 6);
  memcpy(frame + 6, own_mac, 6);
  memcpy(frame + 12, head, sizeof head);
  frame[16] = (uint8_t)((28 + bytes) >> 8), frame[17] = (uint8_t)(28 + bytes);
  const uint16_t sum = checksum(frame + ETHERNET, 20);
  frame[24] = (uint8_t)(sum >> 8), frame[25] = (uint8_t)sum;
  frame[38] = (uint8_t)((8 + bytes) >> 8), frame[39] = (uint8_t)(8 + bytes);
  memset(frame + 40, 0, 2);
  memset(frame + HEADERS, 0x5a, bytes);
}

/* Writes every frame anew, as a sender of datagrams does. */
static void send_frames(const uint8_t *mac, uint32_t bytes) {
  for (;;) {
    reclaim();
    uint32_t n = 0;
    for (; n < BATCH && spares > 0; n++) {
      const uint32_t at = spare[--spares];
      write_frame(umem + at, mac, bytes);
      put(at, HEADERS + bytes);
    }
    __atomic_store_n(tx.producer, tx.next, __ATOMIC_RELEASE);
    kick();
  }
}

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Reads every datagram's payload. Time runs from the first frame on. */
static void sink(uint32_t bytes, double duration_ms) {
  static uint8_t payload[CHUNK];
  double start = 0, now = 0;
  long frames = 0;
  while (start == 0 || now - start < duration_ms) {
    const uint32_t end = __atomic_load_n(rx.producer, __ATOMIC_ACQUIRE);
    if (end == rx.next) {
      if (start != 0) now = now_ms();
      continue;
    }
    for (; rx.next != end; rx.next++) {
      const struct xdp_desc *desc = &((struct xdp_desc *)rx.entries)[rx.next % RING];
      if (desc->len == HEADERS + bytes) {
        memcpy(payload, umem + desc->addr + HEADERS, bytes);
        frames++;
      }
      repost(desc->addr);
    }
    __atomic_store_n(rx.consumer, rx.next, __ATOMIC_RELEASE);
    __atomic_store_n(fill.producer, fill.next, __ATOMIC_RELEASE);
    now = now_ms();
    if (start == 0 && frames > 0) start = now, frames = 0;
  }
  printf("{\"msgs_per_s\":%.0f}\n", (double)frames / (now - start) * 1e3);
}

int main(int argc, char **argv) {
  if (argc < 5) {
    fprintf(stderr, "usage: xdp-frames echo|send|sink INTERFACE MODE …\n");
    return 2;
  }
  open_socket(argv[2], strcmp(argv[3], "generic") == 0);
  printf("ready\n");
  fflush(stdout);
  if (strcmp(argv[1], "echo") == 0) {
    uint32_t own;
    if (inet_pton(AF_INET, argv[4], &own) != 1) return 2;
    echo(own);
  }
  if (argc < 6) return 2;
  if (strcmp(argv[1], "sink") == 0) {
    sink((uint32_t)atoi(argv[4]), atof(argv[5]));
    return 0;
  }
  uint8_t mac[6];
  sscanf(argv[4], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5);
  send_frames(mac, (uint32_t)atoi(argv[5]));
}
