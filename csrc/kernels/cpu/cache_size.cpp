#include "kernels/cpu/cache_size.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

namespace {

#if defined(__linux__)
bool read_word(int index, const char* name, char (&word)[32]) {
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, name);
    FILE* f = fopen(path, "r");
    if (!f) return false;
    const bool ok = fscanf(f, "%31s", word) == 1;
    fclose(f);
    return ok;
}

// What /sys says: "48K", "1024K", "32M"; 0 when it says nothing.
int64_t from_sysfs(int level) {
    for (int index = 0; index < 8; ++index) {
        char word[32];
        int at = 0;
        if (!read_word(index, "level", word) || sscanf(word, "%d", &at) != 1) return 0;
        if (at != level || !read_word(index, "type", word) || strcmp(word, "Instruction") == 0)
            continue;
        long size = 0;
        char unit = 0;
        if (!read_word(index, "size", word) || sscanf(word, "%ld%c", &size, &unit) < 1) return 0;
        return int64_t(size) << (unit == 'M' ? 20 : unit == 'K' ? 10 : 0);
    }
    return 0;
}
#else
int64_t from_sysfs(int) { return 0; }
#endif

int64_t from_system(int level) {
#if defined(_SC_LEVEL1_DCACHE_SIZE)  // glibc asks the processor
    const int names[] = {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE};
    const long size = sysconf(names[level - 1]);
    if (size > 0) return size;
#endif
    return from_sysfs(level);
}

struct Caches {
    int64_t bytes[3];
    Caches() {
        const int64_t least[] = {32 << 10, 512 << 10, 4 << 20};
        for (int level = 1; level <= 3; ++level) {
            const int64_t size = from_system(level);
            bytes[level - 1] = size >= least[level - 1] / 4 ? size : least[level - 1];
        }
    }
};

}  // namespace

extern "C" int64_t dl_cache_bytes(int level) {
    static const Caches caches;
    return caches.bytes[level < 1 ? 0 : level > 3 ? 2 : level - 1];
}
