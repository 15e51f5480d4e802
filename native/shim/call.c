/* Calls to the engine: rare, so each waits for its answer. A bit for each of the 64 slots says whose it
 * is; slots whose caller did not wait are taken back when they are done. */
#include "core.h"

#define SETTLE_NS 1000000000
#define YIELDS 100 /* while waiting for releases, before it sleeps between looks */

static _Atomic uint64_t used, orphaned;
static _Atomic uint32_t released[MR_CALLS]; /* the entry that an orphan gives back, + 1 */

_Static_assert(MR_CALLS == 64, "one bit each");

static void give_back(struct mr_call *call, unsigned number) {
  mr_store(&call->state, MR_CALL_FREE);
  atomic_fetch_and(&used, ~(1ull << number));
}

static void collect_orphans(struct mr_link *link) {
  for (uint64_t left = atomic_load(&orphaned); left != 0; left &= left - 1) {
    unsigned number = (unsigned)__builtin_ctzll(left);
    struct mr_call *call = &link->calls[number];
    if (mr_load(&call->state) != MR_CALL_DONE) continue;
    uint64_t bit = 1ull << number;
    mr_enter();
    if (atomic_fetch_and(&orphaned, ~bit) & bit) {
      uint32_t local = released[number];
      released[number] = 0;
      give_back(call, number);
      if (local != 0) mr_local_free(local - 1);
    }
    mr_leave();
  }
}

static int take_slot(struct mr_link *link) {
  if (atomic_load(&orphaned) != 0) collect_orphans(link);
  uint64_t seen = atomic_load(&used);
  while (seen != UINT64_MAX) {
    unsigned number = (unsigned)__builtin_ctzll(~seen);
    if (atomic_compare_exchange_weak(&used, &seen, seen | 1ull << number)) return (int)number;
  }
  return -1;
}

static int begin(struct mr_calling *calling, struct mr_link *link, uint32_t local, uint32_t op) {
  int number;
  while ((number = take_slot(link)) < 0) {
    if (mr_engine_died()) return -ENETDOWN;
    sched_yield();
  }
  struct mr_call *call = &link->calls[number];
  call->op = op;
  call->local = local;
  call->result = 0;
  call->data_bytes = 0;
  memset(call->args, 0, sizeof call->args);
  *calling = (struct mr_calling){link, call, (unsigned)number};
  return 0;
}

int mr_call_begin(struct mr_calling *calling, struct mr_sock *sock, int fd, uint32_t op) {
  struct mr_link *link = mr_sock_link(sock, fd);
  return link == NULL ? -ENETDOWN : begin(calling, link, sock->local, op);
}

static bool is_done(struct mr_calling *calling) {
  return mr_load(&calling->call->state) == MR_CALL_DONE;
}

/* One sleep; spurious ends do no harm. */
static int sleep_once(struct mr_calling *calling, struct mr_wait *wait, int waiter) {
  struct mr_link *link = calling->link;
  struct pollfd fds[2];
  int result = 0;
  if (waiter >= 0) mr_waiter_arm(link, waiter);
  if (!is_done(calling)) {
    result = mr_wait_sleep(wait, waiter >= 0 ? mr_thread.waiter_fd : -1, fds, 0, NULL);
  }
  if (waiter >= 0) mr_waiter_disarm(wait, waiter, mr_thread.waiter_fd);
  return result;
}

int mr_call_wait(struct mr_calling *calling, bool interruptible) {
  struct mr_link *link = calling->link;
  struct mr_call *call = calling->call;
  int saved = errno;
  int waiter = mr_waiter_get(link);
  call->waiter = waiter >= 0 ? (uint32_t)waiter : UINT32_MAX;
  mr_store(&call->state, MR_CALL_BUSY);
  mr_submit(link, MR_SUBMIT_CALL | calling->number);
  struct mr_wait wait;
  mr_wait_begin(&wait, -1);
  int result = 0;
  while (!is_done(calling)) {
    if (interruptible && mr_wait_check(&wait, true) != 0) {
      atomic_fetch_or(&orphaned, 1ull << calling->number);
      calling->call = NULL;
      errno = saved;
      return -EINTR;
    }
    if (mr_wait_spin(&wait)) continue;
    if (mr_engine_died()) {
      result = -ENETDOWN;
      break;
    }
    sleep_once(calling, &wait, waiter);
  }
  errno = saved;
  return result != 0 ? result : call->result;
}

void mr_call_end(struct mr_calling *calling) {
  if (calling->call != NULL) give_back(calling->call, calling->number);
}

int mr_call(struct mr_sock *sock, int fd, uint32_t op, uint32_t arg0, const struct mr_address *address) {
  struct mr_calling calling;
  int failed = mr_call_begin(&calling, sock, fd, op);
  if (failed != 0) return failed;
  calling.call->args[0] = arg0;
  if (address != NULL) {
    memcpy(calling.call->data, address, sizeof *address);
    calling.call->data_bytes = sizeof *address;
  }
  int result = mr_call_wait(&calling, false);
  mr_call_end(&calling);
  return result;
}

bool mr_call_catch_up(void) {
  struct mr_link *link = mr_link_get();
  /* Twice: the first answer may come in a turn that has looked at hang-ups before. */
  for (int i = 0; link != NULL && i < 2; i++) {
    struct mr_calling calling;
    mr_submit(link, MR_SUBMIT_CONTROL);
    if (begin(&calling, link, 0, MR_OP_PING) != 0) return false;
    int result = mr_call_wait(&calling, false);
    mr_call_end(&calling);
    if (result != 0) return false;
  }
  return link != NULL;
}

void mr_call_release(struct mr_link *link, uint32_t local) {
  struct mr_calling calling;
  if (begin(&calling, link, local, MR_OP_RELEASE) != 0) return;
  calling.call->waiter = UINT32_MAX;
  released[calling.number] = local + 1;
  mr_store(&calling.call->state, MR_CALL_BUSY);
  mr_submit(link, MR_SUBMIT_CALL | calling.number);
  atomic_fetch_or(&orphaned, 1ull << calling.number);
}

/* Orphans that give something back; those of callers whom a signal called away end when they end. */
static bool has_releases(void) {
  for (uint64_t left = atomic_load(&orphaned); left != 0; left &= left - 1) {
    if (atomic_load(&released[__builtin_ctzll(left)]) != 0) return true;
  }
  return false;
}

bool mr_call_await_released(struct mr_link *link) {
  collect_orphans(link);
  if (!has_releases()) return true;
  struct mr_wait wait;
  mr_wait_begin(&wait, SETTLE_NS);
  for (int look = 0; !mr_engine_died(); look++) {
    /* Mostly it takes the engine one turn; then it has much else to do. */
    struct timespec nap = {.tv_nsec = 100000};
    if (look < YIELDS) sched_yield();
    else nanosleep(&nap, NULL);
    collect_orphans(link);
    if (!has_releases()) return true;
    if (mr_wait_check(&wait, false) == -ETIMEDOUT) return false;
  }
  return true;
}

void mr_call_reset(void) {
  atomic_store(&used, 0);
  atomic_store(&orphaned, 0);
  for (int i = 0; i < MR_CALLS; i++) atomic_store(&released[i], 0);
}
