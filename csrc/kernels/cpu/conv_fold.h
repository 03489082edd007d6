// The gradient of the input where windows do not overlap (patches of a vision transformer, a stem of
// stride 4 with 4x4 windows, upsampling by a transposed convolution): every position of y has pixels of
// its own, so one matrix product, [positions][channel, tap] = dy^T @ w with the weights as they lie,
// gives them all, and rows of a window are copied to where they belong in x.
#pragma once
#include "kernels/cpu/conv_cost.h"
#include "kernels/cpu/conv_sliding.h"
#include "kernels/cpu/gemm_core.h"

namespace {

bool fold_applies(const dl_conv& p) {
    for (int d = 0; d < 3; ++d)
        if (p.pad_lo[d] != 0 || p.kernel[d] > p.stride[d] ||
            (p.dilation[d] != 1 && p.kernel[d] != 1) ||
            (p.out[d] - 1) * p.stride[d] + p.kernel[d] > p.in[d])
            return false;
    return !p.bias && p.n > 0 && p.c > 0 && p.k > 0 && conv_volume(p.out) > 0 &&
           conv_volume(p.kernel) > 0;
}

// Copies `count` runs of `length` elements; a constant length makes each a single move.
template <class T, int L>
DL_INLINE void fold_runs(T* to, int64_t to_step, const T* from, int64_t from_step, int64_t count,
                         int64_t length) {
    for (int64_t i = 0; i < count; ++i, to += to_step, from += from_step)
        if constexpr (L > 0)
            memcpy(to, from, L * sizeof(T));
        else
            for (int64_t l = 0; l < length; ++l) to[l] = from[l];
}

template <class T>
struct Fold {
    static constexpr int N = Vec<T>::N, MR = GemmTile<T>::MR, NR = GemmTile<T>::NR;
    const dl_conv& p;
    int64_t channels, filters;      // of a group
    int64_t columns, width, tiles;  // channels * taps; filled up to vectors; in tiles
    int64_t kc;                     // filters of a block of the sum
    int64_t positions, piece;       // of an image; at a time
    int64_t runs;                   // rows of windows: channels * depth * height
    T* weights;                     // [group][block][tile][filter][NR]

    explicit Fold(const dl_conv& conv)
        : p(conv),
          channels(p.c / p.groups),
          filters(p.k / p.groups),
          columns(channels * conv_volume(p.kernel)),
          width(gemm_round_up(columns, N)),
          tiles(gemm_div_up(columns, NR)),
          kc(gemm_kc<T>(filters)),
          positions(conv_volume(p.out)),
          runs(channels * p.kernel[0] * p.kernel[1]),
          weights(nullptr) {
        // The product of a piece and its rows of dy stay in L2. Speed alone depends on it.
        const int64_t fit = dl_cache_bytes(2) / 4 / ((width + kc) * int64_t(sizeof(T)));
        const int64_t share = gemm_div_up(p.n * p.groups * positions, 4 * dl_num_threads());
        piece = gemm_max(1, gemm_min(gemm_min(fit, share), positions) / MR) * MR;
    }

    int64_t group_size() const { return tiles * NR * filters; }

    bool pack_weights() {
        weights = static_cast<T*>(dl_scratch(size_t(p.groups * group_size()) * sizeof(T), 0));
        if (!weights) return false;
        parallel_for(p.groups * tiles, gemm_max(1, 32768 / (filters * NR)),
                     [&](int64_t begin, int64_t end) {
                         for (int64_t i = begin; i < end; ++i) pack_tile(i / tiles, i % tiles);
                     });
        return true;
    }

    // Scratch of a task: a piece of dy, slivers of MR positions; the product; where runs begin in x.
    struct Memory {
        T *a, *c;
        int64_t* place;
    };
    bool allocate(Memory* m) const {
        const int64_t a = gemm_round_up(piece * kc + N, 16), c = piece * width;
        m->a = static_cast<T*>(dl_scratch(
            size_t(a + gemm_round_up(c, 16)) * sizeof(T) + size_t(runs) * sizeof(int64_t), 1));
        if (!m->a) return false;
        m->c = m->a + a;
        m->place = reinterpret_cast<int64_t*>(m->c + gemm_round_up(c, 16));
        for (int64_t r = 0; r < runs; ++r) {
            const int64_t r1 = r % p.kernel[1], r0 = r / p.kernel[1] % p.kernel[0];
            const int64_t channel = r / p.kernel[1] / p.kernel[0];
            m->place[r] = ((channel * p.in[0] + r0) * p.in[1] + r1) * p.in[2];
        }
        return true;
    }

