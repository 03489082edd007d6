// The gradient of a pointwise convolution's weights as outer products: for each pixel, the values of
// some planes of one factor, as lanes, times those of the other, broadcast from where they lie. So one
// factor alone is turned, a stretch of pixels at a time that stays in L2 ("panel": [pixel][planes]),
// and unlike dot products of planes (conv_pointwise_weight.h) no lanes are left to be added up. While
// a stretch is at work the next one is requested. With a stride it is x that is turned, and what lies
// between the pixels is skipped on the way.
#pragma once
#include "kernels/cpu/conv_cost.h"
#include "kernels/cpu/conv_pointwise.h"
#include "kernels/cpu/conv_weight_store.h"
#include "kernels/cpu/planes.h"
#include "kernels/cpu/static_size.h"

namespace {

// ---- a tile --------------------------------------------------------------------------------------

// What is needed next: for each vector of pixels `lines` lines `pitch` apart, and so on a step further.
template <class T>
struct PanelAhead {
    const T* from = nullptr;
    int64_t lines = 0, pitch = 0, step = 0, image = 0;
};

// Some pixels of some images: a sliver of the panel, and rows in place.
template <class T>
struct PanelStep {
    int64_t images, pixels, plane, image;  // of the rows
    const T *rows, *panel;
    T* sums;
    int64_t ld;
    bool add;  // to what is there
    PanelAhead<T> ahead[2];
};

// sums[R rows][V vectors of lanes]
template <class T, int R, int V>
void panel_micro(const PanelStep<T>& t) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N, P = (R + 2) / 3;  // three rows to a pointer
    const int64_t plane = t.plane;
    const T* panel = t.panel;
    vec acc[R][V];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) acc[i][v] = vec{};
    for (int64_t n = 0; n < t.images; ++n) {
        const T* from[P];
#pragma GCC unroll 5
        for (int p = 0; p < P; ++p) from[p] = t.rows + n * t.image + 3 * p * plane;
        const T* ahead[2] = {t.ahead[0].from + n * t.ahead[0].image,
                             t.ahead[1].from + n * t.ahead[1].image};
        for (int64_t j = 0; j < t.pixels; j += N) {
            for (int i = 0; i < 2; ++i)
                for (int64_t l = 0; l < t.ahead[i].lines; ++l)
                    __builtin_prefetch(ahead[i] + l * t.ahead[i].pitch, 0, 2);
            ahead[0] += t.ahead[0].step, ahead[1] += t.ahead[1].step;
            if (j + N >= t.pixels && n + 1 == t.images)
#pragma GCC unroll 16
                for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
                    for (int v = 0; v < V; ++v) __builtin_prefetch(t.sums + i * t.ld + v * N, 1);
            for (int64_t l = gemm_min(N, t.pixels - j); l > 0; --l, panel += V * N) {
                vec b[V];
#pragma GCC unroll 4
                for (int v = 0; v < V; ++v) {
                    __builtin_prefetch(panel + (8 * V + v) * N);
                    b[v] = vload(panel + v * N);
                }
#pragma GCC unroll 16
                for (int i = 0; i < R; ++i) {
                    const vec a = vset1(from[i / 3][i % 3 * plane]);
#pragma GCC unroll 4
                    for (int v = 0; v < V; ++v) acc[i][v] += a * b[v];
                }
#pragma GCC unroll 5
                for (int p = 0; p < P; ++p) ++from[p];
            }
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            T* to = t.sums + i * t.ld + v * N;
            vstore(to, t.add ? vload(to) + acc[i][v] : acc[i][v]);
        }
}

template <class T>
using PanelMicro = void (*)(const PanelStep<T>&);

template <class T>
PanelMicro<T> panel_micro_of(int64_t rows, int64_t vectors) {
    return with_size<GemmTile<T>::MR>(rows, [&](auto r) {
        return with_size<GemmTile<T>::NV>(vectors, [](auto v) -> PanelMicro<T> {
            return panel_micro<T, decltype(r)::value, decltype(v)::value>;
        });
    });
}

