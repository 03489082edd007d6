// The gradient of the weights for few channels and filters a group: dot products of planes of dy with
// planes of x under each tap, both read where they lie (conv_masked_planes.h). A register tile holds
// the sums of a few filters and channels, a vector each; the lanes of a sum are added up at the end of
// a stretch of positions, of which L1 holds a tile's planes for all taps.
#pragma once
#include "kernels/cpu/conv_cost.h"
#include "kernels/cpu/conv_masked.h"
#include "kernels/cpu/conv_pointwise_weight.h"

namespace {

// Filters (A) and channels (B) of a register tile.
template <class T>
struct MaskedDots {
    static constexpr int N = Vec<T>::N;
#if DL_VEC_BYTES == 64 || defined(__aarch64__)
    static constexpr int A = 4, B = 4;  // half of the loads cross a line: eight cycles, as the sums
#else
    static constexpr int A = 4, B = 2;
#endif
    static constexpr int SUMS = (A * B + N - 1) / N * N;  // room for them
};

// What a call of the micro-kernel works on: some positions of some images, under one tap.
template <class T>
struct MaskedDot {
    int64_t images, vectors, rest;  // whole vectors of positions, and lanes of one more
    const T *x, *dy;
    int64_t x_plane, dy_plane, x_image, dy_image;
    const uint64_t* bits;
    int64_t bit;
    T* sums;   // [A * B]
    bool add;  // to what is there
    const char* ahead;
    int64_t pairs;
};

template <class T, int A, int B>
void masked_dot(const MaskedDot<T>& t) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    vec acc[A * B];
#pragma GCC unroll 16
    for (int i = 0; i < A * B; ++i) acc[i] = vec{};
    const char* ahead = t.ahead;
    int64_t pairs = t.pairs;
    const LaneMask<T> tail = lane_mask<T>(0, t.rest);
    const auto step = [&](const T* x, const T* dy, int64_t bit, auto load)
                          __attribute__((always_inline)) {
                              const LaneMask<T> mask = mask_of_bits<T>(bits_at(t.bits, bit));
                              vec g[A];
#pragma GCC unroll 4
                              for (int i = 0; i < A; ++i) g[i] = vhold(load(dy + i * t.dy_plane));
#pragma GCC unroll 4
                              for (int j = 0; j < B; ++j) {
                                  const vec v = vhold(vload_where(x + j * t.x_plane, mask));
#pragma GCC unroll 4
                                  for (int i = 0; i < A; ++i) acc[i * B + j] += g[i] * v;
                              }
                          };
    for (int64_t n = 0; n < t.images; ++n) {
        const T *x = t.x + n * t.x_image, *dy = t.dy + n * t.dy_image;
        int64_t bit = t.bit;
        for (int64_t v = 0; v < t.vectors; ++v, x += N, dy += N, bit += N) {
            __builtin_prefetch(ahead, 0, 2);
            __builtin_prefetch(ahead + 64, 0, 2);
            ahead = --pairs > 0 ? ahead + 128 : reinterpret_cast<const char*>(t.sums);
            step(x, dy, bit, [](const T* p) __attribute__((always_inline)) { return vload(p); });
        }
        if (t.rest)
            step(x, dy, bit,
                 [&](const T* p) __attribute__((always_inline)) { return vload_mask(p, tail); });
    }
    plane_store_sums<T>(acc, t.sums, t.add);
}

template <class T>
using MaskedDotMicro = void (*)(const MaskedDot<T>&);

template <class T>
MaskedDotMicro<T> masked_dot_of(int64_t filters, int64_t channels) {
    return with_size<MaskedDots<T>::A>(filters, [&](auto a) {
        return with_size<MaskedDots<T>::B>(channels, [](auto b) -> MaskedDotMicro<T> {
            return masked_dot<T, decltype(a)::value, decltype(b)::value>;
        });
    });
}

// How the work is cut, by shape alone, for the bits depend on it.
template <class T>
struct MaskedWeight {
    static constexpr int N = Vec<T>::N, A = MaskedDots<T>::A, B = MaskedDots<T>::B;
    static constexpr int64_t kStretch = 4096 / int64_t(sizeof(T));  // positions, at most
    static constexpr int64_t kTasks = 32;  // at least, where there are so many
    const Sliding<T>& s;                   // the forward product
    const MaskedPlanes<T>& planes;
    const MaskedTap* taps;
    const T* y;
    int64_t together;          // images of a stretch
    int64_t vectors, cuts;     // of an image; stretches of it
    int64_t stretches, parts;  // all of them; tasks of a group
    int64_t a_tiles, b_tiles, size;

