/* Messages over the control socket, and the descriptors that pass with them. */
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "core.h"

#define ANSWER_NS 20000000000LL /* an engine that does not answer this long is taken for dead */

static struct mr_mutex turn;

int mr_control_connect(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(path);
  if (length >= sizeof address.sun_path) return -ENAMETOOLONG;
  memcpy(address.sun_path, path, length + 1);
  /* Without O_NONBLOCK it would wait for an engine that has stopped when many are before us. */
  int fd = real.socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  if (real.connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  int failed = -errno;
  real.close(fd);
  return failed;
}

uint64_t mr_inode_of(int fd) {
  struct stat status;
  return mr_allows(SYS_newfstatat) && fstat(fd, &status) == 0 ? status.st_ino : 0;
}

int mr_pair_make(int pair[2], int flags) {
  int result = real.socketpair(AF_UNIX, SOCK_SEQPACKET | flags, 0, pair);
  if (result < 0 && mr_spares_make_room()) result = real.socketpair(AF_UNIX, SOCK_SEQPACKET | flags, 0, pair);
  return result;
}

int mr_pair_make_anywhere(int pair[2], int flags) {
  int result = mr_pair_make(pair, flags);
  if (result == 0 || errno != EMFILE || !mr_limit_raise()) return result;
  result = real.socketpair(AF_UNIX, SOCK_SEQPACKET | flags, 0, pair);
  mr_limit_restore();
  return result;
}

static int send_with(int control_fd, const void *message, size_t bytes, const int *fds,
                     unsigned fds_count, int flags) {
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))];
  struct iovec vector = {.iov_base = (void *)(uintptr_t)message, .iov_len = bytes};
  struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};
  if (fds_count > 0) {
    memset(control, 0, sizeof control);
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(fds_count * sizeof(int));
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds_count * sizeof(int));
    memcpy(CMSG_DATA(rights), fds, fds_count * sizeof(int));
  }
  for (;;) {
    if (real.sendmsg(control_fd, &header, flags | MSG_NOSIGNAL) >= 0) return 0;
    if (errno != EINTR) return -errno;
  }
}

/* One wait for such an event, which may end early: a filter of system calls may leave nothing to wait by. 0,
 * -ETIMEDOUT, or another negated error number. */
static int await(int control_fd, short events, int64_t until_ns) {
  struct pollfd wanted = {.fd = control_fd, .events = events};
  int64_t ns = until_ns - mr_now_ns();
  if (ns <= 0) return -ETIMEDOUT;
  struct timespec left = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
  return mr_kernel_poll(&wanted, 1, &left, NULL) < 0 && errno != EINTR ? -errno : 0;
}

/* Of an engine that has stopped the socket fills up some time. */
static int send_within(int control_fd, const void *message, size_t bytes, const int *fds, unsigned fds_count,
                       int64_t wait_ns) {
  int64_t until_ns = 0;
  for (;;) {
    /* Another thread may take the room that poll has found. */
    int failed = send_with(control_fd, message, bytes, fds, fds_count, MSG_DONTWAIT);
    if (MR_LIKELY(failed != -EAGAIN)) return failed;
    if (until_ns == 0) until_ns = mr_now_ns() + wait_ns;
    int rest = mr_making_rest();
    failed = await(control_fd, POLLOUT, until_ns);
    mr_making_go_on(rest);
    if (failed != 0) return failed;
  }
}

int mr_control_give(int control_fd, uint32_t type, int fd, int64_t wait_ns) {
  return send_within(control_fd, &type, sizeof type, &fd, 1, wait_ns);
}

/* Polls as any wait does, then sleeps once. 0 or a negated error number. */
static int wait_for_answer(int control_fd, struct mr_wait *wait, int64_t until_ns) {
  struct pollfd wanted = {.fd = control_fd, .events = POLLIN};
  int rest = mr_making_rest(), failed = 0;
  bool spins = true;
  while (spins && wait->looked_ns < until_ns && mr_kernel_look(&wanted, 1) == 0) spins = mr_wait_spin(wait);
  if (!spins) failed = await(control_fd, POLLIN, until_ns);
  mr_making_go_on(rest);
  return failed != 0 || wait->looked_ns < until_ns ? failed : -ETIMEDOUT;
}

/* Bytes, or a negated error number. `wait` NULL: does not wait. */
static ssize_t receive_message(int control_fd, struct msghdr *header, struct mr_wait *wait) {
  size_t room = header->msg_controllen;
  int64_t until_ns = wait == NULL ? 0 : mr_now_ns() + ANSWER_NS;
  for (;;) {
    header->msg_controllen = room;
    ssize_t n = real.recvmsg(control_fd, header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n >= 0) return n;
    if (errno == EINTR) continue;
    if (errno != EAGAIN || wait == NULL) return -errno;
    int failed = wait_for_answer(control_fd, wait, until_ns);
    if (failed != 0) return failed;
  }
}

static int await_answer(int control_fd, struct mr_wait *wait) {
  struct pollfd wanted = {.fd = control_fd, .events = POLLIN};
  int64_t until_ns = mr_now_ns() + ANSWER_NS;
  int failed = 0;
  while (failed == 0 && mr_kernel_look(&wanted, 1) == 0) failed = wait_for_answer(control_fd, wait, until_ns);
  return failed;
}

