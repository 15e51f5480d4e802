/* What epoll.c (waiting), epoll-list.c (interest lists) and epoll-home.c (instances and sessions) share. */
#ifndef MILLRACE_EPOLL_H
#define MILLRACE_EPOLL_H

#include <sys/epoll.h>

#include "core.h"

struct mr_epoll_item {
  struct mr_epoll_item *next_of_socket; /* memberships of one socket */
  struct mr_epoll_item *next, *previous; /* members of one instance */
  struct mr_epoll_item *next_ready, *previous_ready;
  struct mr_epoll *epoll;
  struct mr_sock *sock;       /* NULL while the socket is undecided: then the kernel watches it */
  struct mr_pending *pending; /* ... and this is it */
  int fd;
  uint32_t events;            /* as the program gave them */
  uint64_t data;
  uint64_t seen;              /* mr_sock_events when it was last looked at, for EPOLLET */
  uint32_t seen_status;
  uint32_t settled;           /* the session that it was last settled in, or that was tried */
  bool is_ready;              /* in the ready list */
  bool is_fresh;              /* look whatever has happened since: added, changed, shut down */
  bool is_spent;              /* EPOLLONESHOT has fired */
};

struct mr_epoll {
  atomic_int references;
  atomic_int sockets;         /* accelerated members */
  atomic_int ready;           /* length of the ready list */
  atomic_bool has_kernel;     /* the kernel's instance has had members of the program, or companions */
  atomic_bool has_marks;      /* ... or members of the shim's own */
  atomic_bool has_inners;     /* ... or instances inside it */
  int fd;                     /* a number of it */
  atomic_uint link_id;        /* the session of its waiter, which is set before it; 0: none yet */
  int waiter, eventfd;        /* -1: all waiters were taken */
  int sleepers;
  atomic_int plain_sleepers;  /* ... of when there were no accelerated members yet */
  bool is_nested;             /* somebody waits for the instance itself: always armed */
  bool knows_death;           /* the engine's */
  bool was_inherited;         /* over fork: the kernel's instance has marks of the parent's */
  atomic_uint quiet;          /* looks at the kernel in vain, one after the other */
  atomic_uint turn;
  struct mr_epoll_item *items, *first_ready, *last_ready;
};

/* One lock for all instances: an item lies in lists of a socket and of an instance, and hints of one
 * session are for all. It is held for a few loads an event. */
extern struct mr_mutex mr_epoll_lock;

/* What the kernel's instance says of members that are the shim's: `data` begins with a secret, so that
 * no data of a program is taken for one. */
enum mr_mark { MR_MARK_WAITER = 1, MR_MARK_ENGINE, MR_MARK_COMPANION, MR_MARK_INNER };
#define MR_MARK_INDEX_BITS 22
uint64_t mr_mark_of(enum mr_mark mark, uint32_t index);
/* 0 when `data` is the program's. */
enum mr_mark mr_mark_read(uint64_t data, uint32_t *index);

/* Whether a thread sleeps in the instance, so that it has to be rung for what comes. */
static inline bool mr_epoll_is_slept_in(const struct mr_epoll *epoll) {
  return epoll->is_nested || epoll->sleepers > 0 || atomic_load(&epoll->plain_sleepers) > 0;
}

/* With the lock held. */
/* False: its last reference is gone, and who gave it back waits for the lock. */
bool mr_epoll_hold(struct mr_epoll *epoll);
void mr_item_push(struct mr_epoll_item *item);
void mr_item_pull(struct mr_epoll_item *item);
void mr_item_remove(struct mr_epoll_item *item);
/* Hints of the session become ready items. */
void mr_hints_drain(struct mr_link *link);
/* Wakes who sleeps in the instance, or in one around it. */
void mr_epoll_ring(struct mr_epoll *epoll);
/* The companion of an accelerated member said something: `local` is the member's entry, or its parent's. */
void mr_companion_woke(struct mr_epoll *epoll, uint32_t local);
/* Has the kernel's instance watch the socket's companion, if it has one. */
void mr_companion_watch(struct mr_epoll *epoll, struct mr_sock *sock, int op);

/* Without the lock: the instance has a waiter of this process's session. 0 or a negated error number. */
int mr_epoll_settle(struct mr_epoll *epoll, int epfd);
/* Makes `sock` known to the session and the engine's hints for it wanted; of `epoll`'s waiter, too. */
void mr_epoll_watch(struct mr_epoll *epoll, struct mr_sock *sock);
void mr_epoll_unwatch(struct mr_epoll *epoll, struct mr_sock *sock);
/* The instance behind an index of MR_MARK_INNER, and what the program calls it; held, or NULL. */
struct mr_epoll *mr_inner_get(uint32_t index, uint64_t *data, int *fd);
/* The next instance inside `outer` from *index on, held, and where it is; or NULL. */
struct mr_epoll *mr_inner_of(const struct mr_epoll *outer, uint32_t *index);

#endif
