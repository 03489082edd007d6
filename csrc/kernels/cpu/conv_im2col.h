// Implicit im2col: what a block of columns of the grid sees under every tap, packed for the
// micro-kernel. The steps of the sum go channel by channel, in each tap by tap.
//
// What has to be copied is listed once for a block, as vectors; the list then serves all channels.
// A channel's part of the block is read in one go: where its columns follow each other in memory,
// in a stretch as long as the hardware's prefetching needs.
#pragma once
#include "kernels/cpu/conv_sliding.h"
#include "kernels/cpu/lanes.h"

namespace {

// Grid positions [o2, o2 + len) of one row of one image.
struct RowRun {
    int64_t n, o[3], len;
};

// Cuts columns [j, j + count) of the grids of all images into rows; returns their number.
template <class T>
int64_t cut_rows(const Sliding<T>& s, int64_t j, int64_t count, RowRun* runs) {
    RowRun r;
    r.o[2] = j % s.grid[2], j /= s.grid[2];
    r.o[1] = j % s.grid[1], j /= s.grid[1];
    r.o[0] = j % s.grid[0], r.n = j / s.grid[0];
    int64_t at = 0;
    while (count > 0) {
        r.len = gemm_min(count, s.grid[2] - r.o[2]);
        runs[at++] = r;
        count -= r.len;
        r.o[2] = 0;
        if (++r.o[1] == s.grid[1]) {
            r.o[1] = 0;
            if (++r.o[0] == s.grid[0]) r.o[0] = 0, ++r.n;
        }
    }
    return at;
}

// `len` elements from src + at (+ channel * plane), `mul` apart; at < 0: zeros.
struct CopyRun {
    int64_t at, len;
};

// What lies under a tap for these rows. At most 3 runs per row, plus one.
template <class T>
int64_t list_copies(const Sliding<T>& s, const ConvTap& t, const RowRun* rows, int64_t nrows,
                    CopyRun* out) {
    int64_t count = 0;
    auto add = [&](int64_t at, int64_t len) {
        if (len <= 0) return;
        if (count > 0) {  // rows that continue each other become one copy
            CopyRun& last = out[count - 1];
            const bool zeros = at < 0 && last.at < 0;
            const bool joined = at >= 0 && last.at >= 0 && last.at + last.len * s.mul[2] == at;
            if (zeros || joined) {
                last.len += len;
                return;
            }
        }
        out[count++] = {at, len};
    };
    for (int64_t i = 0; i < nrows; ++i) {
        const RowRun& r = rows[i];
        if (r.o[0] < t.lo[0] || r.o[0] >= t.hi[0] || r.o[1] < t.lo[1] || r.o[1] >= t.hi[1]) {
            add(-1, r.len);
            continue;
        }
        const int64_t end = r.o[2] + r.len;
        const int64_t a = gemm_min(end, gemm_max(r.o[2], t.lo[2]));
        const int64_t b = gemm_max(a, gemm_min(end, t.hi[2]));
        const int64_t row = (r.o[0] * s.mul[0] + t.off[0]) * s.in[1] + r.o[1] * s.mul[1] + t.off[1];
        add(-1, a - r.o[2]);
        add(r.n * s.src_image + row * s.in[2] + a * s.mul[2] + t.off[2], b - a);
        add(-1, end - b);
    }
    return count;
}

// dst[0..len) = src[0], src[mul], ...; may write up to a vector past the end, and reads whole ones

// Up to a vector: n elements from src + at (+ channel * plane), mul apart, or zeros (at < 0), go to
// columns [column, column + n) of the block, all in one sliver.
struct PatchVector {
    int64_t at;
    int32_t column, n;
};

// The vectors of a block of columns, [first[tap], first[tap + 1]) for each tap.
struct PatchList {
    int64_t* first;
    PatchVector* vectors;
    int64_t reach;  // elements from src that a plane's vectors may touch