    MaskedWeight(const Sliding<T>& sliding, const MaskedPlanes<T>& p, const MaskedTap* list,
                 const T* dy)
        : s(sliding), planes(p), taps(list), y(dy) {
        const int64_t positions = s.positions();
        vectors = gemm_div_up(positions, N);
        cuts = gemm_div_up(positions, kStretch);
        together = gemm_max(1, gemm_min(s.n, kStretch / (vectors * N)));
        together = gemm_div_up(s.n, gemm_div_up(s.n, together));
        stretches = gemm_div_up(s.n, together) * cuts;
        parts = gemm_min(stretches, gemm_div_up(kTasks, s.groups));
        a_tiles = gemm_div_up(s.rows, A), b_tiles = gemm_div_up(s.channels, B);
        size = s.ntaps * a_tiles * b_tiles * MaskedDots<T>::SUMS;
    }

    // The stretches of one part of a group.
    void run(int64_t group, int64_t part, T* copy, T* sums) const {
        const int64_t first = stretches * part / parts, end = stretches * (part + 1) / parts;
        for (int64_t i = first; i < end; ++i)
            stretch(group, i, i + 1 < end, i > first, i == first || i % cuts == 0, copy, sums);
    }

 private:
    MaskedBand images(int64_t i) const {
        const int64_t image = i / cuts * together;
        return {image, 0, gemm_min(together, s.n - image) * planes.rows};
    }

    // fresh: these images are not copied yet; more: there is a next stretch, which is asked for.
    void stretch(int64_t group, int64_t i, bool more, bool add, bool fresh, T* copy,
                 T* sums) const {
        const MaskedBand band = images(i);
        const int64_t v0 = vectors * (i % cuts) / cuts, v1 = vectors * (i % cuts + 1) / cuts;
        const int64_t rest = v1 == vectors ? s.positions() % N : 0, dy_plane = s.dst_plane;
        MaskedDot<T> t;
        t.images = band.rows / planes.rows, t.vectors = v1 - v0 - (rest > 0), t.rest = rest;
        const T* x = s.src + band.image * s.src_image + group * s.channels * s.src_plane;
        if (!planes.in_place) {
            x = copy + planes.slack;
            if (fresh) planes.fill(band, group, copy);
        }
        const T* dy = y + band.image * s.dst_image + group * s.rows * dy_plane + v0 * N;
        t.x_plane = planes.plane, t.dy_plane = dy_plane, t.dy_image = s.dst_image;
        t.x_image = planes.in_place ? s.src_image : planes.rows * planes.pitch;
        t.bit = v0 * N, t.add = add;
        MaskedAhead ahead[2];
        if (more && cuts == 1) {
            const int64_t calls = s.ntaps * a_tiles * b_tiles / 2;
            const MaskedBand next = images(i + 1);
            ahead[0] = planes.ahead(next, group, calls);
            ahead[1] = MaskedAhead(y + next.image * s.dst_image + group * s.rows * dy_plane,
                                   next.rows / planes.rows, s.dst_image, s.rows * dy_plane, calls);
        }
        int64_t call = 0;
        for (int64_t b = 0; b < b_tiles; ++b)
            for (int64_t a = 0; a < a_tiles; ++a) {
                const int64_t c = point_row(s.channels, b_tiles, b),
                              k = point_row(s.rows, a_tiles, a);
                const auto micro = masked_dot_of<T>(point_row(s.rows, a_tiles, a + 1) - k,
                                                    point_row(s.channels, b_tiles, b + 1) - c);
                t.dy = dy + k * dy_plane;
                for (int64_t tap = 0; tap < s.ntaps; ++tap, sums += MaskedDots<T>::SUMS) {
                    t.x = x + c * planes.plane + v0 * N + taps[tap].at;
                    t.bits = taps[tap].bits, t.sums = sums;
                    t.ahead = ahead[call++ % 2].next(sums, &t.pairs);
                    micro(t);
                }
            }
    }

 public:
    // The sums of all parts of a group, `apart`, added in order -> dw [filters, channels, taps].
    void store(const T* sums, int64_t apart, T* dw) const {
        for (int64_t b = 0; b < b_tiles; ++b)
            for (int64_t a = 0; a < a_tiles; ++a) {
                const int64_t c = point_row(s.channels, b_tiles, b);
                const int64_t cn = point_row(s.channels, b_tiles, b + 1) - c;
                const int64_t k = point_row(s.rows, a_tiles, a);
                const int64_t kn = point_row(s.rows, a_tiles, a + 1) - k;
                for (int64_t tap = 0; tap < s.ntaps; ++tap, sums += MaskedDots<T>::SUMS)
                    for (int64_t i = 0; i < kn; ++i)
                        for (int64_t j = 0; j < cn; ++j) {
                            T sum = sums[i * cn + j];
                            for (int64_t p = 1; p < parts; ++p) sum += sums[p * apart + i * cn + j];
                            dw[((k + i) * s.channels + c + j) * s.ntaps + taps[tap].w] = sum;
                        }
            }
    }
};

