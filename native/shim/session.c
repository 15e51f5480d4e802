/* The process's link with the engine: made at the first use, anew in a child of fork, gone for good when
 * the engine dies. */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "core.h"

struct mr_link *_Atomic mr_link_now;
atomic_bool mr_engine_is_dead;

static struct mr_link link_memory = {.control_fd = -1, .wake_fd = -1};
static struct mr_mutex link_mutex;
static atomic_bool has_failed; /* there is no engine, and it was said */
static bool has_ended; /* there was one */
static atomic_bool *end_was_told; /* by one of those that have come by fork, who share it; NULL: this one is alone */
static atomic_int begun_fd = -1; /* control socket on which HELLO was said and whose answer nobody has taken yet */
static int failed_fd = -1; /* ... on which it was no */

#define JOIN_NS 20000000000LL /* an engine that takes longer is as good as none */
#define LOOK_NS 100000000 /* others may take the answer meanwhile */
#define AGAIN_NS 10000000 /* until the next try to get in line */

/* Entries of the session's table that sockets use: those never used, then those given back. */
static struct mr_mutex locals_mutex;
static uint16_t free_locals[MR_SOCKETS];
static unsigned free_count, never_used;

/* ---- Making it ---------------------------------------------------------------------------------- */

/* The session is the engine's memory: its size is checked so that we never fault in it. */
static struct mr_session *map_session(int fd, int *error) {
  struct stat status;
  if (fstat(fd, &status) < 0 || status.st_size < (off_t)MR_SESSION_BYTES) return NULL;
  void *at = mmap(NULL, MR_SESSION_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) *error = errno;
  if (at == MAP_FAILED) return NULL;
  struct mr_session *session = at;
  if (session->magic == MR_MAGIC && session->version == MR_VERSION) return session;
  munmap(at, MR_SESSION_BYTES);
  return NULL;
}

/* Takes the descriptors. */
static void use_session(struct mr_session *session, int control_fd, int wake_fd, uint32_t id) {
  uint8_t *at = (uint8_t *)session;
  link_memory.session = session;
  link_memory.waiters = (struct mr_waiter *)(void *)(at + MR_WAITERS_AT);
  link_memory.entries = (struct mr_entry *)(void *)(at + MR_ENTRIES_AT);
  link_memory.calls = (struct mr_call *)(void *)(at + MR_CALLS_AT);
  link_memory.control_fd = control_fd; /* hidden already */
  link_memory.wake_fd = mr_fd_hide(wake_fd);
  link_memory.id = id != 0 ? id : UINT32_MAX;
}

static void close_hidden(int *fd) {
  if (*fd < 0) return;
  mr_fd_clear(*fd);
  real.close(*fd);
  *fd = -1;
}

/* Others may have the number in hand (mr_link_control): it does not become another descriptor's. */
static void fail_begun(void) {
  failed_fd = atomic_exchange(&begun_fd, -1);
  if (failed_fd >= 0) shutdown(failed_fd, SHUT_RDWR);
}

/* What went wrong, or NULL; `said`: with the engine's words, if it has any. */
static const char *begin(const char *path, int *error, struct mr_welcome *said) {
  int fd = mr_door_take();
  bool by_door = fd >= 0;
  if (!by_door) fd = mr_control_connect(path);
  *error = fd < 0 ? -fd : 0;
  if (fd < 0) return "connect";
  *error = -mr_control_hello(fd, by_door, said);
  if (*error == 0) begun_fd = mr_fd_hide(fd);
  else real.close(fd);
  return *error == 0 ? NULL : "join";
}

/* The same of what has begun, when the engine answers; EAGAIN: it has not yet. */
static const char *finish(int *error, struct mr_welcome *said) {
  int got[2] = {-1, -1};
  mr_door_make_room();
  int failed = mr_control_welcome(begun_fd, said, got);
  if (failed == 0) failed = said->result;
  *error = failed != 0 ? -failed : EPROTO;
  struct mr_session *session = failed == 0 && got[1] >= 0 ? map_session(got[0], error) : NULL;
  if (got[0] >= 0) real.close(got[0]);
  if (session != NULL) {
    use_session(session, begun_fd, got[1], said->session_id);
    mr_link_now = &link_memory;
    if (end_was_told != NULL) atomic_store(end_was_told, false);
    begun_fd = -1; /* after it: mr_link_control looks without the lock */
    mr_door_keep_room();
    return NULL;
  }
  if (got[1] >= 0) real.close(got[1]);
  return "join";
}