// ---- the work and its cut ------------------------------------------------------------------------

// The planes of one factor.
template <class T>
struct PanelSide {
    const T* from;
    int64_t planes, plane, image;  // planes of a group; elements of a plane and of an image
    int64_t out[3], in[3], stride[3];
    bool strided;

    PanelSide(const dl_conv& p, bool of_x) {
        const int64_t* size = of_x ? p.in : p.out;
        from = static_cast<const T*>(of_x ? p.x : p.y);
        plane = conv_volume(size), image = (of_x ? p.c : p.k) * plane;
        planes = (of_x ? p.c : p.k) / p.groups, strided = false;
        for (int d = 0; d < 3; ++d) {
            out[d] = p.out[d], in[d] = size[d], stride[d] = of_x ? p.stride[d] : 1;
            strided = strided || in[d] != out[d];
        }
    }

    // to[0..count) = the pixels of a plane from number p0 on.
    void gather(const T* channel, int64_t p0, int64_t count, T* to) const {
        int64_t o1 = p0 / out[2] % out[1], o0 = p0 / out[2] / out[1], o2 = p0 % out[2];
        for (int64_t len; count > 0; count -= len, to += len, o2 = 0) {
            len = gemm_min(out[2] - o2, count);
            const int64_t row = o0 * stride[0] * in[1] + o1 * stride[1];
            take_every(to, channel + row * in[2] + o2 * stride[2], len, stride[2]);
            if (++o1 == out[1]) o1 = 0, ++o0;
        }
    }
};

// Pixels [p0, p0 + pixels) of `images` images from number `image` on.
struct PanelBlock {
    int64_t image, images, p0, pixels;
};

// How the sum is cut, by shape alone, for the bits depend on it: into stretches, and these into parts
// that have sums of their own.
template <class T>
struct PanelWeight {
    static constexpr int64_t N = Vec<T>::N, W = GemmTile<T>::NR, MR = GemmTile<T>::MR;
    static constexpr int64_t kPixels = 1024 / int64_t(sizeof(T));  // of a stretch, at most
    static constexpr int64_t kSums = 256 << 10;                    // bytes that stay in L2
    static constexpr int64_t kTasks = 16;
    int64_t n, groups, pixels;
    bool turned;  // lanes are channels, and rows filters
    PanelSide<T> lanes, rows;
    int64_t slivers, tiles;
    int64_t per_image, per_stretch;  // stretches of an image; images of a stretch
    int64_t stretches, parts;

    PanelWeight(const dl_conv& p, bool turn)
        : n(p.n),
          groups(p.groups),
          pixels(conv_volume(p.out)),
          turned(turn),
          lanes(p, turn),
          rows(p, !turn) {
        slivers = gemm_div_up(lanes.planes, W), tiles = gemm_div_up(rows.planes, MR);
        per_image = gemm_div_up(pixels, kPixels);
        per_stretch = gemm_max(1, gemm_min(n, kPixels / pixels));
        per_stretch = gemm_div_up(n, gemm_max(1, gemm_div_up(n, per_stretch)));
        stretches = gemm_div_up(n, per_stretch) * per_image;
        const int64_t few = groups * gemm_div_up(rows.planes * ld() * int64_t(sizeof(T)), kSums);
        parts = gemm_min(gemm_div_up(kTasks, few), n * pixels / 1024);
        parts = gemm_min(stretches, parts);
        int64_t even = 1;  // which threads share better
        while (even * 2 <= parts) even *= 2;
        parts = even;
    }
    int64_t ld() const { return slivers * W; }
    int64_t size() const { return rows.planes * ld(); }  // sums of a group
    int64_t cut(int64_t i) const {
        return gemm_min(pixels, gemm_div_up(pixels, N) * i / per_image * N);
    }
    PanelBlock block(int64_t i) const {
        const int64_t image = i / per_image * per_stretch, p0 = cut(i % per_image);
        return {image, gemm_min(per_stretch, n - image), p0, cut(i % per_image + 1) - p0};
    }
    int64_t row(int64_t tile) const { return point_row(rows.planes, tiles, tile); }
};