// dy is read as it lies, so positions may not be counted past the end of its rows.
inline bool masked_weight_applies(const dl_conv& p) {
    for (int d = 0; d < 3; ++d)
        if (p.stride[d] > kMaxPhases || p.out[d] < gemm_div_up(p.in[d], p.stride[d])) return false;
    const int64_t most = gemm_max(p.c, p.k) / p.groups;
    return most <= 256 && conv_volume(p.in) > 0 && p.n > 0 && p.k > 0 && p.c > 0;
}

template <class T>
dl_status masked_weight(const dl_conv& p, const Sliding<T>& s) {
    MaskedPlanes<T> planes(&s, 1);
    const int64_t words = planes.words(1);
    char* memory = static_cast<char*>(
        dl_scratch(size_t(s.ntaps) * (sizeof(MaskedTap) + size_t(words) * sizeof(uint64_t)), 0));
    if (!memory) return DL_OUT_OF_MEMORY;
    auto* bits = reinterpret_cast<uint64_t*>(memory);
    auto* list = reinterpret_cast<MaskedTap*>(bits + s.ntaps * words);
    const MaskedWeight<T> work(s, planes, list, static_cast<const T*>(p.y));
    planes.set_band(work.together * planes.rows);
    // Taps of a phase follow each other: L1 holds one phase of a tile's planes.
    for (int64_t f = 0, at = 0; f < planes.phase_count(); ++f)
        for (int64_t t = 0; t < s.ntaps; ++t) {
            if (planes.phase_number(s.taps[t]) != f) continue;
            planes.set_tap_bits(s.taps[t], 1, bits);
            list[at++] = {planes.at(s.taps[t]), bits, s.taps[t].w};
            bits += words;
        }
    const int64_t apart = s.groups * work.size;
    T* sums = static_cast<T*>(dl_scratch(size_t(work.parts * apart) * sizeof(T), 2));
    if (!sums) return DL_OUT_OF_MEMORY;
    const int64_t products = s.rows * s.steps() * s.columns() / work.parts;
    int failed = 0;
    parallel_for(s.groups * work.parts, gemm_max(1, 65536 / gemm_max(1, products)),
                 [&](int64_t begin, int64_t end) {
                     T* copy = nullptr;
                     if (!planes.in_place)
                         copy = static_cast<T*>(dl_scratch(planes.copy_elements() * sizeof(T), 1));
                     if (!copy && !planes.in_place)
                         return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
                     for (int64_t i = begin; i < end; ++i) {
                         const int64_t g = i / work.parts, part = i % work.parts;
                         work.run(g, part, copy, sums + part * apart + g * work.size);
                     }
                 });
    const int64_t grain = gemm_max(1, 32768 / (s.rows * s.steps() * work.parts));
    parallel_for(s.groups, grain, [&](int64_t begin, int64_t end) {
        for (int64_t g = begin; g < end; ++g)
            work.store(sums + g * work.size, apart, static_cast<T*>(p.w) + g * s.rows * s.steps());
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

// Tiles of dot products and their reduction after each stretch; x copied where it is split.
inline double masked_weight_seconds(const dl_conv& p) {
    const double element = p.dtype == DL_F64 ? 8 : 4, lanes = DL_VEC_BYTES / element;
    const double plane = double(conv_volume(p.out)), vectors = __builtin_ceil(plane / lanes);
    const double rows = double(p.k / p.groups), in = double(p.c / p.groups);
    const double tiles = __builtin_ceil(rows / MaskedDots<float>::A) *
                         __builtin_ceil(in / MaskedDots<float>::B) * double(conv_volume(p.kernel));
    const double sums = rows * in * double(conv_volume(p.kernel)) / tiles;  // of a tile
    const double step = __builtin_fmax(sums / (DL_VEC_BYTES > 16 ? 2 : 1), 4) *
                        (is_pointwise(p) || in < 4 ? 1.4 : 1.2);
    const double images = __builtin_fmin(double(p.n), __builtin_ceil(64 / vectors));
    const double stretches = __builtin_ceil(double(p.n) / images) * __builtin_ceil(vectors / 64);
    double cycles = tiles * (double(p.n) * (vectors * step + 4) + stretches * 70);
    cycles += rows * in * double(conv_volume(p.kernel)) * 3;
    const double x = double(p.n) * in * double(conv_volume(p.in)), row = double(p.in[2]);
    if (conv_volume(p.stride) > 1)
        cycles += x / row * __builtin_fmax(8, 0.45 * row) + tiles * double(p.n) * vectors * 2;
    const double bytes = (x * double(p.groups) + double(p.n) * double(p.k) * plane) * element;
    return double(p.groups) * conv_narrow(p, 0.7) * cycles / kConvHertz + bytes / 80e9;
}

}  // namespace
