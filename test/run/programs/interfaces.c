/*
 * What a program sees of interfaces, a line for each thing:
 *
 *   PROGRAM        the lists, and what ioctl says of each name
 *   PROGRAM serve  listens at every address of the list, and connects to each
 *   PROGRAM wait   how many addresses the list has, for each line of its input, and whether that took long
 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <net/if.h>

#include "harness.h"

#define PORT 7800
#define SOON_MS 5000 /* that it is waited for takes a fifth, and joining would take four times as long */

static const char *text_of(const struct sockaddr *address) {
  static char text[4][100];
  static int turn;
  char *at = text[turn++ % 4];
  if (address == NULL) return "none";
  if (address->sa_family == AF_INET) {
    inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, at, 100);
  } else if (address->sa_family == AF_INET6) {
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
    inet_ntop(AF_INET6, &in6->sin6_addr, at, 80);
    if (in6->sin6_scope_id != 0) sprintf(at + strlen(at), "%%%u", in6->sin6_scope_id);
  } else {
    const struct sockaddr_ll *link = (const struct sockaddr_ll *)(const void *)address;
    int n = sprintf(at, "link %d type %d ", link->sll_ifindex, link->sll_hatype);
    for (int i = 0; i < link->sll_halen; i++) n += sprintf(at + n, "%02x", link->sll_addr[i]);
  }
  return at;
}

static void say_lists(void) {
  struct ifaddrs *list;
  MUST(getifaddrs(&list));
  for (struct ifaddrs *one = list; one != NULL; one = one->ifa_next) {
    say("%s: flags %x, %s, mask %s, broadcast %s, data %d", one->ifa_name, one->ifa_flags, text_of(one->ifa_addr),
        text_of(one->ifa_netmask), text_of(one->ifa_broadaddr), one->ifa_data != NULL);
  }
  freeifaddrs(list);
  struct if_nameindex *names = if_nameindex();
  must(names != NULL, "if_nameindex");
  for (struct if_nameindex *one = names; one->if_name != NULL; one++) {
    char name[IF_NAMESIZE];
    must(if_nametoindex(one->if_name) == one->if_index, "if_nametoindex");
    must(if_indextoname(one->if_index, name) == name && strcmp(name, one->if_name) == 0, "if_indextoname");
    say("%s: index %u", one->if_name, one->if_index);
  }
  if_freenameindex(names);
  errno = 0;
  must(if_nametoindex("none0") == 0 && errno == ENODEV, "a name that nobody has");
}

static void say_of_name(int fd, const char *name) {
  struct ifreq asked = {0};
  strcpy(asked.ifr_name, name);
  MUST(ioctl(fd, SIOCGIFINDEX, &asked));
  int index = asked.ifr_ifindex;
  memset(asked.ifr_name, 0, sizeof asked.ifr_name);
  MUST(ioctl(fd, SIOCGIFNAME, &asked));
  must(strcmp(asked.ifr_name, name) == 0, "SIOCGIFNAME");
  MUST(ioctl(fd, SIOCGIFMTU, &asked));
  int mtu = asked.ifr_mtu;
  MUST(ioctl(fd, SIOCGIFADDR, &asked));
  const char *address = text_of(&asked.ifr_addr);
  MUST(ioctl(fd, SIOCGIFNETMASK, &asked));
  const char *mask = text_of(&asked.ifr_netmask);
  MUST(ioctl(fd, SIOCGIFFLAGS, &asked));
  say("%s: ioctl: index %d, MTU %d, address %s, mask %s, flags %x", name, index, mtu, address, mask,
      asked.ifr_flags & 0xffff);
}

static void say_ioctls(void) {
  struct ifreq asked[32];
  struct ifconf list = {.ifc_len = sizeof asked, .ifc_req = asked}, room = {0};
  int fd = new_socket(SOCK_DGRAM);
  MUST(ioctl(fd, SIOCGIFCONF, &list));
  MUST(ioctl(fd, SIOCGIFCONF, &room));
  must(room.ifc_len == list.ifc_len, "the room that it says it needs");
  for (int i = 0; i < list.ifc_len / (int)sizeof *asked; i++) {
    say("%s: SIOCGIFCONF: %s", asked[i].ifr_name, text_of(&asked[i].ifr_addr));
    say_of_name(fd, asked[i].ifr_name);
  }
  list.ifc_len = sizeof *asked;
  MUST(ioctl(fd, SIOCGIFCONF, &list));
  must(list.ifc_len == (int)sizeof *asked, "no more than there is room for");
  strcpy(asked[0].ifr_name, "none0");
  must(ioctl(fd, SIOCGIFMTU, &asked[0]) < 0 && errno == ENODEV, "a name that nobody has");
  close(fd);
}

static void serve(void) {
  struct ifaddrs *list;
  MUST(getifaddrs(&list));
  for (struct ifaddrs *one = list; one != NULL; one = one->ifa_next) {
    const struct sockaddr *address = one->ifa_addr;
    if (address == NULL || address->sa_family == AF_PACKET) continue;
    struct sockaddr_storage at = {0};
    socklen_t bytes = address->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    memcpy(&at, address, bytes);
    ((struct sockaddr_in *)&at)->sin_port = htons(PORT); /* at the same place for IPv6 */
    int l = socket(address->sa_family, SOCK_STREAM, 0), a = socket(address->sa_family, SOCK_STREAM, 0);
    int on = 1;
    MUST(setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
    MUST(bind(l, (struct sockaddr *)&at, bytes));
    MUST(listen(l, 4));
    MUST(connect(a, (struct sockaddr *)&at, bytes));
    int b = accept(l, NULL, NULL);
    MUST(b);
    say("%s: served at %s", one->ifa_name, text_of(address));
    close(a), close(b), close(l);
  }
  freeifaddrs(list);
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void say_count(const char *who) {
  struct ifaddrs *list;
  int64_t before = now_ms();
  MUST(getifaddrs(&list));
  int64_t took = now_ms() - before;
  int n = 0;
  for (struct ifaddrs *one = list; one != NULL; one = one->ifa_next) {
    n += one->ifa_addr != NULL && one->ifa_addr->sa_family == AF_INET;
  }
  freeifaddrs(list);
  say("%s: %d addresses, %s", who, n, took < SOON_MS ? "soon" : "late");
}

static void wait_for_lines(void) {
  char line[10];
  while (fgets(line, sizeof line, stdin) != NULL) {
    say_count("the process");
    pid_t child = fork();
    if (child == 0) {
      say_count("its child");
      _exit(0);
    }
    waitpid(child, NULL, 0);
  }
}

int main(int argc, char **argv) {
  if (argc == 1) {
    say_lists();
    say_ioctls();
  } else if (strcmp(argv[1], "serve") == 0) {
    serve();
  } else {
    wait_for_lines();
  }
  return 0;
}
