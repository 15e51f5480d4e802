/* Bytes between user memory and rings. User memory is a vector that is read one element at a time. */
#include <limits.h>

#include "core.h"

#define MOST_ELEMENTS 1024      /* UIO_MAXIOV */
#define MOST_BYTES 0x7ffff000ul /* MAX_RW_COUNT */

/* Takes the next element that is not empty. 0, -EFAULT; false in `has` at the end. */
static int next_element(struct mr_cursor *cursor) {
  while (cursor->left == 0 && cursor->elements > 0) {
    struct iovec element;
    int failed = mr_copy_from(&element, cursor->next, sizeof element);
    if (failed != 0) return failed;
    cursor->next++;
    cursor->elements--;
    cursor->at = element.iov_base;
    cursor->left = element.iov_len;
  }
  return 0;
}

ssize_t mr_cursor_open(struct mr_cursor *cursor, const struct iovec *vector, size_t elements) {
  *cursor = (struct mr_cursor){.next = vector, .elements = elements};
  if (elements > MOST_ELEMENTS) return -EMSGSIZE;
  size_t bytes = 0;
  for (size_t i = 0; i < elements; i++) {
    struct iovec element;
    if (mr_copy_from(&element, &vector[i], sizeof element) != 0) return -EFAULT;
    if ((ssize_t)element.iov_len < 0) return -EINVAL;
    bytes = element.iov_len > MOST_BYTES - bytes ? MOST_BYTES : bytes + element.iov_len;
  }
  return (ssize_t)bytes;
}

int mr_cursor_read(struct mr_cursor *cursor, uint8_t *to, size_t n) {
  while (n > 0) {
    int failed = next_element(cursor);
    if (failed != 0) return failed;
    size_t part = n < cursor->left ? n : cursor->left;
    if (part == 0) return -EFAULT; /* the vector shrank meanwhile */
    failed = mr_copy_from(to, cursor->at, part);
    if (failed != 0) return failed;
    cursor->at += part;
    cursor->left -= part;
    to += part;
    n -= part;
  }
  return 0;
}

int mr_cursor_write(struct mr_cursor *cursor, const uint8_t *from, size_t n) {
  while (n > 0) {
    int failed = next_element(cursor);
    if (failed != 0) return failed;
    size_t part = n < cursor->left ? n : cursor->left;
    if (part == 0) return -EFAULT;
    failed = mr_copy_to(cursor->at, from, part);
    if (failed != 0) return failed;
    cursor->at += part;
    cursor->left -= part;
    from += part;
    n -= part;
  }
  return 0;
}

int mr_ring_put(uint8_t *ring, uint32_t bytes, uint32_t at, struct mr_cursor *from, size_t n) {
  uint32_t offset = at & (bytes - 1);
  size_t first = n < bytes - offset ? n : bytes - offset;
  int failed = mr_cursor_read(from, ring + offset, first);
  if (failed != 0 || first == n) return failed;
  return mr_cursor_read(from, ring, n - first);
}

int mr_ring_get(const uint8_t *ring, uint32_t bytes, uint32_t at, struct mr_cursor *to, size_t n) {
  uint32_t offset = at & (bytes - 1);
  size_t first = n < bytes - offset ? n : bytes - offset;
  int failed = mr_cursor_write(to, ring + offset, first);
  if (failed != 0 || first == n) return failed;
  return mr_cursor_write(to, ring, n - first);
}
