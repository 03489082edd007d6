#include "kernels/cpu/cpu_count.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <thread>
#if defined(__linux__)
#include <sched.h>
#endif

namespace deeplite::cpu {
namespace {

constexpr int kMaxPath = 1024;

int smaller_limit(int a, int b) { return a == 0 ? b : b == 0 ? a : a < b ? a : b; }

int limit_from(double quota, double period) {
    return quota > 0 && period > 0 ? int(fmin(ceil(quota / period), 1 << 16)) : 0;
}

// The first line of dir/name into `text`; false when there is no such file.
bool read_line(const char* dir, const char* name, char* text, int size) {
    char path[2 * kMaxPath];
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= int(sizeof path)) return false;
    FILE* f = fopen(path, "r");
    if (!f) return false;
    const bool ok = fgets(text, size, f) != nullptr;
    fclose(f);
    return ok;
}

// The limit that one directory states: "max 100000" or "150000 100000" in version 2, two files in
// version 1.
int directory_limit(const char* dir) {
    char text[128];
    double quota = 0, period = 0;
    if (read_line(dir, "cpu.max", text, sizeof text))
        return sscanf(text, "%lf %lf", &quota, &period) == 2 ? limit_from(quota, period) : 0;
    if (!read_line(dir, "cpu.cfs_quota_us", text, sizeof text)) return 0;
    quota = atof(text);  // -1: no limit
    if (!read_line(dir, "cpu.cfs_period_us", text, sizeof text)) return 0;
    return limit_from(quota, atof(text));
}

// The tightest limit of mount + group and everything above it, up to the mount itself.
int limit_upwards(const char* mount, const char* group) {
    char path[2 * kMaxPath];
    snprintf(path, sizeof path, "%s%s", mount, strcmp(group, "/") == 0 ? "" : group);
    int limit = 0;
    const size_t top = strlen(mount);
    for (;;) {
        limit = smaller_limit(limit, directory_limit(path));
        char* slash = strrchr(path, '/');
        if (!slash || size_t(slash - path) < top) return limit;
        *slash = 0;
    }
}

// True when the comma-separated list of version-1 controllers names "cpu".
bool lists_cpu(const char* controllers, size_t length) {
    for (const char *p = controllers, *end = p + length; p < end;) {
        const char* comma = static_cast<const char*>(memchr(p, ',', size_t(end - p)));
        const char* stop = comma ? comma : end;
        if (stop - p == 3 && memcmp(p, "cpu", 3) == 0) return true;
        p = stop + 1;
    }
    return false;
}

}  // namespace

int affinity_cpus() {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
#endif
    const unsigned n = std::thread::hardware_concurrency();
    return n > 0 ? int(n) : 1;
}

int cgroup_cpus(const char* proc_cgroup, const char* mount) {
    FILE* f = fopen(proc_cgroup, "r");
    if (!f) return 0;
    int limit = 0;
    char line[kMaxPath];
    while (fgets(line, sizeof line, f)) {  // hierarchy:controllers:path
        line[strcspn(line, "\n")] = 0;
        char* controllers = strchr(line, ':');
        char* group = controllers ? strchr(controllers + 1, ':') : nullptr;
        if (!group) continue;
        ++controllers;
        const size_t length = size_t(group - controllers);
        ++group;
        if (length == 0) {
            limit = smaller_limit(limit, limit_upwards(mount, group));
        } else if (lists_cpu(controllers, length)) {
            char v1[kMaxPath];
            snprintf(v1, sizeof v1, "%s/cpu", mount);
            limit = smaller_limit(limit, limit_upwards(v1, group));
        }
    }
    fclose(f);
    return limit;
}

int default_threads() {
    for (const char* name : {"DEEPLITE_NUM_THREADS", "OMP_NUM_THREADS"}) {
        const char* text = getenv(name);
        const int n = text ? atoi(text) : 0;
        if (n > 0) return n < 1024 ? n : 1024;
    }
    const int limit = cgroup_cpus("/proc/self/cgroup", "/sys/fs/cgroup");
    return smaller_limit(affinity_cpus(), limit);
}

}  // namespace deeplite::cpu
