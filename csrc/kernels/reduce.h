// Contract of the reduce family: reductions over any set of dimensions, scans along one axis, and
// histograms of one-dimensional data.
#pragma once
#include "kernels/types.h"

typedef enum dl_reduce_op {
    DL_REDUCE_SUM = 0,        // floats as they are; integers and bool -> i64
    DL_REDUCE_MEAN,           // floats
    DL_REDUCE_NANSUM,         // floats, NaN counts as 0
    DL_REDUCE_PROD,           // as SUM
    DL_REDUCE_MIN,            // every dtype; NaN wins
    DL_REDUCE_MAX,            //
    DL_REDUCE_ANY,            // every dtype -> bool; NaN counts as true
    DL_REDUCE_ALL,            //
    DL_REDUCE_COUNT_NONZERO,  // every dtype -> i64
    DL_REDUCE_VAR,            // floats; out = M2 / max(0, n - param), out2 = mean (may be null)
    DL_REDUCE_NORM,           // floats; param = p: 0, 1, 2, inf, -inf or any other number
    DL_REDUCE_LOGSUMEXP,      // floats
    DL_REDUCE_ARGMIN,         // every dtype -> i64: the first index in the order of the reduced
    DL_REDUCE_ARGMAX,         //   dimensions; the first NaN wins
    DL_REDUCE_MIN_INDEX,      // out = the value, out2 = its i64 index as ARGMIN gives it
    DL_REDUCE_MAX_INDEX,      //
    DL_REDUCE_AMINMAX,        // out = min, out2 = max
    DL_REDUCE_COUNT
} dl_reduce_op;

// The dimensions of the input fall into kept and reduced ones; dimension 0 is the innermost of each
// list, strides are in bytes and may be 0 or negative. Neighbouring dimensions should be merged
// where
// strides allow. The outputs are contiguous in the order of the kept dimensions. With nothing to
// reduce (a size of 0) the neutral element is written: 0, 1, true, -inf, NaN for var and mean; for
// min, max and the indices the caller sees to it that there is something. Halves are floats here: they
// are computed with as float32, and where the output is of the input's dtype, it is float32 for them.
typedef struct dl_reduce_args {
    int32_t dtype_in, dtype_out;  // dl_dtype; see dl_reduce_op for the pairs that exist
    int32_t kept_ndim, reduced_ndim;
    int64_t kept_shape[DL_MAX_DIMS], kept_strides[DL_MAX_DIMS];
    int64_t reduced_shape[DL_MAX_DIMS], reduced_strides[DL_MAX_DIMS];
    const void* in;
    void* out;
    void* out2;
    double param;
} dl_reduce_args;
typedef dl_status (*dl_reduce_fn)(const dl_reduce_args*);

typedef enum dl_scan_op {
    DL_SCAN_SUM = 0,    // f32, f64, i64
    DL_SCAN_PROD,       // f32, f64, i64
    DL_SCAN_MAX,        // every dtype but halves; indices of the last place that holds the maximum
    DL_SCAN_MIN,        //
    DL_SCAN_LOGSUMEXP,  // f32, f64
    DL_SCAN_COUNT
} dl_scan_op;

// Running reduction along the middle axis of contiguous x [outer, n, inner] -> out, same shape.
typedef struct dl_scan_args {
    int32_t dtype;
    int64_t outer, n, inner;
    const void* in;
    void* out;
    int64_t* indices;  // SCAN_MAX and SCAN_MIN only
} dl_scan_args;
typedef dl_status (*dl_scan_fn)(const dl_scan_args*);

// bincount: out[x[i]] += weights[i] (or 1). `out` has `bins` elements, zeroed by the kernel:
// i64 without weights, else of the weights' dtype (f32 or f64). DL_BAD_INDEX when x leaves [0,
// bins).
typedef struct dl_bincount_args {
    int32_t dtype;  // of the weights and of out; DL_I64 without weights
    int64_t n, bins;
    const int64_t* x;
    const void* weights;
    void* out;
} dl_bincount_args;

// histc: counts of x in `bins` equal cells of [low, high] (both ends included), others ignored.
typedef struct dl_histc_args {
    int32_t dtype;  // f32 or f64, of x and of out
    int64_t n, bins;
    double low, high;
    const void* x;
    void* out;
} dl_histc_args;

struct dl_reduce_table {
    dl_reduce_fn reduce[DL_REDUCE_COUNT];
    dl_scan_fn scan[DL_SCAN_COUNT];
    dl_status (*bincount)(const dl_bincount_args*);
    dl_status (*histc)(const dl_histc_args*);
};
