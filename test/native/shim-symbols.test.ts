/** Every call that can concern a socket is interposed: the list is the product's promise. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { requireTools } from "../support/tools.js";

requireTools("nm");
const LIBRARY = join(
  fileURLToPath(new URL("../../../", import.meta.url)),
  "native/build/libmillrace.so",
);

/**
 * Not in it because the kernel answers of the socket pair as it would of a socket: pread, preadv, pwrite,
 * pwritev (ESPIPE), tee, vmsplice, copy_file_range, isatty, fstat. `__fdelt_chk` only checks, and
 * libc's fork, forkpty and system are followed by pthread_atfork or start programs with the
 * environment as it is.
 */
const PROMISED = `
  socket socketpair bind listen connect accept accept4 shutdown getsockname getpeername
  getsockopt setsockopt ioctl sockatmark fcntl fcntl64
  read readv preadv2 preadv64v2 recv recvfrom recvmsg recvmmsg
  __read_chk __recv_chk __recvfrom_chk
  write writev pwritev2 pwritev64v2 send sendto sendmsg sendmmsg __sendmmsg sendfile sendfile64 splice
  select pselect poll __poll __poll_chk ppoll __ppoll_chk
  epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
  close close_range closefrom dup dup2 dup3 pipe pipe2
  open open64 openat openat64 creat creat64 __open_2 __open64_2 __openat_2 __openat64_2
  eventfd signalfd timerfd_create inotify_init inotify_init1 memfd_create
  setuid seteuid setreuid setresuid setfsuid chroot unshare setns capset prctl
  setrlimit setrlimit64 prlimit prlimit64
  vfork clone daemon posix_spawn posix_spawnp
  execve execv execvp execvpe execl execlp execle fexecve execveat
  fdopen fclose freopen freopen64 dprintf vdprintf __dprintf_chk __vdprintf_chk
  sigaction signal bsd_signal sysv_signal __sysv_signal ssignal sigset sigignore siginterrupt
  syscall
  getaddrinfo getaddrinfo_a getnameinfo gethostbyname gethostbyname_r gethostbyname2
  gethostbyname2_r gethostbyaddr gethostbyaddr_r gethostent gethostent_r
  getnetent getnetent_r getnetbyaddr getnetbyaddr_r getnetbyname getnetbyname_r
  getservent getservent_r getservbyname getservbyname_r getservbyport getservbyport_r
  getprotoent getprotoent_r getprotobyname getprotobyname_r getprotobynumber getprotobynumber_r
  getnetgrent getnetgrent_r rcmd rcmd_af rexec rexec_af ruserok ruserok_af iruserok iruserok_af
  rresvport rresvport_af
  longjmp _longjmp siglongjmp __longjmp_chk
  getifaddrs freeifaddrs if_nameindex if_nametoindex if_indextoname
`;

function symbols(...options: string[]): string[] {
  const { stdout, status } = spawnSync("nm", ["-D", ...options, LIBRARY], { encoding: "utf8" });
  assert.equal(status, 0, "nm");
  return stdout
    .split("\n")
    .map((line) => line.trim().split(" ").pop() ?? "")
    .filter((name) => name !== "");
}

test("the preload library exports what it promises", () => {
  const exported = new Set(symbols("--defined-only"));
  const missing = PROMISED.trim()
    .split(/\s+/)
    .filter((name) => !exported.has(name));
  assert.deepEqual(missing, []);
});

test("it exports nothing of its own, and needs nothing but libc", () => {
  const own = symbols("--defined-only").filter((name) => /^(mr_|real$|copy|watched)/.test(name));
  assert.deepEqual(own, []);
  const unknown = symbols("-u").filter(
    (name) => !/@(GLIBC|GCC)_/.test(name) && !/^(_ITM_|__gmon)/.test(name),
  );
  assert.deepEqual(unknown, []);
});
