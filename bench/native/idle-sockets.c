/*
 * What idle TCP sockets cost in memory: opens connections to itself, says "few" and "many" with its own
 * memory in bytes, and waits for a byte after each, so that others may look at the engine's meanwhile.
 *
 *     idle-sockets ADDRESS FEW MANY     connections; each is two sockets
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes of its own, and of shared memory that it has touched. */
static long memory(void) {
  char line[256];
  long kib = 0, part;
  FILE *file = fopen("/proc/self/status", "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (sscanf(line, "RssAnon: %ld", &part) == 1 || sscanf(line, "RssShmem: %ld", &part) == 1) kib += part;
  }
  if (file != NULL) fclose(file);
  return kib * 1024;
}

static void tell(const char *what) {
  char byte;
  printf("%s %ld\n", what, memory());
  fflush(stdout);
  if (read(0, &byte, 1) != 1) exit(1);
}

int main(int argc, char **argv) {
  struct sockaddr_in at = {.sin_family = AF_INET};
  socklen_t bytes = sizeof at;
  if (argc != 4 || inet_pton(AF_INET, argv[1], &at.sin_addr) != 1) return 2;
  int few = atoi(argv[2]), many = atoi(argv[3]);
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  int server = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(server, (struct sockaddr *)&at, bytes) < 0 || listen(server, 16) < 0) return 1;
  getsockname(server, (struct sockaddr *)&at, &bytes);
  for (int i = 0; i < many; i++) {
    int a = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(a, (struct sockaddr *)&at, bytes) < 0 || accept(server, NULL, NULL) < 0) {
      perror("connection");
      return 1;
    }
    if (i + 1 == few) tell("few");
  }
  tell("many");
  return 0;
}
