/*
 * The least that can sit behind a TAP: answers ARP and echoes UDP by swapping addresses in place,
 * no stack at all. It shows what of a round trip is the TAP's and the kernel's.
 *
 *   tap-echo NAME ADDRESS        NAME exists or is created; spins until killed; prints "ready"
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { HEADER = 12, ETHERNET = 14 };

static const uint8_t own_mac[6] = {2, 0, 0, 0, 0, 2};

static void swap(uint8_t *a, uint8_t *b, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const uint8_t t = a[i];
    a[i] = b[i];
    b[i] = t;
  }
}

/* Turns a request into its answer; whether there is one. */
static int answer(uint8_t *frame, ssize_t n, uint32_t own) {
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
  if (type != 0x0800 || n < ETHERNET + 28 || p[9] != 17 || memcmp(p + 16, &own, 4) != 0) return 0;
  memcpy(frame, frame + 6, 6);
  memcpy(frame + 6, own_mac, 6);
  swap(p + 12, p + 16, 4);
  swap(p + 20, p + 22, 2);
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: tap-echo NAME ADDRESS\n");
    return 2;
  }
  const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
  strncpy(request.ifr_name, argv[1], IFNAMSIZ - 1);
  const int header_bytes = HEADER;
  if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &header_bytes) < 0 ||
      ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM) < 0) {
    fprintf(stderr, "tap-echo: %s: %s\n", argv[1], strerror(errno));
    return 1;
  }
  uint32_t own;
  if (inet_pton(AF_INET, argv[2], &own) != 1) return 2;
  puts("ready");
  fflush(stdout);
  static uint8_t buffer[HEADER + 65536];
  for (;;) {
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n <= HEADER || !answer(buffer + HEADER, n - HEADER, own)) continue;
    /* The checksum of the addresses does not change when they change places. */
    if (write(fd, buffer, (size_t)n) < 0 && errno != EAGAIN) return 1;
  }
}
