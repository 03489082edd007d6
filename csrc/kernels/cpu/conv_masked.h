// Convolution of few channels and filters a group, without a matrix product: lanes are positions, and a
// register tile holds the sums of some filters and vectors of positions. Inputs are read where they lie
// (conv_masked_planes.h), one load for all filters of the tile; nothing is packed but the weights. With
// groups of 4 to 32 channels, packing patches would cost as much as the products.
#pragma once
#include "kernels/cpu/conv_masked_planes.h"
#include "kernels/cpu/static_size.h"

namespace {

// Filters of a register tile, and vectors of positions for r of them.
#if DL_VEC_BYTES == 64 || defined(__aarch64__)
constexpr int kMaskedFilters = 8;
constexpr int masked_vectors(int r) { return r <= 4 ? 6 : 3; }
#elif DL_VEC_BYTES == 32
constexpr int kMaskedFilters = 4;
constexpr int masked_vectors(int r) { return r <= 2 ? 5 : 3; }
#else
constexpr int kMaskedFilters = 4;
constexpr int masked_vectors(int) { return 2; }
#endif

// What a call of the micro-kernel works on.
template <class T>
struct MaskedStep {
    const MaskedTap* taps;
    int64_t ntaps, channels;
    const T* x;  // the input of the first position
    int64_t plane;
    int64_t bit;    // the first position in the taps' bits
    const T* w;     // [tap][channel][R]
    const T* bias;  // [R] or null
    T* y;
    int64_t y_plane;
    int64_t last;       // lanes of the last vector
    const char* ahead;  // what is requested meanwhile,
    int64_t pairs;      // two lines of the cache at a time
};

template <class T, int R, int V>
void masked_micro(const MaskedStep<T>& t) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    vec acc[R][V];
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 6
        for (int v = 0; v < V; ++v) acc[i][v] = t.bias ? vset1(t.bias[i]) : vec{};
    const T* w = t.w;
    const char* ahead = t.ahead;
    int64_t pairs = t.pairs;
    for (const MaskedTap *tap = t.taps, *end = tap + t.ntaps; tap != end; ++tap) {
        LaneMask<T> mask[V];
#pragma GCC unroll 6
        for (int v = 0; v < V; ++v) mask[v] = mask_of_bits<T>(bits_at(tap->bits, t.bit + v * N));
        const T* x = t.x + tap->at;
        for (int64_t c = t.channels; c > 0; --c, x += t.plane, w += R) {
            vec xv[V];
            __builtin_prefetch(ahead, 0, 2);
            __builtin_prefetch(ahead + 64, 0, 2);
            ahead = --pairs > 0 ? ahead + 128 : reinterpret_cast<const char*>(t.w);
#pragma GCC unroll 6
            for (int v = 0; v < V; ++v) xv[v] = vhold(vload_where(x + v * N, mask[v]));
#pragma GCC unroll 8
            for (int i = 0; i < R; ++i) {
                const vec wi = vset1(w[i]);
#pragma GCC unroll 6
                for (int v = 0; v < V; ++v) acc[i][v] += wi * xv[v];
            }
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) {
        T* y = t.y + i * t.y_plane;
#pragma GCC unroll 6
        for (int v = 0; v < V - 1; ++v) vstore(y + v * N, acc[i][v]);
        if (t.last == N)
            vstore(y + (V - 1) * N, acc[i][V - 1]);
        else
            vstore_n(y + (V - 1) * N, acc[i][V - 1], t.last);
    }
}

template <class T>
using MaskedMicro = void (*)(const MaskedStep<T>&);

template <class T>
MaskedMicro<T> masked_micro_of(int64_t rows, int64_t vectors) {
    return with_size<kMaskedFilters>(rows, [&](auto r) {
        constexpr int R = decltype(r)::value;
        return with_size<masked_vectors(R)>(vectors, [](auto v) -> MaskedMicro<T> {
            return masked_micro<T, R, decltype(v)::value>;
        });
    });
}

// Filters of a group, in blocks that differ by one at most.
struct MaskedBlocks {
    int64_t filters, count;

