// Maxima, means and sums over windows.
//
// Where rows keep their length (stride 1 and "same" padding) a plane is walked as one long row, in two
// passes: along the rows, leaving out the taps that lie in a neighbouring one, then across them. A window
// of k x k takes 2 k steps instead of k^2, a plane of 7 x 7 four vectors instead of seven, and the maxima
// keep the order of the taps: the first of a row, then the first of the rows.
//
// Else the rows of a window are joined first and the result is split by stride, so that taps are contiguous
// vectors. Where the places of the maxima are asked for, the rows are split one by one: across first would
// be another order.
#pragma once
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/planes.h"
#include "kernels/cpu/static_size.h"
#include "kernels/pool.h"

namespace {

inline int64_t volume(const int64_t s[3]) { return s[0] * s[1] * s[2]; }

// Taps [begin, end) of window o along dimension d that lie inside of the input.
struct Taps {
    int64_t origin, begin, end;
};
inline Taps taps(const dl_pool& p, int d, int64_t o) {
    Taps t{o * p.stride[d] - p.pad[d], 0, p.kernel[d]};
    const int64_t step = p.dilation[d];
    const int64_t room = p.in[d] - t.origin;  // taps r with r * dilation < room
    if (t.origin < 0) t.begin = step == 1 ? -t.origin : (-t.origin + step - 1) / step;
    if (room < t.end * step) t.end = room <= 0 ? 0 : (room + step - 1) / step;
    if (t.begin > t.end) t.begin = t.end;
    return t;
}

// What a window along dimension d counts for in the divisor.
inline int64_t window_size(const dl_pool& p, int d, int64_t o) {
    if (p.divisor) return 1;
    const int64_t origin = o * p.stride[d] - p.pad[d];
    int64_t begin = origin, end = origin + p.kernel[d];
    if (end > p.in[d] + p.pad[d]) end = p.in[d] + p.pad[d];
    if (!p.count_include_pad) {
        if (begin < 0) begin = 0;
        if (end > p.in[d]) end = p.in[d];
    }
    return end > begin ? end - begin : 0;
}

enum class Windows { max, max_places, mean, sum };

// What a lane has found so far.
template <class T, Windows kind>
struct Found {
    typedef typename LaneInt<T>::type I;
    typedef typename Vec<T>::type V;
    typedef typename Vec<I>::type VI;
    static constexpr bool places = kind == Windows::max_places;
    static constexpr bool max = places || kind == Windows::max;
    static constexpr T nothing = max ? T(-__builtin_inf()) : T(0);
    V value;
    VI at;
    inline void take(V v, VI where) {
        if constexpr (places) {
            const VI better = v > value;
            value = better ? v : value;
            at = better ? where : at;
        } else if constexpr (max) {
            value = vmax(v, value);
        } else {
            value += v;
        }
    }
};

// What is the same for all planes. Its arrays lie in two blocks that the caller allocates.
template <class T>
struct WindowPlan {
    typedef typename LaneInt<T>::type I;
    static constexpr int N = Vec<T>::N;
    static constexpr int64_t kBandBytes = 64 << 10;  // of the first pass's results

    dl_pool p;
    bool flat;          // rows keep their length
    PhasedShape split;  // not flat: how a row is split by stride
    int64_t band;       // output rows between two changes of pass
    int64_t held;       // input rows that a band needs of each slice
    const I* column =
        nullptr;  // flat: of each place of `held` rows; else the first tap of each window
    const T* size = nullptr;  // means: sizes of the windows along a row, again and again if flat
    const int64_t* at_tap = nullptr;  // not flat: where taps lie in a split row

