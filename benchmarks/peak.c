/* What the processor can do at best: fused multiply-adds on registers, and copies of memory.
 *
 * Compiled by benchmarks/machine.py with the system's compiler for the machine it runs on.
 */
#include <stddef.h>
#include <string.h>

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif

typedef float vector __attribute__((vector_size(BYTES)));

/* Does `steps` rounds of twelve independent chains (they cover the latency of two pipes and fit the
 * registers of every set; an array of them would live in memory) and returns the floating-point
 * operations of one round. `out` keeps the compiler from leaving the work out. */
long fma_round(long steps, float *out) {
    vector zero = {0}, a = zero + 0.999f, b = zero + 0.001f;
    vector s0 = a, s1 = a + 1, s2 = a + 2, s3 = a + 3, s4 = a + 4, s5 = a + 5;
    vector s6 = a + 6, s7 = a + 7, s8 = a + 8, s9 = a + 9, s10 = a + 10, s11 = a + 11;
    for (long i = 0; i < steps; i++) {
        s0 = s0 * a + b, s1 = s1 * a + b, s2 = s2 * a + b, s3 = s3 * a + b;
        s4 = s4 * a + b, s5 = s5 * a + b, s6 = s6 * a + b, s7 = s7 * a + b;
        s8 = s8 * a + b, s9 = s9 * a + b, s10 = s10 * a + b, s11 = s11 * a + b;
    }
    vector all = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)) + ((s8 + s9) + (s10 + s11));
    *out = all[0];
    return 12L * (BYTES / 4) * 2;
}

void copy(void *to, const void *from, size_t bytes) { memcpy(to, from, bytes); }