    explicit MaskedBlocks(int64_t rows) : filters(rows), count(gemm_div_up(rows, kMaskedFilters)) {}
    int64_t first(int64_t block) const { return filters * block / count; }
    int64_t most() const { return gemm_div_up(filters, count); }
};

// One of the products: its taps, and its weights as [group][block][tap][channel][filter of the block].
template <class T>
struct MaskedPart {
    const Sliding<T>* s;
    const MaskedTap* taps;
    const T* w;
};

template <class T>
void masked_weights(const Sliding<T>& s, const MaskedBlocks& blocks, int64_t group, T* to) {
    const T* w = s.w + group * s.w_group;
    for (int64_t b = 0; b < blocks.count; ++b) {
        const int64_t r0 = blocks.first(b), r1 = blocks.first(b + 1);
        for (int64_t t = 0; t < s.ntaps; ++t)
            for (int64_t c = 0; c < s.channels; ++c) {
                const T* from = w + c * s.w_channel + s.taps[t].w;
                for (int64_t r = r0; r < r1; ++r) *to++ = from[r * s.w_row];
            }
    }
}

// Rows at a time of `rows`, at most `most`: those that leave the fewest lanes unused.
inline int64_t masked_rows(int64_t rows, int64_t pitch, int64_t most, int64_t lanes) {
    most = gemm_max(1, gemm_min(rows, most));
    int64_t best = most, least = INT64_MAX;
    for (int64_t r = most; r > most / 2; --r) {
        const int64_t used =
            rows / r * gemm_round_up(r * pitch, lanes) + gemm_round_up(rows % r * pitch, lanes);
        if (used < least) best = r, least = used;
    }
    return best;
}

// How the positions are cut. The sum of a position is the same in any cut.
struct MaskedCut {
    int64_t images;       // that share their vectors
    int64_t band, bands;  // rows of a task, and tasks of `images` images and a group
};

template <class T>
MaskedCut masked_cut(MaskedPlanes<T>& planes) {
    constexpr int64_t N = Vec<T>::N;
    const Sliding<T>& s = planes.s;
    const int64_t positions = planes.rows * planes.pitch;
    MaskedCut cut{1, planes.rows, 1};
    const auto lanes = [&](int64_t images) {  // a position takes
        return double(gemm_round_up(images * positions, N)) / double(images * positions);
    };
    if (positions < 16 * N) {  // small images
        for (int64_t i = 2; i <= gemm_min(8, s.n) && i * positions < 48 * N; ++i)
            if (lanes(i) < lanes(cut.images) - 0.02) cut.images = i;
        // Results then take a way of their own.
        if (lanes(1) < lanes(cut.images) + 0.1) cut.images = 1;
        planes.in_place = planes.in_place && cut.images == 1;
        cut.band = cut.images * planes.rows;
    }
    const int64_t most = dl_cache_bytes(2) / 4;
    if (cut.images == 1) {
        if (!planes.in_place)
            while (cut.band > 4 && planes.copy_bytes(cut.band) > most)
                cut.band = gemm_div_up(cut.band, 2);
        const int64_t tasks = s.groups * s.n * gemm_div_up(planes.rows, cut.band);
        const int64_t want = gemm_div_up(8 * dl_num_threads(), gemm_max(1, tasks));
        if (want > 1) cut.band = gemm_max(gemm_min(4, planes.rows), cut.band / want);
        if (cut.band < planes.rows) cut.band = masked_rows(planes.rows, planes.pitch, cut.band, N);
        cut.bands = gemm_div_up(planes.rows, cut.band);
    }
    planes.set_band(cut.band);
    return cut;
}

// All products of a task.
template <class T>
struct Masked {
    static constexpr int N = Vec<T>::N;
    const MaskedPlanes<T>& planes;
    const MaskedPart<T>* parts;
    int count,
        columns;  // products, and those that share rows of the result: they follow each other
    MaskedBlocks blocks;
    bool dense;   // positions of an image lie in the result as they are counted
    bool direct;  // those of a task do

    static constexpr int64_t kChunk = 36 << 10;  // bytes of results on their way through L1

    int64_t most_rows() const {
        return gemm_max(1, kChunk / (count * blocks.most() * planes.pitch * int64_t(sizeof(T))));
    }
    int64_t chunk_rows(int64_t rows) const {
        return masked_rows(rows, planes.pitch, most_rows(), N);
    }
    int64_t chunk_plane(int64_t rows) const { return gemm_round_up(rows * planes.pitch, N) + N; }
    size_t chunk_elements(int64_t band) const {
        if (direct) return 1;
        return size_t(count * blocks.most() * chunk_plane(gemm_min(band, most_rows())));
    }

