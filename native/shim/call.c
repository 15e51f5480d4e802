/* Calls to the engine. A bit for each slot says whether it is somebody's; slots whose caller does not wait
 * ("orphans") are taken back when they are done. */
#include "core.h"

#define SETTLE_NS 1000000000
#define YIELDS 100 /* while waiting for releases, before it sleeps between looks */

#define WORDS (MR_CALLS / 64)

/* `owed`: of the orphaned ones, those that give something back; set before `orphaned` is. */
static _Atomic uint64_t used[WORDS], orphaned[WORDS], owed[WORDS];

/* What is to be done when an orphan is done. Belongs to who has the slot; with its bit in `orphaned` set, to who
 * has mr_spares_lock. */
static struct orphan {
  enum { NOTHING, FREE_ENTRY, TAKE_SPARE } then;
  struct mr_spare spare; /* `local` alone for FREE_ENTRY */
} orphans[MR_CALLS];

_Static_assert(MR_CALLS % 64 == 0, "one bit each");

static void give_back(struct mr_call *call, unsigned number) {
  mr_store(&call->state, MR_CALL_FREE);
  atomic_fetch_and(&used[number / 64], ~(1ull << number % 64));
}

/* The answer to MR_OP_PARK. */
static void take_spare(struct mr_spare spare, const struct mr_call *call, int result) {
  if (spare.fd < 0 || result < 0 || result == 1) {
    mr_spare_close(spare.fd);
    mr_local_free(spare.local);
    return;
  }
  spare.has_block = result == 2;
  spare.region_id = call->args[1];
  spare.header_at = call->args[2];
  spare.generation = call->args[3];
  mr_spare_give(&spare);
}

static bool is_collectable(struct mr_link *link, unsigned number) {
  bool is_orphan = (atomic_load(&orphaned[number / 64]) >> number % 64) & 1;
  return is_orphan && mr_load(&link->calls[number].state) == MR_CALL_DONE;
}

/* Under the lock: else the slot may be another call's between the look at its state and the taking. */
static void collect(struct mr_link *link, unsigned number) {
  struct mr_call *call = &link->calls[number];
  mr_mutex_lock(&mr_spares_lock);
  if (is_collectable(link, number)) {
    struct orphan orphan = orphans[number];
    struct mr_call answer = {.result = call->result};
    memcpy(answer.args, call->args, sizeof answer.args);
    if (orphan.then == FREE_ENTRY) mr_local_free(orphan.spare.local);
    if (orphan.then == TAKE_SPARE) take_spare(orphan.spare, &answer, answer.result);
    atomic_fetch_and(&orphaned[number / 64], ~(1ull << number % 64));
    give_back(call, number);
  }
  mr_mutex_unlock(&mr_spares_lock);
}

void mr_call_collect(struct mr_link *link) {
  for (unsigned word = 0; word < WORDS; word++) {
    for (uint64_t left = atomic_load(&orphaned[word]); left != 0; left &= left - 1) {
      unsigned number = word * 64 + (unsigned)__builtin_ctzll(left);
      if (is_collectable(link, number)) collect(link, number);
    }
  }
}

static int take_slot(struct mr_link *link) {
  mr_call_collect(link);
  for (unsigned word = 0; word < WORDS; word++) {
    uint64_t seen = atomic_load(&used[word]);
    while (seen != UINT64_MAX) {
      unsigned number = (unsigned)__builtin_ctzll(~seen);
      if (atomic_compare_exchange_weak(&used[word], &seen, seen | 1ull << number)) {
        return (int)(word * 64 + number);
      }
    }
  }
  return -1;
}

bool mr_call_try(struct mr_calling *calling, struct mr_link *link, uint32_t local, uint32_t op) {
  int number = take_slot(link);
  if (number < 0) return false;
  struct mr_call *call = &link->calls[number];
  call->op = op;
  call->local = local;
  call->result = 0;
  call->data_bytes = 0;
  memset(call->args, 0, sizeof call->args);
  *calling = (struct mr_calling){link, call, (unsigned)number};
  return true;
}

int mr_call_begin_at(struct mr_calling *calling, struct mr_link *link, uint32_t local, uint32_t op) {
  while (!mr_call_try(calling, link, local, op)) {
    if (mr_engine_died()) return -ENETDOWN;
    mr_yield();
  }
  return 0;
}