    explicit WindowPlan(const dl_pool& pool) : p(pool) {
        flat = p.stride[2] == 1 && p.dilation[2] == 1 && p.in[2] == p.out[2];
        split =
            phased_shape<T>(p.in[2], p.pad[2], p.stride[2], p.out[2], p.kernel[2], p.dilation[2]);
        band = p.out[1];
        if (p.in[0] == 1 && p.out[0] == 1) {
            const int64_t fit = kBandBytes / (p.out[2] * p.stride[1] * int64_t(sizeof(T))) + 8;
            if (fit < band) band = fit;
        }
        held = (band - 1) * p.stride[1] + (p.kernel[1] - 1) * p.dilation[1] + 1;
        if (held > p.in[1]) held = p.in[1];
    }
    int64_t columns() const { return (flat ? held * p.in[2] : p.out[2]) + N; }
    int64_t sizes() const { return (flat ? band * p.out[2] : p.out[2]) + N; }
    size_t shared_bytes() const {
        return size_t(columns()) * sizeof(I) + size_t(sizes()) * sizeof(T) +
               size_t(p.kernel[2]) * sizeof(int64_t) + 64;
    }
    void fill_shared(void* room) {
        int64_t* tap = static_cast<int64_t*>(room);
        T* sizes_of = reinterpret_cast<T*>(tap + p.kernel[2]);
        I* columns_of = reinterpret_cast<I*>(sizes_of + sizes());
        for (int64_t c = 0; c < p.kernel[2]; ++c) tap[c] = split.offset(c * p.dilation[2]);
        for (int64_t o = 0; o < sizes(); ++o) {
            const bool there = o < sizes() - N;
            sizes_of[o] = there ? T(window_size(p, 2, o % p.out[2])) : T(1);
        }
        for (int64_t o = 0; o < columns(); ++o) {
            const Taps t = taps(p, 2, o);
            columns_of[o] = I(flat ? o % p.in[2] : t.origin + t.begin * p.dilation[2]);
        }
        at_tap = tap, size = sizes_of, column = columns_of;
    }
    // Of one task: offsets of the rows of a window; results of the first pass with their places, or the
    // rows that are held, split, or one row joined and split.
    int64_t cells(Windows kind) const {
        if (flat) return p.in[0] * held * p.out[2] + N;
        if (kind == Windows::max_places) return p.in[0] * held * split.cells();
        return line() + N + split.cells();
    }
    // A row with its padding, as far as vectors of taps reach.
    int64_t line() const {
        const int64_t reach = round_up(p.out[2], N) * p.stride[2] + p.kernel[2] * p.dilation[2];
        return round_up((reach > p.in[2] ? reach : p.in[2]) + p.pad[2], N) + N;
    }
    size_t task_bytes(Windows kind) const {
        return size_t(cells(kind)) * (sizeof(T) + sizeof(I)) +
               size_t(p.kernel[0] * p.kernel[1]) * sizeof(int64_t);
    }
};

// Whether no window needs to know which NaN came last. (Infinities of both signs look like one.)
template <class T>
bool is_ordinary(const T* x, int64_t n) {
    constexpr int N = Vec<T>::N;
    typename Vec<T>::type sum[4] = {};
    int64_t i = 0;
    for (; i + 4 * N <= n; i += 4 * N)
        for (int u = 0; u < 4; ++u) sum[u] += vload(x + i + u * N);
    for (; i + N <= n; i += N) sum[0] += vload(x + i);
    if (i < n) sum[1] += vload_n(x + i, n - i);
    const auto all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    return !vany(all != all);
}

template <class T, Windows kind>
struct WindowTask {
    typedef Found<T, kind> F;
    typedef typename F::I I;
    typedef typename F::V V;
    typedef typename F::VI VI;
    static constexpr int N = Vec<T>::N;

    const WindowPlan<T>& plan;
    const dl_pool& p;
    const T *first, *last;  // what may be read of x
    T* rows;
    I* at;
    int64_t* across;
    VI iota;

    WindowTask(const WindowPlan<T>& w, void* room, const T* begin, const T* end)
        : plan(w), p(w.p), first(begin), last(end) {
        across = static_cast<int64_t*>(room);
        rows = reinterpret_cast<T*>(across + p.kernel[0] * p.kernel[1]);
        at = reinterpret_cast<I*>(rows + w.cells(kind));
        for (int l = 0; l < N; ++l) iota[l] = I(l);
    }