    // Positions [j, j + count) of image n, group g.
    void run(int64_t n, int64_t g, int64_t j, int64_t count, const Memory& m) const {
        const T one = T(1);
        for (int64_t k0 = 0; k0 < filters; k0 += kc) {
            const int64_t kn = gemm_min(kc, filters - k0);
            pack_gradients(n, g, j, count, k0, kn, m.a);
            const T* b = weights + g * group_size() + k0 * tiles * NR;
            for (int64_t t = 0; t < tiles; ++t, b += kn * NR) {
                const bool narrow = width - t * NR <= N;
                for (int64_t i = 0; i < count; i += MR) {
                    const int64_t pairs = (gemm_min(MR, count - i) + 1) / 2;
                    const auto micro = gemm_micros<T>(narrow)[pairs];
                    micro(kn, m.a + i * kn, b, NR, m.c + i * width + t * NR, width, &one, k0 > 0);
                }
            }
        }
        T* x = static_cast<T*>(p.x) + (n * p.c + g * channels) * conv_volume(p.in);
        for (int64_t at = j, len; at < j + count; at += len) {
            const int64_t o2 = at % p.out[2], o1 = at / p.out[2] % p.out[1];
            const int64_t o0 = at / p.out[2] / p.out[1];
            len = gemm_min(p.out[2] - o2, j + count - at);
            copy_row(
                m, at - j, len,
                x + (o0 * p.stride[0] * p.in[1] + o1 * p.stride[1]) * p.in[2] + o2 * p.stride[2]);
        }
    }

 private:
    void pack_tile(int64_t g, int64_t t) const {
        const T* w = static_cast<const T*>(p.w) + g * filters * columns + t * NR;
        for (int64_t k0 = 0; k0 < filters; k0 += kc) {
            const int64_t kn = gemm_min(kc, filters - k0);
            pack_sliver<T, NR>(weights + g * group_size() + (k0 * tiles + t * kn) * NR,
                               w + k0 * columns, gemm_min(NR, columns - t * NR), 1, kn, columns);
        }
    }

    // Slivers of MR positions; what a sliver's last vector writes too much is written again later.
    void pack_gradients(int64_t n, int64_t g, int64_t j, int64_t count, int64_t k0, int64_t kn,
                        T* to) const {
        const T* from = static_cast<const T*>(p.y) + (n * p.k + g * filters + k0) * positions + j;
        for (int64_t i = 0; i < count; i += MR, from += MR, to += kn * MR) {
            const int64_t wn = gemm_min(MR, count - i);
            const T* row = from;
            for (int64_t k = 0; k < kn; ++k, row += positions)
                for (int64_t l = 0; l < MR; l += N)
                    vstore(to + k * MR + l, vload_n(row + l, gemm_max(0, gemm_min(N, wn - l))));
        }
    }

    // `len` positions of a row, the first of which is number `at` of the piece and has its window at x.
    void copy_row(const Memory& m, int64_t at, int64_t len, T* x) const {
        const int64_t length = p.kernel[2], step = p.stride[2];
        const T* from = m.c + at * width;
        for (int64_t r = 0; r < runs; ++r, from += length) {
            T* to = x + m.place[r];
            switch (length) {
                case 2:
                    fold_runs<T, 2>(to, step, from, width, len, length);
                    break;
                case 4:
                    fold_runs<T, 4>(to, step, from, width, len, length);
                    break;
                case 8:
                    fold_runs<T, 8>(to, step, from, width, len, length);
                    break;
                case 16:
                    fold_runs<T, 16>(to, step, from, width, len, length);
                    break;
                default:
                    fold_runs<T, 0>(to, step, from, width, len, length);
            }
        }
    }
};

template <class T>
dl_status fold_backward_input(const dl_conv& p) {
    Fold<T> fold(p);
    if (!fold.pack_weights()) return DL_OUT_OF_MEMORY;
    bool covered = true;
    for (int d = 0; d < 3; ++d)
        covered = covered && p.kernel[d] == p.stride[d] && p.out[d] * p.stride[d] == p.in[d];
    T* x = static_cast<T*>(p.x);
    if (!covered)
        parallel_for(p.n * p.c * conv_volume(p.in), 1 << 16, [&](int64_t begin, int64_t end) {
            memset(x + begin, 0, size_t(end - begin) * sizeof(T));
        });
    const int64_t pieces = gemm_div_up(fold.positions, fold.piece);
    const int64_t work = gemm_min(fold.piece, fold.positions) * fold.columns * fold.filters;
    int failed = 0;
    parallel_for(p.n * p.groups * pieces, gemm_max(1, (int64_t(1) << 17) / work),
                 [&](int64_t begin, int64_t end) {
                     typename Fold<T>::Memory memory;
                     if (!fold.allocate(&memory))
                         return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
                     for (int64_t i = begin; i < end; ++i) {
                         const int64_t j = i % pieces * fold.piece, all = i / pieces;
                         fold.run(all / p.groups, all % p.groups, j,
                                  gemm_min(fold.piece, fold.positions - j), memory);
                     }
                 });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

double fold_seconds(const dl_conv& p) {
    const double lanes = DL_VEC_BYTES / conv_element(p), ports = DL_VEC_BYTES > 16 ? 2 : 1;
    const double positions = double(p.n) * double(conv_volume(p.out));
    const double filters = double(p.k / p.groups), channels = double(p.c / p.groups);
    const double columns = channels * double(conv_volume(p.kernel));
    const double runs = channels * double(p.kernel[0] * p.kernel[1]);
    double cycles = positions * __builtin_ceil(columns / lanes) * (filters / ports * 1.15 + 2);
    cycles += positions * runs * (3 + double(p.kernel[2]) / lanes);
    cycles += positions * filters * 0.4 + columns * filters * 0.3;
    if (is_pointwise(p)) cycles *= 1.06;  // nothing is folded, and one image makes few tasks
    return double(p.groups) * cycles * kConvCycle + 10e-6 + conv_traffic(p) / 4;
}

}  // namespace
