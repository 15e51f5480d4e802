#include "fake-engine.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define REGION_BYTES (8u << 20)

static struct mr_link link_of_tests;
static uint8_t *region;
static uint32_t region_used = MR_PAGE, submit_head;
static int engine_end; /* of the control socket */
static int eventfds[MR_WAITERS];
static pthread_mutex_t eventfds_lock = PTHREAD_MUTEX_INITIALIZER;

static int memfd(size_t bytes) {
  int fd = memfd_create("fake", MFD_CLOEXEC);
  assert(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
  return fd;
}

void fake_start(void) {
  int control[2];
  assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) == 0);
  engine_end = control[1];
  int fd = memfd(MR_SESSION_BYTES);
  uint8_t *at = mmap(NULL, MR_SESSION_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  assert(at != MAP_FAILED);
  close(fd);
  struct mr_session *session = (struct mr_session *)(void *)at;
  session->magic = MR_MAGIC;
  session->version = MR_VERSION;
  session->engine_pid = (uint32_t)getpid();
  link_of_tests = (struct mr_link){.session = session, .control_fd = control[0], .wake_fd = -1, .id = 1};
  link_of_tests.waiters = (struct mr_waiter *)(void *)(at + MR_WAITERS_AT);
  link_of_tests.entries = (struct mr_entry *)(void *)(at + MR_ENTRIES_AT);
  link_of_tests.calls = (struct mr_call *)(void *)(at + MR_CALLS_AT);
  atomic_store(&mr_link_now, &link_of_tests);
  fd = memfd(REGION_BYTES);
  struct mr_region header = {.magic = MR_MAGIC, .version = MR_VERSION, .region_id = 1};
  assert(pwrite(fd, &header, sizeof header, 0) == sizeof header);
  assert(mr_region_map(&link_of_tests, 1, REGION_BYTES, fd, &region) == 0);
  close(fd);
}

static uint32_t generation = 7;

static uint32_t make_block(uint16_t kind, uint16_t family, uint32_t rx_bytes, uint32_t tx_bytes) {
  uint32_t header_at = region_used;
  struct mr_socket *shared = (struct mr_socket *)(void *)(region + header_at);
  memset(shared, 0, sizeof *shared);
  shared->generation = ++generation;
  shared->kind = kind;
  shared->family = family;
  shared->rx_at = header_at + MR_PAGE;
  shared->rx_bytes = rx_bytes;
  shared->tx_at = shared->rx_at + rx_bytes;
  shared->tx_bytes = tx_bytes;
  shared->peek_off = -1;
  shared->tcp_state = kind == MR_KIND_TCP ? 1 : 7;
  if (kind == MR_KIND_TCP) shared->status = MR_STATUS_CONNECTED;
  region_used = shared->tx_at + tx_bytes;
  assert(region_used <= REGION_BYTES);
  return header_at;
}

struct mr_sock *fake_socket(uint16_t kind, uint16_t family, uint32_t rx_bytes, uint32_t tx_bytes) {
  uint32_t header_at = make_block(kind, family, rx_bytes, tx_bytes);
  int local = mr_local_alloc();
  assert(mr_region_map(&link_of_tests, 1, REGION_BYTES, -1, &region) == 0);
  struct mr_sock *sock =
      mr_sock_make(&link_of_tests, region, header_at, generation, (uint32_t)local, -1);
  assert(sock != NULL);
  return sock;
}

/* ---- Rings ------------------------------------------------------------------------------------------ */

static void collect_eventfds(void) {
  for (;;) {
    struct mr_waiter_fd message;
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec vector = {&message, sizeof message};
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    if (recvmsg(engine_end, &header, MSG_DONTWAIT) != sizeof message) return;
    if (message.type != MR_MSG_WAITER) continue;
    int fd;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof fd);
    eventfds[message.waiter] = fd;
  }
}

static void ring_waiter(uint32_t waiter) {
  if (!mr_swap_if(&link_of_tests.waiters[waiter].state, MR_WAITER_SLEEPS, MR_WAITER_RANG)) return;
  uint64_t one = 1;
  pthread_mutex_lock(&eventfds_lock);
  if (eventfds[waiter] == 0) collect_eventfds();
  assert(eventfds[waiter] != 0);
  assert(write(eventfds[waiter], &one, sizeof one) == sizeof one);
  pthread_mutex_unlock(&eventfds_lock);
}

void fake_ring(struct mr_sock *sock) {
  uint32_t classes = mr_load(&link_of_tests.entries[sock->local].waiters);
  for (uint32_t i = 0; i < MR_WAITERS; i++) {
    if (classes & (1u << (i % 32))) ring_waiter(i);
  }
}

static void add(uint32_t *word) { __atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST); }

static void write_ring(struct mr_sock *sock, uint32_t at, const void *bytes, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    sock->rx[(at + i) & (sock->rx_bytes - 1)] = ((const uint8_t *)bytes)[i];
  }
}

static void read_ring(struct mr_sock *sock, uint32_t at, void *bytes, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    ((uint8_t *)bytes)[i] = sock->tx[(at + i) & (sock->tx_bytes - 1)];
  }
}

void fake_connection(struct mr_sock *listener, uint32_t number) {
  struct mr_accepted accepted = {.connection = number, .region_id = 1};
  accepted.header_at = make_block(MR_KIND_TCP, AF_INET, FAKE_RING, FAKE_RING);
  accepted.generation = generation;
  accepted.peer = (struct mr_address){.address = {10, 77, 0, 9}, .family = AF_INET, .port = 9};
  fake_give(listener, &accepted, sizeof accepted);
}

