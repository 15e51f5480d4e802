/* Which system calls the filters that were set allow, by number; filter.c finds out. */
#include "core.h"

atomic_bool mr_is_filtered;
_Atomic uint64_t mr_filter_denied[MR_FILTER_NUMBERS / 64];

bool mr_filter_allows(long number) {
  if (number < 0 || number >= MR_FILTER_NUMBERS) return false;
  return !((atomic_load(&mr_filter_denied[number / 64]) >> number % 64) & 1);
}
