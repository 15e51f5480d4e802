/* Assertions of the shim's C tests: the first that does not hold names its place and ends the program. */
#ifndef MILLRACE_CHECK_H
#define MILLRACE_CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                     \
  do {                                                                                       \
    if (!(condition)) {                                                                      \
      fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno);      \
      exit(1);                                                                               \
    }                                                                                        \
  } while (0)

#define TEST(name)                                       \
  if (argc < 2 || strcmp(argv[1], #name) == 0) {         \
    name();                                              \
    printf("%s\n", #name);                               \
    fflush(stdout);                                      \
  }

#endif