    static size_t bytes(int64_t taps, int64_t columns) {
        return size_t(gemm_round_up(taps + 1, 8)) * sizeof(int64_t) +
               size_t(taps * columns) * sizeof(PatchVector);
    }
};

// Columns [j0, j1), at most NB; memory: PatchList::bytes(taps, columns filled up to slivers).
template <class T>
PatchList list_patches(const Sliding<T>& s, int64_t j0, int64_t j1, void* memory) {
    constexpr int64_t NR = GemmTile<T>::NR, N = Vec<T>::N, NB = GemmTile<T>::NB;
    RowRun rows[NB];
    CopyRun copies[3 * NB + 2];
    const int64_t nrows = cut_rows(s, j0, j1 - j0, rows);
    PatchList list;
    list.first = static_cast<int64_t*>(memory);
    list.vectors = reinterpret_cast<PatchVector*>(list.first + gemm_round_up(s.ntaps + 1, 8));
    list.reach = 0;
    int64_t count = 0;
    for (int64_t t = 0; t < s.ntaps; ++t) {
        list.first[t] = count;
        int64_t ncopies = list_copies(s, s.taps[t], rows, nrows, copies), column = 0;
        if ((j1 - j0) % NR) copies[ncopies++] = {-1, NR - (j1 - j0) % NR};
        for (int64_t i = 0; i < ncopies; ++i) {
            CopyRun run = copies[i];
            while (run.len > 0) {
                const int64_t n = gemm_min(gemm_min(run.len, N), NR - column % NR);
                list.vectors[count++] = {run.at, int32_t(column), int32_t(n)};
                if (run.at >= 0) {
                    list.reach = gemm_max(list.reach, run.at + 2 * N * gemm_min(s.mul[2], 2));
                    run.at += n * s.mul[2];
                }
                column += n, run.len -= n;
            }
        }
    }
    list.first[s.ntaps] = count;
    return list;
}

// Copies what one tap sees of one channel. to: the step's row in the first sliver; slivers lie
// `sliver` elements apart. A vector may run over what follows it in its row, which is written later.
// whole: memory goes on behind src.
template <class T, int kMul>
void copy_vectors(const T* src, const PatchVector* begin, const PatchVector* end, int64_t mul,
                  int64_t ahead, bool whole, T* to, int64_t sliver) {
    typedef typename Vec<T>::type vec;
    constexpr int64_t NR = GemmTile<T>::NR, N = Vec<T>::N;
    for (const PatchVector* p = begin; p < end; ++p) {
        const int64_t lane = p->column % NR;
        T* out = to + p->column / NR * sliver + lane;
        const T* from = src + p->at;
        vec v{};
        if (p->at >= 0) {
            __builtin_prefetch(from + ahead);
            if (kMul == 1 && whole)
                v = vload(from);
            else if (kMul == 2 && whole)
                v = vevens<T>(vload(from), vload(from + N));
            else {
                T lanes[N] = {};
                for (int64_t i = 0; i < p->n; ++i) lanes[i] = from[i * mul];
                v = vload(lanes);
            }
        }
        if (lane + N <= NR)
            vstore(out, v);
        else
            vstore_n(out, v, p->n);
    }
}

// Steps [k0, k0 + kc) of a block's columns -> buf, slivers kc * NR apart.
template <class T>
void pack_patches(const Sliding<T>& s, int64_t group, const PatchList& list, int64_t k0, int64_t kc,
                  T* buf) {
    constexpr int64_t NR = GemmTile<T>::NR, kAhead = 4;  // channels
    const int64_t first = group * s.channels * s.src_plane, room = s.n * s.src_image - first;
    const auto copy = s.mul[2] == 1   ? copy_vectors<T, 1>
                      : s.mul[2] == 2 ? copy_vectors<T, 2>
                                      : copy_vectors<T, 0>;
    int64_t c = k0 / s.ntaps, t = k0 % s.ntaps;
    for (int64_t k = 0; k < kc; ++k) {
        const bool whole = c * s.src_plane + list.reach <= room;
        const PatchVector* v = list.vectors;
        copy(s.src + first + c * s.src_plane, v + list.first[t], v + list.first[t + 1], s.mul[2],
             kAhead * s.src_plane, whole, buf + k * NR, kc * NR);
        if (++t == s.ntaps) t = 0, ++c;
    }
}

// Packs the weights of one group: rows of A, steps as above.
template <class T>
struct PackWeights {
    static constexpr bool prepacked = false;
    const Sliding<T>& s;
    const T* w;
    const T* operator()(T* buf, int64_t w0, int64_t wn, int64_t k0, int64_t kc) const {
        constexpr int MR = GemmTile<T>::MR;
        for (int64_t i = 0; i < wn; i += MR) {
            const int64_t m = gemm_min(MR, wn - i);
            const T* from = w + (w0 + i) * s.w_row;
            T* to = buf + i * kc;
            if (s.volume == 1)
                pack_sliver<T, MR>(to, from + k0 * s.w_channel, m, s.w_row, kc, s.w_channel);
            else if (s.w_channel == s.ntaps)  // all taps, in their order
                pack_sliver<T, MR>(to, from + k0, m, s.w_row, kc, 1);
            else
                gather(to, from, m, k0, kc);
        }
        return buf;
    }

 private:
    void gather(T* to, const T* from, int64_t m, int64_t k0, int64_t kc) const {
        constexpr int MR = GemmTile<T>::MR;
        int64_t c = k0 / s.ntaps, t = k0 % s.ntaps;
        for (int64_t k = 0; k < kc; ++k, to += MR) {
            const T* row = from + c * s.w_channel + s.taps[t].w;
            for (int64_t i = 0; i < m; ++i) to[i] = row[i * s.w_row];
            for (int64_t i = m; i < MR; ++i) to[i] = T(0);
            if (++t == s.ntaps) t = 0, ++c;
        }
    }
};

}  // namespace
