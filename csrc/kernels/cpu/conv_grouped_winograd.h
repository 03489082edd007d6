// Winograd's algorithm for groups of up to two vectors of channels. All of some sixteen tiles stays
// in the first two caches on its way from the images to the results:
//
//   stage  an image with its padding            [row][column][vector][lane]
//   L      its columns transformed, and what products come to in a row of the points
//                                               [row of points][row of tiles][column][vector][lane]
//   V      tiles and their products, for a row of the points at a time
//                                               [point][tile][vector][lane]
//   U      transformed filters                  [point][channel][vector][lane]
//
// Planes become vectors of channels once for each block of tiles (conv_grouped_turn.h); two groups
// of half a vector share theirs. A point's product is so small, some tiles by the filters of a
// group, that all sums of a tile are in registers and take the place of what they were made from.
#pragma once
#include "kernels/cpu/conv_cost.h"
#include "kernels/cpu/conv_grouped_turn.h"
#include "kernels/cpu/conv_winograd_parts.h"
#include "kernels/cpu/static_size.h"

namespace {

typedef WinoSquare<4, 3> GroupedSquare;
constexpr int kGroupedTiles = 16;   // of a block, or a row of them
constexpr int kGroupedVectors = 2;  // of channels or filters

// How groups lie in vectors and images in blocks: whole images where they are small, else some rows
// of tiles of one.
struct GroupedTiles {
    static constexpr int M = GroupedSquare::M0, A = GroupedSquare::A0, POINTS = A * A;
    GroupedSets sets;
    int64_t lanes, in, out, vectors;  // vectors of channels and filters, room for either
    int64_t tall, wide;               // tiles of an image
    int64_t images, rows, bands;      // of a block: images, rows of tiles; blocks of an image
    int64_t blocks;                   // of all images

    GroupedTiles(int64_t n, int64_t groups, int64_t channels, int64_t filters, const int64_t* size,
                 int64_t most, int64_t lanes)
        : sets(groups, gemm_max(channels, filters), lanes), lanes(lanes) {
        in = sets.together == 2 ? 1 : gemm_div_up(channels, lanes);
        out = sets.together == 2 ? 1 : gemm_div_up(filters, lanes);
        vectors = gemm_max(in, out);
        tall = gemm_div_up(size[0], M), wide = gemm_div_up(size[1], M);
        bands = gemm_div_up(tall, gemm_max(1, most / wide));
        if (tall * wide < 2 * most) bands = 1;
        rows = gemm_div_up(tall, bands), bands = gemm_div_up(tall, rows);
        images = gemm_max(1, gemm_min(n, most / (tall * wide)));
        images = gemm_div_up(n, gemm_div_up(n, images));
        blocks = gemm_div_up(n, images) * bands;
    }
    int64_t tiles() const { return images * rows * wide; }
    // Odd in lines: points do not fall on each other in the caches.
    int64_t point() const { return (tiles() * vectors | 1) * lanes; }
};

// Images [image, image + images), rows of tiles [first, first + rows) of each.
struct GroupedBlock {
    int64_t image, images, first, rows;
    GroupedBlock(const GroupedTiles& t, int64_t n, int64_t block) {
        image = block / t.bands * t.images, first = block % t.bands * t.rows;
        images = gemm_min(t.images, n - image), rows = gemm_min(t.rows, t.tall - first);
    }
};

// A run of lines asked for bit by bit.
struct GroupedAhead {
    const char *at = nullptr, *end = nullptr;
    int64_t step = 0;  // lines at a time

    template <class T>
    GroupedAhead(const T* from, int64_t elements, int64_t times)
        : at(reinterpret_cast<const char*>(from)),
          end(reinterpret_cast<const char*>(from + elements)),
          step(gemm_div_up(elements * int64_t(sizeof(T)), 64 * times)) {}
    GroupedAhead() {}
    void next() {
        for (int64_t i = 0; i < step && at < end; ++i, at += 64) __builtin_prefetch(at, 0, 2);
    }
};

// What is cut into tiles: x, or dy.
template <class T>
struct GroupedImages {
    const T* src;
    int64_t size[2], plane, image;  // elements of a plane and of an image
    int64_t groups, channels;       // of a group
};
template <class T>
GroupedImages<T> grouped_source(const Sliding<T>& s) {
    return {s.src, {s.in[1], s.in[2]}, s.src_plane, s.src_image, s.groups, s.channels};
}

// The images under a block on their way to L and V; of_y: as filters, of M by M inputs.
template <class T, bool of_y>
struct GroupedTransform {
    typedef GroupedSquare S;
    typedef typename Vec<T>::type vec;
    static constexpr int N = Vec<T>::N, M = S::M0, A = S::A0, R = of_y ? M : A;
    const GroupedTiles& tiles;
    const GroupedImages<T> s;
    int64_t off[2];              // of a tile's first input
    int64_t vectors;             // of channels
    int64_t tall, columns, row;  // of a stage: rows, columns, elements of a row
    const int32_t* places;       // of the inputs of whole rows

