/*
 * What socket calls say about an interface, and on it: `devices DEVICE ADDRESS`, an interface and its IPv4 address.
 * Of a veth pair's end on the kernel and of Millrace's interface it must print the same; it prints no address.
 */
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>

#include "harness.h"

static const char *device;

/* ---- Link-local addresses and their zones --------------------------------------------------------------- */

enum { NO_ZONE, OURS, LOOPBACK, NOBODYS, ZONES };
static const char *const ZONE_NAMES[] = {"no zone", "its zone", "lo", "no interface"};
static unsigned zones[ZONES];

/* The link-local address of the interface, or false. */
static bool find_link_local(struct in6_addr *own) {
  struct ifaddrs *all;
  bool found = false;
  MUST(getifaddrs(&all));
  for (struct ifaddrs *at = all; at != NULL; at = at->ifa_next) {
    const struct sockaddr_in6 *address = (const void *)at->ifa_addr;
    if (address == NULL || address->sin6_family != AF_INET6 || strcmp(at->ifa_name, device) != 0) continue;
    if (!IN6_IS_ADDR_LINKLOCAL(&address->sin6_addr)) continue;
    *own = address->sin6_addr;
    zones[OURS] = address->sin6_scope_id;
    found = true;
  }
  freeifaddrs(all);
  return found;
}

static void say_zone(int type, const char *call, const char *what, const struct in6_addr *address, int zone, bool is_bound) {
  struct sockaddr_in6 any = {.sin6_family = AF_INET6}, name = {0};
  struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = *address, .sin6_scope_id = zones[zone]};
  socklen_t bytes = sizeof name;
  int fd = socket(AF_INET6, type | SOCK_NONBLOCK, 0), result;
  if (is_bound) MUST(bind(fd, (struct sockaddr *)&any, sizeof any));
  if (*call != 'b') to.sin6_port = htons(9);
  if (*call == 'b') result = bind(fd, (struct sockaddr *)&to, sizeof to);
  else if (*call == 'c') result = connect(fd, (struct sockaddr *)&to, sizeof to);
  else result = (int)sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to);
  const char *said = outcome(result);
  MUST(getsockname(fd, (struct sockaddr *)&name, &bytes));
  say("%s%s %s %s, %s: %s, name with %s", type == SOCK_STREAM ? "tcp" : "udp", is_bound ? " bound" : "", call, what,
      ZONE_NAMES[zone], said, name.sin6_scope_id == 0 ? "none" : name.sin6_scope_id == zones[OURS] ? "ours" : "another");
  MUST(close(fd));
}

static void link_local(void) {
  static const char *const calls[] = {"bind", "connect", "sendto"}, *const names[] = {"own", "another", "group", "far group"};
  struct in6_addr addresses[4];
  if (!find_link_local(&addresses[0])) return;
  zones[LOOPBACK] = if_nametoindex("lo");
  zones[NOBODYS] = 77777;
  inet_pton(AF_INET6, "fe80::99", &addresses[1]);
  inet_pton(AF_INET6, "ff02::1", &addresses[2]);
  inet_pton(AF_INET6, "ff0e::1", &addresses[3]);
  for (int bound = 0; bound < 2; bound++) {
    for (int call = bound; call < 3; call++) {
      for (int i = 0; i < 4 * ZONES; i++) {
        if (call < 2) say_zone(SOCK_STREAM, calls[call], names[i % 4], &addresses[i % 4], i / 4, bound);
        say_zone(SOCK_DGRAM, calls[call], names[i % 4], &addresses[i % 4], i / 4, bound);
      }
    }
  }
}

/* ---- Sockets that are bound to it ------------------------------------------------------------------------ */

static int bound_to(int type, int how) {
  struct timeval soon = {.tv_usec = 200000};
  char name[IFNAMSIZ] = "";
  socklen_t bytes = sizeof name;
  int fd = new_socket(type), index = (int)if_nametoindex(device);
  MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon));
  if (how == 0) return fd;
  if (how == 1) MUST(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)));
  if (how == 2) MUST(setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, sizeof index));
  if (how == 1) MUST(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &bytes));
  if (how == 1) must(strcmp(name, device) == 0, "the name reads back");
  return fd;
}