/* Why a filter of system calls leaves no way, or NULL: most would end the program. */
static const char *why_not(void) {
  static const int needed[] = {SYS_socket, SYS_connect, SYS_sendmsg, SYS_recvmsg, SYS_fcntl, SYS_close, SYS_mmap,
                               SYS_munmap, SYS_newfstatat, SYS_prlimit64, SYS_getpid};
  for (unsigned i = begun_fd >= 0 || mr_door_is_there() ? 2 : 0; i < sizeof needed / sizeof *needed; i++) {
    if (!mr_allows(needed[i])) return "a filter of system calls is in the way";
  }
  return NULL;
}

static void give_up(const char *path, const char *step, const char *why) {
  atomic_store(&has_failed, true);
  fail_begun();
  if (path == NULL) mr_debug("MILLRACE_ENGINE is not set; all sockets stay with the kernel");
  else mr_warn("cannot %s the engine at %s: %s; all sockets stay with the kernel", step, path, why);
}

/* One step; whether the link is there, or will never be. `waits`: the answer is wanted; `is_over`: now or never. */
static bool make(const char *path, bool waits, bool is_over) {
  struct mr_welcome said = {0};
  int error = 0;
  const char *step = path == NULL || *path == '\0' ? "find" : NULL;
  const char *why = step == NULL ? why_not() : NULL;
  if (why != NULL) step = "join";
  if (step == NULL && begun_fd < 0) step = begin(path, &error, &said);
  if (step == NULL && !waits) return false;
  if (step == NULL) step = finish(&error, &said);
  if (step == NULL) return true;
  if (error == EAGAIN && !is_over) return false;
  if (error == EAGAIN) error = ETIMEDOUT;
  said.reason[sizeof said.reason - 1] = '\0';
  if (why == NULL) why = said.result != 0 && said.reason[0] != '\0' ? said.reason : strerror(error);
  give_up(path, step, why);
  return true;
}

/* Until the engine may have answered, or has room for who comes to its socket. */
static void await_engine(int fd) {
  struct pollfd wanted = {.fd = fd, .events = POLLIN};
  struct timespec most = {.tv_nsec = fd >= 0 ? LOOK_NS : AGAIN_NS};
  mr_kernel_poll(&wanted, 1, &most, NULL);
}

/* No lock is held while it waits: an engine that has stopped does not hold up those who fork or start programs. */
static struct mr_link *link_make(bool waits, int64_t for_ns) {
  int saved = errno;
  int64_t until_ns = 0;
  while (!atomic_load(&has_failed) && !atomic_load(&mr_engine_is_dead)) {
    int64_t now = mr_now_ns();
    if (until_ns == 0) until_ns = now + for_ns;
    bool is_over = now >= until_ns;
    mr_mutex_lock(&link_mutex);
    bool is_done = mr_link_now != NULL || atomic_load(&has_failed);
    if (!is_done) is_done = make(mr_environment_get("MILLRACE_ENGINE"), waits, is_over && for_ns == JOIN_NS);
    int fd = begun_fd;
    mr_mutex_unlock(&link_mutex);
    if (is_done || !waits || is_over) break;
    await_engine(fd);
  }
  errno = saved;
  return mr_link_now;
}

struct mr_link *mr_link_within(int64_t ns) {
  if (MR_UNLIKELY(atomic_load_explicit(&mr_engine_is_dead, memory_order_relaxed))) return NULL;
  struct mr_link *link = atomic_load_explicit(&mr_link_now, memory_order_acquire);
  return MR_LIKELY(link != NULL) ? link : link_make(true, ns);
}

struct mr_link *mr_link_get(void) { return mr_link_within(JOIN_NS); }

void mr_link_begin(void) {
  if (mr_link_now == NULL) link_make(false, JOIN_NS);
}

int mr_link_control(void) {
  if (mr_link_now == NULL) {
    int fd = begun_fd;
    if (fd >= 0 || mr_link_now == NULL) return fd;
  }
  return link_memory.control_fd; /* at times made between the looks */
}

/* ---- Its end ------------------------------------------------------------------------------------ */

bool mr_engine_died(void) {
  if (atomic_load(&mr_engine_is_dead)) return true;
  struct mr_link *link = mr_link_now;
  if (link == NULL) return false;
  int saved = errno;
  struct pollfd control = {.fd = link->control_fd};
  int ready = mr_kernel_look(&control, 1);
  errno = saved;
  if (ready <= 0 || !(control.revents & (POLLHUP | POLLERR | POLLNVAL))) return false;
  has_ended = true;
  if (!atomic_exchange(&mr_engine_is_dead, true)) {
    bool was_told = end_was_told != NULL && atomic_exchange(end_was_told, true);
    if (!was_told) mr_warn("the engine has ended; its sockets are dead, new ones stay with the kernel");
    mr_spares_shed();
  }
  return true;
}

