// The gradient of a pointwise convolution's weights as dot products of planes: dw[k, c] is the sum
// over all pixels of dy[k] * x[c], and both lie along their planes as vectors want them. A register
// tile holds the sums of a few planes of dy with a few of x, a vector each; nothing is packed or
// turned. Work goes by blocks, a stretch of pixels of some tens of planes, which L2 holds; while one
// is at work the next one is requested.
#pragma once
#include "kernels/cpu/conv_pointwise.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/static_size.h"

namespace {

// Planes of dy (A) and x (B) in a register tile.
template <class T>
struct PlaneTile {
#if DL_VEC_BYTES == 64 || defined(__aarch64__)
    static constexpr int A = 5, B = 5;  // 25 sums, 5 vectors of dy, one of x
#elif DL_VEC_BYTES == 32
    static constexpr int A = 4, B = 3;
#else
    static constexpr int A = 3, B = 3;
#endif
    static constexpr int SUMS = (A * B + Vec<T>::N - 1) / Vec<T>::N * Vec<T>::N;  // room for them
};

// Pixels of a stretch: so many that the reduction of a tile's sums at its end costs little, and fewer
// of large planes, which come from memory: then L1 holds a block, and the next one arrives beside it.
DL_INLINE int64_t point_stretch(int64_t plane) { return plane > 8192 ? 256 : 1024; }
constexpr int64_t kBlockTiles = 10;   // of a block, along dy's and x's planes, at most
constexpr int64_t kWeightParts = 16;  // sums of their own, at most

// dw[g, k, c] = sum over n, pixel: dy[n, g, k, pixel] * x[n, g, c, pixel]
template <class T>
struct PointWeight {
    int64_t n, groups, rows, columns, plane;  // rows (of dy) and columns (of x) of a group
    int64_t dy_image, x_image;
    const T *dy, *x;
    int64_t per_plane, per_stretch;  // stretches of a plane; or images of a stretch

    explicit PointWeight(const dl_conv& p) {
        n = p.n, groups = p.groups, plane = conv_volume(p.in);
        rows = p.k / p.groups, columns = p.c / p.groups;
        dy = static_cast<const T*>(p.y), x = static_cast<const T*>(p.x);
        dy_image = p.k * plane, x_image = p.c * plane;
        per_plane = gemm_div_up(plane, point_stretch(plane));
        per_stretch = gemm_max(1, gemm_min(n, point_stretch(plane) / plane));
        per_stretch = gemm_div_up(n, gemm_max(1, gemm_div_up(n, per_stretch)));
    }
    int64_t stretches() const { return gemm_div_up(n, per_stretch) * per_plane; }
    // The first pixel of a plane's stretch number i: whole vectors, so that lines are read once.
    int64_t cut(int64_t i) const {
        constexpr int64_t N = Vec<T>::N;
        return gemm_min(plane, gemm_div_up(plane, N) * i / per_plane * N);
    }
    int64_t row_tiles() const { return gemm_div_up(rows, PlaneTile<T>::A); }
    int64_t column_tiles() const { return gemm_div_up(columns, PlaneTile<T>::B); }
    int64_t size() const { return row_tiles() * column_tiles() * PlaneTile<T>::SUMS; }
};

// ---- a tile --------------------------------------------------------------------------------------

// Some pixels of planes of some images; of the planes `next` nothing is needed yet.
template <class T>
struct PlaneStep {
    int64_t images, pixels, plane, dy_image, x_image;
    const T *dy, *x, *next_dy, *next_x;
    T* sums;   // [A * B]
    bool add;  // to what is there
};

// v[0] = the sums of the lanes of N vectors; the order of adding is the same for each of them.
template <class T>
DL_INLINE void plane_reduce(typename Vec<T>::type* v) {
    if constexpr (Vec<T>::N == 16) {  // in registers' quarters, where shuffles are cheapest
        const auto add = [&](int step, auto lo, auto hi) __attribute__((always_inline)) {
#pragma GCC unroll 8
            for (int i = 0; i < 16; i += 2 * step)
                v[i] = lo(v[i], v[i + step]) + hi(v[i], v[i + step]);
        };
        typedef typename Vec<T>::type V;
        add(
            1,
            [](V a, V b) __attribute__((always_inline)) {
                return __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12,
                                               28, 13, 29);
            },
            [](V a, V b) __attribute__((always_inline)) {
                return __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14,
                                               30, 15, 31);
            });
        add(
            2,
            [](V a, V b) __attribute__((always_inline)) {
                return __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12,
                                               13, 28, 29);
            },
            [](V a, V b) __attribute__((always_inline)) {
                return __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14,
                                               15, 30, 31);
            });
        const auto lo = [](V a, V b) __attribute__((always_inline)) {
            return __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25,
                                           26, 27);
        };
        const auto hi = [](V a, V b) __attribute__((always_inline)) {
            return __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29,
                                           30, 31);
        };
        add(4, lo, hi);
        add(8, lo, hi);
    } else {
        v[0] = vreduce_each<T>(v);
    }
}

