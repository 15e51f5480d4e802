/* bpf(2), which the C library does not wrap. */
#ifndef MILLRACE_BPF_H
#define MILLRACE_BPF_H

#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline uint64_t address_of(const void *place) { return (uint64_t)(uintptr_t)place; }

/* 0, a descriptor (close-on-exec), or -errno. */
static inline int bpf(enum bpf_cmd command, union bpf_attr *attr) {
  long result = syscall(SYS_bpf, command, attr, sizeof *attr);
  return result < 0 ? -errno : (int)result;
}

#endif
