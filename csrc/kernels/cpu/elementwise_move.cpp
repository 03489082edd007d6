// Elements moved between layouts, one dtype on both sides: contiguous runs, planes that trade rows for
// columns, and whatever strides there are.
#include "kernels/cpu/elementwise_rows.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/static_size.h"
#include "kernels/cpu/strided.h"

namespace deeplite::cpu::DL_ISA {
namespace {

// B x B elements from rows of `in` to columns of `out`, through registers or the L1 cache.
template <class U, int B>
inline void transpose_block(char* out, int64_t out_stride, const char* in, int64_t in_stride) {
    U tile[B][B];
    for (int i = 0; i < B; ++i) memcpy(tile[i], in + i * in_stride, sizeof tile[i]);
    for (int j = 0; j < B; ++j) {
        U row[B];
        for (int i = 0; i < B; ++i) row[i] = tile[i][j];
        memcpy(out + j * out_stride, row, sizeof row);
    }
}
#ifdef __AVX2__
template <>
inline void transpose_block<uint32_t, 8>(char* out, int64_t out_stride, const char* in,
                                         int64_t in_stride) {
    __m256 r[8], t[8];
    for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps((const float*)(in + i * in_stride));
    for (int i = 0; i < 4; ++i) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 2; ++j) {
            r[4 * i + 2 * j] = _mm256_shuffle_ps(t[4 * i + j], t[4 * i + 2 + j], 0x44);
            r[4 * i + 2 * j + 1] = _mm256_shuffle_ps(t[4 * i + j], t[4 * i + 2 + j], 0xee);
        }
    for (int j = 0; j < 4; ++j) {
        _mm256_storeu_ps((float*)(out + j * out_stride),
                         _mm256_permute2f128_ps(r[j], r[4 + j], 0x20));
        _mm256_storeu_ps((float*)(out + (j + 4) * out_stride),
                         _mm256_permute2f128_ps(r[j], r[4 + j], 0x31));
    }
}
#endif

// One plane: out rows of `n` elements, in rows of `m`; out(j, i) = in(i, j).
template <class U>
void transpose_plane(char* out, int64_t out_stride, const char* in, int64_t in_stride, int64_t m,
                     int64_t n) {
    constexpr int B = 8, size = sizeof(U);
    const int64_t mb = m / B * B, nb = n / B * B;
    constexpr int64_t kPanel = 64;  // rows of `in` whose cache lines are used up before moving on
    for (int64_t i0 = 0; i0 < nb; i0 += kPanel) {
        const int64_t i1 = i0 + kPanel < nb ? i0 + kPanel : nb;
        for (int64_t j = 0; j < mb; j += B)
            for (int64_t i = i0; i < i1; i += B)
                transpose_block<U, B>(out + j * out_stride + i * size, out_stride,
                                      in + i * in_stride + j * size, in_stride);
    }
    auto cell = [&](int64_t j, int64_t i) {
        memcpy(out + j * out_stride + i * size, in + i * in_stride + j * size, size);
    };
    for (int64_t j = 0; j < mb; ++j)
        for (int64_t i = nb; i < n; ++i) cell(j, i);
    for (int64_t j = mb; j < m; ++j)
        for (int64_t i = 0; i < n; ++i) cell(j, i);
}

// A copy whose input is contiguous along dimension k > 0 and whose output is along dimension 0:
// planes of these two, one for each index of the others. Chunks are bands of k within a plane.
template <class U>
void transpose_copy(const dl_iter* it, int k) {
    constexpr int64_t size = sizeof(U);
    const int64_t n = it->shape[0], m = it->shape[k];
    int64_t planes = 1;
    for (int d = 1; d < it->ndim; ++d)
        if (d != k) planes *= it->shape[d];
    int64_t band = (kCheapGrain / n + 15) / 16 * 16;
    if (band < 16) band = 16;
    if (band > m) band = m;
    const int64_t bands = (m + band - 1) / band, work = band * n;
    const int64_t grain = work < kCheapGrain ? kCheapGrain / work : 1;
    parallel_for(planes * bands, grain, [&](int64_t begin, int64_t end) {
        for (int64_t c = begin; c < end; ++c) {
            const int64_t j = c % bands * band, rows = m - j < band ? m - j : band;
            int64_t plane = c / bands, out = 0, in = 0;
            for (int d = 1; d < it->ndim; ++d) {
                if (d == k) continue;
                const int64_t at = plane % it->shape[d];
                plane /= it->shape[d];
                out += at * it->strides[0][d];
                in += at * it->strides[1][d];
            }
            transpose_plane<U>(
                static_cast<char*>(it->data[0]) + out + j * it->strides[0][k], it->strides[0][k],
                static_cast<const char*>(it->data[1]) + in + j * size, it->strides[1][0], rows, n);
        }
    });
}
// The dimension along which the input is contiguous, if the copy is worth transposing; else 0.
int transposed_dim(const dl_iter* it, int64_t size) {
    if (it->strides[0][0] != size || it->strides[1][0] == size || it->strides[1][0] == 0) return 0;
    for (int k = 1; k < it->ndim; ++k)
        if (it->strides[1][k] == size && it->shape[k] >= 4 && it->shape[0] >= 4) return k;
    return 0;
}

constexpr int64_t kAhead = 8;  // rows

// Runs along dimension 0, row by row of dimension 1, plane by plane of the others.
template <class U>
void run_copy(const dl_iter* it) {
    constexpr int64_t size = sizeof(U);
    const int64_t n = it->shape[0], to = it->strides[0][0], from = it->strides[1][0];
    const int64_t rows = it->ndim > 1 ? it->shape[1] : 1;
    char* y = static_cast<char*>(it->data[0]);
    const char* x = static_cast<const char*>(it->data[1]);
    if (it->ndim == 1)
        return parallel_for(n, kCheapGrain * 4 / size, [&](int64_t begin, int64_t end) {
            move_run<U>(y + begin * to, to, x + begin * from, from, end - begin);
        });
    int64_t total = 1;
    for (int d = 1; d < it->ndim; ++d) total *= it->shape[d];
    parallel_for(total, kCheapGrain * 4 / size / n + 1, [&](int64_t begin, int64_t end) {
        while (begin < end) {
            const int64_t row = begin % rows, left = rows - row;
            int64_t plane = begin / rows, out = row * it->strides[0][1],
                    in = row * it->strides[1][1];
            for (int d = 2; d < it->ndim; ++d) {
                const int64_t at = plane % it->shape[d];
                plane /= it->shape[d];
                out += at * it->strides[0][d];
                in += at * it->strides[1][d];
            }
            const int64_t count = left < end - begin ? left : end - begin;
            const bool short_rows = n * size <= 1024 && from == size;
            for (int64_t r = 0; r < count; ++r) {
                // Rows that lie apart are beyond what the processor foresees.
                if (short_rows && r + kAhead < count)
                    for (int64_t b = 0; b < n * size; b += 64)
                        __builtin_prefetch(x + in + (r + kAhead) * it->strides[1][1] + b);
                move_run<U>(y + out + r * it->strides[0][1], to, x + in + r * it->strides[1][1],
                            from, n);
            }
            begin += count;
        }
    });
}

// Short rows that trade places: along dimension k they lie closer together in the input than along
// dimension 1. A tile is read nearly in its order and written in stretches of kTileRows rows: in the order
// of the output alone, each row would come from another page.
constexpr int64_t kTileRows = 32, kTileBytes = 128 << 10;

int traded_dim(const dl_iter* it, int64_t size) {
    const int64_t row = it->shape[0] * size;
    if (it->ndim < 3 || it->strides[0][0] != size || it->strides[1][0] != size) return 0;
    if (row < 64 || row > 1024 || it->strides[1][1] < 2 * row || it->shape[1] < kTileRows) return 0;
    for (int k = 2; k < it->ndim; ++k)
        if (it->strides[1][k] >= row && 2 * it->strides[1][k] <= it->strides[1][1]) return k;
    return 0;
}

// Rows of `bytes` that lie `to_step` and `from_step` apart.
void copy_rows(char* to, int64_t to_step, const char* from, int64_t from_step, int64_t bytes,
               int64_t rows) {
    constexpr int64_t V = DL_VEC_BYTES, kMost = 8;
    if (bytes % V == 0 && bytes <= kMost * V)
        return with_size<kMost>(bytes / V, [&](auto vectors) {
            for (int64_t r = 0; r < rows; ++r, to += to_step, from += from_step)
                for (int v = 0; v < decltype(vectors)::value; ++v)
                    vstore<char>(to + v * V, vload<char>(from + v * V));
        });
    for (int64_t r = 0; r < rows; ++r, to += to_step, from += from_step)
        copy_bytes(to, from, bytes);
}

template <class U>
void traded_copy(const dl_iter* it, int k) {
    constexpr int64_t size = sizeof(U);
    const int64_t n = it->shape[0], rows = it->shape[1], lines = it->shape[k];
    const int64_t fit = kTileBytes / (kTileRows * n * size), deep = fit < lines ? fit : lines;
    const int64_t wide = (rows + kTileRows - 1) / kTileRows, high = (lines + deep - 1) / deep;
    int64_t planes = 1;
    for (int d = 2; d < it->ndim; ++d)
        if (d != k) planes *= it->shape[d];
    const int64_t grain = kCheapGrain * 4 / size / (kTileRows * deep * n) + 1;
    parallel_for(planes * high * wide, grain, [&](int64_t begin, int64_t end) {
        for (int64_t tile = begin; tile < end; ++tile) {
            const int64_t r = tile % wide * kTileRows, l = tile / wide % high * deep;
            const int64_t r1 = r + kTileRows < rows ? r + kTileRows : rows;
            const int64_t l1 = l + deep < lines ? l + deep : lines;
            int64_t plane = tile / wide / high, offset[2];
            for (int o = 0; o < 2; ++o) offset[o] = r * it->strides[o][1] + l * it->strides[o][k];
            for (int d = 2; d < it->ndim; ++d) {
                if (d == k) continue;
                const int64_t at = plane % it->shape[d];
                plane /= it->shape[d];
                for (int o = 0; o < 2; ++o) offset[o] += at * it->strides[o][d];
            }
            char* to = static_cast<char*>(it->data[0]) + offset[0];
            const char* from = static_cast<const char*>(it->data[1]) + offset[1];
            for (int64_t j = l; j < l1; ++j, to += it->strides[0][k], from += it->strides[1][k]) {
                copy_rows(to, it->strides[0][1], from, it->strides[1][1], n * size, r1 - r);
            }
        }
    });
}

template <class U>
void move_typed(const dl_iter* it) {
    if (const int k = transposed_dim(it, sizeof(U)))
        transpose_copy<U>(it, k);
    else if (const int k = traded_dim(it, sizeof(U)))
        traded_copy<U>(it, k);
    else
        run_copy<U>(it);
}

}  // namespace

dl_status move_elements(const dl_iter* it) {
    for (int d = 0; d < it->ndim; ++d)
        if (it->shape[d] == 0) return DL_OK;
    switch (element_size(it->dtype[0])) {
        case 1:
            return move_typed<uint8_t>(it), DL_OK;
        case 2:
            return move_typed<uint16_t>(it), DL_OK;
        case 4:
            return move_typed<uint32_t>(it), DL_OK;
        default:
            return move_typed<uint64_t>(it), DL_OK;
    }
}

}  // namespace deeplite::cpu::DL_ISA
