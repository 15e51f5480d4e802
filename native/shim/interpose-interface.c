/*
 * Lists of interfaces: libc's own, which are the kernel's, and Millrace's behind them.
 *
 * A program gets libc's list with entries of ours linked to its end, and gives back its start: which entries
 * follow is kept beside it.
 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "interpose.h"

/* Found beforehand: dlsym takes locks that a child of fork may find taken. */
static struct {
  int (*getifaddrs)(struct ifaddrs **list);
  void (*freeifaddrs)(struct ifaddrs *list);
  unsigned (*if_nametoindex)(const char *name);
  char *(*if_indextoname)(unsigned index, char *name);
  struct if_nameindex *(*if_nameindex)(void);
} libc_has;

#define FIND(name) libc_has.name = (__typeof__(libc_has.name))mr_real_find(#name)
__attribute__((constructor(102))) static void find_all(void) {
  FIND(getifaddrs);
  FIND(freeifaddrs);
  FIND(if_nametoindex);
  FIND(if_indextoname);
  FIND(if_nameindex);
}

static void find(void) {
  if (MR_UNLIKELY(libc_has.if_nameindex == NULL)) find_all(); /* for another library's constructor */
}

static int list(struct mr_interface *records) {
  return mr_unaccelerated != 0 ? 0 : mr_interfaces_list(records, MR_INTERFACES);
}

/* ---- Which entries follow a list ----------------------------------------------------------------------- */

/* Without a lock, as a thread that forks may leave one taken. `list` is given to the program: nobody else has it. */
#define PLACES 32
static struct places {
  struct {
    _Atomic(struct ifaddrs *) list;
    struct ifaddrs *kernels;
    void *ours;
  } at[PLACES];
  struct places *_Atomic next;
} first_places;
static struct ifaddrs taken; /* a place that is being filled */

static struct places *after(struct places *places) {
  struct places *next = atomic_load(&places->next);
  if (next != NULL) return next;
  struct places *more = calloc(1, sizeof *more);
  if (more == NULL || atomic_compare_exchange_strong(&places->next, &next, more)) return more;
  free(more);
  return next;
}

static bool keep(struct ifaddrs *list, struct ifaddrs *kernels, void *ours) {
  for (struct places *places = &first_places; places != NULL; places = after(places)) {
    for (int i = 0; i < PLACES; i++) {
      struct ifaddrs *none = NULL;
      if (!atomic_compare_exchange_strong(&places->at[i].list, &none, &taken)) continue;
      places->at[i].kernels = kernels;
      places->at[i].ours = ours;
      atomic_store(&places->at[i].list, list);
      return true;
    }
  }
  return false;
}

/* What to free instead of `list`, and ours; or `list` and NULL. */
static struct ifaddrs *forget(struct ifaddrs *list, void **ours) {
  *ours = NULL;
  for (struct places *places = &first_places; places != NULL; places = atomic_load(&places->next)) {
    for (int i = 0; i < PLACES; i++) {
      if (atomic_load(&places->at[i].list) != list) continue;
      struct ifaddrs *kernels = places->at[i].kernels;
      *ours = places->at[i].ours;
      atomic_store(&places->at[i].list, NULL);
      return kernels;
    }
  }
  return list;
}

/* ---- getifaddrs ------------------------------------------------------------------------------------------ */

struct entry {
  struct ifaddrs head;
  union {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_ll link;
    struct sockaddr_storage room;
  } address, netmask, broadcast;
  char name[IF_NAMESIZE];
  struct rtnl_link_stats counters; /* of links; Millrace's own are elsewhere (`millrace stat --counters`) */
};

static bool has_name(const struct ifaddrs *list, const char *name) {
  for (; list != NULL; list = list->ifa_next) {
    if (list->ifa_name != NULL && strcmp(list->ifa_name, name) == 0) return true;
  }
  return false;
}

static bool has_address(const struct ifaddrs *list, const struct mr_address *address) {
  for (; list != NULL; list = list->ifa_next) {
    const struct sockaddr *at = list->ifa_addr;
    if (at == NULL || at->sa_family != address->family) continue;
    const void *bytes = at->sa_family == AF_INET
                            ? (const void *)&((const struct sockaddr_in *)(const void *)at)->sin_addr
                            : (const void *)&((const struct sockaddr_in6 *)(const void *)at)->sin6_addr;
    if (memcmp(bytes, address->address, at->sa_family == AF_INET ? 4 : 16) == 0) return true;
  }
  return false;
}

static void describe(struct entry *to, const struct mr_interface *from) {
  memcpy(to->name, from->name, sizeof to->name);
  to->head.ifa_name = to->name;
  to->head.ifa_flags = from->flags;
  to->head.ifa_addr = &to->address.any;
}

static void describe_link(struct entry *to, const struct mr_interface *from) {
  describe(to, from);
  to->address.link.sll_family = AF_PACKET;
  to->address.link.sll_ifindex = (int)from->index;
  to->address.link.sll_hatype = from->hardware;
  to->address.link.sll_halen = sizeof from->mac;
  to->broadcast.link = to->address.link;
  memcpy(to->address.link.sll_addr, from->mac, sizeof from->mac);
  memset(to->broadcast.link.sll_addr, 0xff, sizeof from->mac);
  to->head.ifa_broadaddr = &to->broadcast.any;
  to->head.ifa_data = &to->counters;
}