    GroupedTransform(const GroupedTiles& tiles, const GroupedImages<T>& images, const int64_t* off)
        : tiles(tiles),
          s(images),
          off{off[0], off[1]},
          vectors(of_y ? tiles.out : tiles.in),
          places(nullptr) {
        tall = tiles.rows * M + R - M, columns = tiles.wide * M + R - M;
        row = columns * vectors * N;
    }
    int64_t place_count() const { return tall * s.size[1]; }
    void list(int32_t* to) {
        places = to;
        for (int64_t r = 0; r < tall; ++r)
            for (int64_t c = 0; c < s.size[1]; ++c)
                *to++ = int32_t(r * row + (c - off[1]) * vectors * N);
    }
    int64_t stage_elements() const { return tall * row; }
    // Once for all blocks: what is not written again is padding.
    void clear(T* stage) const { memset(stage, 0, size_t(stage_elements()) * sizeof(T)); }

    int64_t wide() const { return columns * tiles.vectors * N; }  // of L: a row of tiles,
    int64_t line() const {                                        // all of them, odd in lines
        return tiles.images * tiles.rows * wide() | N;
    }

    // What a block reads, where it is a run of memory.
    GroupedAhead ahead(int64_t set, int64_t block) const {
        const int64_t planes = tiles.sets.together * s.channels, first = set * planes;
        if (tiles.bands > 1 || tiles.images > 1) return {};
        return {s.src + block * s.image + first * s.plane,
                gemm_min(planes, s.groups * s.channels - first) * s.plane, A * A};
    }
    void run(int64_t set, const GroupedBlock& b, T* stage, T* to) const {
        for (int64_t n = 0; n < b.images; ++n) {
            load(set, s.src + (b.image + n) * s.image, b.first, stage);
            for (int64_t r = 0; r < b.rows; ++r, to += wide()) down(stage + r * M * row, to);
        }
    }
    // A row of the points, from L to V.
    void across(const GroupedBlock& b, const T* from, T* v) const {
        const int64_t point = tiles.point(), step = tiles.vectors * N, all = vectors * N;
        const int64_t many = tiles.wide, next = wide() - many * M * step;
        for (int64_t r = b.images * b.rows; r > 0; --r, from += next)
            for (int64_t t = 0; t < many; ++t, v += step, from += M * step)
                for (int64_t k = 0; k < all; k += N) {
                    vec d[R], x[A];
#pragma GCC unroll 8
                    for (int j = 0; j < R; ++j) d[j] = vhold(vload(from + j * step + k));
                    if constexpr (of_y)
                        S::template Across<T>::gradient_filter(d, x);
                    else
                        S::template Across<T>::input(d, x);
#pragma GCC unroll 8
                    for (int j = 0; j < A; ++j) vstore(v + j * point + k, x[j]);
                }
    }