// The sums of the lanes of each of COUNT vectors -> sums (+ what is there when add), in whole vectors.
template <class T, int COUNT>
DL_INLINE void plane_store_sums(const typename Vec<T>::type (&acc)[COUNT], T* sums, bool add) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
#pragma GCC unroll 7
    for (int i = 0; i < COUNT; i += N) {
        vec v[N];
#pragma GCC unroll 16
        for (int l = 0; l < N; ++l) v[l] = i + l < COUNT ? acc[i + l < COUNT ? i + l : 0] : vec{};
        plane_reduce<T>(v);
        vstore(sums + i, add ? vload(sums + i) + v[0] : v[0]);
    }
}

template <class T, int A, int B>
void plane_micro(const PlaneStep<T>& t) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    const int64_t plane = t.plane, rest = t.pixels % N;
    const LaneMask<T> mask = lane_mask<T>(0, rest);
    vec acc[A * B];
#pragma GCC unroll 25
    for (int i = 0; i < A * B; ++i) acc[i] = vec{};
    const auto step = [&](const T* a, const T* b, auto load) __attribute__((always_inline)) {
        vec av[A];
#pragma GCC unroll 5
        for (int i = 0; i < A; ++i) av[i] = load(a + i * plane);
#pragma GCC unroll 5
        for (int j = 0; j < B; ++j) {
            const vec bv = load(b + j * plane);
#pragma GCC unroll 5
            for (int i = 0; i < A; ++i) acc[i * B + j] += av[i] * bv;
        }
    };
    for (int64_t n = 0; n < t.images; ++n) {
        const T *a = t.dy + n * t.dy_image, *b = t.x + n * t.x_image;
        const T *next_a = t.next_dy + n * t.dy_image, *next_b = t.next_x + n * t.x_image;
        for (const T* end = a + t.pixels - rest; a != end; a += N, b += N) {
            __builtin_prefetch(next_a), __builtin_prefetch(next_b);
            next_a += N, next_b += N;
            step(a, b, [](const T* p) __attribute__((always_inline)) { return vload(p); });
        }
        if (rest)
            step(a, b, [&mask](const T* p) __attribute__((always_inline)) {
                return vload_mask(p, mask);
            });
    }
    plane_store_sums<T>(acc, t.sums, t.add);
}

template <class T>
using PlaneMicro = void (*)(const PlaneStep<T>&);

template <class T>
PlaneMicro<T> plane_micro_of(int64_t rows, int64_t columns) {
    return with_size<PlaneTile<T>::A>(rows, [&](auto a) {
        return with_size<PlaneTile<T>::B>(columns, [](auto b) -> PlaneMicro<T> {
            return plane_micro<T, decltype(a)::value, decltype(b)::value>;
        });
    });
}

// ---- blocks --------------------------------------------------------------------------------------

// Tiles [g0, g1) x [h0, h1) of a group, over one stretch of pixels.
template <class T>
struct PlaneBlock {
    int64_t images, pixels;
    const T *dy, *x;  // the first pixels of the group's first planes
    int64_t g0, g1, h0, h1;
};

// All blocks of a task: stretches [begin, end), in each the tiles of rows [g0, g1).
template <class T>
struct PlaneTask {
    const PointWeight<T>& s;
    int64_t group, g0, g1, begin, end;

    int64_t row_blocks() const { return gemm_div_up(g1 - g0, kBlockTiles); }
    int64_t column_blocks() const { return gemm_div_up(s.column_tiles(), kBlockTiles); }
    int64_t blocks() const { return (end - begin) * row_blocks() * column_blocks(); }

    PlaneBlock<T> block(int64_t i) const {
        const int64_t columns = column_blocks(), rows = row_blocks();
        const int64_t h = i % columns, g = i / columns % rows, at = begin + i / columns / rows;
        const int64_t image = at / s.per_plane * s.per_stretch, piece = at % s.per_plane;
        const int64_t p0 = s.cut(piece);
        PlaneBlock<T> b;
        b.images = gemm_min(s.per_stretch, s.n - image);
        b.pixels = s.cut(piece + 1) - p0;
        b.dy = s.dy + image * s.dy_image + group * s.rows * s.plane + p0;
        b.x = s.x + image * s.x_image + group * s.columns * s.plane + p0;
        b.g0 = g0 + (g1 - g0) * g / rows, b.g1 = g0 + (g1 - g0) * (g + 1) / rows;
        b.h0 = s.column_tiles() * h / columns, b.h1 = s.column_tiles() * (h + 1) / columns;
        return b;
    }

    // sums: the group's tiles.
    void run(T* sums) const {
        const int64_t count = blocks(), first = row_blocks() * column_blocks();
        PlaneBlock<T> b = block(0);
        for (int64_t i = 0; i < count; ++i) {
            const PlaneBlock<T> next = i + 1 < count ? block(i + 1) : b;
            run_block(b, next, sums, i >= first);
            b = next;
        }
    }

