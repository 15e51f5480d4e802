/**
 * Programs of the kernel's eBPF (bpf(2)): loading, with the verifier's words when it refuses, test
 * runs on bytes, and information about what is loaded.
 */
import * as errno from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { addon } from "./addon.js";
import { privilegeHint } from "./bpf-map.js";
import { check, type Hints } from "./check.js";
import { closeFd } from "./fd.js";

/** `enum bpf_prog_type` of linux/bpf.h: those that are used here. */
export const ProgramType = { SOCKET_FILTER: 1, SCHED_CLS: 3, XDP: 6 } as const;

/** `enum bpf_attach_type`. */
export const AttachType = { NONE: 0, XDP_DEVMAP: 33, XDP_CPUMAP: 35, XDP: 37 } as const;

export const ProgramFlag = {
  /** The program copes with frames in several buffers (jumbo); from Linux 5.18 on. */
  XDP_HAS_FRAGS: 1 << 5,
  /** The program runs on one interface only, whose driver it may ask for metadata; Linux 6.3 on. */
  XDP_DEV_BOUND_ONLY: 1 << 6,
} as const;

export interface BpfProgramOptions {
  /** One of {@link ProgramType}. */
  readonly type: number;
  /** Instructions, 8 bytes each (RFC 9669 §3), maps as descriptors. */
  readonly code: Uint8Array;
  /** Up to 15 letters, digits, `_` and `.`: what `bpftool prog` shows. */
  readonly name: string;
  /** Some helpers are for "GPL" programs only. */
  readonly license?: string;
  /** {@link ProgramFlag} bits. */
  readonly flags?: number;
  /** One of {@link AttachType}. */
  readonly attachType?: number;
  /** Index of the interface of a program with XDP_DEV_BOUND_ONLY. */
  readonly boundTo?: number;
  /** Functions' names and source lines, which the verifier's log then has. */
  readonly about?: ProgramTypes;
}

/** See ebpf/kernel-btf.ts, which makes it. */
export interface ProgramTypes {
  readonly types: Uint8Array;
  /** `struct bpf_func_info`s. */
  readonly functions: Uint8Array;
  /** `struct bpf_line_info`s. */
  readonly lines: Uint8Array;
}

/** The verifier refused a program; `log` is everything that it said. */
export class VerifierError extends NetError {
  readonly log: string;

  constructor(result: number, name: string, log: string) {
    super(result, {
      syscall: `bpf BPF_PROG_LOAD ${name}`,
      ...(result === -errno.E2BIG ? TOO_LARGE : {}),
      hint: `the verifier said: ${lastLines(log)}`,
    });
    this.log = log;
  }
}

const TOO_LARGE = { text: "the program is too large" };

const LAST_LINES = 6;
const FIRST_LOG_BYTES = 64 * 1024;
/** The most that kernels before 5.2 take. */
const LAST_LOG_BYTES = 16 * 1024 * 1024 - 1;

/** The end of a log without the verifier's statistics, which come last. */
function lastLines(log: string): string {
  const lines = log.split("\n").filter((line) => line !== "" && !/^processed \d+ insns/.test(line));
  return lines.slice(-LAST_LINES).join("\n");
}

/**
 * Loads a program; the descriptor is the caller's. Throws {@link VerifierError} when the verifier
 * says why it refuses, else `NetError`.
 */
export function loadProgram(options: BpfProgramOptions): number {
  const { about } = options;
  // A kernel without BTF loads programs without it.
  const btfFd = about === undefined ? 0 : Math.max(0, addon().bpfBtfLoad(about.types));
  try {
    return load(options, btfFd);
  } finally {
    if (btfFd > 0) closeFd(btfFd);
  }
}

function load(options: BpfProgramOptions, btfFd: number): number {
  const fd = tryLoad(options, null, btfFd);
  if (fd >= 0) return fd;
  // The log is asked for only now: writing it makes loading several times slower.
  const log = fd === -errno.EPERM ? "" : readLog(options, btfFd);
  if (log !== "") throw new VerifierError(fd, options.name, log);
  const syscall = `bpf BPF_PROG_LOAD ${options.name}`;
  if (fd === -errno.E2BIG) throw new NetError(fd, { syscall, ...TOO_LARGE, hint: E2BIG_HINT });
  return check(fd, syscall, loadHints(options));
}