 private:
    void load(int64_t set, const T* src, int64_t first, T* stage) const {
        const int64_t row0 = first * M + off[0], width = s.size[1];
        const int64_t lo = gemm_max(0, gemm_min(tall, -row0));
        const int64_t hi = gemm_max(lo, gemm_min(tall, s.size[0] - row0));
        memset(stage, 0, size_t(lo * row) * sizeof(T));
        memset(stage + hi * row, 0, size_t((tall - hi) * row) * sizeof(T));
        for (int64_t v = 0; v < vectors; ++v) {
            const GroupedPlanes<T> planes(tiles.sets, s.groups, s.channels, set, v, src, s.plane);
            T* to = stage + lo * row + v * N;
            const int32_t* at = places;
            planes.turn((row0 + lo) * width, (hi - lo) * width,
                        [&](int64_t p, vec r)
                            __attribute__((always_inline)) { vstore(to + at[p], r); });
        }
    }
    // The columns of a row of tiles.
    void down(const T* stage, T* to) const {
        const int64_t apart = line(), step = tiles.vectors * N, all = vectors * N, by = row;
        for (int64_t x = columns; x > 0; --x, to += step)
            for (int64_t k = 0; k < all; k += N, stage += N) {
                vec d[R], v[A];
#pragma GCC unroll 8
                for (int i = 0; i < R; ++i) d[i] = vhold(vload(stage + i * by));
                if constexpr (of_y)
                    S::template Down<T>::gradient_filter(d, v);
                else
                    S::template Down<T>::input(d, v);
#pragma GCC unroll 8
                for (int i = 0; i < A; ++i) vstore(to + i * apart + k, v[i]);
            }
    }
};

// The products of R tiles at a point, of V vectors of filters of P groups, in place: W vectors from
// a tile to the next. C: so many channels; 0: any number of them, at three quarters of the speed.
template <class T, int P, int V, int W, int C, int R>
void grouped_point(int64_t channels, const T* u, T* tiles) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    vec acc[R][V];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) acc[r][v] = vec{};
    const auto step = [&](const T* x, const T* w) __attribute__((always_inline)) {
        vec uv[V];
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) uv[v] = vload(w + v * N);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
            vec xv = vrepeat<T, P>(x + r * W * N);
            if (V > 1) xv = vhold(xv);
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) acc[r][v] += xv * uv[v];
        }
    };
    if constexpr (C > 0)
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c) step(tiles + c * P, u + c * V * N);
    else
        for (int64_t c = 0; c < channels; ++c) step(tiles + c * P, u + c * V * N);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) vstore(tiles + (r * W + v) * N, acc[r][v]);
}

template <class T>
using GroupedPoint = void (*)(int64_t channels, const T* u, T* tiles);

#if DL_VEC_BYTES == 64
constexpr int grouped_at_once(int vectors) { return vectors == 2 ? 10 : 16; }
#else
constexpr int grouped_at_once(int vectors) { return vectors == 2 ? 6 : 12; }
#endif

template <class T, int P, int V, int W, int C = 0>
GroupedPoint<T> grouped_point_as(int64_t count) {
    return with_size<grouped_at_once(V)>(count, [](auto r) -> GroupedPoint<T> {
        return grouped_point<T, P, V, W, C, decltype(r)::value>;
    });
}
// f(GroupedVectors) for how channels and filters lie in vectors: P groups in one, or V vectors of
// filters; W vectors from a tile to the next.
template <int kP, int kV, int kW>
struct GroupedVectors {
    static constexpr int P = kP, V = kV, W = kW;
};
template <class F>
auto with_grouped_vectors(const GroupedTiles& tiles, const F& f) {
    if (tiles.sets.together == 2) return f(GroupedVectors<2, 1, 1>{});
    if (tiles.out == 2) return f(GroupedVectors<1, 2, 2>{});
    if (tiles.vectors == 2) return f(GroupedVectors<1, 1, 2>{});
    return f(GroupedVectors<1, 1, 1>{});
}
template <class T>
GroupedPoint<T> grouped_point_of(const GroupedTiles& tiles, int64_t channels, int64_t count) {
    constexpr int N = Vec<T>::N;
    const bool full = channels * tiles.sets.together == N && tiles.vectors == 1;
    if (full && tiles.sets.together == 2) return grouped_point_as<T, 2, 1, 1, N / 2>(count);
    if (full) return grouped_point_as<T, 1, 1, 1, N>(count);
    return with_grouped_vectors(tiles, [count](auto v) -> GroupedPoint<T> {
        typedef decltype(v) L;
        return grouped_point_as<T, L::P, L::V, L::W>(count);
    });
}

template <class T>
struct GroupedWino {
    typedef GroupedSquare S;
    typedef typename Vec<T>::type vec;
    static constexpr int N = Vec<T>::N, M = S::M0, A = S::A0, POINTS = A * A;
    const Sliding<T>& s;
    const WinoPart& part;
    const GroupedTiles& tiles;
    const GroupedTransform<T, false>& transform;

    int64_t filters() const { return s.channels * tiles.out * N; }  // of a point
    int64_t image_stage() const { return tiles.rows * M * s.out[2] * N; }
    int64_t elements() const {
        return POINTS * (filters() + N) + A * (transform.line() + tiles.point()) +
               transform.stage_elements() + image_stage() + N * N;
    }

