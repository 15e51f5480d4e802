/* What programs are told when the engine dies: says `waiting`, and the rest when it is gone. */
#include "say.h"

#include <sys/epoll.h>
#include <sys/select.h>

static char buffer[1000];
static int a, b, l, u, full, nowhere, epoll, nested;

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

static void *epolling(void *result) {
  struct epoll_event event = {0};
  int n = epoll_wait(epoll, &event, 1, 20000);
  *(int *)result = n < 1 ? n : (int)(event.events & (EPOLLERR | EPOLLHUP));
  return NULL;
}
static void *nesting(void *result) {
  struct epoll_event event = {0};
  *(int *)result = epoll_wait(nested, &event, 1, 20000);
  return NULL;
}
static void *selecting(void *result) {
  struct timeval patience = {.tv_sec = 20};
  fd_set set;
  FD_ZERO(&set);
  FD_SET(b, &set);
  *(int *)result = select(b + 1, &set, NULL, NULL, &patience);
  return NULL;
}
static struct sockaddr *nobody(void) {
  struct sockaddr_in *to = (struct sockaddr_in *)at(9);
  to->sin_addr.s_addr = htonl(ntohl(to->sin_addr.s_addr) + 98);
  return (struct sockaddr *)to;
}
static void *connecting(void *result) {
  *(int *)result = connect(nowhere, nobody(), home_bytes) < 0 ? errno : 0;
  return NULL;
}

enum { THREADS = 9 };

int main(int argc, char **argv) {
  uint16_t port;
  int unread, results[THREADS] = {0};
  start(argc, argv);
  l = listener(&port);
  stream(&a, &b);
  stream(&full, &unread);
  u = datagram(&port);
  epoll = epoll_create1(0);
  nested = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN};
  epoll_ctl(epoll, EPOLL_CTL_ADD, b, &event);
  epoll_ctl(nested, EPOLL_CTL_ADD, epoll, &event);
  /* Under way already, so that it is Millrace's even if the thread should come too late. */
  nowhere = socket(home.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
  SAY(connect(nowhere, nobody(), home_bytes));
  fcntl(nowhere, F_SETFL, 0);
  pthread_t threads[THREADS];
  void *(*calls[THREADS])(void *) = {receiving, accepting, datagrams, sending,   polling,
                                     epolling,  nesting,   selecting, connecting};
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, calls[i], &results[i]);
  usleep(200000);
  printf("waiting\n");
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  printf("recv %s, accept %s, datagram %s, send %s, poll %d\n", strerrorname_np(results[0]),
         strerrorname_np(results[1]), strerrorname_np(results[2]), strerrorname_np(results[3]), results[4]);
  printf("epoll_wait%s%s, nested %d, select %d, connect %s\n", results[5] & EPOLLERR ? " ERR" : "",
         results[5] & EPOLLHUP ? " HUP" : "", results[6], results[7], strerrorname_np(results[8]));
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
