/* The table of descriptors: kinds, references under concurrent replacing, hiding. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../../../native/shim/real.h"
#include "../../../native/shim/shim.h"
#include "check.h"

static atomic_int drops, forgets;

void mr_sock_drop(struct mr_sock *sock) {
  if (atomic_fetch_sub(&sock->references, 1) != 1) return;
  drops++;
  free(sock); /* a use after this is the sanitizer's to find */
}
void mr_pending_drop(struct mr_pending *pending) { (void)pending; }
void mr_epoll_drop(struct mr_epoll *epoll) { (void)epoll; }
void mr_epoll_forget(struct mr_sock *sock) { (void)sock, forgets++; }
int mr_limit_copy_above(int fd) { return fd < 0 ? fd : -1; }
void mr_epoll_forget_pending(struct mr_pending *pending) { (void)pending; }

static struct mr_sock *make(void) {
  struct mr_sock *sock = calloc(1, sizeof *sock + 16);
  atomic_init(&sock->references, 1);
  sock->local = 77;
  return sock;
}

static struct mr_fd entry_of(struct mr_sock *sock) {
  return (struct mr_fd){.kind = MR_FD_SOCKET, .sock = sock};
}

static void numbers_out_of_range_are_plain(void) {
  static const int numbers[] = {-1, -2147483647 - 1, 2147483647, 5000000, 3};
  for (int i = 0; i < 5; i++) {
    CHECK(mr_fd_kind_of(numbers[i]) == MR_FD_PLAIN);
    CHECK(mr_fd_get(numbers[i]).kind == MR_FD_PLAIN);
    mr_fd_clear(numbers[i]);
  }
  struct mr_sock *sock = make();
  int before = drops;
  mr_fd_set(-1, entry_of(sock)); /* there is no place for it: dropped */
  CHECK(drops == before + 1);
}

static void a_socket_lives_as_long_as_its_numbers_and_readers(void) {
  int before = drops, forgotten = forgets;
  struct mr_sock *sock = make();
  mr_fd_set(40, entry_of(sock));
  struct mr_fd reader = mr_fd_get(40);
  CHECK(reader.kind == MR_FD_SOCKET && reader.sock == sock);
  mr_fd_set(4000, mr_fd_get(40)); /* dup */
  CHECK(sock->descriptors == 2);
  mr_fd_clear(40);
  CHECK(mr_fd_kind_of(40) == MR_FD_PLAIN && forgets == forgotten);
  mr_fd_clear(4000);
  CHECK(forgets == forgotten + 1 && drops == before);
  CHECK(reader.sock->local == 77);
  mr_fd_put(reader);
  CHECK(drops == before + 1);
}

static void many_references_are_counted(void) {
  int before = drops;
  struct mr_sock *sock = make();
  mr_fd_set(41, entry_of(sock));
  enum { READERS = 200000 };
  for (int i = 0; i < READERS; i++) CHECK(mr_fd_get(41).sock == sock);
  mr_fd_clear(41);
  for (int i = 0; i < READERS; i++) {
    CHECK(drops == before);
    mr_fd_put(entry_of(sock));
  }
  CHECK(drops == before + 1);
}

static atomic_bool stop;

static void *read_for_ever(void *unused) {
  (void)unused;
  long found = 0;
  while (!stop) {
    struct mr_fd entry = mr_fd_get(42);
    if (entry.kind == MR_FD_SOCKET) {
      CHECK(entry.sock->local == 77);
      found++;
    }
    mr_fd_put(entry);
  }
  return (void *)found;
}

static void readers_and_a_writer_agree(void) {
  int before = drops;
  pthread_t readers[3];
  for (int i = 0; i < 3; i++) pthread_create(&readers[i], NULL, read_for_ever, NULL);
  enum { ROUNDS = 30000 };
  for (int i = 0; i < ROUNDS; i++) {
    mr_fd_set(42, entry_of(make()));
    /* Now and then one stays long enough for its readers to overflow what a word can count. */
    if (i % 3000 == 0) usleep(30000);
  }
  mr_fd_clear(42);
  stop = true;
  for (int i = 0; i < 3; i++) pthread_join(readers[i], NULL);
  CHECK(drops - before == ROUNDS);
}

static int seen[8];

static void note(int fd, struct mr_fd entry, void *context) {
  int *n = context;
  CHECK(entry.kind == MR_FD_KERNEL);
  seen[(*n)++] = fd;
}

static void each_visits_what_is_not_plain_in_order(void) {
  static const int numbers[] = {1000000, 1023, 1024, 5};
  for (int i = 0; i < 4; i++) mr_fd_set(numbers[i], (struct mr_fd){.kind = MR_FD_KERNEL});
  int n = 0;
  mr_fd_each(note, &n);
  CHECK(n == 4 && seen[0] == 5 && seen[1] == 1023 && seen[2] == 1024 && seen[3] == 1000000);
  for (int i = 0; i < 4; i++) mr_fd_clear(numbers[i]);
}

static void hidden_descriptors_are_high_and_closed_by_exec(void) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  int hidden = mr_fd_hide(ends[0]);
  CHECK(hidden > 255 && fcntl(ends[0], F_GETFD) < 0);
  CHECK(fcntl(hidden, F_GETFD) == FD_CLOEXEC && mr_fd_kind_of(hidden) == MR_FD_PRIVATE);
  close(hidden);
  mr_fd_clear(hidden);
  struct rlimit old, low = {.rlim_cur = 20, .rlim_max = 20};
  getrlimit(RLIMIT_NOFILE, &old);
  low.rlim_max = old.rlim_max;
  CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
  hidden = mr_fd_hide(ends[1]);
  CHECK(hidden >= 0 && fcntl(hidden, F_GETFD) == FD_CLOEXEC);
  setrlimit(RLIMIT_NOFILE, &old);
  close(hidden);
}

static void what_a_lodger_changes_is_its_own(void) {
  static const int numbers[] = {5, 62, 63, 100, 700};
  for (int i = 0; i < 5; i++) mr_fd_set(numbers[i], (struct mr_fd){.kind = MR_FD_KERNEL});
  mr_fd_begin_lodging(true);
  mr_fd_clear(63);
  mr_fd_clear(700);
  CHECK(mr_fd_kind_of(63) == MR_FD_PLAIN && mr_fd_kind_of(700) == MR_FD_PLAIN);
  CHECK(mr_fd_kind_of(5) == MR_FD_KERNEL && mr_fd_kind_of(62) == MR_FD_KERNEL && mr_fd_kind_of(100) == MR_FD_KERNEL);
  mr_fd_begin_lodging(false);
  for (int i = 0; i < 5; i++) {
    CHECK(mr_fd_kind_of(numbers[i]) == MR_FD_KERNEL);
    mr_fd_clear(numbers[i]);
  }
}

int main(int argc, char **argv) {
  TEST(numbers_out_of_range_are_plain)
  TEST(a_socket_lives_as_long_as_its_numbers_and_readers)
  TEST(many_references_are_counted)
  TEST(readers_and_a_writer_agree)
  TEST(each_visits_what_is_not_plain_in_order)
  TEST(hidden_descriptors_are_high_and_closed_by_exec)
  TEST(what_a_lodger_changes_is_its_own)
  return 0;
}
