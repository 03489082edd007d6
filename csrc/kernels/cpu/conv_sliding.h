// The one product behind convolution forward and its gradient of the input: a set of taps slides
// over planes,
//
//   dst[n, m, o * out_mul + out_base] = bias[m] + sum over channel, tap:
//       w[m * w_row + channel * w_channel + tap.w] * src[n, channel, o * mul + tap.off]
//
// for all o of a grid, with 0 read outside of src. Forward: mul = stride, one grid of all outputs.
// Gradient of the input: the positions of x are sorted by their residue modulo the stride; each
// residue is a grid of its own with those taps that meet it, so nothing is multiplied by zeros that
// a stride put there, and every element of dx is written once.
#pragma once
#include "kernels/conv.h"
#include "kernels/cpu/gemm_core.h"
#include "kernels/parallel.h"

namespace {

struct ConvTap {
    int64_t off[3];
    int64_t lo[3], hi[3];  // o in [lo, hi) reads inside of src
    int64_t w;             // position in the kernel
};

template <class T>
struct Sliding {
    int64_t n, groups, rows, channels;  // rows and channels of one group
    int64_t volume, ntaps;              // taps of the kernel, and those that count here
    const ConvTap* taps;
    int64_t grid[3], mul[3], out_mul[3], out_base[3];

    const T* src;
    int64_t in[3], src_plane, src_image;
    T* dst;
    int64_t out[3], dst_plane, dst_image;
    const T* w;
    int64_t w_group, w_row, w_channel;
    const T* bias;  // or null

