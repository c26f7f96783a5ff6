/* What a fuzz target holds to be true; where it is not, the input is kept by the driver. */
#ifndef SOTTO_FUZZ_REQUIRE_H
#define SOTTO_FUZZ_REQUIRE_H

#include <stdio.h>
#include <stdlib.h>

#define REQUIRE(condition)                           \
  do {                                               \
    if (!(condition)) {                              \
      fprintf(stderr, "not true: %s\n", #condition); \
      abort();                                       \
    }                                                \
  } while (0)

#endif
