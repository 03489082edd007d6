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

/* Twelve independent chains cover the latency of two pipes, and fit the registers of every set. */
#define CHAINS 12

typedef float vector __attribute__((vector_size(BYTES)));

/* Does `steps` rounds and returns the floating-point operations of one round. `out` keeps the
 * compiler from leaving the work out. */
long fma_round(long steps, float *out) {
    vector sum[CHAINS], a, b;
    for (int lane = 0; lane < BYTES / 4; lane++) a[lane] = 0.999f, b[lane] = 0.001f;
    for (int c = 0; c < CHAINS; c++) sum[c] = a + (float)c;
    for (long i = 0; i < steps; i++) {
        for (int c = 0; c < CHAINS; c++) {
            sum[c] = sum[c] * a + b;
            __asm__ volatile("" : "+v"(sum[c])); /* one addition after the other, as written */
        }
    }
    for (int c = 0; c < CHAINS; c++) out[c] = sum[c][0];
    return (long)CHAINS * (BYTES / 4) * 2;
}

void copy(void *to, const void *from, size_t bytes) { memcpy(to, from, bytes); }