    // One plane. y and index may be written up to `room` elements from their begin on, for rows run over
    // into the next one, which is written later.
    void run(const T* x, T* y, int64_t* index, int64_t room) const {
        for (int64_t begin = 0; begin < p.out[1]; begin += plan.band) {
            const int64_t end = begin + plan.band < p.out[1] ? begin + plan.band : p.out[1];
            const int64_t origin = begin * p.stride[1] - p.pad[1];
            const int64_t top = origin < 0 ? 0 : origin;
            int64_t bottom =
                (end - 1) * p.stride[1] - p.pad[1] + (p.kernel[1] - 1) * p.dilation[1] + 1;
            if (bottom > p.in[1]) bottom = p.in[1];
            for (int64_t i0 = 0; i0 < p.in[0]; ++i0) prepare(x, i0, top, bottom);
            for (int64_t o0 = 0; o0 < p.out[0]; ++o0)
                finish(x, o0, begin, end, top, y, index, room);
        }
    }

 private:
    // Rows [top, bottom) of slice i0: the first pass, or the splitting, or nothing.
    void prepare(const T* x, int64_t i0, int64_t top, int64_t bottom) const {
        const int64_t row = i0 * p.in[1] + top, n = bottom - top;
        if (plan.flat) {
            with_size<4>(p.kernel[2], [&](auto k) {
                constexpr int K = decltype(k)::value;
                along < K<4 ? K : 0>(x, row, n * p.in[2], i0 * plan.held * p.out[2]);
            });
        } else if (F::places) {
            T* to = rows + i0 * plan.held * plan.split.cells();
            for (int64_t r = row; r < row + n; ++r, to += plan.split.cells())
                split_row(to, x + r * p.in[2], plan.split, F::nothing);
        }
    }
    // K: taps of a window, or 0.
    template <int K>
    void along(const T* x, int64_t row, int64_t n, int64_t to) const {
        typedef typename Vec<decltype(unsigned_of(I()))>::type VU;
        const int64_t kernel = K ? K : p.kernel[2], pad = p.pad[2], start = row * p.in[2];
        const VU width = VU{} + decltype(unsigned_of(I()))(p.in[2]);
        const VI low = VI{} + I(pad);
        for (int64_t i = 0; i < n; i += N) {
            const T* from = x + start + i - pad;
            const bool inside = from >= first && from + kernel - 1 + N <= last;
            const VI column = vload(plan.column + i), place = iota + I(start + i);
            F f;
            f.value = V{} + F::nothing;
            f.at = place - (column < low ? column : low);
            for (int64_t c = 0; c < kernel; ++c, ++from) {
                const V v = inside ? vload(from)
                                   : vload_mask(from, lane_mask<T>(first - from, last - from));
                const VI there = (VU)(column + I(c - pad)) < width;
                f.take(there ? v : V{} + F::nothing, place + I(c - pad));
            }
            vstore(rows + to + i, f.value);
            if constexpr (F::places) vstore(at + to + i, f.at);
        }
    }
    static uint32_t unsigned_of(int32_t);
    static uint64_t unsigned_of(int64_t);