int mr_call_begin(struct mr_calling *calling, struct mr_sock *sock, int fd, uint32_t op) {
  struct mr_link *link = mr_sock_link(sock, fd);
  return link == NULL ? -ENETDOWN : mr_call_begin_at(calling, link, sock->local, op);
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

/* Before its bit in `orphaned` is set. */
static void make_orphan(unsigned number, struct orphan orphan) {
  uint64_t bit = 1ull << number % 64;
  orphans[number] = orphan;
  if (orphan.then == NOTHING) atomic_fetch_and(&owed[number / 64], ~bit);
  else atomic_fetch_or(&owed[number / 64], bit);
}

/* `within_ns` negative: however long it takes. An answer that comes too late is nobody's. */
static int wait_for(struct mr_calling *calling, bool interruptible, int64_t within_ns) {
  struct mr_link *link = calling->link;
  struct mr_call *call = calling->call;
  int saved = errno;
  int waiter = mr_waiter_get(link);
  call->waiter = waiter >= 0 ? (uint32_t)waiter : UINT32_MAX;
  mr_store(&call->state, MR_CALL_BUSY);
  mr_submit(link, MR_SUBMIT_CALL | calling->number);
  struct mr_wait wait;
  mr_wait_begin(&wait, within_ns);
  int result = 0;
  while (!is_done(calling)) {
    bool is_late = within_ns >= 0 && mr_now_ns() >= wait.deadline_ns;
    if (is_late || (interruptible && mr_wait_check(&wait, true) != 0)) {
      make_orphan(calling->number, (struct orphan){.then = NOTHING});
      atomic_fetch_or(&orphaned[calling->number / 64], 1ull << calling->number % 64);
      calling->call = NULL;
      errno = saved;
      return is_late ? -ETIMEDOUT : -EINTR;
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

int mr_call_wait(struct mr_calling *calling, bool interruptible) { return wait_for(calling, interruptible, -1); }

int mr_call_wait_within(struct mr_calling *calling, int64_t ns) { return wait_for(calling, false, ns); }

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
    if (mr_call_begin_at(&calling, link, 0, MR_OP_PING) != 0) return false;
    int result = mr_call_wait(&calling, false);
    mr_call_end(&calling);
    if (result != 0) return false;
  }
  return link != NULL;
}

static void post(struct mr_calling *calling, struct orphan orphan) {
  make_orphan(calling->number, orphan);
  calling->call->waiter = UINT32_MAX;
  mr_store(&calling->call->state, MR_CALL_BUSY);
  mr_submit(calling->link, MR_SUBMIT_CALL | calling->number);
  atomic_fetch_or(&orphaned[calling->number / 64], 1ull << calling->number % 64);
}

void mr_call_post(struct mr_calling *calling) { post(calling, (struct orphan){.then = NOTHING}); }

void mr_call_release(struct mr_link *link, uint32_t local) {
  struct mr_calling calling;
  if (mr_call_begin_at(&calling, link, local, MR_OP_RELEASE) != 0) return;
  post(&calling, (struct orphan){FREE_ENTRY, {.local = local}});
}

bool mr_call_park(struct mr_link *link, const struct mr_spare *spare, bool connects) {
  struct mr_calling calling;
  if (!mr_call_try(&calling, link, spare->local, MR_OP_PARK)) return false;
  calling.call->args[0] = connects;
  post(&calling, (struct orphan){TAKE_SPARE, *spare});
  return true;
}

void mr_call_unpark(void) {
  for (unsigned number = 0; number < MR_CALLS; number++) {
    if (!((atomic_load(&orphaned[number / 64]) >> number % 64) & 1)) continue;
    if (orphans[number].then != TAKE_SPARE) continue;
    mr_spare_close(orphans[number].spare.fd);
    orphans[number].spare.fd = -1;
  }
}

/* Orphans that give something back; those of callers whom a signal called away end when they end. */
static bool has_releases(void) {
  for (unsigned word = 0; word < WORDS; word++) {
    if ((atomic_load(&orphaned[word]) & atomic_load(&owed[word])) != 0) return true;
  }
  return false;
}

bool mr_call_await_released(struct mr_link *link) {
  mr_call_collect(link);
  if (!has_releases()) return true;
  struct mr_wait wait;
  mr_wait_begin(&wait, SETTLE_NS);
  for (int look = 0; !mr_engine_died(); look++) {
    /* Mostly it takes the engine one turn; then it has much else to do. */
    if (look < YIELDS) mr_yield();
    else mr_nap();
    mr_call_collect(link);
    if (!has_releases()) return true;
    if (mr_wait_check(&wait, false) == -ETIMEDOUT) return false;
  }
  return true;
}

void mr_call_reset(void) {
  for (unsigned word = 0; word < WORDS; word++) {
    atomic_store(&used[word], 0);
    atomic_store(&orphaned[word], 0);
    atomic_store(&owed[word], 0);
  }
  memset(orphans, 0, sizeof orphans);
}
