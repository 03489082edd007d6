// Elementwise kernels: the table, and the loop that brings any layout to a row function.
#include "kernels/elementwise.h"

#include "kernels/cpu/elementwise_rows.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/strided.h"

namespace deeplite::cpu::DL_ISA {
namespace {

constexpr int kMaxOperands = 4;
constexpr int64_t kTile = 512;    // elements; the tiles of all operands together fit the L1 cache
constexpr int64_t kLongRow = 64;  // a shorter inner dimension is gathered several rows at a time

enum Mode : unsigned char {
    kLinear,    // one contiguous run over all dimensions
    kConstant,  // one element for all
    kRow,       // contiguous within each (long) row
    kRowConst,  // one element for each (long) row
    kNumber,    // one element for all, or for each (long) row, which `fn` takes as it is
    kGather     // through a tile
};

template <class T>
void write_scalar(char* out, double x) {
    T v = T(x);
    memcpy(out, &v, sizeof v);
}
void make_scalar(char* out, int dtype, double x) {
    switch (dtype) {
        case DL_F32:
            return write_scalar<float>(out, x);
        case DL_F64:
            return write_scalar<double>(out, x);
        case DL_I64:
            return write_scalar<int64_t>(out, x);
        case DL_I32:
            return write_scalar<int32_t>(out, int64_t(x));
        case DL_I16:
            return write_scalar<int16_t>(out, int64_t(x));
        case DL_I8:
            return write_scalar<int8_t>(out, int64_t(x));
        case DL_U8:
            return write_scalar<uint8_t>(out, int64_t(x));
        case DL_BOOL:
            return write_scalar<bool>(out, x != 0);
        case DL_BF16:
            return write_scalar<uint16_t>(out, float_to_bf16(float(x)));
        default:
            return write_scalar<uint16_t>(out, float_to_f16(float(x)));
    }
}

struct Job {
    RowFn fn;
    const dl_iter* it;
    const double* params;
    int32_t operands;
    bool long_rows;  // a piece of work never crosses the end of a row
    bool tiles;      // a piece of work is at most kTile elements
    Mode mode[kMaxOperands];
    RowFn convert[kMaxOperands];    // half operands: from memory to a tile of floats, or back
    int64_t size[kMaxOperands];     // of an element
    char scalars[kMaxOperands][8];  // values of operands without memory
    const char* data[kMaxOperands];
    int bad;
};

// One element, n times.
void spread(char* dst, const char* src, int64_t n, int64_t size) {
    switch (size) {
        case 1:
            return gather_run<uint8_t>(dst, src, 0, n);
        case 2:
            return gather_run<uint16_t>(dst, src, 0, n);
        case 4:
            return gather_run<uint32_t>(dst, src, 0, n);
        default:
            return gather_run<uint64_t>(dst, src, 0, n);
    }
}

// Where in the iteration space we are.
struct Position {
    int64_t at[DL_MAX_DIMS];

