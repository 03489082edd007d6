// The sizes of a matrix product's blocks: what fits the registers is fixed for each instruction set,
// what fits the caches is asked of the machine. See gemm_core.h for how the blocks nest.
#pragma once
#include "kernels/cpu/cache_size.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/gemm.h"

#if DL_VEC_BYTES == 64
#define DL_GEMM_MR 14  // 28 accumulators, 2 vectors of B, 1 of A: 31 of 32 registers
#define DL_GEMM_NV 2
#define DL_GEMM_KC_BYTES 2048
#elif DL_VEC_BYTES == 32
#define DL_GEMM_MR 6  // 12 + 2 + 1 of 16
#define DL_GEMM_NV 2
#define DL_GEMM_KC_BYTES 1024
#elif defined(__aarch64__)
#define DL_GEMM_MR 6  // 24 + 4 + 1 of 32
#define DL_GEMM_NV 4
#define DL_GEMM_KC_BYTES 1024
#else
#define DL_GEMM_MR 4  // 8 + 2 + 1 and a product (no FMA) of 16
#define DL_GEMM_NV 2
#define DL_GEMM_KC_BYTES 1024
#endif

namespace {

template <class T>
struct GemmTile {
    static constexpr int MR = DL_GEMM_MR;          // rows of a tile
    static constexpr int NV = DL_GEMM_NV;          // vectors of a tile's row
    static constexpr int NR = NV * Vec<T>::N;      // columns of a tile
    static constexpr int64_t MC = 252 / MR * MR;   // most rows of A that stay in L2
    static constexpr int64_t MA = 2016 / MR * MR;  // rows of A packed ahead for one thread
    static constexpr int64_t NB = 256;             // most columns of B that stay in L2
    static constexpr int64_t NC = 2048;            // columns of B that stay in L3
    static constexpr int64_t SHARED = int64_t(32 << 20) / sizeof(T);  // elements packed ahead
    // Steps of the sum between two updates of C. Rounding depends on it, so no cache does.
    static constexpr int64_t KC = DL_GEMM_KC_BYTES / sizeof(T);
};

// A micro-kernel: c[rows, vectors] = alpha * a @ b (+ c when add), see gemm_core.h.
template <class T>
using GemmMicro = void (*)(int64_t kc, const T* a, const T* b, int64_t ldb, T* c, int64_t ldc,
                           const T* alpha, bool add);

// Multiply-adds that one thread does sooner than it could share them: about 10 microseconds.
constexpr int64_t kGemmAlone = int64_t(1) << 20;

DL_INLINE int64_t gemm_min(int64_t a, int64_t b) { return a < b ? a : b; }
DL_INLINE int64_t gemm_max(int64_t a, int64_t b) { return a > b ? a : b; }
DL_INLINE int64_t gemm_div_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
DL_INLINE int64_t gemm_round_up(int64_t a, int64_t b) { return gemm_div_up(a, b) * b; }

// Steps of the sum between two updates of C: k cut evenly into blocks of at most KC.
template <class T>
DL_INLINE int64_t gemm_kc(int64_t k) {
    const int64_t blocks = gemm_div_up(k, GemmTile<T>::KC);
    return blocks > 1 ? gemm_round_up(gemm_div_up(k, blocks), 4) : gemm_max(k, 1);
}

// Rows of A (columns of B), kc steps long, that half of L2 holds: at most `limit`, a multiple of
// `unit`. Speed alone depends on it.
template <class T>
DL_INLINE int64_t gemm_resident(int64_t limit, int64_t unit, int64_t kc) {
    const int64_t fit = dl_cache_bytes(2) / 2 / (kc * int64_t(sizeof(T))) / unit * unit;
    return gemm_max(2 * unit, gemm_min(limit, fit));
}

}  // namespace
