// Windows of stride 2 by Winograd's algorithm, both residues of rows and of columns in one go: the maps.
//
// Along a dimension the even positions of the input (of the results, in the gradient of the input) meet
// one half of the taps and the odd ones the other. A residue with two taps takes F(M, 2), A = M + 1
// products for M results; one with a single tap takes M plain products, all with the same filter. So
// M results of three taps, of which every second input is read, come from 2M + 1 products instead of 3M,
// and M results of either residue of four taps from 2M + 2 instead of 4M. In two dimensions the maps are
// applied to columns, then to rows, and filters of the same kind along both make a class: the products
// of a class are one matrix product, in which a tile has one row, or one for each of its plain results.
#pragma once
#include "kernels/cpu/conv_winograd_tiles.h"

namespace {

// M: results of a residue along a tile; SECOND: taps of the second residue (the first has two); BACK:
// the gradient of the input.
template <int M_, int SECOND_, bool BACK_>
struct ResidueShape {
    static constexpr int M = M_, SECOND = SECOND_, TAPS = 2 + SECOND, A = M + 1;
    static constexpr bool BACK = BACK_;
    static_assert(BACK || SECOND == 1);
    // Along a tile: products, kinds of filters among them (a plain one serves M), results, inputs.
    static constexpr int VALUES = A + (SECOND == 1 ? M : A), KINDS = A + (SECOND == 1 ? 1 : A);
    static constexpr int CLASSES = KINDS * KINDS, OUT = BACK ? 2 * M : M;
    static constexpr int STEP = BACK ? 1 : 2, SPAN = BACK ? M + SECOND : 2 * M + 1;
    template <class T>
    using Map = WinoMap<T, M, 2>;

    static constexpr bool plain(int value) { return SECOND == 1 && value >= A; }
    static constexpr int kind(int value) { return plain(value) ? A : value; }
    // Of a residue, the tap that belongs to its j-th input.
    static constexpr int tap(int residue, int j) {
        const int taps = residue == 0 ? 2 : SECOND;
        return residue + 2 * (BACK ? taps - 1 - j : j);
    }
};

// A dimension of the images.
struct ResidueAxis {
    int64_t results;   // of a residue; back: half of the positions
    int64_t size;      // positions of dst
    int64_t first;     // of src, where the inputs of the first tile begin
    int64_t begin[2];  // where those of the residues do, from there on
    int64_t place[2];  // back: of the residues' results in a pair

    template <class S>
    static ResidueAxis of(const dl_conv& p, int d) {
        const int64_t pad = p.pad_lo[d];
        if (!S::BACK) return {p.out[d], p.out[d], -pad, {0, 1}, {0, 0}};
        // Position i of dx meets tap r of output o where i + pad = 2 o + r.
        const int64_t half = floor_div(pad, 2), odd = pad - 2 * half;
        const int64_t results = gemm_div_up(p.in[d], 2);
        if (S::SECOND == 1) return {results, p.in[d], half + odd - 1, {0, 1 - odd}, {odd, 1 - odd}};
        return {results, p.in[d], half - 1, {odd, 0}, {odd, 1 - odd}};
    }
};

// N channels of the rows and columns under a run of tiles, in the stage: brought there, and mapped along
// columns. Row `value` of the result is at row(value).
template <class T, class S>
struct ResidueStage {
    typedef typename Vec<T>::type V;
    static constexpr int N = Vec<T>::N;
    const ResidueAxis& down;
    T *raw, *mapped;
    int64_t ld;

    static int64_t columns(int64_t tiles) { return S::STEP * S::M * (tiles - 1) + S::SPAN; }
    static int64_t size(int64_t tiles) { return (S::SPAN + S::VALUES) * (columns(tiles) + N) * N; }
    ResidueStage(const ResidueAxis& axis, T* memory, int64_t tiles)
        : down(axis), raw(memory), ld((columns(tiles) + N) * N) {
        mapped = raw + S::SPAN * ld;
    }
    const T* row(int value) const {
        return S::plain(value) ? raw + (down.begin[1] + (value - S::A) * S::STEP) * ld
                               : mapped + value * ld;
    }
    // size: of the slice; y, x: of the first row and column.
    void load(const WinoImage<T>& image, const int64_t size[2], int64_t y, int64_t x,
              int64_t columns) {
        const int64_t ahead = S::STEP * S::M * size[1];
        for (int i = 0; i < S::SPAN; ++i)
            stage_row(image.at, image.plane, image.channels, size, y + i, x, 1, columns, ahead,
                      raw + i * ld);
        map(down.begin[0], mapped, columns);
        if (S::SECOND == 2) map(down.begin[1], mapped + S::A * ld, columns);
    }