// One part of a group: slivers [s0, s1) times tiles of rows [t0, t1).
template <class T>
struct PanelTask {
    const PanelWeight<T>& s;
    int64_t group, begin, end, s0, s1, t0, t1;

    // sums: of the first row and lane, rows s.ld() apart when `whole`.
    bool run(T* sums, int64_t ld) const {
        constexpr int64_t W = PanelWeight<T>::W, most = PanelWeight<T>::kPixels;
        const size_t size = size_t(W * gemm_max(most, s.per_stretch * s.pixels) + 16 * W);
        T* panel = static_cast<T*>(dl_scratch(size * sizeof(T), 0));
        T* dense = nullptr;
        if (s.lanes.strided) dense = static_cast<T*>(dl_scratch(size_t(W * most) * sizeof(T), 3));
        if (!panel || (s.lanes.strided && !dense)) return false;
        for (int64_t i = begin; i < end; ++i) {
            const PanelBlock b = s.block(i);
            multiply(b, s.block(i + 1 < end ? i + 1 : i), panel, dense, sums, ld, i > begin);
        }
        return true;
    }

 private:
    const T* at(const PanelSide<T>& side, const PanelBlock& b, int64_t plane) const {
        return side.from + b.image * side.image + (group * side.planes + plane) * side.plane;
    }

    // Sliver i of the panel: [pixel][lane]
    void fill(const PanelBlock& b, int64_t i, T* panel, T* dense) const {
        constexpr int NV = GemmTile<T>::NV, N = Vec<T>::N;
        constexpr int64_t W = PanelWeight<T>::W;
        const int64_t many = gemm_min(W, s.lanes.planes - i * W);
        with_size<NV>(gemm_div_up(many, N), [&](auto v) {
            constexpr int kWidth = decltype(v)::value * N;
            T* to = panel;
            for (int64_t n = 0; n < b.images; ++n, to += kWidth * b.pixels) {
                const T* from = at(s.lanes, b, i * W) + n * s.lanes.image;
                int64_t plane = s.lanes.plane;
                if (dense) {
                    for (int64_t l = 0; l < many; ++l)
                        s.lanes.gather(from + l * plane, b.p0, b.pixels, dense + l * b.pixels);
                    from = dense, plane = b.pixels;
                } else {
                    from += b.p0;
                }
                pack_sliver<T, kWidth>(to, from, many, plane, b.pixels, 1);
            }
        });
    }

    void multiply(const PanelBlock& b, const PanelBlock& next, T* panel, T* dense, T* sums,
                  int64_t ld, bool add) const {
        constexpr int64_t W = PanelWeight<T>::W, N = Vec<T>::N;
        PanelStep<T> t;
        t.images = b.images, t.pixels = b.pixels, t.plane = s.rows.plane, t.image = s.rows.image;
        t.ld = ld, t.add = add;
        const int64_t first = s.row(t0);
        for (int64_t i = s0; i < s1; ++i) {
            fill(b, i, panel, dense);
            const int64_t vectors = gemm_div_up(gemm_min(W, s.lanes.planes - i * W), N);
            for (int64_t tile = t0; tile < t1; ++tile) {
                const int64_t r = s.row(tile);
                t.panel = panel, t.rows = at(s.rows, b, r) + b.p0;
                t.sums = sums + (r - first) * ld + (i - s0) * W;
                const int64_t call = (i - s0) * (t1 - t0) + tile - t0;
                t.ahead[0] = ahead(s.rows, next, first, s.row(t1), call);
                t.ahead[1] =
                    s.lanes.strided
                        ? ahead_strided(i + 1 < s1 ? b : next, i + 1 < s1 ? i + 1 : s0, tile - t0)
                        : ahead(s.lanes, next, s0 * W, gemm_min(s1 * W, s.lanes.planes), call);
                panel_micro_of<T>(s.row(tile + 1) - r, vectors)(t);
            }
        }
    }