    // Blocks [begin, end) of all sets, one set after another.
    void run(int64_t begin, int64_t end, T* memory) const {
        T *u = memory, *lines = u + POINTS * (filters() + N), *v = lines + A * transform.line();
        T *stage = v + A * tiles.point(), *sums = stage + transform.stage_elements();
        transform.clear(stage);
        vec start[kGroupedVectors];
        for (int64_t i = begin; i < end; ++i) {
            const int64_t set = i / tiles.blocks, block = i % tiles.blocks;
            if (i == begin || block == 0) pack(set, u, start);
            const GroupedBlock b(tiles, s.n, block);
            GroupedAhead ahead;
            if (i + 1 < end)
                ahead = transform.ahead((i + 1) / tiles.blocks, (i + 1) % tiles.blocks);
            transform.run(set, b, stage, lines);
            for (int r = 0; r < A; ++r) {
                T* line = lines + r * transform.line();
                transform.across(b, line, v);
                multiply(b.images * b.rows * tiles.wide, u + r * A * (filters() + N), v, ahead);
                products(b.images * b.rows, v, line);
            }
            const int64_t above = b.first * M * s.out[2];
            const int64_t positions = gemm_min(b.rows * M * s.out[2], s.dst_plane - above);
            for (int64_t k = 0; k < tiles.out; ++k)
                for (int64_t n = 0; n < b.images; ++n) {
                    results(b.rows, lines + n * b.rows * transform.wide() + k * N, start[k], sums);
                    T* dst = s.dst + (b.image + n) * s.dst_image + above;
                    GroupedPut<T>(s, tiles.sets, set, k, dst).put(sums, positions);
                }
        }
    }

 private:
    void pack(int64_t set, T* u, vec (&start)[kGroupedVectors]) const {
        for (int64_t v = 0; v < tiles.out; ++v) {
            const T* rows[N];
            T add[N];
            for (int i = 0; i < N; ++i) {
                const int64_t row = tiles.sets.plane(s, set, v, i);
                const int64_t group = tiles.sets.group(set, i);
                rows[i] =
                    row < 0 ? nullptr : s.w + group * s.w_group + (row - group * s.rows) * s.w_row;
                add[i] = row >= 0 && s.bias ? s.bias[row] : T(0);
            }
            start[v] = vload(add);
            for (int64_t c = 0; c < s.channels; ++c) {
                vec g[S::TAPS];
                taps(rows, c * s.w_channel + part.first, g);
                wino_filter<S>(g, u + (c * tiles.out + v) * N, filters() + N);
            }
        }
    }
    void taps(const T* const (&rows)[N], int64_t at, vec (&g)[S::TAPS]) const {
        if constexpr (N >= S::TAPS) {
            const LaneMask<T> mask = lane_mask<T>(0, S::TAPS);
            vec r[N];
#pragma GCC unroll 16
            for (int i = 0; i < N; ++i) r[i] = rows[i] ? vload_mask(rows[i] + at, mask) : vec{};
            transpose_square(r);
            for (int t = 0; t < S::TAPS; ++t) g[t] = r[part.at[t]];
        } else {
            static_assert(N + 1 == S::TAPS);
            vec r[N], last;
#pragma GCC unroll 8
            for (int i = 0; i < N; ++i) r[i] = rows[i] ? vload(rows[i] + at) : vec{};
#pragma GCC unroll 8
            for (int i = 0; i < N; ++i) last[i] = rows[i] ? rows[i][at + N] : T(0);
            transpose_square(r);
            for (int t = 0; t < S::TAPS; ++t) g[t] = part.at[t] < N ? r[part.at[t]] : last;
        }
    }
    // A row of the points.
    void multiply(int64_t count, const T* u, T* v, GroupedAhead& ahead) const {
        const int64_t chunks = gemm_div_up(count, grouped_at_once(int(tiles.out)));
        const int64_t most = gemm_div_up(count, chunks), rest = count - (chunks - 1) * most;
        const auto many = grouped_point_of<T>(tiles, s.channels, most);
        const auto few = grouped_point_of<T>(tiles, s.channels, rest);
        for (int x = 0; x < A; ++x, u += filters() + N, v += tiles.point()) {
            ahead.next();
            T* to = v;
            for (int64_t i = 1; i < chunks; ++i, to += most * tiles.vectors * N)
                many(s.channels, u, to);
            few(s.channels, u, to);
        }
    }
    // What their products come to, from V to L.
    void products(int64_t rows, const T* v, T* line) const {
        const int64_t point = tiles.point(), step = tiles.vectors * N, out = tiles.out * N;
        const int64_t many = tiles.wide, next = transform.wide() - many * M * step;
        for (int64_t r = 0; r < rows; ++r, line += next)
            for (int64_t t = 0; t < many; ++t, v += step, line += M * step)
                for (int64_t k = 0; k < out; k += N) {
                    vec d[A], y[M];
#pragma GCC unroll 8
                    for (int j = 0; j < A; ++j) d[j] = vhold(vload(v + j * point + k));
                    S::template Across<T>::output(d, y);
#pragma GCC unroll 8
                    for (int j = 0; j < M; ++j) vstore(line + j * step + k, y[j]);
                }
    }
    // Rows of tiles of an image -> sums [position][lane]
    void results(int64_t rows, const T* line, vec start, T* sums) const {
        const int64_t apart = transform.line(), step = tiles.vectors * N, row = s.out[2] * N;
        const int64_t many = s.out[2], next = transform.wide() - many * step;
        for (int64_t r = 0; r < rows; ++r, line += next, sums += (M - 1) * row)
            for (int64_t x = 0; x < many; ++x, line += step, sums += N) {
                vec d[A], y[M];
#pragma GCC unroll 8
                for (int i = 0; i < A; ++i) d[i] = vhold(vload(line + i * apart));
                S::template Down<T>::output(d, y);
#pragma GCC unroll 8
                for (int i = 0; i < M; ++i) vstore(sums + i * row, y[i] + start);
            }
    }
};

