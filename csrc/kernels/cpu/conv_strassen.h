// Convolutions with kernels of size 1 by one level of Strassen's algorithm, in Winograd's form with
// 15 additions: pixels, channels and filters are halved, and the four quarters of the result take 7
// products of sums of quarters instead of 8,
//
//   C11 = P1 + P2              P1 = A11 B11    P2 = A12 B21   P3 = S4 B22    P4 = A22 T4
//   C12 = P1 + P6 + P5 + P3    P5 = S1 T1      P6 = S2 T2     P7 = S3 T3
//   C21 = P1 + P6 + P7 - P4    S1 = A21 + A22  S2 = S1 - A11  S3 = A11 - A21  S4 = A12 - S2
//   C22 = P1 + P6 + P7 + P5    T1 = B12 - B11  T2 = B22 - T1  T3 = B22 - B12  T4 = T2 - B21
//
// after J. Huang, T. M. Smith, G. M. Henry, R. A. van de Geijn, "Strassen's Algorithm Reloaded"
// (SC16), in that the sums of quarters are formed while they are packed and no product is stored by
// itself. There halves are halves of the matrices. Here they are neighbours: two slivers of pixels,
// two of filters, two halves of a block of channels, so that the seven products of a tile follow
// each other and their sums stay in registers from one to the next; six tiles are all they need.
//
// As conv_turned.h otherwise: pixels are the rows of a tile, filters its lanes, a task packs its
// own pixels. Both pixels of a pair belong to one image, which thus depends on no other's values;
// the middle one of an odd number is paired with itself.
#pragma once
#include "kernels/cpu/conv_pixels.h"

namespace {

// ---- seven products -----------------------------------------------------------------------------

// Operands in the order of the products; in the places of S1 and T1 lie A21 and B12 until the sums
// are formed. P4 is subtracted: its weights are -T4.
constexpr int kStrassenProducts = 7;
enum StrassenPixels { kA11, kA12, kS2, kS3, kA22, kS1, kS4, kA21 = kS1 };
enum StrassenWeights { kB11, kB21, kT2, kT3, kT4, kT1, kB22, kB12 = kT1 };

// What becomes of the sums in registers after a product: out = sums (+ plus) (+ out), then they are
// cleared or not, and `take` is added.
template <class T>
struct StrassenStep {
    T* out;
    const T* plus;
    bool update, clear;
    const T* take;
};

// A tile of sums in registers and one in memory.
template <class T, int R, int V>
DL_INLINE void strassen_add(typename Vec<T>::type (&sums)[R][V], const T* tile) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sums[i][v] += vload(tile + i * GemmTile<T>::NR + v * Vec<T>::N);
}
template <class T, int R, int V, bool plus, bool update>
DL_INLINE void strassen_store(typename Vec<T>::type (&sums)[R][V], T* out, const T* other) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            const int64_t at = i * GemmTile<T>::NR + v * Vec<T>::N;
            typename Vec<T>::type sum = sums[i][v];
            if (plus) sum += vload(other + at);
            if (update) sum += vload(out + at);
            vstore(out + at, sum);
        }
}