 private:
    int64_t row(int64_t g) const { return point_row(s.rows, s.row_tiles(), g); }
    int64_t column(int64_t h) const { return point_row(s.columns, s.column_tiles(), h); }

    void run_block(const PlaneBlock<T>& b, const PlaneBlock<T>& next, T* sums, bool add) const {
        PlaneStep<T> t;
        t.images = b.images, t.pixels = b.pixels, t.plane = s.plane, t.add = add;
        t.dy_image = s.dy_image, t.x_image = s.x_image;
        // Each tile asks for one plane of dy and of x: of the next block, as long as there are some.
        const int64_t dy0 = row(next.g0), dyn = row(next.g1) - dy0;
        const int64_t x0 = column(next.h0), xn = column(next.h1) - x0;
        int64_t tile = 0;
        for (int64_t g = b.g0; g < b.g1; ++g)
            for (int64_t h = b.h0; h < b.h1; ++h, ++tile) {
                const int64_t r = row(g), c = column(h);
                t.dy = b.dy + r * s.plane, t.x = b.x + c * s.plane;
                t.next_dy = tile < dyn ? next.dy + (dy0 + tile) * s.plane : t.dy;
                t.next_x = tile < xn ? next.x + (x0 + tile) * s.plane : t.x;
                t.sums = sums + (g * s.column_tiles() + h) * PlaneTile<T>::SUMS;
                plane_micro_of<T>(row(g + 1) - r, column(h + 1) - c)(t);
            }
    }
};

// Tile g, h of a group: the sums of all parts, `stride` apart, added in order -> dw [rows, columns].
template <class T>
void plane_store(const PointWeight<T>& s, int64_t g, int64_t h, int64_t parts, const T* sums,
                 int64_t stride, T* dw) {
    constexpr int64_t N = Vec<T>::N, SUMS = PlaneTile<T>::SUMS;
    T tile[SUMS];
    for (int64_t i = 0; i < SUMS; i += N) {
        auto sum = vload(sums + i);
        for (int64_t q = 1; q < parts; ++q) sum += vload(sums + q * stride + i);
        vstore(tile + i, sum);
    }
    const int64_t r = point_row(s.rows, s.row_tiles(), g);
    const int64_t rn = point_row(s.rows, s.row_tiles(), g + 1) - r;
    const int64_t c = point_row(s.columns, s.column_tiles(), h);
    const int64_t cn = point_row(s.columns, s.column_tiles(), h + 1) - c;
    for (int64_t i = 0; i < rn; ++i)
        for (int64_t j = 0; j < cn; ++j) dw[(r + i) * s.columns + c + j] = tile[i * cn + j];
}

// The sum over pixels is cut into parts by shape alone; each has sums of its own, and these are added
// in order.
template <class T>
dl_status pointwise_backward_weight(const dl_conv& p) {
    const PointWeight<T> s(p);
    T* dw = static_cast<T*>(p.w);
    const int64_t size = s.size(), stride = s.groups * size, row_tiles = s.row_tiles();
    if (s.n == 0) {
        memset(dw, 0, size_t(s.groups * s.rows * s.columns) * sizeof(T));
        return DL_OK;
    }
    const int64_t stretches = s.stretches(), parts = gemm_min(stretches, kWeightParts);
    T* sums = static_cast<T*>(dl_scratch(size_t(parts * stride) * sizeof(T), 2));
    if (!sums) return DL_OUT_OF_MEMORY;
    // Few parts: their rows are shared out too. Speed alone depends on how.
    const int64_t tasks = parts * s.groups;
    const int64_t cuts = gemm_min(row_tiles, gemm_div_up(4 * dl_num_threads(), tasks));
    const int64_t work = gemm_max(1, s.n * s.plane * s.rows * s.columns / (parts * cuts));
    parallel_for(tasks * cuts, gemm_div_up(kGemmAlone / 4, work), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t cut = i % cuts, group = i / cuts % s.groups, part = i / cuts / s.groups;
            const PlaneTask<T> task{s,
                                    group,
                                    row_tiles * cut / cuts,
                                    row_tiles * (cut + 1) / cuts,
                                    stretches * part / parts,
                                    stretches * (part + 1) / parts};
            task.run(sums + part * stride + group * size);
        }
    });
    const int64_t grain = gemm_max(1, 32768 / (s.column_tiles() * PlaneTile<T>::SUMS * parts));
    parallel_for(s.groups * row_tiles, grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            for (int64_t h = 0; h < s.column_tiles(); ++h)
                plane_store(s, i % row_tiles, h, parts,
                            sums + (i * s.column_tiles() + h) * PlaneTile<T>::SUMS, stride,
                            dw + i / row_tiles * s.rows * s.columns);
    });
    return DL_OK;
}

}  // namespace
