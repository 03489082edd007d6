// Bounded caching allocator: freed blocks are kept by size class and handed out again, so that a steady
// training step neither pays page faults nor asks the system for memory.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/device.h"

namespace deeplite {

struct AllocatorStats {
    int64_t allocated_bytes;       // handed out now
    int64_t peak_allocated_bytes;  // most ever handed out (since reset_peak_stats)
    int64_t cached_bytes;          // kept for reuse
    int64_t allocations;           // calls to allocate
    int64_t system_allocations;    // of those, how many went to the backend
};

// 64-byte aligned; never null (throws OutOfMemoryError). `bytes` may be 0.
void* allocate(size_t bytes, Device d);
void deallocate(void* p, size_t bytes, Device d) noexcept;

AllocatorStats allocator_stats();
void reset_peak_stats();
void empty_cache() noexcept;          // gives every cached block back
int64_t cache_limit();                // most bytes kept for reuse
void set_cache_limit(int64_t bytes);  // trims at once

}  // namespace deeplite
