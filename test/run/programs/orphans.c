/* What programs are told when the engine dies: says `waiting`, and the rest when it is gone. */
#include "say.h"

static char buffer[1000];
static int a, b, l, u, full;

static void *receiving(void *result) {
  *(int *)result = recv(a, buffer, 10, 0) < 0 ? errno : 0;
  return NULL;
}
static void *accepting(void *result) {
  *(int *)result = accept(l, NULL, NULL) < 0 ? errno : 0;
  return NULL;
}
static void *datagrams(void *result) {
  *(int *)result = recv(u, buffer, 10, 0) < 0 ? errno : 0;
  return NULL;
}
static void *sending(void *result) {
  while (send(full, buffer, sizeof buffer, MSG_NOSIGNAL) > 0) {
  }
  *(int *)result = errno;
  return NULL;
}
static void *polling(void *result) {
  struct pollfd one = {.fd = b, .events = POLLIN};
  *(int *)result = poll(&one, 1, 20000);
  return NULL;
}

int main(int argc, char **argv) {
  uint16_t port;
  int unread, results[5] = {0};
  start(argc, argv);
  l = listener(&port);
  stream(&a, &b);
  stream(&full, &unread);
  u = datagram(&port);
  pthread_t threads[5];
  void *(*calls[5])(void *) = {receiving, accepting, datagrams, sending, polling};
  for (int i = 0; i < 5; i++) pthread_create(&threads[i], NULL, calls[i], &results[i]);
  usleep(200000);
  printf("waiting\n");
  for (int i = 0; i < 5; i++) pthread_join(threads[i], NULL);
  printf("recv %s, accept %s, datagram %s, send %s, poll %d\n", strerrorname_np(results[0]),
         strerrorname_np(results[1]), strerrorname_np(results[2]), strerrorname_np(results[3]), results[4]);
  SAY(recv(a, buffer, 1, 0));
  SAY(send(a, "x", 1, MSG_NOSIGNAL));
  SAY(recv(u, buffer, 1, MSG_DONTWAIT));
  SAY(sendto(u, "x", 1, 0, at(9), home_bytes));
  SAY(close(a));
  struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t bytes = sizeof local;
  int fresh = socket(AF_INET, SOCK_STREAM, 0), to = socket(AF_INET, SOCK_STREAM, 0);
  SAY(bind(fresh, (struct sockaddr *)&local, bytes));
  SAY(listen(fresh, 1));
  SAY(getsockname(fresh, (struct sockaddr *)&local, &bytes));
  SAY(connect(to, (struct sockaddr *)&local, bytes));
  return 0;
}