const E2BIG_HINT = "it is longer, or more work to verify, than this kernel takes";
const NO_BYTES = new Uint8Array(0);

function tryLoad(options: BpfProgramOptions, log: Uint8Array | null, btfFd: number): number {
  const { type, code, name, license = "Apache-2.0", flags = 0, attachType = 0 } = options;
  const { boundTo = 0, about } = options;
  return addon().bpfProgLoad(
    type,
    code,
    license,
    name,
    flags,
    attachType,
    log,
    boundTo,
    btfFd,
    about?.functions ?? NO_BYTES,
    about?.lines ?? NO_BYTES,
  );
}

/** What the verifier says about a program that it refuses, in a buffer that grows until it fits. */
function readLog(options: BpfProgramOptions, btfFd: number): string {
  for (let lengthBytes = FIRST_LOG_BYTES; ; lengthBytes *= 4) {
    const log = new Uint8Array(Math.min(lengthBytes, LAST_LOG_BYTES));
    const result = tryLoad(options, log, btfFd);
    if (result >= 0) closeFd(result); // it was refused a moment ago: there is nothing to report
    if (result === -errno.ENOSPC && log.length < LAST_LOG_BYTES) continue;
    return Buffer.from(log.subarray(0, Math.max(log.indexOf(0), 0))).toString("latin1");
  }
}

function loadHints(options: BpfProgramOptions): Hints {
  const isFrags = ((options.flags ?? 0) & ProgramFlag.XDP_HAS_FRAGS) !== 0;
  return {
    [errno.EPERM]: privilegeHint(),
    [errno.EACCES]: "the verifier refused it and wrote no log",
    [errno.EINVAL]: isFrags
      ? "this kernel knows no XDP programs for frames in several buffers (Linux 5.18 on)"
      : "this kernel does not know the program's type, flags or instructions",
    [errno.ENOSYS]: "this kernel has no bpf(2); it must be configured with CONFIG_BPF_SYSCALL=y",
  };
}

export interface TestRun {
  /** What the program returned. */
  readonly verdict: number;
  /** Bytes that are valid in the caller's output buffer. */
  readonly lengthBytes: number;
  /** Mean time of one run, as the kernel measured it. */
  readonly durationNs: number;
}

const results = new Int32Array(3);

/**
 * Runs a program `repeat` times on bytes (BPF_PROG_TEST_RUN), the context being `struct xdp_md` or
 * the like, which is then as the program left it. XDP wants at least 14 bytes. Throws `NetError`.
 */
export function testRun(
  fd: number,
  data: Uint8Array,
  out: Uint8Array,
  context: Uint8Array | null = null,
  repeat = 1,
): TestRun {
  const result = addon().bpfTestRun(fd, data, out, context, repeat, results);
  check(result, "bpf BPF_PROG_TEST_RUN", { [errno.EPERM]: privilegeHint() });
  return { verdict: results[0]!, lengthBytes: results[1]!, durationNs: results[2]! };
}

/** What `bpf_prog_info` says first. */
export interface ProgramInfo {
  readonly id: number;
  readonly type: number;
  readonly name: string;
}

const INFO_BYTES = 256;
const INFO_NAME_AT = 64;
const INFO_NAME_BYTES = 16;

/** Throws `NetError`: EBADF when it is no descriptor of bpf(2). */
export function programInfo(fd: number): ProgramInfo {
  const info = new Uint8Array(INFO_BYTES);
  check(addon().bpfInfo(fd, info), "bpf BPF_OBJ_GET_INFO_BY_FD");
  const words = new DataView(info.buffer);
  const name = info.subarray(INFO_NAME_AT, INFO_NAME_AT + INFO_NAME_BYTES);
  return {
    type: words.getUint32(0, true),
    id: words.getUint32(4, true),
    name: Buffer.from(name.subarray(0, name.indexOf(0))).toString("latin1"),
  };
}

const PROGRAMS = 1;

/** The program of that id; null when it is gone or this user may not look. */
export function programById(id: number): ProgramInfo | null {
  const fd = addon().bpfOpenId(PROGRAMS, id);
  if (fd < 0) return null;
  try {
    return programInfo(fd);
  } finally {
    closeFd(fd);
  }
}