    // Calls of the micro-kernel for some rows, all filters and products.
    int64_t calls(int64_t rows) const { return tile_count(rows) * blocks.count * count; }

    // x: the input of the band's first position; next: what the next band needs, or nothing.
    void run(const MaskedBand& b, int64_t group, const T* x, T* results, MaskedAhead next) const {
        const Sliding<T>& s = planes.s;
        if (direct) {
            T* y = s.dst + b.image * s.dst_image + group * s.rows * s.dst_plane +
                   b.row0 * planes.pitch;
            tiles(parts[0], group, 0, blocks.count, b.row0, b.rows, x, y, s.dst_plane, &next);
            return;
        }
        const int64_t step = chunk_rows(b.rows), plane = chunk_plane(step);
        for (int64_t r = 0; r < b.rows; r += step) {
            const MaskedBand chunk{b.image, b.row0 + r, gemm_min(step, b.rows - r)};
            for (int64_t block = 0; block < blocks.count; ++block) {
                const int64_t r0 = blocks.first(block), r1 = blocks.first(block + 1);
                T* y = s.dst + b.image * s.dst_image + (group * s.rows + r0) * s.dst_plane;
                if (count > 1 && planes.rows == planes.tall) {  // the rows that results go to
                    const int64_t row = chunk.row0 % planes.rows * s.out_mul[1] * s.out[2];
                    const int64_t image = chunk.row0 / planes.rows;
                    const int64_t all = gemm_min(chunk.rows, planes.rows) * s.out_mul[1] * s.out[2];
                    next = MaskedAhead(y + image * s.dst_image + row, r1 - r0, s.dst_plane,
                                       gemm_min(all, s.dst_plane - row),
                                       tile_count(chunk.rows) * count);
                }
                for (int i = 0; i < count; ++i)
                    tiles(parts[i], group, block, block + 1, chunk.row0, chunk.rows,
                          x + r * planes.pitch, results + i * blocks.most() * plane, plane, &next);
                for (int64_t k = 0; k < r1 - r0; ++k, y += s.dst_plane)
                    put(chunk, results + k * plane, blocks.most() * plane, y);
            }
        }
    }

 private:
    int64_t tile_count(int64_t rows) const {
        return gemm_div_up(gemm_div_up(rows * planes.pitch, N), masked_vectors(int(blocks.most())));
    }
    // Filters of blocks [block0, block1) at the positions of some rows; y: the first of them.
    void tiles(const MaskedPart<T>& part, int64_t group, int64_t block0, int64_t block1,
               int64_t row0, int64_t rows, const T* x, T* y, int64_t y_plane,
               MaskedAhead* ahead) const {
        const Sliding<T>& s = *part.s;
        const int64_t positions = rows * planes.pitch, vectors = gemm_div_up(positions, N);
        const int64_t steps = s.steps(), tile_n = tile_count(rows), base = blocks.first(block0);
        MaskedStep<T> t;
        t.taps = part.taps, t.ntaps = s.ntaps, t.channels = s.channels, t.plane = planes.plane;
        t.y_plane = y_plane;
        for (int64_t i = 0; i < tile_n; ++i) {
            const int64_t v0 = vectors * i / tile_n, v1 = vectors * (i + 1) / tile_n;
            t.x = x + v0 * N, t.bit = row0 * planes.pitch + v0 * N;
            t.last = gemm_min(N, positions - (v1 - 1) * N);
            for (int64_t b = block0; b < block1; ++b) {
                const int64_t r = blocks.first(b), filter = group * s.rows + r;
                t.w = part.w + filter * steps;
                t.bias = s.bias ? s.bias + filter : nullptr;
                t.y = y + (r - base) * y_plane + v0 * N;
                t.ahead = ahead->next(t.w, &t.pairs);
                masked_micro_of<T>(blocks.first(b + 1) - r, v1 - v0)(t);
            }
        }
    }