 private:
    void map(int64_t begin, T* to, int64_t columns) const {
        for (int64_t x = 0; x < columns * N; x += N) {
            V d[S::A], v[S::A];
#pragma GCC unroll 8
            for (int j = 0; j < S::A; ++j) d[j] = vload(raw + (begin + j * S::STEP) * ld + x);
            S::template Map<T>::input(d, v);
#pragma GCC unroll 8
            for (int j = 0; j < S::A; ++j) vstore(to + j * ld + x, v[j]);
        }
    }
};

// Maps a column or a row of taps: values of all kinds.
template <class T, class S>
DL_INLINE void residue_kinds(const typename Vec<T>::type (&g)[S::TAPS],
                             typename Vec<T>::type (&to)[S::KINDS]) {
    typedef typename Vec<T>::type V;
    const V first[2] = {g[S::tap(0, 0)], g[S::tap(0, 1)]};
    V v[S::A];
    S::template Map<T>::filter(first, v);
#pragma GCC unroll 8
    for (int j = 0; j < S::A; ++j) to[j] = v[j];
    if constexpr (S::SECOND == 1) {
        to[S::A] = g[S::tap(1, 0)];
    } else {
        const V second[2] = {g[S::tap(1, 0)], g[S::tap(1, 1)]};
        S::template Map<T>::filter(second, v);
#pragma GCC unroll 8
        for (int j = 0; j < S::A; ++j) to[S::A + j] = v[j];
    }
}

// Transforms the filters of N rows and one channel: class x to u + x * step.
template <class T, class S>
DL_INLINE void residue_filter(const typename Vec<T>::type (&g)[S::TAPS * S::TAPS], T* u,
                              int64_t step) {
    typedef typename Vec<T>::type V;
    V columns[S::TAPS][S::KINDS];
#pragma GCC unroll 4
    for (int s = 0; s < S::TAPS; ++s) {
        V d[S::TAPS];
#pragma GCC unroll 4
        for (int r = 0; r < S::TAPS; ++r) d[r] = g[r * S::TAPS + s];
        residue_kinds<T, S>(d, columns[s]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < S::KINDS; ++i) {
        V d[S::TAPS], v[S::KINDS];
#pragma GCC unroll 4
        for (int s = 0; s < S::TAPS; ++s) d[s] = columns[s][i];
        residue_kinds<T, S>(d, v);
#pragma GCC unroll 16
        for (int j = 0; j < S::KINDS; ++j) vstore(u + (i * S::KINDS + j) * step, v[j]);
    }
}

// The way back along a dimension: from the values of a tile, `apart` elements from each other, to its
// results. Forward the residues are summed, back they take turns.
template <class T, class S>
DL_INLINE void residue_output(const T* from, int64_t apart, const ResidueAxis& axis,
                              typename Vec<T>::type (&to)[S::OUT]) {
    typedef typename Vec<T>::type V;
    V m[S::A], y[S::M];
#pragma GCC unroll 8
    for (int j = 0; j < S::A; ++j) m[j] = vload(from + j * apart);
    S::template Map<T>::output(m, y);
    from += S::A * apart;
    if constexpr (!S::BACK) {
#pragma GCC unroll 8
        for (int j = 0; j < S::M; ++j) to[j] = y[j] + vload(from + j * apart);
    } else {
        V z[S::M];
        if constexpr (S::SECOND == 1) {
#pragma GCC unroll 8
            for (int j = 0; j < S::M; ++j) z[j] = vload(from + j * apart);
        } else {
#pragma GCC unroll 8
            for (int j = 0; j < S::A; ++j) m[j] = vload(from + j * apart);
            S::template Map<T>::output(m, z);
        }
        const bool turned = axis.place[0] == 1;
#pragma GCC unroll 8
        for (int j = 0; j < S::M; ++j) {
            to[2 * j] = turned ? z[j] : y[j];
            to[2 * j + 1] = turned ? y[j] : z[j];
        }
    }
}

}  // namespace