    // Output rows [begin, end) of slice o0; the first row held is number `top`.
    void finish(const T* x, int64_t o0, int64_t begin, int64_t end, int64_t top, T* y,
                int64_t* index, int64_t room) const {
        const Taps t0 = taps(p, 0, o0);
        const bool held = plan.flat || F::places;
        const int64_t pitch = plan.flat ? p.out[2] : F::places ? plan.split.cells() : p.in[2];
        for (int64_t o1 = begin; o1 < end;) {
            const Taps t1 = taps(p, 1, o1);
            int64_t next = o1 + 1;
            // Rows whose windows are whole make one long row.
            if (plan.flat && p.stride[1] == 1 && t1.end - t1.begin == p.kernel[1])
                while (next < end && next - p.pad[1] + (p.kernel[1] - 1) * p.dilation[1] < p.in[1])
                    ++next;
            int64_t n = 0;
            for (int64_t r0 = t0.begin; r0 < t0.end; ++r0)
                for (int64_t r1 = t1.begin; r1 < t1.end; ++r1) {
                    const int64_t slice = t0.origin + r0 * p.dilation[0];
                    const int64_t row = t1.origin + r1 * p.dilation[1];
                    across[n++] =
                        (held ? slice * plan.held + row - top : slice * p.in[1] + row) * pitch;
                }
            const int64_t to = (o0 * p.out[1] + o1) * p.out[2];
            const T size =
                p.divisor ? T(p.divisor) : T(window_size(p, 0, o0) * window_size(p, 1, o1));
            int64_t* places = index ? index + to : nullptr;
            // Of the first tap that is there, were it not for columns.
            const int64_t corner = ((t0.origin + t0.begin * p.dilation[0]) * p.in[1] + t1.origin +
                                    t1.begin * p.dilation[1]) *
                                   p.in[2];
            if (!plan.flat)
                one_row(x, n, t1, corner, size, y + to, places, room - to);
            else if (n == 3)
                across_rows<3>(n, (next - o1) * p.out[2], size, y + to, places, room - to);
            else
                across_rows<0>(n, (next - o1) * p.out[2], size, y + to, places, room - to);
            o1 = next;
        }
    }
    // One output row of n rows of the input.
    void one_row(const T* x, int64_t n, const Taps& t1, int64_t corner, T size, T* y,
                 int64_t* index, int64_t room) const {
        with_size<4>(p.dilation[2] == 1 ? p.kernel[2] : 4, [&](auto k) {
            constexpr int K = decltype(k)::value < 4 ? decltype(k)::value : 0;
            if constexpr (F::places) {
                windows<K>(n, t1.end - t1.begin, corner, y, index, room);
            } else {
                const T* line = p.stride[2] <= 2 ? lone_row(x, n) : nullptr;
                if (!line) join_rows(x, n), line = rows;
                if (p.stride[2] == 2)
                    taps_of_line<K, 2>(line, size, y, room);
                else if (p.stride[2] == 1)
                    taps_of_line<K, 1>(line, size, y, room);
                else
                    taps_of_split(size, y, room);
            }
        });
    }
    // The row of the input that is all a row of windows sees, if it needs no padding; else null. Vectors of
    // taps run over into what lies behind it.
    const T* lone_row(const T* x, int64_t n) const {
        const int64_t reach = (p.out[2] - 1) * p.stride[2] + (p.kernel[2] - 1) * p.dilation[2] + 1;
        const bool inside = n == 1 && p.pad[2] == 0 && reach <= p.in[2];
        return inside && x + across[0] + plan.line() <= last ? x + across[0] : nullptr;
    }
    // The rows of a window, element by element, between cells of padding.
    void join_rows(const T* x, int64_t n) const {
        const V nothing = V{} + F::nothing;
        for (int64_t j = 0; j < p.pad[2]; j += N) vstore(rows + j, nothing);
        T* line = rows + p.pad[2];
        for (int64_t j = 0; j < p.in[2]; j += N) {
            const bool whole = x + across[n - 1] + j + N <= last;
            F f;
            f.value = nothing;
            f.at = VI{};
            for (int64_t t = 0; t < n; ++t) {
                const T* from = x + across[t] + j;
                f.take(whole ? vload(from) : vload_n(from, p.in[2] - j), f.at);
            }
            vstore(line + j, f.value);
        }
        for (int64_t j = p.in[2]; j < plan.line() - p.pad[2]; j += N) vstore(line + j, nothing);
    }
    // K: taps of a window that lie side by side, or 0. S: the stride.
    template <int K, int S>
    void taps_of_line(const T* line, T size, T* y, int64_t room) const {
        const int64_t kernel = K ? K : p.kernel[2], step = K ? 1 : p.dilation[2];
        for (int64_t o = 0; o < p.out[2]; o += N) {
            F f;
            f.value = V{} + F::nothing;
            f.at = VI{};
            for (int64_t c = 0; c < kernel; ++c) {
                const int64_t q = c * step, odd = S == 2 ? q % 2 : 0;
                const T* from = line + o * S + q - odd;
                if constexpr (S == 1) {
                    f.take(vload(from), f.at);
                } else {
                    const V a = vload(from), b = vload(from + N);
                    f.take(odd ? vodds<T>(a, b) : vevens<T>(a, b), f.at);
                }
            }
            put(f, o, p.out[2], size, y, nullptr, room);
        }
    }
    void taps_of_split(T size, T* y, int64_t room) const {
        T* split = rows + plan.line();
        split_row(split, rows + p.pad[2], plan.split, F::nothing);
        for (int64_t o = 0; o < p.out[2]; o += N) {
            F f;
            f.value = V{} + F::nothing;
            f.at = VI{};
            for (int64_t c = 0; c < p.kernel[2]; ++c)
                f.take(vload(split + plan.at_tap[c] + o), f.at);
            put(f, o, p.out[2], size, y, nullptr, room);
        }
    }
    // Maxima and their places from split rows, tap by tap in their order; a slice of the window has `deep`
    // rows, and its first row begins at place `corner`.
    template <int K>
    void windows(int64_t n, int64_t deep, int64_t corner, T* y, int64_t* index,
                 int64_t room) const {
        const int64_t kernel = K ? K : p.kernel[2];
        for (int64_t o = 0; o < p.out[2]; o += N) {
            F f;
            f.value = V{} + F::nothing;
            f.at = vload(plan.column + o) + I(corner);
            for (int64_t t = 0; t < n; ++t) {
                const T* from = rows + across[t] + o;
                const int64_t row = t / deep * p.dilation[0] * p.in[1] + t % deep * p.dilation[1];
                const VI place =
                    iota * I(p.stride[2]) + I(corner + row * p.in[2] + o * p.stride[2] - p.pad[2]);
                for (int64_t c = 0; c < kernel; ++c)
                    f.take(vload(from + plan.at_tap[c]), place + I(c * p.dilation[2]));
            }
            put(f, o, p.out[2], T(1), y, index, room);
        }
    }
    template <int K>
    void across_rows(int64_t taps, int64_t n, T size, T* y, int64_t* index, int64_t room) const {
        if (K) taps = K;
        for (int64_t j = 0; j < n; j += N) {
            F f;
            f.value = V{} + F::nothing;
            f.at = VI{};
            for (int64_t t = 0; t < taps; ++t) {
                const int64_t cell = across[t] + j;
                const V v = vload(rows + cell);
                const VI where = F::places ? vload(at + cell) : VI{};
                if (t == 0)
                    f.value = v, f.at = where;
                else
                    f.take(v, where);
            }
            put(f, j, n, size, y, index, room);
        }
    }
    // Lanes to elements j, j + 1, ... of n.
    void put(const F& f, int64_t j, int64_t n, T size, T* y, int64_t* index, int64_t room) const {
        V value = f.value;
        if constexpr (kind == Windows::mean) {
            const V sizes = vload(plan.size + j) * size;
            // A window that meets only padding has sum 0 and maybe size 0.
            value = sizes == V{} ? V{} : value / sizes;
        }
        const int64_t count = j + N <= room ? N : n - j;
        if (count == N)
            vstore(y + j, value);
        else
            vstore_n(y + j, value, count);
        if constexpr (F::places) put_places(index + j, f.at, count);
    }
    static void put_places(int64_t* index, VI at, int64_t count) {
        I lanes[N];
        memcpy(lanes, &at, sizeof lanes);
        if (count == N)
            for (int l = 0; l < N; ++l) index[l] = lanes[l];
        else
            for (int64_t l = 0; l < count; ++l) index[l] = lanes[l];
    }
};

}  // namespace
