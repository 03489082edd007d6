// Planes as the masked kernels read them (conv_masked.h): positions are counted through the rows of a
// grid of a common pitch, outputs and inputs alike, so that under a tap the inputs of neighbouring
// positions are neighbours, across the ends of rows too. Where a row ends the neighbour belongs to
// another row, or to none: such lanes are masked, and padding needs no room in memory.
//
// With stride 1 that is how planes lie. Otherwise they are split by stride, in each dimension: element i
// goes to phase i % stride, place i / stride.
#pragma once
#include "kernels/cpu/conv_rows.h"
#include "kernels/cpu/conv_sliding.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/planes.h"

namespace {

// Whether lanes that a mask leaves out are never touched.
#if DL_VEC_BYTES == 64 || defined(__AVX2__)
constexpr bool kMaskedLoads = true;
#else
constexpr bool kMaskedLoads = false;
#endif

// Lane i takes part where bit i is set.
template <class T>
DL_INLINE LaneMask<T> mask_of_bits(uint32_t bits) {
#if DL_VEC_BYTES == 64 && defined(__AVX512F__)
    return {bits};
#else
    typedef typename LaneMask<T>::ints ints;
    ints own, all = ints{} + typename LaneInt<T>::type(bits);
    for (int i = 0; i < Vec<T>::N; ++i) own[i] = typename LaneInt<T>::type(1) << i;
    return {(all & own) == own};
#endif
}
// Lanes outside of the mask are zero. Without masked loads they are read all the same.
template <class T>
DL_INLINE typename Vec<T>::type vload_where(const T* p, const LaneMask<T>& m) {
#if DL_VEC_BYTES == 64 || defined(__AVX2__)
    return vload_mask(p, m);
#else
    typedef typename LaneMask<T>::ints ints;
    return (typename Vec<T>::type)((ints)vload(p) & m.lanes);
#endif
}

// Bits lo ... hi - 1 become 1.
inline void set_bits(uint64_t* words, int64_t lo, int64_t hi) {
    for (int64_t w = lo / 64; w * 64 < hi; ++w) {
        const int64_t a = gemm_max(0, lo - w * 64), b = gemm_min(64, hi - w * 64);
        words[w] |= (b == 64 ? ~uint64_t(0) : (uint64_t(1) << b) - 1) & ~((uint64_t(1) << a) - 1);
    }
}
DL_INLINE uint32_t bits_at(const uint64_t* words, int64_t bit) {
    uint32_t bits;
    memcpy(&bits, reinterpret_cast<const char*>(words) + (bit >> 3), sizeof bits);
    return bits >> (bit & 7);
}

struct MaskedTap {
    int64_t at;            // of its input, from that of a tap without offset
    const uint64_t* bits;  // for each position whether there is an input
    int64_t w;             // position in the kernel
};

// The positions of a task: rows [row0, row0 + rows), counted through the images from `image` on.
struct MaskedBand {
    int64_t image, row0, rows;
};

// Memory that is needed next, requested while the sums are made: some streams, each in pieces, one for
// each call of the micro-kernel. Rows of a plane are too short for hardware to see them coming.
struct MaskedAhead {
    const char* first = nullptr;
    int64_t streams = 0, apart = 0, bytes = 0, pieces = 1, call = 0;

    template <class T>
    MaskedAhead(const T* from, int64_t count, int64_t step, int64_t length, int64_t calls)
        : first(reinterpret_cast<const char*>(from)),
          streams(count),
          apart(step * int64_t(sizeof(T))),
          bytes(length * int64_t(sizeof(T))),
          pieces(gemm_max(1, calls / gemm_max(1, count))) {}
    MaskedAhead() {}

    // The piece for the next call, in pairs of lines; `other` where there is none.
    const char* next(const void* other, int64_t* pairs) {
        *pairs = 0;
        if (call >= streams * pieces) return static_cast<const char*>(other);
        const char* piece = first + call / pieces * apart + call % pieces * (bytes / pieces);
        *pairs = bytes / pieces / 128 + 1;
        ++call;
        return piece;
    }
};

constexpr int kMaskedParts = 16;  // products that share their planes: residues of a gradient

// How the source of some products lies. The products differ in grid and taps only.
template <class T>
struct MaskedPlanes {
    static constexpr int N = Vec<T>::N;
    const Sliding<T>& s;        // the first product
    int64_t pitch, tall, rows;  // positions of a row, rows of a slice and of an image
    int64_t lead, reach;        // smallest offset of a tap in rows, and how far the others go
    bool in_place;              // the source is read where it lies
    int64_t phases[3];          // in each dimension, those from 0 on that some tap needs
    int64_t phase_size, plane;  // elements of a phase and of a channel
    int64_t slack;              // what taps may reach in front of the first row