static void link_forget(void) {
  struct mr_link *link = &link_memory;
  if (link->session != NULL) munmap(link->session, MR_SESSION_BYTES);
  close_hidden(&link->control_fd);
  close_hidden(&link->wake_fd);
  int fd = atomic_exchange(&begun_fd, -1);
  close_hidden(&fd);
  close_hidden(&failed_fd);
  *link = (struct mr_link){.control_fd = -1, .wake_fd = -1};
  mr_link_now = NULL;
}

/* ---- Entries and submissions ----------------------------------------------------------------------- */

int mr_local_alloc(void) {
  mr_mutex_lock(&locals_mutex);
  int local = -1;
  if (free_count > 0) local = free_locals[--free_count];
  else if (never_used < MR_SOCKETS) local = (int)never_used++;
  mr_mutex_unlock(&locals_mutex);
  return local;
}

void mr_local_free(uint32_t local) {
  mr_mutex_lock(&locals_mutex);
  free_locals[free_count++] = (uint16_t)local;
  mr_mutex_unlock(&locals_mutex);
}

/* A handler that came between the claim and the store, and left by siglongjmp, would leave a place at
 * which the engine waits for good. */
void mr_submit(struct mr_link *link, uint32_t value) {
  struct mr_session *session = link->session;
  mr_enter();
  uint32_t *ring = (uint32_t *)(void *)((uint8_t *)session + MR_SUBMITS_AT);
  uint32_t at = __atomic_fetch_add(&session->submit_tail, 1, __ATOMIC_SEQ_CST);
  mr_store(&ring[at & (MR_SUBMITS - 1)], (value + 1) | (at & MR_SUBMITS ? MR_SUBMIT_LAP : 0));
  /* One write wakes it: who comes first says so. */
  if (MR_UNLIKELY(mr_load(&session->engine_sleeps) != 0) && mr_exchange(&session->engine_sleeps, 0) != 0) {
    int saved = errno;
    uint64_t one = 1;
    if (real.write(link->wake_fd, &one, sizeof one) < 0) { /* full: it is awake */
    }
    errno = saved;
  }
  mr_leave();
}

/* ---- fork ------------------------------------------------------------------------------------------- */

void mr_control_after_fork(void);
void mr_region_before_fork(void);
void mr_region_after_fork(void);
void mr_socks_before_fork(void);
void mr_socks_after_fork(bool in_child);
void mr_pools_before_fork(void);
void mr_pools_after_fork(void);
void mr_routes_reset(void);
void mr_openings_reset(void);

static void share_what_was_told(void) {
  if (end_was_told != NULL || mr_environment_get("MILLRACE_ENGINE") == NULL || !mr_allows(SYS_mmap)) return;
  void *shared = mmap(NULL, sizeof *end_was_told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared != MAP_FAILED) end_was_told = shared;
}

/* Whoever holds one of these locks finishes first, so that the child finds nothing half done. Callers
 * of fork are between mr_core_before_fork and after_fork with their signals waiting. */
void mr_core_before_fork(void) {
  mr_holder(); /* the child may not find out */
  mr_spares_before_fork();
  /* In the order in which they are taken elsewhere: messages are sent with those before `control` held. */
  mr_mutex_lock(&link_mutex);
  share_what_was_told();
  mr_socks_before_fork();
  mr_region_before_fork();
  mr_mutex_lock(&locals_mutex);
  mr_pools_before_fork();
  mr_limit_hold();
}

void mr_core_after_fork(bool in_child) {
  if (in_child) {
    mr_holder_after_fork();
    mr_waiters_reset(&link_memory, true);
    mr_call_reset();
    mr_routes_reset();
    mr_openings_reset();
    int control_fd = mr_link_control();
    close_hidden(&link_memory.wake_fd); /* room for a pair, if there is no other */
    if (!has_ended) mr_door_inherit(control_fd);
    link_forget();
    free_count = never_used = 0;
    atomic_store(&has_failed, false);
    /* What came by fork is that engine's: a new one would not know it. */
    atomic_store(&mr_engine_is_dead, has_ended);
  }
  mr_limit_release();
  mr_pools_after_fork();
  mr_mutex_unlock(&locals_mutex);
  if (in_child) mr_control_after_fork();
  mr_region_after_fork();
  mr_socks_after_fork(in_child);
  mr_mutex_unlock(&link_mutex);
  mr_spares_after_fork(in_child);
}
