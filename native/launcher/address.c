/* Addresses among the arguments: whether they are some, and some that a host can have. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launcher.h"

/* ADDRESS or ADDRESS/BITS. */
struct address {
  unsigned char bytes[sizeof(struct in6_addr)];
  int size; /* of the address: 4 or 16; 0: the text is none */
  int bits; /* -1: none are said */
};

/* IPv4 written as IPv6, whose prefix length counts all bits. */
static bool is_mapped(const struct address *address) {
  static const unsigned char MAPPED[12] = {[10] = 0xff, [11] = 0xff};
  return address->size == 16 && memcmp(address->bytes, MAPPED, sizeof MAPPED) == 0;
}

static struct address read_address(const char *text) {
  struct address address = {.bits = -1};
  char host[64] = "";
  size_t n = strcspn(text, "/");
  if (n >= sizeof host) return address;
  memcpy(host, text, n);
  if (inet_pton(AF_INET, host, address.bytes) == 1) address.size = 4;
  else if (inet_pton(AF_INET6, host, address.bytes) == 1) address.size = 16;
  if (text[n] == '\0') return address;
  const char *bits = text + n + 1;
  if (is_number(bits) && strlen(bits) <= 3 && atoi(bits) <= 8 * address.size) address.bits = atoi(bits);
  else address.size = 0;
  if (is_mapped(&address) && address.bits < 96) address.size = 0; /* no prefix of IPv4 */
  return address;
}

/* Whether all bits from `from` on have this value. */
static bool rest_is(const struct address *address, int from, bool value) {
  for (int i = from; i < 8 * address->size; i++) {
    if (((address->bytes[i / 8] >> (7 - i % 8)) & 1) != value) return false;
  }
  return true;
}

/* What an address is that no host can have, or NULL. src/ip/host-address.ts says the same. */
static const char *why_no_host(const struct address *address) {
  const unsigned char *b = address->bytes;
  struct address v4 = {.size = 4, .bits = address->bits < 0 ? -1 : address->bits - 96};
  if (is_mapped(address)) {
    memcpy(v4.bytes, b + 12, 4);
    return why_no_host(&v4);
  }
  bool is_v4 = address->size == 4;
  if (rest_is(address, 0, 0)) return "the wildcard address";
  if (is_v4 ? b[0] == 127 : memcmp(b, &in6addr_loopback, 16) == 0) return "a loopback address";
  if (is_v4 ? b[0] >> 4 == 14 : b[0] == 0xff) return "a multicast address";
  if (is_v4 && rest_is(address, 0, 1)) return "the broadcast address";
  if (is_v4 && b[0] == 0) return "an address of 0.0.0.0/8, which is no network";
  if (address->bits < 0 || address->bits >= 8 * address->size - 1) return NULL;
  if (rest_is(address, address->bits, 0)) return is_v4 ? "its network's own address" : "its network's anycast address";
  return is_v4 && rest_is(address, address->bits, 1) ? "its network's broadcast address" : NULL;
}

void check_address(const char *name, const char *text, enum bits bits, const char *expected) {
  struct address address = read_address(text);
  bool has_bits = address.bits >= 0;
  bool is_one = address.size != 0 && (bits == MAY_HAVE_BITS || has_bits == (bits == MUST_HAVE_BITS));
  const char *why = is_one ? why_no_host(&address) : NULL;
  if (is_one && why == NULL) return;
  char got[256];
  snprintf(got, sizeof got, "%s%s%s", text, why == NULL ? "" : ", which is ", why == NULL ? "" : why);
  refuse_value(name, expected, got);
}