template <class T>
dl_status grouped_wino(const Sliding<T>& s) {
    WinoPart parts[kWinoParts];
    int64_t step[2];
    if (sliding_without_sums(s)) return DL_OK;
    if (wino_parts<GroupedSquare>(s, parts, step) != 1) return DL_UNSUPPORTED;
    const GroupedTiles tiles(s.n, s.groups, s.channels, s.rows, s.grid + 1, kGroupedTiles,
                             Vec<T>::N);
    GroupedTransform<T, false> transform(tiles, grouped_source(s), parts[0].off + 1);
    auto* places =
        static_cast<int32_t*>(dl_scratch(size_t(transform.place_count()) * sizeof(int32_t), 3));
    if (!places) return DL_OUT_OF_MEMORY;
    transform.list(places);
    const GroupedWino<T> product{s, parts[0], tiles, transform};
    const int64_t tasks = tiles.sets.count * tiles.blocks;
    const int64_t work = product.filters() * product.POINTS * tiles.tiles();
    // A set's filters are transformed by each thread that has some of its blocks.
    const int64_t grain = gemm_max(gemm_max(1, 131072 / work), tasks / (16 * dl_num_threads()));
    int failed = 0;
    parallel_for(tasks, grain, [&](int64_t begin, int64_t end) {
        T* memory = static_cast<T*>(dl_scratch(size_t(product.elements()) * sizeof(T), 1));
        if (!memory) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        product.run(begin, end, memory);
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

// Nothing is compiled where it does not apply.
template <class T>
dl_status grouped_winograd(const Sliding<T>& s) {
    if constexpr (kGrouped) return grouped_wino(s);
    return DL_UNSUPPORTED;
}

// Images of two dimensions, dense 3x3 windows; a stage holds all inputs of its rows.
inline bool grouped_wino_applies(const dl_conv& p) {
    const int64_t most = gemm_max(p.c, p.k) / p.groups;
    bool fits = kGrouped && p.groups > 1 && p.in[0] == 1 && p.out[0] == 1 && p.kernel[0] == 1 &&
                p.pad_lo[0] == 0 && conv_volume(p.in) > 0 && conv_volume(p.out) > 0 && p.n > 0 &&
                most > 0 && most * int64_t(sizeof(float)) <= kGroupedVectors * DL_VEC_BYTES;
    for (int d = 1; d < 3; ++d)
        fits = fits && p.kernel[d] == 3 && p.stride[d] == 1 && p.dilation[d] == 1 &&
               p.pad_lo[d] <= 2 && p.out[d] - p.in[d] - p.pad_lo[d] + 2 <= 2 && p.out[d] <= 512;
    return fits;
}

}  // namespace
