#include "kernels/cpu/dispatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace deeplite::cpu {

// kernels/cpu/tables.cpp, once per instruction set.
namespace baseline {
void collect(FamilyTables*);
}
namespace avx2 {
void collect(FamilyTables*);
}
namespace avx512 {
void collect(FamilyTables*);
}
namespace neon {
void collect(FamilyTables*);
}
namespace reference {
void collect(FamilyTables*);
}

namespace {

bool always() { return true; }

#if defined(__x86_64__)
// __builtin_cpu_supports also asks whether the operating system saves the wider registers.
bool has_avx2() {
    unsigned a, b, c, d;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
bool has_avx512() {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

const Isa kIsas[] = {
#if DL_BUILT_baseline
    {"baseline", &always, &baseline::collect},
#endif
#if DL_BUILT_avx2
    {"avx2", &has_avx2, &avx2::collect},
#endif
#if DL_BUILT_avx512
    {"avx512", &has_avx512, &avx512::collect},
#endif
#if DL_BUILT_neon
    {"neon", &always, &neon::collect},
#endif
    {"reference", &always, &reference::collect},
};
constexpr int kIsaCount = int(sizeof kIsas / sizeof kIsas[0]);
static_assert(kIsaCount <= kMaxIsas);

char error_text[256];

// error_text: "DEEPLITE_CPU_ISA=avx9: this machine offers baseline, avx2, reference".
void describe_missing(const char* wish) {
    int at = snprintf(error_text, sizeof error_text,
                      "DEEPLITE_CPU_ISA=%.40s: this build on this machine offers", wish);
    const char* separator = " ";
    for (const Isa& set : kIsas) {
        if (!set.runs_here()) continue;
        at +=
            snprintf(error_text + at, sizeof error_text - size_t(at), "%s%s", separator, set.name);
        separator = ", ";
    }
}

}  // namespace

int isa_count() { return kIsaCount; }

const Isa& isa(int i) { return kIsas[i]; }

int find_isa(const char* name) {
    for (int i = 0; i < kIsaCount; ++i)
        if (strcmp(kIsas[i].name, name) == 0) return i;
    return -1;
}

int initial_isa(const char** error) {
    *error = nullptr;
    const char* plain = getenv("DEEPLITE_REFERENCE");
    if (plain && *plain && strcmp(plain, "0") != 0) return kIsaCount - 1;
    const char* wish = getenv("DEEPLITE_CPU_ISA");
    if (wish && *wish) {
        const int i = find_isa(wish);
        if (i >= 0 && kIsas[i].runs_here()) return i;
        describe_missing(wish);
        *error = error_text;
    }
    int best = kIsaCount - 1;
    for (int i = 0; i < kIsaCount - 1; ++i)
        if (kIsas[i].runs_here()) best = i;
    return best;
}

}  // namespace deeplite::cpu
