// What Winograd's algorithm does to images, filters and results: cutting tiles out of planes and
// transforming them, N channels at a time (N the lanes of a vector), and the way back.
//
// Planes are [channel][row][column]; a vector of N channels of one pixel is had by transposing
// squares of N channels x N columns, once per pixel, into a small stage that stays in L1.
// Everything behind the stage works on whole vectors, whatever the sizes of image and tile. With
// channels last such a vector is one of the image: it is read and written where it lies.
#pragma once
#include "kernels/cpu/conv_winograd_parts.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/planes.h"

namespace {

// The tiles of all planes in order: [plane][ty][tx]. A tile's results lie `step` apart (the dilation);
// tiles with the same residue and the next one follow each other, `step` of them, before the next place.
template <class S>
struct WinoGrid {
    int64_t step[2], ty, tx, count;
    WinoGrid(int64_t planes, const int64_t out[2], const int64_t apart[2])
        : step{apart[0], apart[1]},
          ty(apart[0] * gemm_div_up(gemm_div_up(out[0], apart[0]), S::M0)),
          tx(apart[1] * gemm_div_up(gemm_div_up(out[1], apart[1]), S::M1)),
          count(planes * ty * tx) {}

    int64_t row(int64_t y) const { return y / step[0] * step[0] * S::M0 + y % step[0]; }
    int64_t column(int64_t x) const { return x / step[1] * step[1] * S::M1 + x % step[1]; }
};

// Tiles [t, t + count) lie in one row of tiles of one plane: they have all residues, or they lie in one
// place.
struct WinoRun {
    int64_t t, count, n, y, x;  // n: the plane; y, x: of the first result
};
constexpr int64_t kWinoRun = 16;  // tiles at a time: the stage stays in L1

// Calls f(run) for tiles [t0, t1).
template <class S, class F>
DL_INLINE void wino_runs(const WinoGrid<S>& grid, int64_t t0, int64_t t1, const F& f) {
    const int64_t step = grid.step[1];
    while (t0 < t1) {
        const int64_t x = t0 % grid.tx;
        int64_t count = gemm_min(gemm_min(t1 - t0, grid.tx - x), kWinoRun);
        count =
            x % step != 0 || count < step ? gemm_min(count, step - x % step) : count / step * step;
        f(WinoRun{t0, count, t0 / grid.tx / grid.ty, grid.row(t0 / grid.tx % grid.ty),
                  grid.column(x)});
        t0 += count;
    }
}

// Columns from the first result of a run to the last tap of its last tile.
template <class S>
DL_INLINE int64_t wino_columns(int64_t tiles, int64_t step) {
    return ((gemm_div_up(tiles, step) - 1) * S::M1 + S::A1 - 1) * step + gemm_min(tiles, step);
}

// What a tile at result (0, 0) sees: rows and columns off, off + mul, ... of planes of this size.
struct WinoWindow {
    int64_t size[2], off[2], mul[2];
};

// N channels of an image.
template <class T>
struct WinoImage {
    const T* at;           // the first channel's first pixel
    int64_t plane, pixel;  // from a channel, a column to the next; one of the two is 1
    int64_t channels;      // those that are there
    bool channels_last() const { return plane == 1; }
};

// N columns of a row, kMul apart; the masks: which elements of the row are there.
template <class T, int kMul, bool kWhole>
DL_INLINE typename Vec<T>::type stage_load(const T* row, LaneMask<T> first, LaneMask<T> second) {
    if constexpr (kMul == 1) return kWhole ? vload(row) : vload_mask(row, first);
    constexpr int N = Vec<T>::N;
    return kWhole ? vevens<T>(vload(row), vload(row + N))
                  : vevens<T>(vload_mask(row, first), vload_mask(row + N, second));
}

// N columns of N channels, of a row of which `there` elements are left, transposed to `to`. What lies
// `ahead` is asked for: each channel is a place of its own, so the processor does not see it coming.
template <class T, int kMul>
DL_INLINE void stage_square(const T* row, int64_t plane, int64_t cn, int64_t there, int64_t ahead,
                            T* to) {
    typedef typename Vec<T>::type V;
    constexpr int N = Vec<T>::N;
    const LaneMask<T> first = lane_mask<T>(0, there), second = lane_mask<T>(-N, there - N);
    V r[N];
#pragma GCC unroll 16
    for (int c = 0; c < N; ++c) __builtin_prefetch(row + c * plane + ahead);
    if (there >= kMul * N && cn == N) {
#pragma GCC unroll 16
        for (int c = 0; c < N; ++c)
            r[c] = stage_load<T, kMul, true>(row + c * plane, first, second);
    } else if (cn == N) {
#pragma GCC unroll 16
        for (int c = 0; c < N; ++c)
            r[c] = stage_load<T, kMul, false>(row + c * plane, first, second);
    } else {
        for (int c = 0; c < N; ++c)
            r[c] = c < cn ? stage_load<T, kMul, false>(row + c * plane, first, second) : V{};
    }
    transpose_square(r);
#pragma GCC unroll 16
    for (int c = 0; c < N; ++c) vstore(to + c * N, r[c]);
}

// Columns x0, x0 + mul, ... of row y of N channels (cn of them there) to `to`, a vector each; zeros
// outside of the plane. Writes up to N vectors beyond. ahead: from a row to one that is wanted soon.
template <class T>
void stage_row(const T* planes, int64_t plane, int64_t cn, const int64_t size[2], int64_t y,
               int64_t x0, int64_t mul, int64_t columns, int64_t ahead, T* to) {
    typedef typename Vec<T>::type V;
    constexpr int N = Vec<T>::N;
    int64_t i = 0;
    const bool inside = y >= 0 && y < size[0];
    for (; i < columns && (!inside || x0 + i * mul < 0); ++i) vstore(to + i * N, V{});
    const T* row = planes + y * size[1] + x0;
    const int64_t end = gemm_min(columns, floor_div(size[1] - 1 - x0, mul) + 1);
    for (; i < end; i += N) {
        const int64_t there = gemm_min(size[1] - x0 - i * mul, (end - i - 1) * mul + 1);
        if (mul == 1)
            stage_square<T, 1>(row + i, plane, cn, there, ahead, to + i * N);
        else
            stage_square<T, 2>(row + i * mul, plane, cn, there, ahead, to + i * N);
    }
    for (i = gemm_max(0, gemm_min(i, end)); i < columns; ++i) vstore(to + i * N, V{});
}

// The other way: columns [0, columns) of `from`, a vector each, to a row of cn channels, mul apart; with
// what is left of a finish whose scale and shift they have behind them (then mul is 1).
template <class T>
void unstage_row(const T* from, int64_t columns, T* to, int64_t mul, int64_t plane, int64_t cn,
                 const ConvFinish<T>& finish) {
    typedef typename Vec<T>::type V;
    constexpr int N = Vec<T>::N;
    for (int64_t i = 0; i < columns; i += N) {
        V r[N];
#pragma GCC unroll 16
        for (int c = 0; c < N; ++c) r[c] = vload(from + (i + c) * N);
        transpose_square(r);
        const int64_t here = gemm_min(N, columns - i);
        if (finish.on && finish.cuts())
#pragma GCC unroll 16
            for (int c = 0; c < N; ++c)
                if (c < cn) r[c] = conv_cut(finish, r[c], 0, to + c * plane + i, here);
        if (mul == 1 && here == N && cn == N) {
#pragma GCC unroll 16
            for (int c = 0; c < N; ++c) vstore(to + c * plane + i, r[c]);
        } else if (mul == 1) {
            for (int c = 0; c < cn; ++c) vstore_n(to + c * plane + i, r[c], here);
        } else if (mul == 2) {
            for (int c = 0; c < cn; ++c) vstore_pairs(to + c * plane + 2 * i, r[c], here);
        } else {
            for (int c = 0; c < cn; ++c)
                put_every(to + c * plane + i * mul, reinterpret_cast<const T*>(&r[c]), here, mul);
        }
    }
    if (finish.on && !finish.cuts()) conv_finish_rows(finish, 0, to, plane, cn, columns);
}

// The columns of a run of the grid, and room for what stage_row writes beyond.
template <class T, class S>
int64_t wino_stage_size(const WinoGrid<S>& grid) {
    const int64_t tiles = gemm_min(kWinoRun, grid.tx);
    return S::A0 * (tiles * S::M1 + S::A1 * grid.step[1] + Vec<T>::N) * Vec<T>::N;
}

// The part of an image under a run of tiles: rows y, y + down, ..., columns x, x + across, ...
struct WinoPatch {
    int64_t size[2];
    int64_t y, x, down, across, columns;
    int64_t ld;  // of the stage, in which a column is a vector of channels
};

// Brings R rows of a patch to the stage and maps each column of them: map(V [R], V [A]).
template <int R, int A, class T, class F>
DL_INLINE void stage_planes(const WinoImage<T>& image, const WinoPatch& p, T* stage, const F& map) {
    typedef typename Vec<T>::type V;
    constexpr int N = Vec<T>::N;
    for (int i = 0; i < R; ++i)
        stage_row(image.at, image.plane, image.channels, p.size, p.y + i * p.down, p.x, p.across,
                  p.columns, 2 * p.down * p.size[1], stage + i * p.ld);
    for (int64_t x = 0; x < p.columns && A > 1; ++x) {
        V d[R], v[A];
#pragma GCC unroll 8
        for (int i = 0; i < R; ++i) d[i] = vload(stage + i * p.ld + x * N);
        map(d, v);
#pragma GCC unroll 8
        for (int i = 0; i < A; ++i) vstore(stage + i * p.ld + x * N, v[i]);
    }
}

// The same where channels lie side by side: vectors come from the image itself. A row outside is one
// zero, read again and again.
template <int R, int A, bool kWhole, class T, class F>
DL_INLINE void stage_pixels(const WinoImage<T>& image, const WinoPatch& p, T* stage, const F& map) {
    typedef typename Vec<T>::type V;
    constexpr int N = Vec<T>::N;
    const LaneMask<T> there = lane_mask<T>(0, image.channels);
    const V zeros{};
    const int64_t begin = gemm_min(p.columns, gemm_div_up(gemm_max(0, -p.x), p.across));
    const int64_t end =
        gemm_max(begin, gemm_min(p.columns, floor_div(p.size[1] - 1 - p.x, p.across) + 1));
    const T* row[R];
    int64_t step[R];
    for (int i = 0; i < R; ++i) {
        const int64_t y = p.y + i * p.down;
        const bool inside = y >= 0 && y < p.size[0];
        row[i] = inside ? image.at + (y * p.size[1] + p.x + begin * p.across) * image.pixel
                        : reinterpret_cast<const T*>(&zeros);
        step[i] = inside ? p.across * image.pixel : 0;
    }
    const auto outside = [&](int64_t from, int64_t to) {
        for (int64_t x = from; x < to; ++x)
            for (int i = 0; i < A; ++i) vstore(stage + i * p.ld + x * N, V{});
    };
    outside(0, begin);
    for (int64_t x = begin; x < end; ++x) {
        V d[R], v[A];
#pragma GCC unroll 8
        for (int i = 0; i < R; ++i) {
            d[i] = kWhole ? vload(row[i]) : vload_mask(row[i], there);
            row[i] += step[i];
        }
        map(d, v);
#pragma GCC unroll 8
        for (int i = 0; i < A; ++i) vstore(stage + i * p.ld + x * N, v[i]);
    }
    outside(end, p.columns);
}

template <int R, int A, class T, class F>
DL_INLINE void wino_stage(const WinoImage<T>& image, const WinoPatch& p, T* stage, const F& map) {
    if (!image.channels_last())
        stage_planes<R, A>(image, p, stage, map);
    else if (image.channels == Vec<T>::N)
        stage_pixels<R, A, true>(image, p, stage, map);
    else
        stage_pixels<R, A, false>(image, p, stage, map);
}

// Transforms the tiles of a run, for N channels, and hands each on: put(tile of the run, row, values
// [A1]).
template <class T, class S, class F>
DL_INLINE void wino_input(const WinoImage<T>& image, const WinoWindow& window,
                          const WinoGrid<S>& grid, const WinoRun& run, T* stage, const F& put) {
    typedef typename Vec<T>::type V;
    constexpr int N = Vec<T>::N, A0 = S::A0, A1 = S::A1;
    const int64_t across = grid.step[1] * N;
    const int64_t columns = wino_columns<S>(run.count, grid.step[1]), ld = (columns + N) * N;
    const WinoPatch patch{{window.size[0], window.size[1]},
                          run.y * window.mul[0] + window.off[0],
                          run.x * window.mul[1] + window.off[1],
                          grid.step[0] * window.mul[0],
                          window.mul[1],
                          columns,
                          ld};
    wino_stage<A0, A0>(image, patch, stage,
                       [](const V(&d)[A0], V(&v)[A0]) { S::template Down<T>::input(d, v); });
    for (int64_t t = 0; t < run.count; ++t) {
        const T* tile = stage + grid.column(t) * N;
        for (int i = 0; i < A0; ++i, tile += ld) {
            V d[A1], v[A1];
#pragma GCC unroll 8
            for (int j = 0; j < A1; ++j) d[j] = vload(tile + j * across);
            S::template Across<T>::input(d, v);
            put(t, i, v);
        }
    }
}

// Where results go: rows and columns of planes of this size, `mul` apart, of which `out` are wanted.
template <class T>
struct WinoPlanes {
    T* dst;  // result (0, 0) of the first row
    int64_t out[2], mul[2], width, plane, pixel;
    bool channels_last() const { return plane == 1; }
};

// Results of a tile on the way back, from m: put(row, column, values) of each.
template <class T, class S, class F>
DL_INLINE void wino_tile_output(const T* m, const F& put) {
    typedef typename Vec<T>::type V;
    constexpr int N = Vec<T>::N, A0 = S::A0, A1 = S::A1, M0 = S::M0, M1 = S::M1;
    V rows[A0][M1];
#pragma GCC unroll 8
    for (int i = 0; i < A0; ++i) {
        V d[A1];
#pragma GCC unroll 8
        for (int j = 0; j < A1; ++j) d[j] = vload(m + (i * A1 + j) * N);
        S::template Across<T>::output(d, rows[i]);
    }
#pragma GCC unroll 8
    for (int j = 0; j < M1; ++j) {
        V d[A0], y[M0];
#pragma GCC unroll 8
        for (int i = 0; i < A0; ++i) d[i] = rows[i][j];
        S::template Down<T>::output(d, y);
#pragma GCC unroll 8
        for (int i = 0; i < M0; ++i) put(i, j, y[i]);
    }
}

// The results of a run of tiles where channels lie side by side: each goes where it belongs.
template <class T, class S>
void wino_output_pixels(const WinoGrid<S>& grid, const WinoRun& run, const T* m, int64_t ldm,
                        typename Vec<T>::type scale, typename Vec<T>::type shift,
                        const WinoPlanes<T>& to, int64_t kn, const ConvFinish<T>& finish) {
    typedef typename Vec<T>::type V;
    const int64_t row = grid.step[0] * to.mul[0] * to.width * to.pixel;
    const int64_t column = grid.step[1] * to.mul[1] * to.pixel;
    const int64_t rows = gemm_div_up(to.out[0] - run.y, grid.step[0]);
    for (int64_t t = 0; t < run.count; ++t, m += ldm) {
        const int64_t x = run.x + grid.column(t);
        const int64_t columns = gemm_div_up(to.out[1] - x, grid.step[1]);
        T* tile = to.dst + (run.y * to.mul[0] * to.width + x * to.mul[1]) * to.pixel;
        wino_tile_output<T, S>(m, [&](int i, int j, V y) __attribute__((always_inline)) {
            if (i >= rows || j >= columns) return;
            T* at = tile + i * row + j * column;
            y = y * scale + shift;
            if (finish.on) y = conv_finished(finish, y, scale, shift, at, kn);
            vstore_lanes(at, y, kn);
        });
    }
}

// The results of a run of tiles for N rows of dst (kn of them there), from m: tile t's values at
// m + t * ldm, a vector each. scale, shift: of the rows, the bias among them.
template <class T, class S>
void wino_output(const WinoGrid<S>& grid, const WinoRun& run, const T* m, int64_t ldm,
                 typename Vec<T>::type scale, typename Vec<T>::type shift, const WinoPlanes<T>& to,
                 int64_t kn, T* stage, const ConvFinish<T>& finish) {
    typedef typename Vec<T>::type V;
    constexpr int N = Vec<T>::N, M0 = S::M0, M1 = S::M1;
    if (to.channels_last())
        return wino_output_pixels(grid, run, m, ldm, scale, shift, to, kn, finish);
    const int64_t step = grid.step[1], columns = wino_columns<S>(run.count, step);
    const int64_t ld = (columns + N) * N;
    for (int64_t t = 0; t < run.count; ++t, m += ldm) {
        T* tile = stage + grid.column(t) * N;
        wino_tile_output<T, S>(m, [&](int i, int j, V y) __attribute__((always_inline)) {
            vstore(tile + i * ld + j * step * N, y * scale + shift);
        });
    }
    // Tiles of all residues have filled whole stretches of a row, others a piece of it for each result.
    const int64_t piece = run.count % step == 0 ? run.count * M1 : run.count;
    for (int64_t i = 0; i < M0 && run.y + i * grid.step[0] < to.out[0]; ++i) {
        T* row = to.dst + (run.y + i * grid.step[0]) * to.mul[0] * to.width;
        for (int64_t x = 0; x < columns - (S::R1 - 1) * step; x += gemm_max(piece, step)) {
            const int64_t here = gemm_min(piece, to.out[1] - run.x - x);
            if (here > 0)
                unstage_row(stage + i * ld + x * N, here, row + (run.x + x) * to.mul[1], to.mul[1],
                            to.plane, kn, finish);
        }
    }
}

}  // namespace