    // Brings a filter's results to their places, those of the products being `apart`.
    void put(const MaskedBand& b, const T* from, int64_t apart, T* y) const {
        if (!dense) {
            for (int i = 0; i < count; i += columns)
                put_rows(parts + i, b, from + i * apart, apart, y);
            return;
        }
        y += b.row0 / planes.rows * planes.s.dst_image;  // row0 is an image's first
        for (int64_t rows = b.rows; rows > 0; rows -= planes.rows, y += planes.s.dst_image) {
            const int64_t n = gemm_min(rows, planes.rows) * planes.pitch;
            put_row(y, from, n, 1);
            from += n;
        }
    }
    // Those of the products that share rows of the result.
    void put_rows(const MaskedPart<T>* row, const MaskedBand& b, const T* from, int64_t apart,
                  T* y) const {
        const Sliding<T>& s = *row[0].s;
        const int64_t tall = planes.tall, pitch = planes.pitch, stride = s.out_mul[2];
        const int64_t step = s.out_mul[1] * s.out[2], width = s.out[2];
        const bool zip = stride == 2 && columns == 2;
        int64_t image = b.row0 / planes.rows, o0 = b.row0 % planes.rows / tall;
        int64_t o1 = b.row0 % tall;
        for (int64_t r = 0, n; r < b.rows; r += n, from += n * pitch) {
            n = gemm_min(tall - o1, b.rows - r);  // rows of this slice
            T* to = y + image * s.dst_image + o1 * step + s.out_base[1] * width +
                    (o0 * s.out_mul[0] + s.out_base[0]) * s.out[1] * width;
            const int64_t rows = o0 < s.grid[0] ? gemm_min(n, s.grid[1] - o1) : 0;
            for (int64_t k = 0; k < rows; ++k, to += step)
                if (zip)
                    zip_row(to, from + k * pitch, from + k * pitch + apart, width);
                else
                    for (int j = 0; j < columns; ++j)
                        put_row(to + row[j].s->out_base[2], from + k * pitch + j * apart,
                                row[j].s->grid[2], stride);
            o1 = 0;
            if (++o0 == planes.rows / tall) o0 = 0, ++image;
        }
    }
    static void put_row(T* to, const T* from, int64_t n, int64_t stride) {
        if (stride > 1) return put_every(to, from, n, stride);
        for (; n >= N; n -= N, from += N, to += N) vstore(to, vload(from));
        if (n > 0) vstore_n(to, vload(from), n);
    }
    static void zip_row(T* to, const T* even, const T* odd, int64_t n) {
        for (; n >= 2 * N; n -= 2 * N, even += N, odd += N, to += 2 * N) {
            const auto a = vload(even), b = vload(odd);
            vstore(to, vzip_lo<T>(a, b));
            vstore(to + N, vzip_hi<T>(a, b));
        }
        if (n == 0) return;
        const auto a = vload(even), b = vload(odd);
        vstore_n(to, vzip_lo<T>(a, b), gemm_min(n, N));
        if (n > N) vstore_n(to + N, vzip_hi<T>(a, b), n - N);
    }
};

// Some products of the same planes: all of the forward pass, or the residues of the gradient of the
// input, `columns` of which share rows.
template <class T>
dl_status masked(const Sliding<T>* s, int count, int columns) {
    MaskedPlanes<T> planes(s, count);
    const MaskedCut cut = masked_cut(planes);
    const MaskedBlocks blocks(s->rows);
    int64_t taps = 0, weights = 0;
    for (int i = 0; i < count; ++i)
        taps += s[i].ntaps, weights += s->groups * s->rows * s[i].steps();
    const int64_t words = planes.words(cut.images);
    const size_t listed = size_t(taps) * (sizeof(MaskedTap) + size_t(words) * sizeof(uint64_t));
    char* memory = static_cast<char*>(dl_scratch(listed + size_t(weights + 1) * sizeof(T), 0));
    if (!memory) return DL_OUT_OF_MEMORY;
    auto* bits = reinterpret_cast<uint64_t*>(memory);
    auto* list = reinterpret_cast<MaskedTap*>(bits + taps * words);
    T* w = reinterpret_cast<T*>(memory + listed);
    MaskedPart<T> parts[kMaskedParts];
    for (int i = 0; i < count; ++i) {
        parts[i] = {s + i, list, w};
        for (int64_t t = 0; t < s[i].ntaps; ++t, bits += words) {
            planes.set_tap_bits(s[i].taps[t], cut.images, bits);
            *list++ = {planes.at(s[i].taps[t]), bits, s[i].taps[t].w};
        }
        const int64_t size = s->rows * s[i].steps();
        parallel_for(s->groups, gemm_max(1, 65536 / gemm_max(1, size)),
                     [&](int64_t begin, int64_t end) {
                         for (int64_t g = begin; g < end; ++g)
                             masked_weights(s[i], blocks, g, w + g * size);
                     });
        w += s->groups * size;
    }
    bool dense = count == 1 && planes.pitch == s->grid[2] && planes.tall == s->grid[1] &&
                 planes.rows == s->grid[0] * s->grid[1];
    for (int d = 0; d < 3; ++d) dense = dense && s->out_mul[d] == 1;
    const bool direct = dense && cut.images == 1;
    const Masked<T> product{planes, parts, count, columns, blocks, dense, direct};
    const int64_t stacks = gemm_div_up(s->n, cut.images);
    const int64_t work =
        gemm_max(1, s->rows * weights / gemm_max(1, s->groups * s->rows) * cut.band * planes.pitch);
    const int64_t tasks = s->groups * stacks * cut.bands;
    const int64_t grain = gemm_max(gemm_max(1, 65536 / work), tasks / (8 * dl_num_threads()));
    const auto band = [&](int64_t i) {
        MaskedBand b;
        b.image = i / cut.bands / s->groups * cut.images, b.row0 = i % cut.bands * cut.band;
        const int64_t all = gemm_min(cut.images, s->n - b.image) * planes.rows;
        b.rows = gemm_min(cut.band, all - b.row0);
        return b;
    };
    int failed = 0;
    parallel_for(tasks, grain, [&](int64_t begin, int64_t end) {
        T* results = static_cast<T*>(dl_scratch(product.chunk_elements(cut.band) * sizeof(T), 3));
        T* copy = nullptr;
        if (!planes.in_place)
            copy = static_cast<T*>(dl_scratch(planes.copy_elements() * sizeof(T), 1));
        if (!results || (!copy && !planes.in_place))
            return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        for (int64_t i = begin; i < end; ++i) {
            const int64_t group = i / cut.bands % s->groups;
            const MaskedBand b = band(i);
            MaskedAhead ahead;
            const T* x = s->src + b.image * s->src_image + group * s->channels * s->src_plane +
                         b.row0 * planes.pitch;
            if (!planes.in_place) x = planes.fill(b, group, copy);
            if (!planes.in_place && i + 1 < end)
                ahead = planes.ahead(band(i + 1), (i + 1) / cut.bands % s->groups,
                                     product.calls(b.rows));
            product.run(b, group, x, results, ahead);
        }
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

// Sums are made in one go, so they may not be long; residues are listed.
inline bool masked_applies(const dl_conv& p) {
    int64_t residues = 1;
    for (int d = 0; d < 3; ++d) {
        if (p.stride[d] > kMaxPhases) return false;
        residues *= p.stride[d];
    }
    const int64_t most = gemm_max(p.c, p.k) / p.groups;
    return residues <= kMaskedParts && most * conv_volume(p.kernel) <= 1024 &&
           conv_volume(p.in) > 0 && conv_volume(p.out) > 0 && p.n > 0 && p.k > 0 && p.c > 0;
}

template <class T>
dl_status masked_forward(const dl_conv& p) {
    ConvTap* taps = taps_for(p);
    if (!taps) return DL_OUT_OF_MEMORY;
    const Sliding<T> s = sliding_forward<T>(p, taps);
    return masked(&s, 1, 1);
}

template <class T>
dl_status masked_backward_input(const dl_conv& p) {
    ConvTap* taps = taps_for(p);
    if (!taps) return DL_OUT_OF_MEMORY;
    Sliding<T> parts[kMaskedParts];
    int count = 0;
    int64_t at[3], residues[3];  // those that some position has
    for (int d = 0; d < 3; ++d) residues[d] = gemm_min(p.stride[d], p.in[d]);
    for (at[0] = 0; at[0] < residues[0]; ++at[0])
        for (at[1] = 0; at[1] < residues[1]; ++at[1])
            for (at[2] = 0; at[2] < residues[2]; ++at[2], ++count) {
                parts[count] = sliding_backward<T>(p, at, taps);
                taps += parts[count].ntaps;
            }
    return masked(parts, count, int(residues[2]));
}

}  // namespace