    int64_t positions() const { return grid[0] * grid[1] * grid[2]; }
    int64_t columns() const { return n * positions(); }
    int64_t steps() const { return channels * ntaps; }
};

DL_INLINE int64_t conv_volume(const int64_t s[3]) { return s[0] * s[1] * s[2]; }

DL_INLINE int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

// Completes a tap whose off and w are set.
inline void bound_tap(ConvTap* t, const int64_t in[3], const int64_t mul[3],
                      const int64_t grid[3]) {
    for (int d = 0; d < 3; ++d) {
        t->lo[d] = gemm_max(0, -floor_div(t->off[d], mul[d]));
        t->hi[d] = gemm_min(grid[d], floor_div(in[d] - 1 - t->off[d], mul[d]) + 1);
    }
}

// The forward product; `taps` has room for the kernel's volume.
template <class T>
Sliding<T> sliding_forward(const dl_conv& p, ConvTap* taps) {
    Sliding<T> s;
    s.n = p.n, s.groups = p.groups, s.rows = p.k / p.groups, s.channels = p.c / p.groups;
    s.volume = s.ntaps = conv_volume(p.kernel), s.taps = taps;
    for (int d = 0; d < 3; ++d) {
        s.grid[d] = s.out[d] = p.out[d];
        s.in[d] = p.in[d], s.mul[d] = p.stride[d], s.out_mul[d] = 1, s.out_base[d] = 0;
    }
    s.src = static_cast<const T*>(p.x), s.src_plane = conv_volume(p.in),
    s.src_image = p.c * s.src_plane;
    s.dst = static_cast<T*>(p.y), s.dst_plane = conv_volume(p.out), s.dst_image = p.k * s.dst_plane;
    s.w = static_cast<const T*>(p.w), s.w_channel = s.ntaps, s.w_row = s.channels * s.ntaps;
    s.w_group = s.rows * s.w_row;
    s.bias = static_cast<const T*>(p.bias);
    for (int64_t r = 0; r < s.ntaps; ++r) {
        const int64_t at[3] = {r / p.kernel[2] / p.kernel[1], r / p.kernel[2] % p.kernel[1],
                               r % p.kernel[2]};
        for (int d = 0; d < 3; ++d) taps[r].off[d] = at[d] * p.dilation[d] - p.pad_lo[d];
        taps[r].w = r;
        bound_tap(taps + r, p.in, p.stride, p.out);
    }
    return s;
}

// The gradient of x at the positions with residue `phase` modulo the stride.
template <class T>
Sliding<T> sliding_backward(const dl_conv& p, const int64_t phase[3], ConvTap* taps) {
    Sliding<T> s;
    s.n = p.n, s.groups = p.groups, s.rows = p.c / p.groups, s.channels = p.k / p.groups;
    for (int d = 0; d < 3; ++d) {
        s.grid[d] = phase[d] < p.in[d] ? (p.in[d] - phase[d] - 1) / p.stride[d] + 1 : 0;
        s.in[d] = p.out[d], s.mul[d] = 1;
        s.out[d] = p.in[d], s.out_mul[d] = p.stride[d], s.out_base[d] = phase[d];
    }
    const int64_t volume = conv_volume(p.kernel);
    s.src = static_cast<const T*>(p.y), s.src_plane = conv_volume(p.out),
    s.src_image = p.k * s.src_plane;
    s.dst = static_cast<T*>(p.x), s.dst_plane = conv_volume(p.in), s.dst_image = p.c * s.dst_plane;
    s.w = static_cast<const T*>(p.w), s.w_row = volume, s.w_channel = s.rows * volume;
    s.w_group = s.channels * s.w_channel;
    s.bias = static_cast<const T*>(p.bias);
    s.volume = volume, s.ntaps = 0, s.taps = taps;
    for (int64_t r = 0; r < volume; ++r) {
        ConvTap& t = taps[s.ntaps];
        const int64_t at[3] = {r / p.kernel[2] / p.kernel[1], r / p.kernel[2] % p.kernel[1],
                               r % p.kernel[2]};
        bool meets = true;
        for (int d = 0; d < 3; ++d) {
            const int64_t q = phase[d] + p.pad_lo[d] - at[d] * p.dilation[d];
            t.off[d] = floor_div(q, p.stride[d]);
            meets = meets && t.off[d] * p.stride[d] == q;
        }
        if (!meets) continue;
        t.w = r;
        bound_tap(&t, s.in, s.mul, s.grid);
        ++s.ntaps;
    }
    return s;
}

// ---- room for taps, residues in turn --------------------------------------------------------------

constexpr int kTapsSlot = 2;  // packers and products use the other slots of scratch memory

inline ConvTap* taps_for(const dl_conv& p) {
    const int64_t count = gemm_max(1, conv_volume(p.kernel));
    return static_cast<ConvTap*>(dl_scratch(size_t(count) * sizeof(ConvTap), kTapsSlot));
}

// Whether every residue modulo the stride meets some tap.
inline bool residues_all_meet(const dl_conv& p) {
    for (int d = 0; d < 3; ++d) {
        int64_t met = 0;
        for (int64_t residue = 0; residue < p.stride[d]; ++residue)
            for (int64_t r = 0; r < gemm_min(p.kernel[d], p.stride[d]); ++r)
                if (r * p.dilation[d] % p.stride[d] == residue) {
                    ++met;
                    break;
                }
        if (met < p.stride[d]) return false;
    }
    return true;
}

// f(Sliding) for each residue of the gradient of the input. Where some residues meet no tap all of dx
// is zeroed first, which is quicker than writing zeros between the others.
template <class T, class F>
dl_status each_residue(const dl_conv& p, const F& f) {
    ConvTap* taps = taps_for(p);
    if (!taps) return DL_OUT_OF_MEMORY;
    const bool zeroed = !p.bias && !residues_all_meet(p);
    T* x = static_cast<T*>(p.x);
    if (zeroed)
        parallel_for(p.n * p.c * conv_volume(p.in), 1 << 16, [&](int64_t begin, int64_t end) {
            memset(x + begin, 0, size_t(end - begin) * sizeof(T));
        });
    int64_t at[3], residues[3];  // those that some position has
    for (int d = 0; d < 3; ++d) residues[d] = gemm_min(p.stride[d], p.in[d]);
    for (at[0] = 0; at[0] < residues[0]; ++at[0])
        for (at[1] = 0; at[1] < residues[1]; ++at[1])
            for (at[2] = 0; at[2] < residues[2]; ++at[2]) {
                const Sliding<T> s = sliding_backward<T>(p, at, taps);
                if (zeroed && s.ntaps == 0) continue;
                const dl_status status = f(s);
                if (status != DL_OK) return status;
            }
    return DL_OK;
}

// ---- patches: rows of src under a tap, as lists of copies ---------------------------------------

// Grid positions [o2, o2 + len) of one row of one image, at `lane` of what is being packed.
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
// when `free` says that memory goes on behind src.
template <class T>
DL_INLINE void copy_run(T* dst, const T* src, int64_t len, int64_t mul, bool free) {
    constexpr int N = Vec<T>::N;
    if (!free || mul > 2) {
        for (int64_t i = 0; i < len; ++i) dst[i] = src[i * mul];
    } else if (mul == 1) {
        for (int64_t i = 0; i < len; i += N) vstore(dst + i, vload(src + i));
    } else {
        for (int64_t i = 0; i < len; i += N)
            for (int l = 0; l < N; ++l) dst[i + l] = src[2 * (i + l)];
    }
}

// Rows of patches for channels [c0, c1), `ld` apart, each written left to right, so that what runs
// over is overwritten. base: src of the group; room: elements from there to the end of src.
template <class T>
void copy_patches(const Sliding<T>& s, const T* base, int64_t room, const CopyRun* copies,
                  int64_t ncopies, int64_t c0, int64_t c1, T* dst, int64_t ld) {
    constexpr int N = Vec<T>::N;
    const auto zero = typename Vec<T>::type{};
    int64_t reach = 0;
    for (int64_t i = 0; i < ncopies; ++i)
        reach = gemm_max(reach, copies[i].at + (copies[i].len + 2 * N) * s.mul[2]);
    for (int64_t c = c0; c < c1; ++c, dst += ld) {
        const T* src = base + c * s.src_plane;
        const bool free = c * s.src_plane + reach <= room;
        T* to = dst;
        for (int64_t i = 0; i < ncopies; ++i) {
            if (copies[i].at < 0)
                for (int64_t l = 0; l < copies[i].len; l += N) vstore(to + l, zero);
            else
                copy_run(to, src + copies[i].at, copies[i].len, s.mul[2], free);
            to += copies[i].len;
        }
    }
}

// ---- the product -------------------------------------------------------------------------------

// Packs the weights of one group: rows of A, steps ordered tap by tap, in each channel by channel.
template <class T>
struct PackWeights {
    static constexpr bool prepacked = false;
    const Sliding<T>& s;
    const T* w;
    const T* operator()(T* buf, int64_t w0, int64_t wn, int64_t k0, int64_t kc) const {
        constexpr int MR = GemmTile<T>::MR;
        for (int64_t i = 0; i < wn; i += MR) {
            const int64_t m = gemm_min(MR, wn - i);
            T* to = buf + i * kc;
            for (int64_t k = k0; k < k0 + kc;) {
                const int64_t tap = k / s.channels, c = k % s.channels;
                const int64_t count = gemm_min(s.channels - c, k0 + kc - k);
                pack_sliver<T, MR>(to + (k - k0) * MR,
                                   w + (w0 + i) * s.w_row + c * s.w_channel + s.taps[tap].w, m,
                                   s.w_row, count, s.w_channel);
                k += count;
            }
        }
        return buf;
    }
};

// Columns [j0, j1) of B, steps [k0, k0 + kc): the implicit im2col.
template <class T>
void pack_columns(const Sliding<T>& s, int64_t group, int64_t j0, int64_t j1, int64_t k0,
                  int64_t kc, T* buf) {
    constexpr int NR = GemmTile<T>::NR;
    const int64_t first = group * s.channels * s.src_plane;
    const T* base = s.src + first;
    RowRun rows[NR];
    CopyRun copies[3 * NR + 2];
    for (int64_t j = j0; j < j1; j += NR) {
        const int64_t count = gemm_min(NR, j1 - j), nrows = cut_rows(s, j, count, rows);
        T* to = buf + (j - j0) * kc;
        for (int64_t k = k0; k < k0 + kc;) {
            const int64_t tap = k / s.channels, c = k % s.channels;
            const int64_t steps = gemm_min(s.channels - c, k0 + kc - k);
            int64_t ncopies = list_copies(s, s.taps[tap], rows, nrows, copies);
            if (count < NR) copies[ncopies++] = {-1, NR - count};
            copy_patches(s, base, s.n * s.src_image - first, copies, ncopies, c, c + steps, to, NR);
            to += steps * NR;
            k += steps;
        }
    }
}

// Where columns [j0, j1) of the result go, relative to the plane of a row.
template <class T>
void place_columns(const Sliding<T>& s, int64_t j0, int64_t j1, int64_t* place) {
    RowRun run;
    for (int64_t j = j0; j < j1; j += run.len) {
        run.len = 1;
        cut_rows(s, j, 1, &run);
        run.len = gemm_min(s.grid[2] - run.o[2], j1 - j);
        const int64_t row = (run.o[0] * s.out_mul[0] + s.out_base[0]) * s.out[1] +
                            run.o[1] * s.out_mul[1] + s.out_base[1];
        int64_t at = run.n * s.dst_image + row * s.out[2] + run.o[2] * s.out_mul[2] + s.out_base[2];
        for (int64_t l = 0; l < run.len; ++l, at += s.out_mul[2]) *place++ = at;
    }
}

// A finished tile [mr, NR] goes to dst[i * plane + place[j]], or is added there.
template <class T>
void scatter_tile(const T* tile, T* dst, int64_t plane, const int64_t* place, int64_t mr,
                  int64_t nr, const T* bias, bool add) {
    constexpr int NR = GemmTile<T>::NR;
    for (int64_t j = 0; j < nr;) {
        int64_t len = 1;
        while (j + len < nr && place[j + len] == place[j] + len) ++len;
        for (int64_t i = 0; i < mr; ++i) {
            const T* from = tile + i * NR + j;
            T* to = dst + i * plane + place[j];
            if (add)
                for (int64_t l = 0; l < len; ++l) to[l] += from[l];
            else
                for (int64_t l = 0; l < len; ++l) to[l] = from[l] + (bias ? bias[i] : T(0));
        }
        j += len;
    }
}

// Columns [j0, j1), at most NB, of rows [i0, i1) of one group. a: its packed weights.
template <class T>
bool sliding_block(const Sliding<T>& s, int64_t group, const T* a, int64_t i0, int64_t i1,
                   int64_t j0, int64_t j1) {
    typedef GemmTile<T> Tile;
    constexpr int MR = Tile::MR, NR = Tile::NR, N = Vec<T>::N;
    const int64_t kc = gemm_kc<T>(s.steps()), padded = gemm_round_up(s.rows, MR);
    T* b = static_cast<T*>(dl_scratch(size_t(gemm_round_up(j1 - j0, NR) * kc + N) * sizeof(T), 1));
    if (!b) return false;
    int64_t place[Tile::NB];
    place_columns(s, j0, j1, place);
    alignas(64) T tile[MR * NR];
    const T one = T(1);
    for (int64_t k0 = 0; k0 < s.steps(); k0 += kc) {
        const int64_t kn = gemm_min(kc, s.steps() - k0);
        const bool first = k0 == 0;
        pack_columns(s, group, j0, j1, k0, kn, b);
        for (int64_t i = i0; i < i1; i += MR) {
            const int64_t mr = gemm_min(MR, i1 - i), row = group * s.rows + i;
            const T *as = a + k0 * padded + i * kn, *bias = s.bias ? s.bias + row : nullptr;
            T* dst = s.dst + row * s.dst_plane;
            for (int64_t j = 0; j < j1 - j0; j += NR) {
                const int64_t nr = gemm_min(NR, j1 - j0 - j), *to = place + j;
                const bool narrow = nr <= N;
                const auto micro =
                    (narrow ? GemmMicros<T, 1>::at : GemmMicros<T, Tile::NV>::at)[(mr + 1) / 2];
                const bool whole = nr == (narrow ? N : NR) && mr % 2 == 0;
                if (whole && to[nr - 1] - to[0] == nr - 1) {
                    T* c = dst + to[0];
                    if (first && bias)
                        for (int64_t r = 0; r < mr; ++r)
                            for (int64_t l = 0; l < nr; l += N)
                                vstore(c + r * s.dst_plane + l, vset1<T>(bias[r]));
                    micro(kn, as, b + j * kn, NR, c, s.dst_plane, &one, !first || bias);
                } else {
                    micro(kn, as, b + j * kn, NR, tile, NR, &one, false);
                    scatter_tile(tile, dst, s.dst_plane, to, mr, nr, bias, !first);
                }
            }
        }
    }
    return true;
}

// No tap meets the grid: bias, or zeros.
template <class T>
void sliding_empty(const Sliding<T>& s) {
    parallel_for(s.n * s.groups * s.rows, 16, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            const T value = s.bias ? s.bias[r % (s.groups * s.rows)] : T(0);
            for (int64_t j = 0; j < s.positions(); ++j) {
                const int64_t o2 = j % s.grid[2], o1 = j / s.grid[2] % s.grid[1];
                const int64_t o0 = j / s.grid[2] / s.grid[1];
                s.dst[r * s.dst_plane +
                      ((o0 * s.out_mul[0] + s.out_base[0]) * s.out[1] + o1 * s.out_mul[1] +
                       s.out_base[1]) *
                          s.out[2] +
                      o2 * s.out_mul[2] + s.out_base[2]] = value;
            }
        }
    });
}

