// The gradient of the weights as a matrix product: dw[k, (tap, c)] = dy[k, j] @ patches[(tap, c),
// j]^T, summed over all positions j of all images.
#pragma once
#include "kernels/cpu/conv_im2col.h"
#include "kernels/cpu/conv_sliding.h"

namespace {

// Channels of a tensor [N, channels, positions] as rows (W = MR) or columns (W = NR) of a product
// over all positions of all images.
template <class T, int W>
struct PackChannels {
    static constexpr bool prepacked = false;
    const T* from;  // the first channel
    int64_t plane, image;
    const T* operator()(T* buf, int64_t w0, int64_t wn, int64_t k0, int64_t kc) const {
        for (int64_t i = 0; i < wn; i += W)
            for (int64_t k = k0; k < k0 + kc;) {
                const int64_t n = k / plane, at = k % plane;
                const int64_t count = gemm_min(plane - at, k0 + kc - k);
                pack_sliver<T, W>(buf + i * kc + (k - k0) * W,
                                  from + n * image + (w0 + i) * plane + at, gemm_min(W, wn - i),
                                  plane, count, 1);
                k += count;
            }
        return buf;
    }
};

// dst[k * ds + w] = src[w * ss + k] for w < wn, k < kn.
template <class T>
void transpose_to(T* dst, int64_t ds, const T* src, int64_t ss, int64_t wn, int64_t kn) {
    typedef T v4 __attribute__((vector_size(4 * sizeof(T))));
    int64_t w = 0;
    for (; w + 4 <= wn; w += 4) {
        int64_t k = 0;
        for (; k + 4 <= kn; k += 4) {
            v4 r[4];
            for (int i = 0; i < 4; ++i) memcpy(&r[i], src + (w + i) * ss + k, sizeof(v4));
            const v4 a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
            const v4 b = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
            const v4 c = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
            const v4 d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
            r[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
            r[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
            r[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
            r[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
            for (int i = 0; i < 4; ++i) memcpy(dst + (k + i) * ds + w, &r[i], sizeof(v4));
        }
        for (; k < kn; ++k)
            for (int64_t i = w; i < w + 4; ++i) dst[k * ds + i] = src[i * ss + k];
    }
    for (; w < wn; ++w)
        for (int64_t k = 0; k < kn; ++k) dst[k * ds + w] = src[w * ss + k];
}

// The input rows that some output positions see, channels last and with their padding, so that the
// patch of a position is made of runs of channels: [row][column][channel of the group].
template <class T>
struct ChannelsLast {
    const Sliding<T>& s;
    int64_t size[3];  // of the padded input
    int64_t lo[3];    // padding before

    explicit ChannelsLast(const Sliding<T>& sliding) : s(sliding) {
        const ConvTap &first = s.taps[0], &last = s.taps[s.ntaps - 1];
        for (int d = 0; d < 3; ++d) {
            lo[d] = -first.off[d];
            size[d] = (s.grid[d] - 1) * s.mul[d] + last.off[d] - first.off[d] + 1;
        }
    }
    // Number of the padded row that output position j reads under the first tap.
    int64_t row_of(int64_t j) const {
        const int64_t o1 = j / s.grid[2] % s.grid[1], o0 = j / s.grid[2] / s.grid[1] % s.grid[0];
        return (j / s.positions() * size[0] + o0 * s.mul[0]) * size[1] + o1 * s.mul[1];
    }
    int64_t offset(const ConvTap& t) const {  // of a tap from the first one, in columns
        return ((t.off[0] + lo[0]) * size[1] + t.off[1] + lo[1]) * size[2] + t.off[2] + lo[2];
    }
    // A row's channels [channel, channel + cn), the first of which is counted from x's first.
    void fill(int64_t channel, int64_t cn, int64_t row, T* to) const {
        const int64_t i1 = row % size[1] - lo[1], i0 = row / size[1] % size[0] - lo[0];
        const int64_t n = row / size[1] / size[0];
        // Columns [begin, end) of the padded row lie inside of x.
        const int64_t begin = gemm_min(size[2], gemm_max(0, lo[2]));
        const int64_t end = gemm_max(begin, gemm_min(size[2], s.in[2] + lo[2]));
        if (i0 < 0 || i0 >= s.in[0] || i1 < 0 || i1 >= s.in[1]) {
            memset(to, 0, size_t(size[2] * cn) * sizeof(T));
            return;
        }
        memset(to, 0, size_t(begin * cn) * sizeof(T));
        memset(to + end * cn, 0, size_t((size[2] - end) * cn) * sizeof(T));
        const T* from = s.src + n * s.src_image + channel * s.src_plane +
                        (i0 * s.in[1] + i1) * s.in[2] + begin - lo[2];
        transpose_to(to + begin * cn, cn, from, s.src_plane, cn, end - begin);
    }
};

// Columns of patches, ordered tap by tap, in each channel by channel; step j as above.
template <class T>
struct PackPatches {
    static constexpr bool prepacked = false;
    const Sliding<T>& s;
    const ChannelsLast<T>& input;
    int64_t group;
    int* failed;

    // Columns w... of a sliver as runs of memory: `at` from a position's place, `len` elements. Of
    // each position cn channels are there, from c0 on.
    int64_t list_runs(int64_t w, int64_t count, int64_t c0, int64_t cn, CopyRun* runs) const {
        int64_t nruns = 0;
        while (count > 0) {
            const int64_t tap = w / s.channels, c = w % s.channels;
            const int64_t len = gemm_min(s.channels - c, count);
            const int64_t at = input.offset(s.taps[tap]) * cn + c - c0;
            if (nruns > 0 && runs[nruns - 1].at + runs[nruns - 1].len == at)
                runs[nruns - 1].len += len;  // neighbours in a kernel's row, without dilation
            else
                runs[nruns++] = {at, len};
            w += len, count -= len;
        }
        return nruns;
    }

    const T* operator()(T* buf, int64_t w0, int64_t wn, int64_t k0, int64_t kc) const {
        constexpr int NR = GemmTile<T>::NR, N = Vec<T>::N;
        // Few columns need few channels, unless they go round to the next tap.
        const bool part = w0 % s.channels + wn <= s.channels;
        const int64_t c0 = part ? w0 % s.channels : 0, cn = part ? wn : s.channels;
        // The rows under the last step reach on to those of the last tap.
        const ConvTap &first = s.taps[0], &last = s.taps[s.ntaps - 1];
        const int64_t row0 = input.row_of(k0);
        const int64_t rows = input.row_of(k0 + kc - 1) - row0 + 1 +
                             (last.off[0] - first.off[0]) * input.size[1] + last.off[1] -
                             first.off[1];
        const int64_t row_length = input.size[2] * cn;
        const size_t places = size_t(gemm_round_up(kc, 8)) * sizeof(int64_t);
        char* memory = static_cast<char*>(
            dl_scratch(places + size_t(rows * row_length + 2 * NR) * sizeof(T), 3));
        if (!memory) {
            __atomic_store_n(failed, 1, __ATOMIC_RELAXED);
            memset(buf, 0, size_t(gemm_round_up(wn, NR) * kc) * sizeof(T));
            return buf;
        }
        int64_t* place = reinterpret_cast<int64_t*>(memory);
        T* x = reinterpret_cast<T*>(memory + places);
        for (int64_t r = 0; r < rows; ++r)
            input.fill(group * s.channels + c0, cn, row0 + r, x + r * row_length);
        for (int64_t j = 0; j < kc;) {
            const int64_t o2 = (k0 + j) % s.grid[2], len = gemm_min(kc - j, s.grid[2] - o2);
            const int64_t from = (input.row_of(k0 + j) - row0) * row_length + o2 * s.mul[2] * cn;
            for (int64_t l = 0; l < len; ++l) place[j++] = from + l * s.mul[2] * cn;
        }
        for (int64_t w = 0; w < wn; w += NR) {
            CopyRun runs[NR];
            const int64_t count = gemm_min(NR, wn - w),
                          nruns = list_runs(w0 + w, count, c0, cn, runs);
            T* to = buf + w * kc;
            for (int64_t j = 0; j < kc; ++j, to += NR) {
                // A run's last vector reaches over its end, the last run's into the next row, which
                // is written later; only after the last row nothing may be written.
                T last_row[2 * NR];
                T* row = j + 1 == kc && w + NR >= wn ? last_row : to;
                int64_t at = 0;
                for (int64_t i = 0; i < nruns; at += runs[i++].len)
                    for (int64_t l = 0; l < runs[i].len; l += N)
                        vstore(row + at + l, vload(x + place[j] + runs[i].at + l));
                for (; at < NR; at += N) vstore(row + at, typename Vec<T>::type{});
                if (row != to) memcpy(to, row, NR * sizeof(T));
            }
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
    const ChannelsLast<T> input(s);
    bool pointwise = s.ntaps == 1;
    for (int d = 0; d < 3; ++d)
        pointwise = pointwise && s.mul[d] == 1 && s.taps[0].off[d] == 0 && s.in[d] == s.grid[d];
    int failed = 0;
    auto one_group = [&](int64_t g, int threads) {
        const PackChannels<T, GemmTile<T>::MR> a{static_cast<const T*>(p.y) + g * s.rows * plane,
                                                 plane, p.k * plane};
        const PackPatches<T> patches{s, input, g, &failed};
        const PackChannels<T, GemmTile<T>::NR> pixels{s.src + g * s.channels * s.src_plane, plane,
                                                      s.src_image};
        const GemmOut<T> out{dw + g * s.rows * length, length, 1};
        const bool done = pointwise
                              ? gemm_packed<T>(s.rows, length, steps, a, pixels, out, threads)
                              : gemm_packed<T>(s.rows, length, steps, a, patches, out, threads);
        if (!done || !reorder_weights(out.c, s.rows, s.channels, s.ntaps))
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