static void publish(struct mr_sock *sock, uint32_t tail) {
  mr_store(&sock->shared->rx_tail, tail);
  add(&sock->shared->rx_events);
  fake_ring(sock);
}

void fake_give(struct mr_sock *sock, const void *bytes, uint32_t n) {
  uint32_t tail = sock->shared->rx_tail;
  assert(tail + n - mr_load(&sock->shared->rx_head) <= sock->rx_bytes);
  write_ring(sock, tail, bytes, n);
  publish(sock, tail + n);
}

void fake_give_datagram(struct mr_sock *sock, const void *bytes, uint32_t n, uint16_t from_port) {
  uint32_t tail = sock->shared->rx_tail;
  struct mr_datagram header = {.payload_bytes = n, .ttl = 17, .tos = 8, .if_index = 3};
  header.peer = (struct mr_address){.address = {10, 77, 0, 9}, .family = AF_INET, .port = from_port};
  memcpy(header.own, (uint8_t[]){10, 77, 0, 1}, 4);
  write_ring(sock, tail, &header, sizeof header);
  write_ring(sock, tail + 64, bytes, n);
  publish(sock, tail + 64 + ((n + 63u) & ~63u));
}

void fake_end_stream(struct mr_sock *sock, int error) {
  struct mr_socket *shared = sock->shared;
  uint32_t broken = error ? MR_STATUS_NO_SEND | MR_STATUS_ERROR : 0;
  if (error) __atomic_store_n(&shared->error, error, __ATOMIC_SEQ_CST);
  __atomic_fetch_or(&shared->status, MR_STATUS_EOF | broken, __ATOMIC_SEQ_CST);
  add(&shared->rx_events);
  fake_ring(sock);
}

static void made_room(struct mr_sock *sock) {
  if (mr_load(&sock->shared->no_space) == 0 || mr_exchange(&sock->shared->no_space, 0) == 0) return;
  add(&sock->shared->tx_events);
  fake_ring(sock);
}

uint32_t fake_take(struct mr_sock *sock, void *bytes, uint32_t n) {
  uint32_t head = sock->shared->tx_head, used = mr_load(&sock->shared->tx_tail) - head;
  uint32_t part = n < used ? n : used;
  mr_store(&sock->shared->submitted, 0);
  read_ring(sock, head, bytes, part);
  mr_store(&sock->shared->tx_head, head + part);
  if (part > 0) made_room(sock);
  return part;
}

int fake_take_datagram(struct mr_sock *sock, struct mr_datagram *header, void *bytes, uint32_t n) {
  uint32_t head = sock->shared->tx_head;
  mr_store(&sock->shared->submitted, 0);
  if (mr_load(&sock->shared->tx_tail) == head) return -1;
  read_ring(sock, head, header, sizeof *header);
  uint32_t part = header->payload_bytes < n ? header->payload_bytes : n;
  read_ring(sock, head + 64, bytes, part);
  mr_store(&sock->shared->tx_head, head + 64 + ((header->payload_bytes + 63u) & ~63u));
  made_room(sock);
  return (int)header->payload_bytes;
}

int64_t fake_submission(void) {
  uint32_t *ring = (uint32_t *)(void *)((uint8_t *)link_of_tests.session + MR_SUBMITS_AT);
  uint32_t *entry = &ring[submit_head & (MR_SUBMITS - 1)];
  uint32_t value = mr_load(entry);
  if (value == 0 || (value & MR_SUBMIT_LAP) != (submit_head & MR_SUBMITS ? MR_SUBMIT_LAP : 0)) return -1;
  submit_head++;
  return (int64_t)(value & ~MR_SUBMIT_LAP) - 1;
}

/* ---- The control socket --------------------------------------------------------------------------------- */

static void *refuse(void *context) {
  uint8_t message[MR_MESSAGE_BYTES];
  struct mr_opened refusal = {.result = *(int *)context};
  do { /* eventfds of waiters come unasked */
    if (recv(engine_end, message, sizeof message, 0) < 4) return NULL;
    memcpy(&refusal.type, message, sizeof refusal.type);
  } while (refusal.type == MR_MSG_WAITER);
  assert(send(engine_end, &refusal, sizeof refusal, 0) == sizeof refusal);
  return NULL;
}

pthread_t fake_refuse(int *error) {
  pthread_t thread;
  assert(pthread_create(&thread, NULL, refuse, error) == 0);
  return thread;
}

/* ---- Calls ------------------------------------------------------------------------------------------ */

static void *serve(void *context) {
  void (*answer)(struct mr_call *) = (void (*)(struct mr_call *))context;
  for (;;) {
    int64_t value = fake_submission();
    if (value < 0 || !((uint32_t)value & MR_SUBMIT_CALL)) {
      if (value < 0) usleep(100);
      continue;
    }
    struct mr_call *call = &link_of_tests.calls[value & (MR_CALLS - 1)];
    uint32_t waiter = call->waiter;
    answer(call);
    mr_store(&call->state, MR_CALL_DONE);
    if (waiter < MR_WAITERS) ring_waiter(waiter);
  }
  return NULL;
}

void fake_serve(void (*answer)(struct mr_call *call)) {
  pthread_t thread;
  assert(pthread_create(&thread, NULL, serve, (void *)answer) == 0);
}
