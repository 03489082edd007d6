#include "core/allocator.h"

#include <sys/sysinfo.h>

#include <atomic>
#include <bit>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/error.h"

namespace deeplite {
namespace {

// Size classes: multiples of 64 bytes up to 1 KiB, then four steps per power of two (waste <= 25 %).
size_t round_up(size_t bytes) {
    if (bytes <= 1024) return (bytes + 63 + (bytes == 0)) & ~size_t(63);
    size_t step = std::bit_floor(bytes - 1) / 4;
    return (bytes + step - 1) / step * step;
}

struct Counters {
    std::atomic<int64_t> allocated{0}, peak{0}, cached{0}, calls{0}, system{0};
};
Counters g_count;

int64_t default_limit() {
    struct sysinfo info;
    int64_t ram = sysinfo(&info) == 0 ? int64_t(info.totalram) * info.mem_unit : int64_t(8) << 30;
    return ram / 4;
}
std::atomic<int64_t> g_limit{default_limit()};

uint64_t key(size_t size, Device d) {
    return uint64_t(size) << 16 | uint64_t(uint8_t(d.backend)) << 8 | uint8_t(d.index);
}

// Leaked on purpose: tensors held by Python may be freed after static destructors ran.
struct Pool {
    std::mutex mutex;
    std::unordered_map<uint64_t, std::vector<void*>> free;
};
Pool& pool() {
    static Pool* p = new Pool;
    return *p;
}

// A few small blocks per size and thread, reached without a lock: what makes tiny tensors cheap.
constexpr size_t kSmall = 1024;
constexpr int kPerClass = 32;
struct ThreadCache {
    int count[kSmall / 64] = {};
    void* block[kSmall / 64][kPerClass];
    ~ThreadCache();
};
thread_local bool t_dead = false;  // trivially destructible: readable after ThreadCache is gone
thread_local ThreadCache t_cache;

void system_free(void* p, size_t size, Device d) noexcept { backend_of(d).free(p, size, d.index); }

ThreadCache::~ThreadCache() {
    t_dead = true;
    for (size_t c = 0; c < kSmall / 64; ++c)
        for (int i = 0; i < count[c]; ++i) {
            size_t size = (c + 1) * 64;
            g_count.cached -= int64_t(size);
            system_free(block[c][i], size, Device{});
        }
}

void drain_thread_cache() noexcept {
    if (t_dead) return;
    for (size_t c = 0; c < kSmall / 64; ++c)
        while (t_cache.count[c] > 0) {
            size_t size = (c + 1) * 64;
            g_count.cached -= int64_t(size);
            system_free(t_cache.block[c][--t_cache.count[c]], size, Device{});
        }
}

void* take_cached(size_t size, Device d) {
    if (size <= kSmall && d.is_cpu() && !t_dead) {
        int& n = t_cache.count[size / 64 - 1];
        if (n > 0) return t_cache.block[size / 64 - 1][--n];
        return nullptr;
    }
    Pool& p = pool();
    std::lock_guard lock(p.mutex);
    auto it = p.free.find(key(size, d));
    if (it == p.free.end() || it->second.empty()) return nullptr;
    void* block = it->second.back();
    it->second.pop_back();
    return block;
}

bool keep_cached(void* block, size_t size, Device d) noexcept try {
    if (g_count.cached.load(std::memory_order_relaxed) + int64_t(size) >
        g_limit.load(std::memory_order_relaxed))
        return false;
    if (size <= kSmall && d.is_cpu()) {
        if (t_dead || t_cache.count[size / 64 - 1] == kPerClass) return false;
        t_cache.block[size / 64 - 1][t_cache.count[size / 64 - 1]++] = block;
        return true;
    }
    Pool& p = pool();
    std::lock_guard lock(p.mutex);
    p.free[key(size, d)].push_back(block);
    return true;
} catch (...) {
    return false;  // no memory to remember it: give it back
}

}  // namespace

void* allocate(size_t bytes, Device d) {
    check<OutOfMemoryError>(bytes < (size_t(1) << 47), "cannot allocate ", bytes, " bytes on ", d);
    size_t size = round_up(bytes);
    void* p = take_cached(size, d);
    if (p) {
        g_count.cached.fetch_sub(int64_t(size), std::memory_order_relaxed);
    } else {
        const dl_backend& b = backend_of(d);
        p = b.alloc(size, d.index);
        if (!p) {  // perhaps what we keep for later is what is missing now
            empty_cache();
            p = b.alloc(size, d.index);
        }
        check<OutOfMemoryError>(p != nullptr, "cannot allocate ", bytes, " bytes on ", d, " (",
                                g_count.allocated.load(), " bytes are in use)");
        g_count.system.fetch_add(1, std::memory_order_relaxed);
    }
    g_count.calls.fetch_add(1, std::memory_order_relaxed);
    int64_t now =
        g_count.allocated.fetch_add(int64_t(size), std::memory_order_relaxed) + int64_t(size);
    int64_t peak = g_count.peak.load(std::memory_order_relaxed);
    while (now > peak &&
           !g_count.peak.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {}
    return p;
}

void deallocate(void* p, size_t bytes, Device d) noexcept {
    size_t size = round_up(bytes);
    g_count.allocated.fetch_sub(int64_t(size), std::memory_order_relaxed);
    if (keep_cached(p, size, d))
        g_count.cached.fetch_add(int64_t(size), std::memory_order_relaxed);
    else
        system_free(p, size, d);
}

AllocatorStats allocator_stats() {
    return {g_count.allocated, g_count.peak, g_count.cached, g_count.calls, g_count.system};
}

void reset_peak_stats() { g_count.peak = g_count.allocated.load(); }

void empty_cache() noexcept {
    drain_thread_cache();
    Pool& p = pool();
    std::lock_guard lock(p.mutex);
    for (auto& [k, blocks] : p.free) {
        size_t size = size_t(k >> 16);
        for (void* block : blocks) {
            g_count.cached -= int64_t(size);
            system_free(block, size, Device{int8_t(k >> 8 & 0xff), int8_t(k & 0xff)});
        }
        blocks.clear();
    }
}

int64_t cache_limit() { return g_limit; }

void set_cache_limit(int64_t bytes) {
    check<ValueError>(bytes >= 0, "set_cache_limit: expected a number of bytes >= 0, got ", bytes);
    g_limit = bytes;
    if (g_count.cached > bytes) empty_cache();
}

}  // namespace deeplite
