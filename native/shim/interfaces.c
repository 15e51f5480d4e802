/*
 * Millrace's interfaces behind the kernel's, for libc's lists (interpose-interface.c) and for ioctl on sockets that
 * the kernel has. The engine says which; one that does not answer soon has none.
 */
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include "core.h"

#define ANSWER_NS 1000000000
#define NEXT_ANSWER_NS 100000000 /* after one that did not come */

/* The engine has not answered the last time. */
static atomic_bool is_late;

static struct mr_link *engine(void) {
  /* Sockets that nothing of Millrace's becomes may not be bound there either. */
  if (mr_thread.is_lodger || mr_opt_out_is_default()) return NULL;
  struct mr_link *link = mr_link_within(atomic_load(&is_late) ? 0 : ANSWER_NS);
  if (link == NULL && !atomic_load(&mr_engine_is_dead)) atomic_store(&is_late, true);
  return mr_engine_is_stopped(link) ? NULL : link;
}

static int await_answer(struct mr_calling *calling) {
  int result = mr_call_wait_within(calling, atomic_load(&is_late) ? NEXT_ANSWER_NS : ANSWER_NS);
  atomic_store(&is_late, result == -ETIMEDOUT);
  return result;
}

int mr_interfaces_list(struct mr_interface *to, int room) {
  int saved = errno, count = 0;
  struct mr_link *link = engine();
  for (int got = 1; link != NULL && got > 0 && count < room; count += got) {
    struct mr_calling calling;
    if (!mr_call_try(&calling, link, 0, MR_OP_INTERFACES)) break;
    calling.call->args[0] = (uint32_t)count;
    got = await_answer(&calling);
    int most = (int)(sizeof calling.call->data / sizeof *to);
    if (most > room - count) most = room - count;
    if (got > most) got = most;
    if (got > 0) memcpy(to + count, calling.call->data, (size_t)got * sizeof *to);
    else got = 0;
    mr_call_end(&calling);
  }
  for (int i = 0; i < count; i++) to[i].name[sizeof to[i].name - 1] = '\0';
  errno = saved;
  return count;
}

/* ---- ioctl ------------------------------------------------------------------------------------------- */

/* What the kernel has nothing to say to. 0, or a negated error number. */
static int ask(unsigned long request, struct ifreq *asked) {
  struct mr_calling calling;
  struct mr_link *link = engine();
  if (link == NULL) return -ENODEV;
  if (!mr_call_try(&calling, link, 0, MR_OP_IOCTL)) return -ENODEV;
  calling.call->args[0] = (uint32_t)request;
  memcpy(calling.call->data, asked, sizeof *asked);
  calling.call->data_bytes = sizeof *asked;
  int result = await_answer(&calling);
  if (result >= 0) memcpy(asked, calling.call->data, sizeof *asked);
  mr_call_end(&calling);
  return result < 0 ? result : 0;
}

/* As a driver that can say little of its device, like those of the kernel's virtual ones. */
static int ethtool(const struct ifreq *known, void *user) {
  uint32_t command;
  if (mr_copy_from(&command, user, sizeof command) != 0) return -EFAULT;
  if (command == ETHTOOL_GLINK) {
    struct ethtool_value link = {.cmd = command, .data = (known->ifr_flags & IFF_RUNNING) != 0};
    return mr_copy_to(user, &link, sizeof link);
  }
  if (command != ETHTOOL_GDRVINFO) return -EOPNOTSUPP;
  struct ethtool_drvinfo driver = {.cmd = command, .driver = "millrace"};
  return mr_copy_to(user, &driver, sizeof driver);
}

/* What the engine has no answer to, of an interface that it has. */
static int answer_known(unsigned long request, const struct ifreq *asked) {
  struct ifreq known = *asked;
  if (ask(SIOCGIFFLAGS, &known) != 0) return -ENODEV;
  if (request == SIOCETHTOOL) return ethtool(&known, asked->ifr_data);
  return request == SIOCGIFSLAVE ? -EINVAL : -EOPNOTSUPP;
}

/* SIOCGIFCONF: as the kernel, IPv4 addresses, and as many as there is room for. */
static int add_to_list(const struct ifconf *before, struct ifconf *list) {
  struct mr_interface records[MR_INTERFACES];
  int count = mr_interfaces_list(records, MR_INTERFACES);
  for (int i = 0; i < count; i++) {
    if (records[i].address.family != AF_INET) continue;
    struct ifreq one = {0};
    struct sockaddr_storage address;
    mr_address_to(&address, &records[i].address, AF_INET);
    memcpy(one.ifr_name, records[i].name, sizeof one.ifr_name);
    memcpy(&one.ifr_addr, &address, sizeof one.ifr_addr);
    if (list->ifc_buf != NULL) {
      if (before->ifc_len - list->ifc_len < (int)sizeof one) break;
      if (mr_copy_to(list->ifc_buf + list->ifc_len, &one, sizeof one) != 0) return -EFAULT;
    }
    list->ifc_len += (int)sizeof one;
  }
  return 0;
}

/* Those whose argument is a struct ifreq with a name, and the kernel has no such interface. */
static bool names_none(unsigned long request, int error) {
  return error == ENODEV && request >= SIOCGIFNAME && request <= SIOCDEVPRIVATE + 15 && request != SIOCGIFCONF;
}

static bool engine_answers(unsigned long request, int error) {
  switch (request) {
    case SIOCGIFNAME:
    case SIOCGIFFLAGS:
    case SIOCGIFMTU:
    case SIOCGIFHWADDR:
    case SIOCGIFINDEX:
    case SIOCGIFMETRIC:
    case SIOCGIFTXQLEN:
    case SIOCGIFMAP:
      return error == ENODEV;
    case SIOCGIFADDR:
    case SIOCGIFDSTADDR:
    case SIOCGIFBRDADDR:
    case SIOCGIFNETMASK:
      return error == ENODEV || error == EADDRNOTAVAIL;
    default:
      return false;
  }
}

int mr_interfaces_ioctl(int fd, unsigned long request, void *user) {
  struct ifconf before, list;
  bool lists = request == SIOCGIFCONF && mr_copy_from(&before, user, sizeof before) == 0;
  int result = real.ioctl(fd, request, user);
  if (result < 0) {
    int error = errno;
    struct ifreq asked;
    bool is_asked = engine_answers(request, error);
    if ((!is_asked && !names_none(request, error)) || mr_copy_from(&asked, user, sizeof asked) != 0) return result;
    int answer = is_asked ? ask(request, &asked) : answer_known(request, &asked);
    if (is_asked && answer == 0) answer = mr_copy_to(user, &asked, sizeof asked);
    errno = is_asked || answer == 0 ? error : -answer;
    return answer == 0 ? 0 : result;
  }
  if (!lists || mr_copy_from(&list, user, sizeof list) != 0) return result;
  int saved = errno;
  if (add_to_list(&before, &list) == 0) mr_copy_to(user, &list, sizeof list);
  errno = saved;
  return result;
}
