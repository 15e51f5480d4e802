/* Options that are set before a socket is decided: kept in their order, for the engine. */
#include <net/if.h>

#include "open.h"

/* Keeps the option; the same one set again replaces the first, unless options of its kind add up. */
static void keep_option(struct mr_pending *pending, int level, int option, const void *value, uint32_t bytes) {
  struct mr_address group;
  struct mr_option record = {(uint32_t)level, (uint32_t)option, bytes};
  uint32_t whole = (uint32_t)sizeof record + ((bytes + 3) & ~3u);
  uint8_t *options = pending->options;
  bool adds_up = mr_option_joins(level, option, value, bytes, &group);
  for (uint32_t at = 0; !adds_up && at < pending->options_bytes;) {
    struct mr_option known;
    memcpy(&known, options + at, sizeof known);
    if (known.level == record.level && known.option == record.option && known.bytes == bytes) {
      memcpy(options + at + sizeof known, value, bytes);
      return;
    }
    at += (uint32_t)sizeof known + ((known.bytes + 3) & ~3u);
  }
  if (pending->options_bytes + whole > MR_OPTIONS_BYTES) {
    pending->state->too_many = true;
    return;
  }
  memcpy(options + pending->options_bytes, &record, sizeof record);
  memcpy(options + pending->options_bytes + sizeof record, value, bytes);
  pending->options_bytes += whole;
}

/* What the kernel made of the value. */
static void keep_readback(int fd, struct mr_pending *pending, int level, int option) {
  uint8_t value[64];
  socklen_t bytes = sizeof value;
  int saved = errno;
  if (mr_kernel_reads_back(level, option) && real.getsockopt(fd, level, option, value, &bytes) == 0) {
    keep_option(pending, (int)((uint32_t)level | MR_OPTION_READS_BACK), option, value, bytes);
  }
  errno = saved;
}

void mr_open_keep_option(int fd, struct mr_pending *pending, int level, int option, const void *value, uint32_t bytes) {
  keep_option(pending, level, option, value, bytes);
  keep_readback(fd, pending, level, option);
}

/* Whether Millrace takes the options so far: 0, or a negated error number. */
static int try_options(int fd, struct mr_pending *pending) {
  _Alignas(8) uint8_t buffer[MR_MESSAGE_BYTES];
  struct mr_link *link = mr_link_get();
  if (link == NULL) return -ENODEV;
  struct mr_asking asking = {.at = MR_AT_TRY};
  struct mr_opened opened = {.result = -ENODEV};
  int got[2] = {-1, -1}, pair[2];
  mr_making_begin();
  if (mr_pair_make_anywhere(pair, SOCK_CLOEXEC) < 0) {
    int why = -errno;
    mr_making_end();
    return why;
  }
  mr_making_note(pair[0]);
  mr_making_note(pair[1]);
  size_t bytes = mr_open_write_message(buffer, fd, pair[0], pending, 0, &asking);
  int failed = mr_control_ask(link, buffer, bytes, &pair[1], 1, &opened, sizeof opened, got);
  real.close(pair[0]);
  real.close(pair[1]);
  mr_making_end();
  if (failed != 0) return -ENODEV;
  return opened.result < 0 ? opened.result : 0;
}

/* The kernel does not know the interface or address; Millrace may. */
static int keep_if_ours(int fd, struct mr_pending *pending, int level, int option, const void *value,
                        uint32_t bytes) {
  int kernels = -errno;
  if (!mr_open_begin(fd, pending)) return kernels;
  uint32_t before = pending->options_bytes;
  uint8_t old[MR_OPTIONS_BYTES];
  memcpy(old, pending->options, before);
  keep_option(pending, level, option, value, bytes);
  int result = try_options(fd, pending);
  if (result != 0) {
    memcpy(pending->options, old, before);
    pending->options_bytes = before;
  }
  mr_open_end(pending);
  return result == 0 ? 0 : kernels;
}

int mr_open_setsockopt(int fd, struct mr_pending *pending, int level, int option, const void *value,
                       socklen_t bytes) {
  uint8_t copy[256];
  struct mr_address group;
  int result = real.setsockopt(fd, level, option, value, bytes);
  if ((int)bytes < 0 || bytes > sizeof copy || mr_copy_from(copy, value, bytes) != 0) {
    /* Filters and the like hold pointers, or more than the engine knows what to do with. */
    if (result == 0) pending->state->too_many = true;
    return result;
  }
  bool joins = pending->type == SOCK_DGRAM && mr_option_joins(level, option, copy, bytes, &group);
  bool may_be_ours = result < 0 && (errno == ENODEV || errno == EADDRNOTAVAIL || errno == EINVAL) &&
                     mr_kernel_may_not_know(level, option);
  if (may_be_ours) return (int)mr_return(keep_if_ours(fd, pending, level, option, copy, bytes));
  if (result < 0 && !joins) return result;
  if (!mr_open_begin(fd, pending)) return result;
  option = mr_as_buffer_option(level, option);
  keep_option(pending, level, option, copy, bytes);
  if (!joins) keep_readback(fd, pending, level, option);
  if (joins) {
    int saved = errno;
    struct mr_asking asking = {.at = MR_AT_JOIN, .peer = &group, .with_companion = true};
    int answer = mr_open_ask(fd, pending, &asking);
    errno = saved;
    if (answer <= 0) result = (int)mr_return(answer);
  }
  mr_open_end(pending);
  return result;
}

/* The device that the socket was last bound to by a name that the kernel does not know, or NULL. */
static const uint8_t *own_device(struct mr_pending *pending, uint32_t *bytes) {
  const uint8_t *name = NULL;
  for (uint32_t at = 0; at < pending->options_bytes;) {
    struct mr_option record;
    memcpy(&record, pending->options + at, sizeof record);
    at += (uint32_t)sizeof record;
    if (record.level == SOL_SOCKET && record.option == SO_BINDTODEVICE) {
      name = record.bytes > 0 ? pending->options + at : NULL;
      *bytes = record.bytes;
    }
    at += (record.bytes + 3) & ~3u;
  }
  return name;
}

int mr_open_getsockopt(int fd, struct mr_pending *pending, int level, int option, void *value, socklen_t *bytes) {
  int result = real.getsockopt(fd, level, option, value, bytes);
  socklen_t got;
  if (result != 0 || level != SOL_SOCKET || option != SO_BINDTODEVICE) return result;
  if (mr_copy_from(&got, bytes, sizeof got) != 0 || got > 1 || !mr_open_begin(fd, pending)) return result;
  char name[IFNAMSIZ] = "";
  uint32_t named = 0;
  const uint8_t *own = own_device(pending, &named);
  if (own != NULL) memcpy(name, own, named < sizeof name - 1 ? named : sizeof name - 1);
  mr_open_end(pending);
  got = (socklen_t)strlen(name) + 1;
  if (got == 1) return result;
  if (mr_copy_to(value, name, got) != 0 || mr_copy_to(bytes, &got, sizeof got) != 0) return (int)mr_return(-EFAULT);
  return result;
}