static void exchange(int type, int server_how, int client_how, bool at_any) {
  struct sockaddr_in to = base_address, at = base_address;
  socklen_t bytes = sizeof at;
  char byte;
  int server = bound_to(type, server_how), client = bound_to(type, client_how);
  if (at_any) at.sin_addr.s_addr = 0;
  MUST(bind(server, (struct sockaddr *)&at, bytes));
  if (type == SOCK_STREAM) MUST(listen(server, 4));
  MUST(getsockname(server, (struct sockaddr *)&at, &bytes));
  to.sin_port = at.sin_port;
  const char *sent = outcome(type == SOCK_STREAM ? connect(client, (struct sockaddr *)&to, sizeof to)
                                                 : sendto(client, "x", 1, 0, (struct sockaddr *)&to, sizeof to));
  int got = type == SOCK_STREAM ? accept(server, NULL, NULL) : (int)recv(server, &byte, 1, 0);
  say("%s: %s, %s", type == SOCK_STREAM ? "tcp" : "udp", sent, outcome(got < 0 ? -1 : 0));
  if (type == SOCK_STREAM && got >= 0) MUST(close(got));
  MUST(close(server));
  MUST(close(client));
}

static void bound(void) {
  for (int i = 0; i < 18; i++) {
    int server = i % 3, client = i / 3 % 3;
    say("server %d, client %d, at %s", server, client, i >= 9 ? "any" : "its address");
    exchange(SOCK_STREAM, server, client, i >= 9);
    exchange(SOCK_DGRAM, server, client, i >= 9);
  }
}

/* ---- ioctl ------------------------------------------------------------------------------------------------ */

static const struct { unsigned long request; const char *name; } REQUESTS[] = {
    {SIOCGIFADDR, "ADDR"},     {SIOCGIFDSTADDR, "DSTADDR"}, {SIOCGIFBRDADDR, "BRDADDR"}, {SIOCGIFNETMASK, "NETMASK"},
    {SIOCGIFHWADDR, "HWADDR"}, {SIOCGIFFLAGS, "FLAGS"},     {SIOCGIFMTU, "MTU"},         {SIOCGIFINDEX, "INDEX"},
    {SIOCGIFMETRIC, "METRIC"}, {SIOCGIFTXQLEN, "TXQLEN"},   {SIOCGIFMAP, "MAP"},         {SIOCGIFSLAVE, "SLAVE"},
    {SIOCGMIIPHY, "MIIPHY"},   {SIOCGHWTSTAMP, "HWTSTAMP"}, {SIOCDEVPRIVATE, "PRIVATE"}};

static void ask(int fd) {
  static const struct { uint32_t command; const char *name; } commands[] = {
      {ETHTOOL_GLINK, "GLINK"}, {ETHTOOL_GDRVINFO, "GDRVINFO"}, {ETHTOOL_GSTRINGS, "GSTRINGS"},
      {ETHTOOL_GRINGPARAM, "GRINGPARAM"}, {9999, "9999"}};
  for (size_t i = 0; i < sizeof REQUESTS / sizeof *REQUESTS; i++) {
    struct ifreq asked = {0};
    strcpy(asked.ifr_name, device);
    int result = ioctl(fd, REQUESTS[i].request, &asked);
    bool has_flags = result == 0 && REQUESTS[i].request == SIOCGIFFLAGS;
    say("%s: %s %x", REQUESTS[i].name, outcome(result), has_flags ? asked.ifr_flags : 0);
  }
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    uint32_t data[256] = {commands[i].command};
    struct ifreq asked = {.ifr_data = (char *)data};
    strcpy(asked.ifr_name, device);
    int result = ioctl(fd, SIOCETHTOOL, &asked);
    say("ETHTOOL %s: %s %u", commands[i].name, outcome(result), i == 0 ? data[1] : 0);
  }
}

static void ioctls(void) {
  int fds[] = {new_socket(SOCK_DGRAM), new_socket(SOCK_DGRAM), socket(AF_INET6, SOCK_STREAM, 0), socket(AF_UNIX, SOCK_DGRAM, 0)};
  MUST(bind(fds[1], (struct sockaddr *)&base_address, sizeof base_address));
  for (int i = 0; i < 4; i++) {
    say("socket %d", i);
    ask(fds[i]);
    MUST(close(fds[i]));
  }
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
    {"link_local", link_local},
    {"bound", bound},
    {"ioctls", ioctls},
  };
  device = argc > 1 ? argv[1] : "";
  return run_cases(argc - 1, argv + 1, cases, sizeof cases / sizeof *cases);
}