    MaskedPlanes(const Sliding<T>* parts, int count) : s(parts[0]) {
        int64_t size[3] = {1, 1, 1}, wide = 0;
        for (int d = 0; d < 3; ++d) phases[d] = 1;
        in_place = kMaskedLoads;
        lead = reach = 0;
        for (int i = 0; i < count; ++i)
            for (int d = 0; d < 3; ++d) {
                size[d] = gemm_max(size[d], parts[i].grid[d]);
                in_place = in_place && s.mul[d] == 1;
                for (int64_t t = 0; t < parts[i].ntaps; ++t)
                    phases[d] = gemm_max(phases[d], phase(parts[i].taps[t], d) + 1);
            }
        if (s.mul[2] == 2) phases[2] = 2;  // both halves of a row are written at once
        for (int d = 0; d < 3; ++d) {
            size[d] = gemm_max(size[d], extent(d, 0));
            in_place = in_place && size[d] == s.in[d];
        }
        pitch = size[2], tall = size[1], rows = size[0] * size[1];
        bool first = true;
        int64_t most = 0;
        for (int i = 0; i < count; ++i)
            for (int64_t t = 0; t < parts[i].ntaps; ++t) {
                const int64_t row = row_of(parts[i].taps[t]);
                lead = first ? row : gemm_min(lead, row), most = first ? row : gemm_max(most, row);
                const int64_t column = place(parts[i].taps[t], 2);
                wide = gemm_max(wide, column < 0 ? -column : column);
                first = false;
            }
        reach = most - lead;
        slack = gemm_round_up(wide, N) + N;
        plane = s.src_plane, phase_size = 0;
    }

    // Phase of a tap and its offset there.
    int64_t place(const ConvTap& t, int d) const { return floor_div(t.off[d], s.mul[d]); }
    int64_t phase(const ConvTap& t, int d) const { return t.off[d] - place(t, d) * s.mul[d]; }
    // Elements of a phase in a dimension.
    int64_t extent(int d, int64_t f) const {
        return f < s.in[d] ? (s.in[d] - f - 1) / s.mul[d] + 1 : 0;
    }
    int64_t row_of(const ConvTap& t) const { return place(t, 0) * tall + place(t, 1); }
    int64_t phase_number(const ConvTap& t) const {
        return (phase(t, 0) * phases[1] + phase(t, 1)) * phases[2] + phase(t, 2);
    }
    int64_t phase_count() const { return phases[0] * phases[1] * phases[2]; }

    // Bytes of the copy of a band's rows, for all channels.
    int64_t copy_bytes(int64_t band_rows) const {
        return s.channels * phase_count() * ((band_rows + reach) * pitch + N) * int64_t(sizeof(T));
    }
    void set_band(int64_t band_rows) {
        if (in_place) return;
        phase_size = (band_rows + reach) * pitch + N;
        plane = phase_count() * phase_size;
    }
    size_t copy_elements() const {
        return size_t(s.channels * plane + 2 * slack + kMostBeyond * N);
    }
    static constexpr int64_t kMostBeyond = 8;  // vectors that a tile may begin behind a band's end

    int64_t at(const ConvTap& t) const {
        if (in_place) return (t.off[0] * s.in[1] + t.off[1]) * s.in[2] + t.off[2];
        return phase_number(t) * phase_size + (row_of(t) - lead) * pitch + place(t, 2);
    }

    // 64-bit words of a tap's bits for the positions of some images.
    int64_t words(int64_t images) const { return images * rows * pitch / 64 + 2; }
    void set_tap_bits(const ConvTap& t, int64_t images, uint64_t* bits) const {
        memset(bits, 0, size_t(words(images)) * sizeof(uint64_t));
        int64_t size[3], by[3];
        for (int d = 0; d < 3; ++d) size[d] = extent(d, phase(t, d)), by[d] = place(t, d);
        const int64_t lo = gemm_max(0, -by[2]), hi = gemm_min(pitch, size[2] - by[2]);
        if (lo >= hi) return;
        for (int64_t r = 0; r < images * rows; ++r) {
            const int64_t o0 = r % rows / tall + by[0], o1 = r % tall + by[1];
            if (o0 >= 0 && o0 < size[0] && o1 >= 0 && o1 < size[1])
                set_bits(bits, r * pitch + lo, r * pitch + hi);
        }
    }