/* Fewer bytes than asked for are an answer that makes no sense. */
static int receive(int control_fd, void *answer, size_t bytes, int got[2], struct mr_wait *wait) {
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))];
  struct iovec vector = {.iov_base = answer, .iov_len = bytes};
  struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  bool above = got[0] == MR_GOT_ABOVE_LIMIT;
  got[0] = got[1] = -1;
  /* The limit is up for as long as the message is taken: fork waits for that. */
  int failed = above ? await_answer(control_fd, wait) : 0;
  if (failed != 0) return failed;
  bool is_raised = above && mr_limit_raise();
  ssize_t n = receive_message(control_fd, &header, wait);
  if (is_raised) mr_limit_restore();
  if (n < 0) return (int)n;
  struct cmsghdr *rights = n > 0 ? CMSG_FIRSTHDR(&header) : NULL;
  if (rights != NULL && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS) {
    size_t count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(got, CMSG_DATA(rights), (count > 2 ? 2 : count) * sizeof(int));
  }
  if ((size_t)n == bytes && !(header.msg_flags & MSG_CTRUNC)) return 0;
  for (int i = 0; i < 2; i++) {
    if (got[i] >= 0) real.close(got[i]);
    got[i] = -1;
  }
  if (header.msg_flags & MSG_CTRUNC) return -EMFILE;
  return n == 0 ? -ECONNRESET : -EPROTO;
}

static void copy_environment(char *to, size_t room, const char *name) {
  const char *value = mr_environment_get(name);
  if (value != NULL) strncpy(to, value, room - 1);
}

static uint32_t wanted_spin_us(void) {
  const char *value = mr_environment_get("MILLRACE_SPIN_US");
  if (value == NULL || *value == '\0') return UINT32_MAX - 1;
  if (value[0] == '-' || strcmp(value, "forever") == 0) return UINT32_MAX;
  unsigned long us = strtoul(value, NULL, 10);
  return us < UINT32_MAX - 1 ? (uint32_t)us : UINT32_MAX;
}

int mr_control_hello(int control_fd, bool by_door, struct mr_welcome *welcome) {
  struct mr_hello hello = {.type = MR_MSG_HELLO, .version = MR_VERSION};
  hello.pid = (int32_t)getpid();
  const char *loopback = mr_environment_get("MILLRACE_LOOPBACK");
  if (loopback != NULL && strcmp(loopback, "1") == 0) hello.flags |= MR_HELLO_LOOPBACK;
  strncpy(hello.program, mr_environment_program(), sizeof hello.program - 1);
  copy_environment(hello.application_id, sizeof hello.application_id, "VMA_APPLICATION_ID");
  copy_environment(hello.application_id, sizeof hello.application_id, "MILLRACE_APPLICATION_ID");
  copy_environment(hello.address, sizeof hello.address, "MILLRACE_ADDRESS");
  copy_environment(hello.rules, sizeof hello.rules, "MILLRACE_RULES");
  copy_environment(hello.profile, sizeof hello.profile, "MILLRACE_PROFILE");
  hello.spin_us = wanted_spin_us();
  const char *rules = mr_environment_get("MILLRACE_RULES");
  bool has_rules = rules != NULL && rules[0] != '\0';
  int rules_fd = has_rules ? mr_rules_pass(rules, welcome->reason, sizeof welcome->reason) : -1;
  /* The user that its starter has become may not read them: the engine has them from that one. */
  if (rules_fd < 0 && has_rules && by_door) hello.flags |= MR_HELLO_RULES_OF_STARTER;
  else if (has_rules && rules_fd < 0) return (welcome->result = rules_fd); /* as if the engine had said so */
  int failed = send_within(control_fd, &hello, sizeof hello, &rules_fd, rules_fd >= 0 ? 1 : 0, ANSWER_NS);
  if (rules_fd >= 0) real.close(rules_fd);
  return failed;
}

int mr_control_welcome(int control_fd, struct mr_welcome *welcome, int got[2]) {
  memset(welcome, 0, sizeof *welcome);
  return receive(control_fd, welcome, sizeof *welcome, got, NULL);
}

static int ask(struct mr_link *link, const void *message, size_t bytes, const int *fds, unsigned fds_count,
               void *answer, size_t answer_bytes, int *got) {
  int none[2] = {-1, -1};
  int failed = send_within(link->control_fd, message, bytes, fds, fds_count, ANSWER_NS);
  if (failed != 0) return failed;
  mr_submit(link, MR_SUBMIT_CONTROL);
  if (answer == NULL) return 0;
  struct mr_wait wait;
  mr_wait_begin(&wait, -1);
  return receive(link->control_fd, answer, answer_bytes, got != NULL ? got : none, &wait);
}

int mr_control_ask(struct mr_link *link, const void *message, size_t bytes, const int *fds,
                   unsigned fds_count, void *answer, size_t answer_bytes, int *got) {
  /* A filter of system calls ends the program instead. */
  int failed = mr_allows(SYS_sendmsg) && mr_allows(SYS_recvmsg) ? 0 : -EPERM;
  if (failed == 0) {
    mr_making_begin();
    mr_making_lock(&turn);
    failed = ask(link, message, bytes, fds, fds_count, answer, answer_bytes, got);
    /* An answer that comes later would be taken for the next one's. */
    if (failed == -ETIMEDOUT) atomic_store(&mr_engine_is_dead, true);
    mr_mutex_unlock(&turn);
    mr_making_end();
    /* Sent or answered in vain: its end is shut. */
    if ((failed == -EPIPE || failed == -ECONNRESET) && mr_engine_died()) failed = -ENETDOWN;
  }
  if (got != NULL && got[0] == MR_GOT_ABOVE_LIMIT) got[0] = -1;
  return failed;
}

/* Its holder may rest. What is asked here is the parent's business. */
void mr_control_after_fork(void) { turn = (struct mr_mutex){0}; }