    // Of the planes [first, end) of the next block those that are requested in a call.
    PanelAhead<T> ahead(const PanelSide<T>& side, const PanelBlock& next, int64_t first,
                        int64_t end, int64_t call) const {
        const int64_t calls = (s1 - s0) * (t1 - t0), many = end - first, i = many * call / calls;
        return {at(side, next, first + i) + next.p0, many * (call + 1) / calls - i, side.plane,
                Vec<T>::N, side.image};
    }
    // A plane of the next sliver, row by row.
    PanelAhead<T> ahead_strided(const PanelBlock& next, int64_t sliver, int64_t call) const {
        const PanelSide<T>& side = s.lanes;
        const int64_t W = PanelWeight<T>::W, plane = sliver * W + call;
        if (call >= W || plane >= side.planes) return {};
        const int64_t row = next.p0 / side.out[2] * side.stride[1] * side.in[2];
        constexpr int64_t kLine = 64 / int64_t(sizeof(T));
        return {at(side, next, plane) + row, gemm_div_up(side.in[2], kLine), kLine,
                side.stride[1] * side.in[2], side.image};
    }
};

// How a part is cut into tasks, of which speed alone depends: along lanes first, for a factor in
// place may be read again at little cost.
struct PanelCut {
    int64_t lanes, rows;
};
template <class T>
PanelCut panel_cut(const PanelWeight<T>& s, int threads) {
    const int64_t least = gemm_div_up(s.size() * int64_t(sizeof(T)), PanelWeight<T>::kSums);
    const int64_t want = gemm_max(least, gemm_div_up(4 * threads, s.parts * s.groups));
    PanelCut c;
    c.lanes = gemm_min(s.slivers, want);
    c.rows = gemm_min(s.tiles, gemm_div_up(want, c.lanes));
    return c;
}

// All sums of a task or of some rows -> dw of the group.
template <class T>
void panel_store(const PanelWeight<T>& s, const WeightSums<T>& sums, int64_t row, int64_t lane,
                 T* dw) {
    if (s.turned)
        sums.store(dw + row * s.lanes.planes + lane, s.lanes.planes);
    else
        sums.store_turned(dw + lane * s.rows.planes + row, s.rows.planes);
}

