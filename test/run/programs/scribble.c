/*
 * A program gone wild: it has sockets of all kinds, one connected to somebody else's, and writes nonsense
 * over all the memory that it shares with the engine while another thread of it goes on using them.
 *
 *   scribble ADDRESS PORT SEED ROUNDS
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAPPINGS 64
#define SOCKETS 6

static struct mapping {
  uint32_t *words;
  size_t count;
} mappings[MAPPINGS];
static int mapped, fds[SOCKETS], epfd;
static uint64_t state;

static uint32_t random32(void) {
  state = state * 6364136223846793005ull + 1442695040888963407ull;
  return (uint32_t)(state >> 32);
}

static void find_mappings(void) {
  FILE *maps = fopen("/proc/self/maps", "r");
  char line[4096];
  mapped = 0;
  while (maps != NULL && mapped < MAPPINGS && fgets(line, sizeof line, maps) != NULL) {
    unsigned long from, to;
    if (strstr(line, " rw-s ") == NULL || strstr(line, "memfd:millrace") == NULL) continue;
    if (sscanf(line, "%lx-%lx", &from, &to) != 2) continue;
    mappings[mapped++] = (struct mapping){(uint32_t *)from, (to - from) / 4};
  }
  fclose(maps);
}

static void open_sockets(const struct sockaddr_in *to) {
  struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = to->sin_addr};
  socklen_t bytes = sizeof own;
  for (int i = 0; i < 2; i++) {
    fds[i] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fds[i], (const struct sockaddr *)to, sizeof *to) < 0) exit(3);
  }
  fds[2] = socket(AF_INET, SOCK_DGRAM, 0);
  bind(fds[2], (struct sockaddr *)&own, bytes);
  connect(fds[2], (const struct sockaddr *)to, sizeof *to);
  fds[3] = socket(AF_INET, SOCK_STREAM, 0);
  bind(fds[3], (struct sockaddr *)&own, bytes);
  listen(fds[3], 8);
  getsockname(fds[3], (struct sockaddr *)&own, &bytes);
  fds[4] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  connect(fds[4], (struct sockaddr *)&own, sizeof own);
  fds[5] = socket(AF_INET, SOCK_DGRAM, 0);
  epfd = epoll_create1(0);
  for (int i = 0; i < SOCKETS; i++) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.fd = fds[i]};
    epoll_ctl(epfd, EPOLL_CTL_ADD, fds[i], &event);
  }
}

/* Whatever comes of it. */
static void *use_sockets(void *context) {
  static char bytes[3000];
  for (;;) {
    struct epoll_event events[8];
    for (int i = 0; i < SOCKETS; i++) {
      send(fds[i], bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
      recv(fds[i], bytes, sizeof bytes, MSG_DONTWAIT);
      sendto(fds[5], bytes, 100, MSG_DONTWAIT, context, sizeof(struct sockaddr_in));
    }
    accept4(fds[3], NULL, NULL, SOCK_NONBLOCK);
    epoll_wait(epfd, events, 8, 1);
  }
  return NULL;
}

/* A number that could pass for one of theirs, or that certainly cannot. */
static uint32_t nonsense(uint32_t was) {
  switch (random32() % 8) {
    case 0: return 0;
    case 1: return ~0u;
    case 2: return was + 1;
    case 3: return was - 64;
    case 4: return was ^ 1u << random32() % 32;
    case 5: return random32() % 256;
    case 6: return 0x80000000u | random32() % 64;
    default: return random32();
  }
}

static void scribble(struct mapping *at) {
  uint32_t words = 1 + random32() % 64;
  /* Most at the beginning: headers are there. */
  size_t reach = random32() % 4 == 0 ? at->count : random32() % 2 ? 1024 : 64;
  switch (random32() % 6) {
    case 0: /* a page, whole */
      memset(at->words + random32() % (at->count / 1024) * 1024, (int)random32(), 4096);
      break;
    case 1: /* what stands elsewhere */
      memcpy(at->words + random32() % (at->count - 64), at->words + random32() % (at->count - 64), 256);
      break;
    case 2: /* all of it, thinly */
      for (size_t i = random32() % 4096; i < at->count; i += 1 + random32() % 4096) {
        at->words[i] = nonsense(at->words[i]);
      }
      break;
    default:
      for (uint32_t i = 0; i < words; i++) {
        uint32_t *word = &at->words[random32() % reach];
        *word = nonsense(*word);
      }
  }
}

int main(int argc, char **argv) {
  struct sockaddr_in to = {.sin_family = AF_INET};
  pthread_t thread;
  if (argc != 5 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) return 2;
  to.sin_port = htons((uint16_t)atoi(argv[2]));
  state = strtoull(argv[3], NULL, 10) * 1000003;
  alarm(20); /* it may well hang; that is its own affair */
  open_sockets(&to);
  find_mappings();
  if (mapped == 0) return 4;
  printf("scribbling over %d mappings\n", mapped);
  fflush(stdout);
  pthread_create(&thread, NULL, use_sockets, &to);
  for (int round = atoi(argv[4]); round > 0; round--) {
    scribble(&mappings[random32() % (unsigned)mapped]);
    if (round % 4 == 0) usleep(200);
  }
  _exit(0);
}