    // What fill() is going to read, requested by so many calls.
    MaskedAhead ahead(const MaskedBand& b, int64_t group, int64_t calls) const {
        const T* from = s.src + b.image * s.src_image + group * s.channels * s.src_plane;
        if (rows != tall || b.rows >= rows) {  // whole images
            const int64_t images = gemm_max(1, b.rows / rows);
            return {from, images, s.src_image, s.channels * s.src_plane, calls};
        }
        const int64_t begin = gemm_max(0, (b.row0 + lead) * s.mul[1]);
        const int64_t end = gemm_min(s.in[1], (b.row0 + lead + b.rows + reach) * s.mul[1]);
        return {from + begin * s.in[2], s.channels, s.src_plane, gemm_max(0, end - begin) * s.in[2],
                calls};
    }

    // Copies what lies under a band; returns where the input of its first position is.
    const T* fill(const MaskedBand& b, int64_t group, T* memory) const {
        T* to = memory + slack;
        const T* image = s.src + b.image * s.src_image + group * s.channels * s.src_plane;
        for (int64_t c = 0; c < s.channels; ++c, to += plane, image += s.src_plane)
            for (int64_t f0 = 0; f0 < phases[0]; ++f0)
                fill_rows(b, image, f0, to + f0 * phases[1] * phases[2] * phase_size);
        return memory + slack;
    }

 private:
    // Rows of a channel, in the order in which they lie. Where there is no row nothing is written. A
    // vector may run over its row's end, into what is written later or never read: rows of a phase are
    // filled in order, and behind its last one there is room.
    void fill_rows(const MaskedBand& b, const T* src, int64_t f0, T* to) const {
        const int64_t end0 = extent(0, f0), last = (s.n - b.image) * rows;
        const int64_t begin = gemm_max(0, b.row0 + lead), width = s.in[2];
        const int64_t end = gemm_min(last, b.row0 + lead + b.rows + reach);
        int64_t image = begin / rows, p0 = begin % rows / tall, p1 = begin % tall;
        to += (begin - b.row0 - lead) * pitch;
        // Constants of their own: a vector that is stored might be anything, also a member.
        const HalvedRow half(width, phase_size);
        const int64_t by1 = s.mul[1], in1 = s.in[1], count = phases[1], step = pitch;
        const int64_t two = phases[2] * phase_size, last1 = tall, last0 = rows / tall;
        const bool halves = s.mul[2] == 2;
        for (int64_t row = begin; row < end; ++row, to += step) {
            const T* from = src + image * s.src_image;
            from += ((p0 * s.mul[0] + f0) * in1 + p1 * by1) * width;
            const int64_t n = p0 < end0 ? gemm_min(count, in1 - p1 * by1) : 0;
            T* out = to;
            for (int64_t f1 = 0; f1 < n; ++f1, from += width, out += two)
                if (halves)
                    half.split(from, out);
                else
                    split(from, out);
            if (++p1 < last1) continue;
            p1 = 0;
            if (++p0 == last0) p0 = 0, ++image;
        }
    }
    // Rows split by 2.
    struct HalvedRow {
        int64_t whole, odd;  // elements in pairs of whole vectors; from even places to odd ones
        LaneMask<T> near, far;

        HalvedRow(int64_t width, int64_t apart)
            : whole((width - 1) / (2 * N) * (2 * N)), odd(apart) {
            near = lane_mask<T>(0, width - whole), far = lane_mask<T>(0, width - whole - N);
        }
        void split(const T* from, T* to) const {
            const T* end = from + whole;
            for (; from < end; from += 2 * N, to += N) put(vload(from), vload(from + N), to);
            put(vload_mask(from, near), vload_mask(from + N, far), to);
        }
        void put(typename Vec<T>::type a, typename Vec<T>::type b, T* to) const {
            vstore(to, vevens<T>(a, b));
            vstore(to + odd, vodds<T>(a, b));
        }
    };
    void split(const T* from, T* to) const {
        for (int64_t f = 0; f < phases[2]; ++f, to += phase_size)
            take_every(to, from + f, extent(2, f), s.mul[2]);
    }
};

}  // namespace