template <class T, bool kTurned>
dl_status weight_panels(const dl_conv& p) {
    constexpr int64_t W = PanelWeight<T>::W;
    const PanelWeight<T> s(p, kTurned);
    T* dw = static_cast<T*>(p.w);
    const int64_t result = s.lanes.planes * s.rows.planes;  // of a group
    if (s.n == 0) {
        memset(dw, 0, size_t(s.groups * result) * sizeof(T));
        return DL_OK;
    }
    const PanelCut cut = panel_cut(s, dl_num_threads());
    const int64_t size = s.size(), apart = s.groups * size, ld = s.ld();
    const bool whole = s.parts == 1;  // then a task's sums are results
    T* all = nullptr;
    if (!whole) {
        all = static_cast<T*>(dl_scratch(size_t(s.parts * apart) * sizeof(T), 2));
        if (!all) return DL_OUT_OF_MEMORY;
    }
    int failed = 0;
    const int64_t cuts = cut.lanes * cut.rows, tasks = s.parts * s.groups * cuts;
    const int64_t work = gemm_max(1, s.n * s.pixels * s.groups * result / tasks);
    parallel_for(tasks, gemm_div_up(kGemmAlone / 4, work), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t l = i % cut.lanes, r = i % cuts / cut.lanes;
            const int64_t group = i / cuts % s.groups, part = i / cuts / s.groups;
            const int64_t s0 = s.slivers * l / cut.lanes, s1 = s.slivers * (l + 1) / cut.lanes;
            const int64_t t0 = s.tiles * r / cut.rows, t1 = s.tiles * (r + 1) / cut.rows;
            const PanelTask<T> task{
                s,  group, s.stretches * part / s.parts, s.stretches * (part + 1) / s.parts, s0, s1,
                t0, t1};
            const int64_t row = s.row(t0), rows = s.row(t1) - row, task_ld = (s1 - s0) * W;
            T* sums = whole ? static_cast<T*>(dl_scratch(size_t(rows * task_ld) * sizeof(T), 1))
                            : all + part * apart + group * size + row * ld + s0 * W;
            if (!sums || !task.run(sums, whole ? task_ld : ld))
                __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            else if (whole)
                panel_store<T>(s, {sums, task_ld, rows, gemm_min(task_ld, s.lanes.planes - s0 * W)},
                               row, s0 * W, dw + group * result);
        }
    });
    if (failed) return DL_OUT_OF_MEMORY;
    if (whole) return DL_OK;
    const int64_t grain = gemm_max(1, 32768 / (PanelWeight<T>::MR * ld * s.parts));
    parallel_for(s.groups * s.tiles, grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t g = i / s.tiles, row = s.row(i % s.tiles),
                          rows = s.row(i % s.tiles + 1) - row;
            panel_store<T>(s, {all + g * size + row * ld, ld, rows, s.lanes.planes, s.parts, apart},
                           row, 0, dw + g * result);
        }
    });
    return DL_OK;
}

// A single tap without padding, of any stride.
inline bool panels_apply(const dl_conv& p) {
    for (int d = 0; d < 3; ++d)
        if (p.kernel[d] != 1 || p.pad_lo[d] != 0 || (p.out[d] - 1) * p.stride[d] >= p.in[d])
            return false;
    return p.k > 0 && p.c > 0 && conv_volume(p.out) > 0;
}
// x is turned where it has to be gathered.
inline bool panels_of_dy_apply(const dl_conv& p) { return is_pointwise(p) && panels_apply(p); }

// Tiles, turning one factor, adding to the sums after each stretch, and putting them in place.
inline double weight_panels_cost(const dl_conv& p, bool turned) {
    const double lanes = DL_VEC_BYTES / conv_element(p), groups = double(p.groups);
    const double planes = double((turned ? p.c : p.k) / p.groups);
    const double rows = double((turned ? p.k : p.c) / p.groups);
    const double pixels = double(conv_volume(p.out)), stretch = 1024 / conv_element(p);
    const double tiles = __builtin_ceil(rows / DL_GEMM_MR), r = rows / tiles;
    const double vectors = __builtin_ceil(planes / lanes), v = __builtin_fmin(vectors, DL_GEMM_NV);
    const double step = __builtin_fmax(r * v / (DL_VEC_BYTES > 16 ? 2 : 1),  // products, or latency
                                       __builtin_fmax(4, (r + v) * 0.6));
    const double calls =
        tiles * vectors / v * double(p.n) * pixels / __builtin_fmin(stretch, double(p.n) * pixels);
    const double turn = (DL_VEC_BYTES == 64 ? 0.2 : 0.6) + (is_pointwise(p) ? 0 : 1.2);
    const double cycles =
        double(p.n) * pixels * (tiles * vectors / v * step * 1.1 + planes * turn) +
        calls * (2 * r * v + 25) + rows * planes * (turned ? 1.5 : 2);
    return groups * cycles * kConvCycle + conv_traffic(p) / 8;
}
inline double weight_panels_seconds(const dl_conv& p) { return weight_panels_cost(p, false); }
inline double weight_panels_turned_seconds(const dl_conv& p) { return weight_panels_cost(p, true); }

}  // namespace