// Some products of a tile one after another; a and b: their operands, kc steps each.
template <class T, int R, int V>
void strassen_micro(int64_t kc, const T* a, const T* b, const StrassenStep<T>* s,
                    const StrassenStep<T>* end) {
    typedef typename Vec<T>::type vec;
    constexpr int MR = GemmTile<T>::MR, NR = GemmTile<T>::NR, N = Vec<T>::N;
    vec sums[R][V] = {};
    const int64_t next = kStrassenProducts * kc * MR;  // the tile that follows
    for (; s < end; ++s) {
        const auto step = [&]() __attribute__((always_inline)) {
            vec bv[V];
            __builtin_prefetch(a + next, 0, 2);
            __builtin_prefetch(a + 8 * MR);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) {
                __builtin_prefetch(b + 8 * NR + v * N);
                bv[v] = vload(b + v * N);
            }
#pragma GCC unroll 16
            for (int i = 0; i < R; ++i) {
                const vec av = vset1(a[i]);
#pragma GCC unroll 4
                for (int v = 0; v < V; ++v) sums[i][v] += av * bv[v];
            }
            a += MR, b += NR;
        };
        // As in gemm_micro tiles are asked for shortly before they are needed.
        int64_t k = 0;
        for (const int64_t late = kc - 32; k < late; ++k) step();
        const T *row = s->out, *other = s->plus ? s->plus : s->out;
        for (const int64_t last = gemm_min(kc, k + R); k < last; ++k, row += NR, other += NR) {
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v)
                __builtin_prefetch(row + v * N, 1), __builtin_prefetch(other + v * N);
            step();
        }
        for (; k < kc; ++k) step();
        if (s->plus)
            s->update ? strassen_store<T, R, V, true, true>(sums, s->out, s->plus)
                      : strassen_store<T, R, V, true, false>(sums, s->out, s->plus);
        else
            s->update ? strassen_store<T, R, V, false, true>(sums, s->out, s->plus)
                      : strassen_store<T, R, V, false, false>(sums, s->out, s->plus);
        if (s->clear)
#pragma GCC unroll 16
            for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
                for (int v = 0; v < V; ++v) sums[i][v] = vec{};
        if (s->take) strassen_add<T, R, V>(sums, s->take);
    }
}
template <class T>
using StrassenMicro = void (*)(int64_t kc, const T* a, const T* b, const StrassenStep<T>* s,
                               const StrassenStep<T>* end);
template <class T, int V>
struct StrassenMicros {
    template <int R>
    static constexpr StrassenMicro<T> rows = strassen_micro < T,
                                      R <= DL_GEMM_MR ? R : DL_GEMM_MR, V > ;
    static constexpr StrassenMicro<T> at[8] = {nullptr, rows<2>,  rows<4>,  rows<6>,
                                               rows<8>, rows<10>, rows<12>, rows<14>};
};

// ---- operands -----------------------------------------------------------------------------------

// n elements of each quarter lie in their places, `apart` elements from an operand to the next:
// forms the sums.
template <class T>
void strassen_pixel_sums(T* a, int64_t apart, int64_t n) {
    constexpr int64_t N = Vec<T>::N;
    for (int64_t i = 0; i < n; i += N) {
        const int64_t m = gemm_min(N, n - i);
        const auto at = [&](int operand) { return a + operand * apart + i; };
        const auto a11 = vload_lanes(at(kA11), m), a12 = vload_lanes(at(kA12), m);
        const auto a21 = vload_lanes(at(kA21), m), a22 = vload_lanes(at(kA22), m);
        const auto s1 = a21 + a22, s2 = s1 - a11;
        vstore_lanes(at(kS1), s1, m), vstore_lanes(at(kS2), s2, m);
        vstore_lanes(at(kS3), a11 - a21, m), vstore_lanes(at(kS4), a12 - s2, m);
    }
}
template <class T>
void strassen_weight_sums(T* b, int64_t apart, int64_t n) {  // n: whole vectors
    constexpr int64_t N = Vec<T>::N;
    for (int64_t i = 0; i < n; i += N) {
        const auto at = [&](int operand) { return b + operand * apart + i; };
        const auto b11 = vload(at(kB11)), b12 = vload(at(kB12));
        const auto b21 = vload(at(kB21)), b22 = vload(at(kB22));
        const auto t1 = b12 - b11, t2 = b22 - t1;
        vstore(at(kT1), t1), vstore(at(kT2), t2), vstore(at(kT3), b22 - b12);
        vstore(at(kT4), b21 - t2);
    }
}

// Pairs of pixels (rows) and of slivers of filters of a task.
struct StrassenRect {
    int64_t j0, j1, f0, f1;
};

