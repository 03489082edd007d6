// The machine's data caches, for choosing block sizes: speed may depend on them, results may not.
#pragma once
#include <stdint.h>

extern "C" {
// Bytes of the data cache that one core reaches at `level` (1 to 3), as the system tells; where it does
// not, a size that few machines go below.
int64_t dl_cache_bytes(int level);
}
