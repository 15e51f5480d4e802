/*
 * Programs that verifiers refuse, NAME_bad, each beside one that does the same as it should be, NAME_ok. What clang
 * would mend or leave out is written in the instructions themselves.
 */
#pragma once

#include "packet.h"

char _license[] SEC("license") = "GPL";

#define PROGRAM(name) SEC("xdp") int name(struct xdp_md *ctx __attribute__((unused)))
/* The whole program is what the text says. */
#define WRITTEN(name, text)                                                                        \
  SEC("xdp") __attribute__((naked)) int name(struct xdp_md *ctx __attribute__((unused))) {         \
    asm volatile(text ::: "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "memory");   \
  }
/* The compiler does not know the value, the verifier does. */
#define HIDE(value) asm volatile("" : "+r"(value))

#define ARRAY(name, entries, of)                                                                   \
  struct {                                                                                         \
    __uint(type, BPF_MAP_TYPE_ARRAY);                                                              \
    __uint(max_entries, entries);                                                                  \
    __type(key, __u32);                                                                            \
    __type(value, of);                                                                             \
  } name SEC(".maps")