template <class T>
struct StrassenProduct {
    typedef GemmTile<T> Tile;
    static constexpr int64_t MR = Tile::MR, NR = Tile::NR, kTile = MR * NR;
    static constexpr int64_t kChunk = 32;  // channels of either half packed and summed in L1
    const Sliding<T>& s;
    int64_t kc, each;  // channels of a block; pairs of pixels of an image
    const T* packed;   // weights of all filters, or null: each task packs those it needs

    StrassenProduct(const Sliding<T>& sliding, int64_t block)
        : s(sliding), kc(block), each(gemm_div_up(s.positions(), 2)), packed(nullptr) {}

    // Elements of a row of operands.
    static int64_t size(int64_t channels, int64_t width) {
        return kStrassenProducts * gemm_div_up(channels, 2) * width;
    }
    int64_t pairs() const { return gemm_div_up(s.rows, 2 * NR); }
    int64_t packed_size() const {
        return pairs() * (s.channels / kc * size(kc, NR) + size(s.channels % kc, NR));
    }
    int64_t packed_at(int64_t pair, int64_t k0, int64_t kn) const {
        return pairs() * (k0 / kc) * size(kc, NR) + pair * size(kn, NR);
    }
    // Lanes of either half of a pair of slivers of filters: few filters take half of them.
    int64_t lanes(int64_t pair) const {
        return s.rows - pair * 2 * NR <= 2 * Vec<T>::N ? Vec<T>::N : NR;
    }

    void pack_weights(T* b, int64_t pair, int64_t k0, int64_t kn) const {
        const int64_t half = gemm_div_up(kn, 2), apart = half * NR;
        const PackStridedB<T> pack{s.w, s.w_row, s.w_channel};
        constexpr int place[2][2] = {{kB11, kB12}, {kB21, kB22}};
        for (int64_t k = 0; k < half; k += kChunk, b += kChunk * NR) {
            const int64_t n = gemm_min(kChunk, half - k);
            for (int c = 0; c < 2; ++c)
                for (int g = 0; g < 2; ++g) {
                    T* to = b + place[c][g] * apart;
                    const int64_t f = pair * 2 * NR + g * lanes(pair), from = c * half + k;
                    const int64_t fn = gemm_max(0, gemm_min(lanes(pair), s.rows - f));
                    const int64_t steps = gemm_min(n, kn - from);
                    if (fn > 0 && steps > 0) pack(to, f, fn, k0 + from, steps);
                    const int64_t done = fn > 0 ? steps * NR : 0;
                    memset(to + done, 0, size_t(n * NR - done) * sizeof(T));
                }
            strassen_weight_sums(b, apart, n * NR);
        }
    }

    bool run(const StrassenRect& r) const {
        const PixelList<T> first(s, r.j0, r.j1, {each, 0}), second(s, r.j0, r.j1, {each, each});
        const PixelList<T>* lists[2] = {&first, &second};
        const int64_t slivers = first.slivers;
        const bool collect = kc < s.channels;
        const int64_t pixels_size = gemm_round_up(slivers * size(kc, MR), 16);
        const int64_t own = packed ? 0 : size(kc, NR);
        const int64_t tiles = 2 + 4 * (collect ? slivers * (r.f1 - r.f0) : 1);
        T* pixels =
            static_cast<T*>(dl_scratch(size_t(pixels_size + own + tiles * kTile) * sizeof(T), 1));
        if (!pixels) return false;
        T *weights = pixels + pixels_size, *sums = weights + own;
        for (int64_t k0 = 0; k0 < s.channels; k0 += kc) {
            const int64_t kn = gemm_min(kc, s.channels - k0);
            pack_pixels(lists, k0, kn, pixels);
            for (int64_t pair = r.f0; pair < r.f1; ++pair) {
                if (!packed) pack_weights(weights, pair, k0, kn);
                const T* w = packed ? packed + packed_at(pair, k0, kn) : weights;
                T* to = sums + 2 * kTile + (collect ? (pair - r.f0) * slivers * 4 * kTile : 0);
                for (int64_t i = 0; i < slivers; ++i, to += collect ? 4 * kTile : 0) {
                    const int64_t mr = gemm_min(MR, r.j1 - r.j0 - i * MR);
                    multiply(mr, lanes(pair), k0, kn, pixels + i * size(kn, MR), w, sums, to,
                             [&](int h, int g) {
                                 if (k0 + kn == s.channels)
                                     store(*lists[h], i, pair, g, to + (2 * h + g) * kTile);
                             });
                }
            }
        }
        return true;
    }

