// Packing: operands copied into slivers, in the order in which the micro-kernel reads them.
#pragma once
#include "kernels/cpu/gemm_tile.h"

namespace {

// dst[w + k * W] = src[k + w * ws] for a 4 x 4 block, in registers.
template <class T, int W>
DL_INLINE void transpose4(T* dst, const T* src, int64_t ws) {
    typedef T v4 __attribute__((vector_size(4 * sizeof(T))));
    v4 r[4];
    for (int i = 0; i < 4; ++i) memcpy(&r[i], src + i * ws, sizeof(v4));
    const v4 a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
    const v4 b = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
    const v4 c = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
    const v4 d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    r[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
    r[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
    r[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
    r[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
    for (int i = 0; i < 4; ++i) memcpy(dst + i * W, &r[i], sizeof(v4));
}

// The lower (upper) halves of a and b, lane by lane in turns: a0 b0 a1 b1 ...
template <class V, bool kUpper>
DL_INLINE V interleave(V a, V b) {
    constexpr int N = int(sizeof(V) / sizeof(a[0])), H = kUpper ? N / 2 : 0;
    if constexpr (N == 2)
        return __builtin_shufflevector(a, b, H, H + 2);
    else if constexpr (N == 4)
        return __builtin_shufflevector(a, b, H, H + 4, H + 1, H + 5);
    else if constexpr (N == 8)
        return __builtin_shufflevector(a, b, H, H + 8, H + 1, H + 9, H + 2, H + 10, H + 3, H + 11);
    else
        return __builtin_shufflevector(a, b, H, H + 16, H + 1, H + 17, H + 2, H + 18, H + 3, H + 19,
                                       H + 4, H + 20, H + 5, H + 21, H + 6, H + 22, H + 7, H + 23);
}

// Transposes N vectors of N lanes: log2(N) perfect shuffles.
template <class V>
DL_INLINE void transpose_lanes(V* r) {
    constexpr int N = int(sizeof(V) / sizeof(r[0][0]));
#pragma GCC unroll 4
    for (int step = 1; step < N; step *= 2) {
        V t[N];
#pragma GCC unroll 8
        for (int i = 0; i < N / 2; ++i) {
            t[2 * i] = interleave<V, false>(r[i], r[i + N / 2]);
            t[2 * i + 1] = interleave<V, true>(r[i], r[i + N / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < N; ++i) r[i] = t[i];
    }
}

// dst[k * W + w] = row w's element k for `rows` <= kRoom rows, `bytes` apart; zeros up to w = kRoom.
// Writes whole vectors: lanes from kRoom on land in the next step's first ones, for the caller to
// write later; only the last step's stay within kRoom.
template <class T, int W, int kRoom>
DL_INLINE void pack_lanes(T* dst, const char* src, int64_t rows, int64_t kc, int64_t bytes) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    const bool full = rows >= kRoom;
    for (int64_t k = 0; k < kc; k += N, src += N * sizeof(T)) {
        const int64_t kn = gemm_min(N, kc - k);
        vec r[N];
#pragma GCC unroll 16
        for (int i = 0; i < N; ++i) {
            const T* row = reinterpret_cast<const T*>(src + i * bytes);
            if (full && kn == N)
                __builtin_prefetch(row + 4 * N), r[i] = i < kRoom ? vload(row) : vec{};
            else
                r[i] = i < gemm_min(rows, kRoom) ? vload_n(row, kn) : vec{};
        }
        transpose_lanes(r);
        if (kn == N && (kRoom == N || k + N < kc)) {
#pragma GCC unroll 16
            for (int s = 0; s < N; ++s) vstore(dst + (k + s) * W, r[s]);
        } else {
            T lanes[N * N];
            memcpy(lanes, r, sizeof lanes);
            for (int64_t s = 0; s < kn; ++s)
                memcpy(dst + (k + s) * W, lanes + s * N, kRoom * sizeof(T));
        }
    }
}

// A sliver from wn rows whose elements follow each other; the rows lie `bytes` apart.
template <class T, int W>
void pack_rows(T* dst, const void* src, int64_t wn, int64_t kc, int64_t bytes) {
    constexpr int N = Vec<T>::N, kRest = W % N;
    static_assert(kRest == 0 || N - kRest <= W, "what is written too much stays within a step");
    const char* from = static_cast<const char*>(src);
    // The last group first: what it writes beyond a step's end is written again by the others.
    int64_t w = W - kRest;
    if constexpr (kRest != 0) pack_lanes<T, W, kRest>(dst + w, from + w * bytes, wn - w, kc, bytes);
    for (w -= N; w >= 0; w -= N) pack_lanes<T, W, N>(dst + w, from + w * bytes, wn - w, kc, bytes);
}

// The same by blocks of four, where vectors have few lanes: rows below 4 one by one.
template <class T, int W>
DL_INLINE void pack_fours(T* dst, const T* src, int64_t wn, int64_t ws, int64_t kc) {
    for (int64_t w = 0; w < wn; w += 4) {
        w = gemm_min(w, wn - 4);  // the last group may overlap the one before
        int64_t k = 0;
        for (; k + 4 <= kc; k += 4) transpose4<T, W>(dst + k * W + w, src + w * ws + k, ws);
        for (; k < kc; ++k)
            for (int64_t i = w; i < w + 4; ++i) dst[k * W + i] = src[i * ws + k];
    }
}

// One sliver: dst[k * W + w] = src[w * ws + k * ks] for w < wn, 0 for the rest up to W.
template <class T, int W>
void pack_sliver(T* dst, const T* src, int64_t wn, int64_t ws, int64_t kc, int64_t ks) {
    if (wn == W && ws == 1) {
        for (int64_t k = 0; k < kc; ++k) memcpy(dst + k * W, src + k * ks, W * sizeof(T));
        return;
    }
    if (ws == 1) {
        for (int64_t k = 0; k < kc; ++k) {
            for (int64_t w = 0; w < wn; ++w) dst[k * W + w] = src[k * ks + w];
            for (int64_t w = wn; w < W; ++w) dst[k * W + w] = T(0);
        }
        return;
    }
    int64_t w = 0;
#if DL_VEC_BYTES == 64  // in narrower vectors fours are faster
    if (ks == 1 && kc >= 4) return pack_rows<T, W>(dst, src, wn, kc, ws * int64_t(sizeof(T)));
#endif
    if (ks == 1 && wn >= 4) pack_fours<T, W>(dst, src, wn, ws, kc), w = wn;
    for (int64_t k = 0; k < kc; ++k) {
        for (int64_t i = w; i < wn; ++i) dst[k * W + i] = src[i * ws + k * ks];
        for (int64_t i = wn; i < W; ++i) dst[k * W + i] = T(0);
    }
}

// Four slivers at once from rows that lie `ks` apart: each row is read in a piece four times as long, and
// the rows to come are asked for, since no hardware looks across the end of a piece.
template <class T, int W>
void pack_side_by_side(T* dst, const T* src, int64_t kc, int64_t ks) {
    constexpr int64_t kLine = 64 / sizeof(T), kAhead = 8;
    for (int64_t k = 0; k < kc; ++k, src += ks, dst += W) {
#pragma GCC unroll 16
        for (int64_t i = 0; i < 4 * W; i += kLine) __builtin_prefetch(src + kAhead * ks + i);
#pragma GCC unroll 4
        for (int s = 0; s < 4; ++s) memcpy(dst + s * W * kc, src + s * W, W * sizeof(T));
    }
}

// Packs a strided matrix in slivers of W. ws: stride along rows of A (columns of B), ks: along the
// sum.
template <class T, int W>
struct PackStrided {
    static constexpr bool prepacked = false;
    const T* src;
    int64_t ws, ks;
    const T* operator()(T* buf, int64_t w0, int64_t wn, int64_t k0, int64_t kc) const {
        const T* from = src + w0 * ws + k0 * ks;
        int64_t w = 0;
        if (ws == 1)
            for (; w + 4 * W <= wn; w += 4 * W)
                pack_side_by_side<T, W>(buf + w * kc, from + w, kc, ks);
        for (; w < wn; w += W)
            pack_sliver<T, W>(buf + w * kc, from + w * ws, gemm_min(wn - w, W), ws, kc, ks);
        return buf;
    }
};
template <class T>
using PackStridedA = PackStrided<T, GemmTile<T>::MR>;
template <class T>
using PackStridedB = PackStrided<T, GemmTile<T>::NR>;

// An operand that pack_all laid out: the blocks of k one after another, in each all slivers.
template <class T, int W>
struct Prepacked {
    static constexpr bool prepacked = true;
    const T* data;
    int64_t w_begin, w_padded;  // the range of rows (columns) it holds; w_padded a multiple of W
    const T* operator()(T*, int64_t w0, int64_t, int64_t k0, int64_t kc) const {
        return data + k0 * w_padded + (w0 - w_begin) * kc;
    }
};
template <int W>
DL_INLINE int64_t packed_size(int64_t wn, int64_t k) {
    return gemm_round_up(wn, W) * k;
}

// Packs rows (columns) [w0, w0 + wn) over the whole sum, kc steps at a time, into data (packed_size
// elements, 64-byte aligned). w0 must be a multiple of W.
template <class T, int W, class P>
Prepacked<T, W> pack_all(T* data, const P& pack, int64_t w0, int64_t wn, int64_t k, int threads,
                         int64_t kc) {
    const Prepacked<T, W> out{data, w0, gemm_round_up(wn, W)};
    const int64_t blocks = gemm_div_up(k, kc), slivers = out.w_padded / W;
    auto body = [&](int64_t begin, int64_t end) {
        for (int64_t s = begin; s < end; ++s) {
            const int64_t k0 = s / slivers * kc, kn = gemm_min(kc, k - k0), w = s % slivers * W;
            pack(data + k0 * out.w_padded + w * kn, w0 + w, gemm_min(W, wn - w), k0, kn);
        }
    };
    if (threads > 1)
        parallel_for(blocks * slivers, gemm_max(1, 32768 / (kc * W)), body);
    else
        body(0, blocks * slivers);
    return out;
}
template <class T, int W, class P>
Prepacked<T, W> pack_all(T* data, const P& pack, int64_t w0, int64_t wn, int64_t k, int threads) {
    return pack_all<T, W>(data, pack, w0, wn, k, threads, gemm_kc<T>(k));
}

}  // namespace