    void set(const dl_iter* it, int64_t flat) {
        for (int d = 0; d < it->ndim; ++d) {
            at[d] = flat % it->shape[d];
            flat /= it->shape[d];
        }
    }
    void advance(const dl_iter* it, int64_t n) {
        at[0] += n;
        for (int d = 0; d + 1 < it->ndim && at[d] >= it->shape[d]; ++d) {
            const int64_t carry = at[d] / it->shape[d];
            at[d] -= carry * it->shape[d];
            at[d + 1] += carry;
        }
    }
    int64_t offset(const dl_iter* it, int k) const {
        int64_t o = 0;
        for (int d = 0; d < it->ndim; ++d) o += at[d] * it->strides[k][d];
        return o;
    }
};

// Moves n elements of operand k, from `pos` on and across row ends, into or out of a tile.
template <class U, bool into_tile>
void move_elements(const Job& job, int k, Position pos, char* tile, int64_t n) {
    const dl_iter* it = job.it;
    const int64_t length = it->shape[0], stride = it->strides[k][0];
    char* p = const_cast<char*>(job.data[k]) + pos.offset(it, k);
    for (;;) {
        const int64_t left = length - pos.at[0], m = left < n ? left : n;
        if (into_tile)
            gather_run<U>(tile, p, stride, m);
        else
            scatter_run<U>(p, stride, tile, m);
        tile += m * int64_t(sizeof(U));
        n -= m;
        if (n == 0) return;
        if (pos.at[0] == 0 && pos.at[1] + 1 < it->shape[1]) {  // the next row of the same plane
            ++pos.at[1];
            p += it->strides[k][1];
        } else {
            pos.advance(it, m);
            p = const_cast<char*>(job.data[k]) + pos.offset(it, k);
        }
    }
}
template <bool into_tile>
void move_tile(const Job& job, int k, const Position& pos, char* tile, int64_t n) {
    switch (job.size[k]) {
        case 1:
            return move_elements<uint8_t, into_tile>(job, k, pos, tile, n);
        case 2:
            return move_elements<uint16_t, into_tile>(job, k, pos, tile, n);
        case 4:
            return move_elements<uint32_t, into_tile>(job, k, pos, tile, n);
        default:
            return move_elements<uint64_t, into_tile>(job, k, pos, tile, n);
    }
}

// Half operand k: n elements at `pos`, the i-th of all, between memory and a tile of floats.
template <bool into_tile>
void convert_tile(const Job& job, int k, const Position& pos, int64_t i, char* tile, int64_t n) {
    alignas(64) char halves[kTile * 2];
    const bool direct = job.mode[k] == kLinear;
    char* memory = direct ? const_cast<char*>(job.data[k]) + i * job.size[k] : halves;
    if (into_tile) {
        if (!direct) move_tile<true>(job, k, pos, halves, n);
        char* const d[2] = {tile, memory};
        job.convert[k](d, n, nullptr);
    } else {
        char* const d[2] = {memory, tile};
        job.convert[k](d, n, nullptr);
        if (!direct) move_tile<false>(job, k, pos, halves, n);
    }
}

void run_chunk(Job& job, int64_t begin, int64_t end) {
    const dl_iter* it = job.it;
    alignas(64) char tiles[kMaxOperands][kTile * 8];
    const char* filled[kMaxOperands] = {};  // the row constant a tile holds already
    const int64_t span = end - begin < kTile ? end - begin : kTile;
    char* d[kMaxOperands];
    for (int k = 0; k < job.operands; ++k)
        if (job.mode[k] == kConstant) {
            spread(tiles[k], job.data[k], span, job.size[k]);
            d[k] = tiles[k];
        }
    Position pos;
    pos.set(it, begin);
    for (int64_t i = begin; i < end;) {
        int64_t n = end - i;
        if (job.tiles && n > kTile) n = kTile;
        if (job.long_rows && n > it->shape[0] - pos.at[0]) n = it->shape[0] - pos.at[0];
        for (int k = 0; k < job.operands; ++k) {
            if (job.convert[k]) {
                d[k] = tiles[k];
                if (k > 0) convert_tile<true>(job, k, pos, i, tiles[k], n);
                continue;
            }
            switch (job.mode[k]) {
                case kLinear:
                    d[k] = const_cast<char*>(job.data[k]) + i * job.size[k];
                    break;
                case kConstant:
                    break;
                case kRow:
                case kNumber:
                    d[k] = const_cast<char*>(job.data[k]) + pos.offset(it, k);
                    break;
                case kRowConst: {
                    const char* p = job.data[k] + pos.offset(it, k);
                    if (p != filled[k]) spread(tiles[k], p, span, job.size[k]);
                    filled[k] = p;
                    d[k] = tiles[k];
                    break;
                }
                case kGather:
                    d[k] = tiles[k];
                    if (k > 0) move_tile<true>(job, k, pos, tiles[k], n);
                    break;
            }
        }
        if (!job.fn(d, n, job.params)) __atomic_store_n(&job.bad, 1, __ATOMIC_RELAXED);
        if (job.convert[0])
            convert_tile<false>(job, 0, pos, i, tiles[0], n);
        else if (job.mode[0] == kGather)
            move_tile<false>(job, 0, pos, tiles[0], n);
        i += n;
        pos.advance(it, n);
    }
}

// Rows in place: nothing is gathered or converted. Between neighbouring rows of a plane the operands
// move by their strides, which is most of what there is to do beside `fn` when rows are short.
void run_long_rows(Job& job, int64_t begin, int64_t end) {
    const dl_iter* it = job.it;
    alignas(64) char tiles[kMaxOperands][kTile * 8];
    const char *filled[kMaxOperands] = {}, *row[kMaxOperands];
    char* d[kMaxOperands];
    const int64_t length = it->shape[0];
    int64_t most = length;  // elements of a call
    for (int k = 0; k < job.operands; ++k) {
        if (job.mode[k] != kConstant && job.mode[k] != kRowConst) continue;
        const int64_t fits = int64_t(sizeof tiles[k]) / job.size[k];  // made once, or for each row
        const int64_t limit = job.mode[k] == kConstant ? fits : kTile;
        if (most > limit) most = limit;
    }
    const int64_t span = most < end - begin ? most : end - begin;
    for (int k = 0; k < job.operands; ++k)
        if (job.mode[k] == kConstant) spread(tiles[k], job.data[k], span, job.size[k]);
    Position pos;
    pos.set(it, begin);
    const auto find = [&] {
        for (int k = 0; k < job.operands; ++k) row[k] = job.data[k] + pos.offset(it, k);
    };
    find();
    for (int64_t i = begin; i < end;) {
        const int64_t left = length - pos.at[0], n = left < end - i ? left : end - i;
        for (int k = 0; k < job.operands; ++k)
            if (job.mode[k] == kRowConst && row[k] != filled[k]) {
                spread(tiles[k], row[k], span < length ? span : length, job.size[k]);
                filled[k] = row[k];
            }
        for (int64_t j = 0; j < n; j += most) {
            const int64_t m = n - j < most ? n - j : most;
            for (int k = 0; k < job.operands; ++k)
                d[k] = job.mode[k] == kConstant || job.mode[k] == kRowConst
                           ? tiles[k]
                           : const_cast<char*>(row[k]) +
                                 (job.mode[k] == kNumber ? 0 : j * job.size[k]);
            if (!job.fn(d, m, job.params)) __atomic_store_n(&job.bad, 1, __ATOMIC_RELAXED);
        }
        i += n;
        if (i == end) break;
        if (pos.at[0] == 0 && pos.at[1] + 1 < it->shape[1]) {
            ++pos.at[1];
            for (int k = 0; k < job.operands; ++k) row[k] += it->strides[k][1];
        } else {
            pos.advance(it, n);
            find();
        }
    }
}

Mode mode_of(const dl_iter* it, int k, int64_t size, bool long_rows) {
    const int64_t* s = it->strides[k];
    bool linear = true, constant = true;
    int64_t run = size;
    for (int d = 0; d < it->ndim; ++d) {
        linear &= s[d] == run || it->shape[d] == 1;
        constant &= s[d] == 0 || it->shape[d] == 1;
        run *= it->shape[d];
    }
    if (!it->data[k]) return kConstant;
    if (linear) return kLinear;
    if (constant && k > 0) return kConstant;
    if (long_rows && s[0] == size) return kRow;
    if (long_rows && s[0] == 0 && k > 0) return kRowConst;
    return kGather;
}

// Whether the last operand is an element that is the same along rows; then it is left where it is.
bool take_number(Job& job) {
    Mode& mode = job.mode[job.operands - 1];
    if (mode != kConstant && mode != kRowConst) return false;
    mode = kNumber;
    return true;
}

}  // namespace

void spread_operand(const dl_iter* it, int k, const double* params, char* out, int64_t n) {
    char scalar[8];
    const char* p = static_cast<const char*>(it->data[k]);
    if (!p) {
        make_scalar(scalar, it->dtype[k], params[DL_MAP_PARAMS + k]);
        p = scalar;
    }
    spread(out, p, n, element_size(it->dtype[k]));
}

dl_status run_rows(RowFn fn, const dl_iter* it, const double* params, int64_t grain, bool computes,
                   RowFn number) {
    int64_t total = 1;
    for (int d = 0; d < it->ndim; ++d) total *= it->shape[d];
    if (total <= 0) return DL_OK;
    if (it->noperands > kMaxOperands) return DL_UNSUPPORTED;
    Job job;
    job.fn = fn;
    job.it = it;
    job.params = params;
    job.operands = it->noperands;
    job.long_rows = it->ndim > 1 && it->shape[0] >= kLongRow;
    job.tiles = false;
    job.bad = 0;
    for (int k = 0; k < job.operands; ++k) {
        job.size[k] = element_size(it->dtype[k]);
        job.data[k] = static_cast<const char*>(it->data[k]);
        job.mode[k] = mode_of(it, k, job.size[k], job.long_rows);
        if (!job.data[k]) {
            if (k == 0) return DL_FAILED;
            make_scalar(job.scalars[k], it->dtype[k], params[DL_MAP_PARAMS + k]);
            job.data[k] = job.scalars[k];
        }
        job.convert[k] = nullptr;
        if (computes && is_half(it->dtype[k])) {
            const int dtype = it->dtype[k];
            job.convert[k] = k == 0 ? conversion(dtype, DL_F32) : conversion(DL_F32, dtype);
            if (job.mode[k] == kConstant) {  // one number, widened once
                char value[8];
                memcpy(value, job.data[k], 2);
                char* const d[2] = {job.scalars[k], value};
                job.convert[k](d, 1, nullptr);
                job.convert[k] = nullptr;
                job.data[k] = job.scalars[k];
                job.size[k] = 4;
            } else if (job.mode[k] != kLinear) {
                job.mode[k] = kGather;
            }
        }
    }
    if (number && take_number(job)) job.fn = number;
    for (int k = 0; k < job.operands; ++k) {
        const Mode mode = job.mode[k];
        job.tiles |= job.convert[k] || mode == kConstant || mode == kRowConst || mode == kGather;
    }
    bool in_place = job.long_rows || it->ndim == 1;
    for (int k = 0; k < job.operands; ++k) in_place &= !job.convert[k] && job.mode[k] != kGather;
    parallel_for(total, grain, [&](int64_t begin, int64_t end) {
        in_place ? run_long_rows(job, begin, end) : run_chunk(job, begin, end);
    });
    return job.bad ? DL_BAD_INDEX : DL_OK;
}

const dl_elementwise_table* elementwise_table() {
    static dl_elementwise_table table;
    add_elementwise_unary(&table);
    add_elementwise_math(&table);
    add_elementwise_activations(&table);
    add_elementwise_arithmetic(&table);
    add_elementwise_logic(&table);
    add_elementwise_copy(&table);
    return &table;
}

}  // namespace deeplite::cpu::DL_ISA
