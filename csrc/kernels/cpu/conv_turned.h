// Convolutions with kernels of size 1 as a matrix product turned round: pixels are the rows of a
// register tile and filters its lanes, since filters mostly come in whole vectors and pixels hardly
// ever do (7 x 7 at batch 8 fills 28 tiles of 14, but a quarter of the 13th of 32). Pixels of a task
// are packed by the task that multiplies them, into L2, and stay there for all its filters; sums of
// several blocks of channels stay in tiles, and only what is finished is turned back.
#pragma once
#include "kernels/cpu/conv_pixels.h"

namespace {

template <class T>
DL_INLINE int64_t turned_kc(int64_t pixels, int64_t channels) {
    return pixels_kc<T>(pixels, channels, GemmTile<T>::NB * GemmTile<T>::KC, 8);
}

// Columns and filters of a task.
struct TurnedRect {
    int64_t j0, j1, f0, f1;
};

template <class T>
struct TurnedProduct {
    typedef GemmTile<T> Tile;
    const Sliding<T>& s;
    int64_t kc;
    const T* packed;  // weights of all filters, or null: each task packs those it needs

    bool run(const TurnedRect& r) const {
        constexpr int64_t MR = Tile::MR, NR = Tile::NR;
        const PixelList<T> list(s, r.j0, r.j1, {s.positions(), 0});
        const int64_t width = gemm_round_up(r.f1 - r.f0, NR), rows = list.slivers * MR;
        const bool collect = kc < s.channels;
        const int64_t own = packed ? 0 : NR * kc;
        T* pixels = static_cast<T*>(dl_scratch(
            size_t(gemm_round_up(rows * kc, 16) + own + (collect ? rows * width : MR * NR)) *
                sizeof(T),
            1));
        if (!pixels) return false;
        T *weights = pixels + gemm_round_up(rows * kc, 16), *sums = weights + own;
        for (int64_t k0 = 0; k0 < s.channels; k0 += kc) {
            const int64_t kn = gemm_min(kc, s.channels - k0);
            pack(list, s.src + k0 * s.src_plane, kn, pixels);
            for (int64_t f = r.f0; f < r.f1; f += NR) {
                const PackStridedB<T> pack_weights{s.w, s.w_row, s.w_channel};
                const T* w = packed ? packed + k0 * gemm_round_up(s.rows, NR) + f * kn
                                    : pack_weights(weights, f, gemm_min(NR, r.f1 - f), k0, kn);
                multiply(list, r, f, k0, kn, pixels, w, collect ? sums + (f - r.f0) * rows : sums,
                         collect);
            }
        }
        return true;
    }

 private:
    // kn channels from src on -> slivers.
    void pack(const PixelList<T>& list, const T* src, int64_t kn, T* pixels) const {
        constexpr int64_t MR = Tile::MR;
        constexpr int64_t kTogether = kPixelsAhead;  // their planes stay in L1 for all slivers
        const auto pack_sliver = pixel_packer(s);
        for (int64_t k = 0; k < kn; k += kTogether)
            for (int64_t i = 0; i < list.slivers; ++i)
                pack_sliver(s, list, i, src + k * s.src_plane, gemm_min(kTogether, kn - k),
                            pixels + (i * kn + k) * MR);
    }
    // All pixels times the filters of one sliver.
    void multiply(const PixelList<T>& list, const TurnedRect& r, int64_t f, int64_t k0, int64_t kn,
                  const T* pixels, const T* weights, T* sums, bool collect) const {
        constexpr int64_t MR = Tile::MR, NR = Tile::NR;
        const int64_t nf = gemm_min(NR, r.f1 - f);
        const auto* micros = gemm_micros<T>(nf <= Vec<T>::N);
        const T one = T(1);
        for (int64_t i = 0; i < list.slivers; ++i) {
            const int64_t mr = gemm_min(MR, r.j1 - r.j0 - i * MR);
            T* tile = collect ? sums + i * MR * NR : sums;
            micros[(mr + 1) / 2](kn, pixels + i * MR * kn, weights, NR, tile, NR, &one, k0 > 0);
            if (k0 + kn == s.channels) store_turned(s, list, i, tile, f, nf);
        }
    }
};

// How many blocks of pixels and of filters there are.
struct TurnedCut {
    int64_t pixels, filters;
    bool shared;  // weights are packed ahead
};

// In cycles: products, packing of pixels and weights. Speed alone depends on it.
template <class T>
TurnedCut turned_cut(const Sliding<T>& s, int64_t kc, int threads) {
    typedef GemmTile<T> Tile;
    const int64_t columns = s.columns(), slivers = gemm_div_up(s.rows, Tile::NR);
    const int64_t most = gemm_min(
        kTurnedPixels, gemm_resident<T>(kTurnedPixels / Tile::MR * Tile::MR, Tile::MR, kc));
    const int64_t least = gemm_div_up(columns, most), lanes = Vec<T>::N * 2;
    TurnedCut best{least, 1, false};
    double shortest = 1e30;
    for (int64_t nt = least; nt <= least + threads && nt <= gemm_div_up(columns, Tile::MR); ++nt)
        for (int64_t each = 1; each <= 4; ++each) {
            const int64_t mt = gemm_min(slivers, gemm_max(1, each * threads / nt));
            const bool shared = nt > 2;
            const double pixels = double(gemm_round_up(gemm_div_up(columns, nt), 2));
            const double filters = double(gemm_div_up(slivers, mt) * Tile::NR);
            const double task =
                pixels * filters / double(lanes) + 0.35 * pixels + (shared ? 0 : 0.4 * filters);
            const double rounds = double(gemm_div_up(nt * mt, threads));
            const double time = rounds * task + (shared ? 0.9 * double(s.rows) / threads : 0);
            if (time < shortest) best = {nt, mt, shared}, shortest = time;
        }
    return best;
}

template <class T>
dl_status turned_gemm(const Sliding<T>& s) {
    typedef GemmTile<T> Tile;
    if (sliding_without_sums(s)) return DL_OK;
    const int threads = dl_num_threads();
    const int64_t columns = s.columns(), kc = turned_kc<T>(columns, s.channels);
    const TurnedCut cut = turned_cut(s, kc, threads);
    TurnedProduct<T> product{s, kc, nullptr};
    if (cut.shared) {
        const int64_t size = packed_size<Tile::NR>(s.rows, s.channels);
        T* memory = static_cast<T*>(dl_scratch(size_t(size) * sizeof(T), 0));
        if (!memory) return DL_OUT_OF_MEMORY;
        pack_all<T, Tile::NR>(memory, PackStridedB<T>{s.w, s.w_row, s.w_channel}, 0, s.rows,
                              s.channels, threads, kc);
        product.packed = memory;
    }
    const int64_t slivers = gemm_div_up(s.rows, Tile::NR), pairs = gemm_div_up(columns, 2);
    int failed = 0;
    parallel_for(cut.pixels * cut.filters, 1, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
            const int64_t j = t % cut.pixels, f = t / cut.pixels;
            const TurnedRect r{2 * (pairs * j / cut.pixels),
                               gemm_min(columns, 2 * (pairs * (j + 1) / cut.pixels)),
                               slivers * f / cut.filters * Tile::NR,
                               gemm_min(s.rows, slivers * (f + 1) / cut.filters * Tile::NR)};
            if (!product.run(r)) __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        }
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

}  // namespace