 private:
    void pack_pixels(const PixelList<T>* const lists[2], int64_t k0, int64_t kn, T* pixels) const {
        const int64_t half = gemm_div_up(kn, 2), apart = half * MR;
        const auto pack = pixel_packer(s);
        constexpr int place[2][2] = {{kA11, kA12}, {kA21, kA22}};
        for (int64_t k = 0; k < half; k += kChunk) {
            const int64_t n = gemm_min(kChunk, half - k);
            for (int64_t i = 0; i < lists[0]->slivers; ++i) {
                T* a = pixels + i * size(kn, MR) + k * MR;
                for (int h = 0; h < 2; ++h)
                    for (int c = 0; c < 2; ++c) {
                        T* to = a + place[h][c] * apart;
                        const int64_t from = c * half + k, steps = gemm_min(n, kn - from);
                        pack(s, *lists[h], i, s.src + (k0 + from) * s.src_plane, steps, to);
                        memset(to + steps * MR, 0, size_t((n - steps) * MR) * sizeof(T));
                    }
                strassen_pixel_sums(a, apart, n * MR);
            }
        }
    }

    // The four quarters of a tile, one after another; two tiles of temps. done(pixels, filters) is
    // called when a quarter is: all four at the end are more stores than the core takes at a time.
    template <class F>
    void multiply(int64_t mr, int64_t lanes, int64_t k0, int64_t kn, const T* a, const T* b,
                  T* temps, T* tiles, const F& done) const {
        const int64_t k = gemm_div_up(kn, 2);
        const auto* micros =
            lanes == Vec<T>::N ? StrassenMicros<T, 1>::at : StrassenMicros<T, Tile::NV>::at;
        const auto micro = micros[(mr + 1) / 2];
        const bool more = k0 > 0;
        T *u2 = temps, *u3 = temps + kTile;
        T *c11 = tiles, *c12 = c11 + kTile, *c21 = c12 + kTile, *c22 = c21 + kTile;
        const StrassenStep<T> steps[kStrassenProducts] = {
            {u2, nullptr, false, false, nullptr},  // P1
            {c11, nullptr, more, true, nullptr},   // P1 + P2
            {u2, u2, false, true, u2},             // P1 + P6: u2
            {u3, nullptr, false, false, nullptr},  // u2 + P7: u3
            {c21, nullptr, more, true, nullptr},   // u3 - P4
            {c22, u3, more, false, u2},            // u3 + P5; u2 + P5 goes on
            {c12, nullptr, more, true, nullptr},   // u2 + P5 + P3
        };
        micro(k, a, b, steps, steps + 2);
        done(0, 0);
        micro(k, a + 2 * k * MR, b + 2 * k * NR, steps + 2, steps + 5);
        done(1, 0);
        micro(k, a + 5 * k * MR, b + 5 * k * NR, steps + 5, steps + 7);
        done(1, 1), done(0, 1);
    }

    void store(const PixelList<T>& list, int64_t sliver, int64_t pair, int g, T* tile) const {
        const int64_t f = pair * 2 * NR + g * lanes(pair), nf = gemm_min(lanes(pair), s.rows - f);
        if (nf > 0) store_turned(s, list, sliver, tile, f, nf);
    }
};

