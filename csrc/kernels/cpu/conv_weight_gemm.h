// The gradient of the weights as a matrix product: dw[k, (tap, c)] = dy[k, j] @ patches[(tap, c),
// j]^T, summed over all positions j of all images.
#pragma once
#include "kernels/cpu/conv_sliding.h"

namespace {

// Rows of dy [N, K, out...]: row k, step j = (image, position).
template <class T>
struct PackGradient {
    static constexpr bool prepacked = false;
    const T* dy;  // of the group
    int64_t plane, image;
    const T* operator()(T* buf, int64_t w0, int64_t wn, int64_t k0, int64_t kc) const {
        constexpr int MR = GemmTile<T>::MR;
        for (int64_t i = 0; i < wn; i += MR)
            for (int64_t k = k0; k < k0 + kc;) {
                const int64_t n = k / plane, at = k % plane;
                const int64_t count = gemm_min(plane - at, k0 + kc - k);
                pack_sliver<T, MR>(buf + i * kc + (k - k0) * MR,
                                   dy + n * image + (w0 + i) * plane + at, gemm_min(MR, wn - i),
                                   plane, count, 1);
                k += count;
            }
        return buf;
    }
};

// Columns of patches, ordered tap by tap, in each channel by channel; step j as above.
template <class T>
struct PackPatches {
    static constexpr bool prepacked = false;
    const Sliding<T>& s;
    int64_t group;
    int* failed;
    const T* operator()(T* buf, int64_t w0, int64_t wn, int64_t k0, int64_t kc) const {
        constexpr int NR = GemmTile<T>::NR;
        // Scratch: the rows and copies of kc positions, and a sliver of patches [NR, ld] that is
        // then transposed into buf.
        const int64_t ld = gemm_round_up(kc, Vec<T>::N) + Vec<T>::N,
                      first = group * s.channels * s.src_plane;
        const size_t lists =
            gemm_round_up(size_t(kc) * (sizeof(RowRun) + 3 * sizeof(CopyRun)) + 64, 64);
        char* memory = static_cast<char*>(dl_scratch(lists + size_t(NR * ld) * sizeof(T), 3));
        if (!memory) {
            __atomic_store_n(failed, 1, __ATOMIC_RELAXED);
            memset(buf, 0, size_t(gemm_round_up(wn, NR) * kc) * sizeof(T));
            return buf;
        }
        T* patches = reinterpret_cast<T*>(memory + lists);
        RowRun* rows = reinterpret_cast<RowRun*>(memory);
        CopyRun* copies = reinterpret_cast<CopyRun*>(rows + kc);
        const int64_t nrows = cut_rows(s, k0, kc, rows);
        int64_t listed = -1, ncopies = 0;
        for (int64_t w = 0; w < wn; w += NR) {
            const int64_t count = gemm_min(NR, wn - w);
            for (int64_t i = 0; i < count;) {
                const int64_t tap = (w0 + w + i) / s.channels, c = (w0 + w + i) % s.channels;
                const int64_t cn = gemm_min(s.channels - c, count - i);
                if (tap != listed) ncopies = list_copies(s, s.taps[tap], rows, nrows, copies);
                listed = tap;
                copy_patches(s, s.src + first, s.n * s.src_image - first, copies, ncopies, c,
                             c + cn, patches + i * ld, ld);
                i += cn;
            }
            pack_sliver<T, NR>(buf + w * kc, patches, count, ld, kc, 1);
        }
        return buf;
    }
};

// dw of a group, [rows][tap][channel], to the order of the weights, [rows][channel][tap].
template <class T>
bool reorder_weights(T* dw, int64_t rows, int64_t channels, int64_t taps) {
    const int64_t length = channels * taps;
    if (taps == 1 || channels == 1) return true;
    int failed = 0;
    parallel_for(rows, gemm_max(1, 16384 / length), [&](int64_t begin, int64_t end) {
        T* row = static_cast<T*>(dl_scratch(size_t(length) * sizeof(T), 3));
        if (!row) {
            __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            return;
        }
        for (int64_t r = begin; r < end; ++r) {
            memcpy(row, dw + r * length, size_t(length) * sizeof(T));
            for (int64_t c = 0; c < channels; ++c)
                for (int64_t t = 0; t < taps; ++t)
                    dw[r * length + c * taps + t] = row[t * channels + c];
        }
    });
    return !failed;
}

// s describes the forward product of p (src = x); only its geometry and src are used.
template <class T>
dl_status weight_gemm(const dl_conv& p, const Sliding<T>& s) {
    const int64_t length = s.channels * s.ntaps, plane = s.positions(), steps = s.columns();
    T* dw = static_cast<T*>(p.w);
    if (s.rows == 0 || length == 0) return DL_OK;
    if (steps == 0) {
        memset(dw, 0, size_t(p.k * length) * sizeof(T));
        return DL_OK;
    }
    int failed = 0;
    auto one_group = [&](int64_t g, int threads) {
        const PackGradient<T> a{static_cast<const T*>(p.y) + g * s.rows * plane, plane,
                                p.k * plane};
        const PackPatches<T> b{s, g, &failed};
        const GemmOut<T> out{dw + g * s.rows * length, length, 1};
        if (!gemm_packed<T>(s.rows, length, steps, a, b, out, threads) ||
            !reorder_weights(out.c, s.rows, s.channels, s.ntaps))
            __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    };
    const int threads = dl_num_threads();
    if (s.groups < threads)
        for (int64_t g = 0; g < s.groups; ++g) one_group(g, threads);
    else
        parallel_for(s.groups, gemm_max(1, 65536 / gemm_max(1, s.rows * length * steps)),
                     [&](int64_t begin, int64_t end) {
                         for (int64_t g = begin; g < end; ++g) one_group(g, 1);
                     });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

}  // namespace