// The whole product as a matrix product: rows of weights times columns of patches.
template <class T>
dl_status sliding_gemm(const Sliding<T>& s) {
    typedef GemmTile<T> Tile;
    if (s.columns() == 0 || s.rows == 0) return DL_OK;
    if (s.steps() == 0) {
        sliding_empty(s);
        return DL_OK;
    }
    const int threads = dl_num_threads();
    const int64_t size = packed_size<Tile::MR>(s.rows, s.steps());
    T* a = static_cast<T*>(dl_scratch(size_t(s.groups * size) * sizeof(T), 0));
    if (!a) return DL_OUT_OF_MEMORY;
    if (s.groups == 1)
        pack_all<T, Tile::MR>(a, PackWeights<T>{s, s.w}, 0, s.rows, s.steps(), threads);
    else
        parallel_for(s.groups, gemm_max(1, 32768 / size), [&](int64_t begin, int64_t end) {
            for (int64_t g = begin; g < end; ++g)
                pack_all<T, Tile::MR>(a + g * size, PackWeights<T>{s, s.w + g * s.w_group}, 0,
                                      s.rows, s.steps(), 1);
        });

    const int64_t columns = s.columns();
    const int64_t bn = gemm_min(Tile::NB, gemm_block(columns, Tile::NB, Tile::NR, threads));
    const int64_t nt = gemm_div_up(columns, bn);
    // Few columns (a late layer, one image): the rows are shared out too.
    const int64_t want = s.groups * nt >= threads ? 1 : gemm_div_up(threads, s.groups * nt);
    const int64_t bm = gemm_block(s.rows, gemm_div_up(s.rows, want), Tile::MR, 1);
    const int64_t mt = gemm_div_up(s.rows, bm), tasks = s.groups * mt * nt;
    const int64_t work = s.rows * columns / gemm_max(1, mt * nt) * s.steps();
    int failed = 0;
    parallel_for(tasks, gemm_max(1, (int64_t(1) << 17) / gemm_max(1, work)),
                 [&](int64_t begin, int64_t end) {
                     for (int64_t t = begin; t < end; ++t) {
                         const int64_t g = t / (mt * nt), i = t % mt * bm, j = t / mt % nt * bn;
                         if (!sliding_block(s, g, a + g * size, i, gemm_min(s.rows, i + bm), j,
                                            gemm_min(columns, j + bn)))
                             __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
                     }
                 });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

}  // namespace