// Seven operands of half the pixels and channels each: of all pixels, where they are few, L2 holds
// somewhat fewer channels than it does for one product (turned_kc).
template <class T>
DL_INLINE int64_t strassen_kc(int64_t pixels, int64_t channels) {
    return pixels_kc<T>(pixels, channels, GemmTile<T>::NB * GemmTile<T>::KC / 5 * 4, 16);
}

// How many blocks of pixels and of filters there are.
struct StrassenCut {
    int64_t pixels, filters;
    bool shared;  // weights are packed ahead
};

// In cycles for a channel, as turned_cut. Speed alone depends on it.
template <class T>
StrassenCut strassen_cut(const Sliding<T>& s, const StrassenProduct<T>& product, int threads) {
    constexpr int64_t MR = GemmTile<T>::MR, NR = GemmTile<T>::NR;
    const int64_t rows = s.n * product.each, pairs = product.pairs();
    const int64_t row = product.size(gemm_min(product.kc, s.channels), 1) * int64_t(sizeof(T));
    const int64_t most =
        gemm_max(2 * MR, gemm_min(kTurnedPixels, dl_cache_bytes(2) / 4 * 3 / row) / MR * MR);
    const int64_t least = gemm_div_up(rows, most);
    StrassenCut best{least, 1, false};
    double shortest = 1e30;
    for (int64_t nt = least; nt <= least + threads && nt <= gemm_div_up(rows, MR); ++nt)
        for (int64_t each = 1; each <= 4; ++each) {
            const int64_t mt = gemm_min(pairs, gemm_max(1, each * threads / nt));
            const bool shared = nt > 2;
            const int64_t own = gemm_div_up(rows, nt), rest = own % MR;
            const double pixels =
                2 * double(own - rest + (rest > 0 ? gemm_max(4, gemm_round_up(rest, 2)) : 0));
            const double filters = double(gemm_div_up(pairs, mt) * 2 * NR);
            const double far = own * row > dl_cache_bytes(2) / 2 ? 0.9 : 0.875;
            const double task = pixels * filters / double(Vec<T>::N * 2) * far + 0.55 * pixels +
                                (shared ? 0 : 0.6 * filters);
            const double rounds = double(gemm_div_up(nt * mt, threads));
            const double time = rounds * task + (shared ? 1.2 * double(s.rows) / threads : 0);
            if (time < shortest) best = {nt, mt, shared}, shortest = time;
        }
    return best;
}

template <class T>
bool strassen_pack_all(StrassenProduct<T>& product) {
    const Sliding<T>& s = product.s;
    T* memory = static_cast<T*>(dl_scratch(size_t(product.packed_size()) * sizeof(T), 0));
    if (!memory) return false;
    const int64_t kc = product.kc, pairs = product.pairs();
    parallel_for(gemm_div_up(s.channels, kc) * pairs, 1, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
            const int64_t pair = t % pairs, k0 = t / pairs * kc, kn = gemm_min(kc, s.channels - k0);
            product.pack_weights(memory + product.packed_at(pair, k0, kn), pair, k0, kn);
        }
    });
    product.packed = memory;
    return true;
}

template <class T>
dl_status strassen_gemm(const Sliding<T>& s) {
    if (sliding_without_sums(s)) return DL_OK;
    StrassenProduct<T> product(s, strassen_kc<T>(s.columns(), s.channels));
    const StrassenCut cut = strassen_cut(s, product, dl_num_threads());
    if (cut.shared && !strassen_pack_all(product)) return DL_OUT_OF_MEMORY;
    const int64_t rows = s.n * product.each, twos = gemm_div_up(rows, 2), pairs = product.pairs();
    int failed = 0;
    parallel_for(cut.pixels * cut.filters, 1, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
            const int64_t j = t % cut.pixels, f = t / cut.pixels;
            const StrassenRect r{2 * (twos * j / cut.pixels),
                                 gemm_min(rows, 2 * (twos * (j + 1) / cut.pixels)),
                                 pairs * f / cut.filters, pairs * (f + 1) / cut.filters};
            if (!product.run(r)) __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        }
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

}  // namespace
