/* What open.c and decide.c share. */
#ifndef MILLRACE_OPEN_H
#define MILLRACE_OPEN_H

#include "core.h"

#define MR_OPTIONS_BYTES 960 /* of options set before the socket is decided: some sixty */

struct mr_open_state {
  struct mr_mutex mutex;     /* one thread decides at a time */
  int protocol;
  bool too_many;             /* options that could not be kept */
  int choice;                /* MR_CHOICE_* of the program, opt-out.c */
  struct mr_address own;     /* of a wildcard-bound TCP socket; family 0: not bound */
  int no_room;               /* when it was last decided: the error that says so, or 0 */
  bool port_was_asked;       /* by number, when it was bound */
  bool stays_undecided;      /* as long as it is bound and no more: share.c */
  uint8_t options[MR_OPTIONS_BYTES];
};

/* What the engine is asked about a socket. */
struct mr_asking {
  uint32_t at; /* MR_AT_* */
  bool with_companion;
  bool with_hold; /* the kernel socket is bound, and goes along to hold its port */
  bool is_early;  /* it stays undecided if it is not accelerated */
  bool with_nothing; /* there are no descriptors: whether it would have been accelerated */
  const struct mr_address *own, *peer;
};

/* For a kernel socket of AF_INET or AF_INET6; NULL: there is no memory, or it is neither TCP nor UDP. */
struct mr_pending *mr_open_pending(int family, int type, int protocol);
/* An option that the kernel socket has is one that was set before it is decided. */
void mr_open_keep_option(int fd, struct mr_pending *pending, int level, int option, const void *value, uint32_t bytes);
/* share.c: a TCP socket has been bound. */
void mr_share_note_bound(const struct mr_pending *pending);

/* It is decided: the kernel's, in all its numbers. */
void mr_open_leave_with_kernel(int fd, struct mr_pending *pending, const char *reason);
/* Between open.c and open-spare.c. The descriptor's other numbers become the pair's end, too. */
void mr_open_replace(int fd, struct mr_pending *pending, int pair_end, struct mr_sock *sock, bool nonblock);
bool mr_open_is_nonblocking(int fd);
/* MR_MSG_OPEN with the options behind it; its bytes. `pair_end` -1: a parked one. */
size_t mr_open_write_message(uint8_t *buffer, int fd, int pair_end, struct mr_pending *pending, uint32_t local,
                             const struct mr_asking *asking);
void mr_open_say_enabled(int fd, struct mr_sock *sock, const struct mr_address *peer, const struct mr_opened *opened);
/* A connection there is accelerated, for `reason`, as long as `routes` stays. */
void mr_open_remember(struct mr_link *link, struct mr_pending *pending, const struct mr_address *peer,
                      uint32_t routes, const char *reason);

#define MR_CHOICE_NONE 0
#define MR_CHOICE_KERNEL 1     /* SO_MILLRACE_NO_ACCEL was set to 1 */
#define MR_CHOICE_ACCELERATE 2 /* ... to 0 */

/* Why the program itself keeps a socket with the kernel, or NULL. */
const char *mr_opt_out_reason(struct mr_pending *pending);

/* Locks, if the descriptor is still undecided; otherwise false, and the table says what it is now. */
bool mr_open_begin(int fd, struct mr_pending *pending);
/* The same, but false, too, when it is taken. */
bool mr_open_try(int fd, struct mr_pending *pending);
void mr_open_end(struct mr_pending *pending);
/* 0: accelerated, the descriptor replaced. 1: the kernel's. Or a negated error number for the program. */
int mr_open_ask(int fd, struct mr_pending *pending, const struct mr_asking *asking);
/* The same for a TCP socket that connects to where one has been accelerated before, without asking: 0, and
 * it connects; 1: ask. */
int mr_open_spare(int fd, struct mr_pending *pending, const struct mr_address *peer);
/* Where the kernel has bound the socket. */
int mr_open_own_address(int fd, struct mr_pending *pending, struct mr_address *own);
/* Puts a fresh kernel socket with the same options in its place: nothing else unbinds one. */
int mr_open_renew(int fd, struct mr_pending *pending);

#endif