static void describe_address(struct entry *to, const struct mr_interface *from) {
  uint16_t family = from->address.family;
  uint32_t bits = from->prefix_bits;
  struct mr_address mask = {.family = family};
  describe(to, from);
  mr_address_to(&to->address.room, &from->address, family);
  for (uint32_t i = 0; i < bits && i < 128; i++) mask.address[i / 8] |= (uint8_t)(0x80 >> i % 8);
  mr_address_to(&to->netmask.room, &mask, family);
  to->head.ifa_netmask = &to->netmask.any;
  if (family != AF_INET || bits > 30) return; /* those have none */
  to->broadcast.in = to->address.in;
  to->broadcast.in.sin_addr.s_addr |= ~to->netmask.in.sin_addr.s_addr;
  to->head.ifa_broadaddr = &to->broadcast.any;
}

/* Links first, as in libc's list. How many entries; `to` NULL: only counts. */
static int describe_all(struct entry *to, const struct ifaddrs *kernels, const struct mr_interface *records,
                        int count) {
  int n = 0;
  for (int i = 0; i < count; i++) {
    bool is_known = has_name(kernels, records[i].name); /* the kernel's end of the same link */
    for (int k = 0; k < i && !is_known; k++) is_known = records[k].index == records[i].index;
    if (is_known) continue;
    if (to != NULL) describe_link(&to[n], &records[i]);
    n++;
  }
  for (int i = 0; i < count; i++) {
    if (has_address(kernels, &records[i].address)) continue;
    if (to != NULL) describe_address(&to[n], &records[i]);
    n++;
  }
  for (int i = 0; to != NULL && i + 1 < n; i++) to[i].head.ifa_next = &to[i + 1].head;
  return n;
}

EXPORT int getifaddrs(struct ifaddrs **to) {
  struct mr_interface records[MR_INTERFACES];
  find();
  int result = libc_has.getifaddrs(to);
  int count = result == 0 ? list(records) : 0;
  if (count == 0) return result;
  int saved = errno;
  int n = describe_all(NULL, *to, records, count);
  struct entry *entries = n == 0 ? NULL : calloc((size_t)n, sizeof *entries);
  struct ifaddrs *kernels = *to, *start = kernels != NULL ? kernels : &entries->head;
  if (entries != NULL && keep(start, kernels, entries)) {
    describe_all(entries, kernels, records, count);
    struct ifaddrs **last = to;
    while (*last != NULL) last = &(*last)->ifa_next;
    *last = &entries->head;
  } else {
    free(entries); /* no memory: the kernel's alone */
  }
  errno = saved;
  return 0;
}

EXPORT void freeifaddrs(struct ifaddrs *given) {
  void *ours;
  find();
  struct ifaddrs *kernels = given == NULL ? NULL : forget(given, &ours);
  if (given != NULL) free(ours);
  libc_has.freeifaddrs(kernels);
}

/* ---- Names and indices ----------------------------------------------------------------------------------- */

EXPORT unsigned if_nametoindex(const char *name) {
  struct mr_interface records[MR_INTERFACES];
  int saved = errno;
  find();
  unsigned index = libc_has.if_nametoindex(name);
  int count = index == 0 && errno == ENODEV ? list(records) : 0;
  for (int i = 0; i < count && index == 0; i++) {
    if (strcmp(records[i].name, name) == 0) index = records[i].index;
  }
  if (index != 0) errno = saved;
  return index;
}

EXPORT char *if_indextoname(unsigned index, char name[IF_NAMESIZE]) {
  struct mr_interface records[MR_INTERFACES];
  int saved = errno;
  find();
  char *found = libc_has.if_indextoname(index, name);
  int count = found == NULL && errno == ENXIO ? list(records) : 0;
  for (int i = 0; i < count && found == NULL; i++) {
    if (records[i].index == index) found = memcpy(name, records[i].name, IF_NAMESIZE);
  }
  if (found != NULL) errno = saved;
  return found;
}

/* The names of the list are libc's or ours alike: libc's if_freenameindex frees each, and then the list. */
EXPORT struct if_nameindex *if_nameindex(void) {
  struct mr_interface records[MR_INTERFACES];
  find();
  struct if_nameindex *kernels = libc_has.if_nameindex();
  int count = kernels == NULL ? 0 : list(records), n = 0;
  if (count == 0) return kernels;
  int saved = errno;
  while (kernels[n].if_name != NULL) n++;
  struct if_nameindex *all = realloc(kernels, (size_t)(n + count + 1) * sizeof *all);
  if (all == NULL) all = kernels;
  else {
    for (int i = 0; i < count; i++) {
      bool is_known = false;
      for (int k = 0; k < n && !is_known; k++) is_known = strcmp(all[k].if_name, records[i].name) == 0;
      char *name = is_known ? NULL : strdup(records[i].name);
      if (name != NULL) all[n++] = (struct if_nameindex){records[i].index, name};
    }
    all[n] = (struct if_nameindex){0, NULL};
  }
  errno = saved;
  return all;
}
