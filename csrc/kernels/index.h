// Contract of the index family: gather and scatter, advanced indexing, masks, sorting, searching, joining
// and padding.
//
// Index data is int64. A kernel checks every index before it writes anything: DL_BAD_INDEX leaves
// the outputs as they were. With `wrap` set, an index in [-size, 0) counts from the end; without,
// it is bad. Where several indices meet at one place the updates are applied in the order of the
// indices, so the result is that of a serial loop whatever the number of threads.
#pragma once
#include "kernels/types.h"

typedef enum dl_scatter_op {
    DL_SCATTER_SET = 0,  // the last one wins
    DL_SCATTER_SUM,
    DL_SCATTER_PROD,
    DL_SCATTER_AMAX,  // NaN wins over numbers
    DL_SCATTER_AMIN,
    DL_SCATTER_OP_COUNT
} dl_scatter_op;

// gather: other[.., k, ..] = indexed[.., index[.., k, ..], ..]      (any dtype)
// scatter: indexed[.., index[.., k, ..], ..] op= other[.., k, ..]   (set: any dtype; else no half
// dtypes)
typedef struct dl_gather_args {
    int32_t dtype;
    int32_t op;  // dl_scatter_op; scatter only
    int32_t wrap;
    int32_t exclude_self;  // scatter with op: what stood there does not take part
    int64_t count;         // length of index and other along the dimension
    int64_t size;          // length of indexed along the dimension
    int64_t stride[3];     // bytes along the dimension: indexed, index, other
    dl_iter rest;          // the other dimensions: operand 0 indexed, 1 index (int64), 2 other
} dl_gather_args;
typedef dl_status (*dl_gather_fn)(const dl_gather_args*);

// Advanced indexing. n positions, each given by one index per indexed dimension; at every position
// lies a slice of the remaining dimensions.
// get: other[p, slice] = indexed[at(p), slice]      (any dtype)
// put: indexed[at(p), slice] op= other[p, slice]    (set: any dtype; else no half dtypes)
typedef struct dl_advanced_args {
    int32_t dtype;
    int32_t op;  // dl_scatter_op; put only
    int32_t wrap;
    int32_t nindex;                     // indexed dimensions, 1..DL_MAX_DIMS
    int64_t n;                          // positions
    const int64_t* index[DL_MAX_DIMS];  // [n] each
    int64_t size[DL_MAX_DIMS];          // lengths of the indexed dimensions
    int64_t stride[DL_MAX_DIMS];        // and their strides in `indexed`, in bytes
    int64_t other_stride;               // bytes from position to position in `other`
    dl_iter slices;                     // the sliced dimensions: operand 0 indexed, operand 1 other
} dl_advanced_args;
typedef dl_status (*dl_advanced_fn)(const dl_advanced_args*);

// Masks over contiguous data of n elements; a mask element is a byte, 0 or not.
typedef struct dl_mask_args {
    int32_t dtype;
    int32_t ndim;  // nonzero: rank and shape of the mask, outermost dimension first
    const int64_t* shape;
    int64_t n;
    const uint8_t* mask;   // [n]
    void* data;            // select: x [n], read; scatter: x [n], written
    void* packed;          // select: out [count], written; scatter: source, read
    int64_t* coordinates;  // nonzero: out [ndim, count]
    int64_t count;         // how many of the mask are set (as mask_count told)
} dl_mask_args;
typedef dl_status (*dl_mask_fn)(const dl_mask_args*);

// dweight[index[i], :] += dy[i, :] over i, zero elsewhere; dweight is written whole. f32, f64.
typedef struct dl_embedding_backward_args {
    int32_t dtype;
    int32_t scale_by_freq;  // divide by how often the index occurs
    int64_t n, rows, width;
    int64_t padding_idx;   // this row gets nothing; -1: none
    const int64_t* index;  // [n]
    const void* dy;        // [n, width]
    void* dweight;         // [rows, width]
} dl_embedding_backward_args;

// Sorting along contiguous rows [rows, n]; any dtype; NaN counts as greater than every number, -0
// == 0. n must be below 2^32.
typedef struct dl_sort_args {
    int32_t dtype;
    int32_t descending;  // topk: largest first
    int32_t sorted;      // topk: results in order (else in the order of the data)
    int64_t rows, n;
    int64_t k;         // topk: how many, 0..n; kthvalue: which, 0..n-1 from the smallest
    const void* x;     // [rows, n]
    void* values;      // sort [rows, n], topk [rows, k], kthvalue [rows]
    int64_t* indices;  // the same shape; equal values stand in the order of their indices
} dl_sort_args;
typedef dl_status (*dl_sort_fn)(const dl_sort_args*);

// out[r, i] = first place in the sorted row where values[r, i] could be inserted (right: the last).
// Not for half dtypes.
typedef struct dl_searchsorted_args {
    int32_t dtype;
    int32_t right;
    int32_t shared;  // one sorted row for all rows of values
    int64_t rows, m, n;
    const void* sorted;  // [rows or 1, m]
    const int64_t*
        sorter;          // null, or [rows or 1, m]: the order that sorts `sorted`; must hold 0..m-1
    const void* values;  // [rows, n]
    int64_t* out;        // [rows, n]
} dl_searchsorted_args;

// Runs of equal rows in x [n, width], visited in `order` (null: as they stand). Any dtype; NaN
// equals nothing. Writes inverse[order[i]] = number of the run of i, starts[run] = its first i, and
// *runs.
typedef struct dl_runs_args {
    int32_t dtype;
    int64_t n, width;
    const void* x;
    const int64_t* order;  // [n] or null
    int64_t* inverse;      // [n]
    int64_t* starts;       // [n], the first *runs are written
    int64_t* runs;
} dl_runs_args;

// order [n] = the stable order that sorts the rows of x [n, width] lexicographically. Any dtype.
typedef struct dl_argsort_rows_args {
    int32_t dtype;
    int64_t n, width;
    const void* x;
    int64_t* order;
} dl_argsort_rows_args;

// out = x on and above (upper) or on and below the k-th diagonal, 0 elsewhere. Contiguous, any
// dtype.
typedef struct dl_triangle_args {
    int32_t dtype;
    int32_t upper;
    int64_t batch, rows, cols, k;
    const void* x;
    void* out;  // may be x
} dl_triangle_args;

// y [rows, sum of run] = rows of the inputs x[k] [rows, run[k]] side by side. Contiguous, any dtype.
typedef struct dl_concat_args {
    int32_t dtype;
    int32_t n;  // inputs
    int64_t rows;
    const void* const* x;  // [n]
    const int64_t* run;    // [n], elements
    void* y;
} dl_concat_args;

typedef enum dl_pad_mode {
    DL_PAD_CONSTANT = 0,
    DL_PAD_REFLECT,    // c b | a b c | b a
    DL_PAD_REPLICATE,  // a a | a b c | c c
    DL_PAD_CIRCULAR,   // b c | a b c | a b
    DL_PAD_MODE_COUNT
} dl_pad_mode;

// y [out...] holds x [in...] from place `before` on in each dimension, and a border around it. Dimension 0
// is the innermost one; both are contiguous. Negative sizes of borders cut off. Where a border reads
// must lie inside of x: the caller sees to that.
// pad: y of x, any dtype. pad_backward: x = its gradient from that of y; f32, f64, not constant.
typedef struct dl_pad_args {
    int32_t dtype;
    int32_t mode;
    int32_t ndim;  // at least 1
    int64_t in[DL_MAX_DIMS], before[DL_MAX_DIMS], out[DL_MAX_DIMS];
    uint64_t value;  // constant: the element's bytes, first ones
    void* x;
    void* y;
} dl_pad_args;
typedef dl_status (*dl_pad_fn)(const dl_pad_args*);

typedef struct dl_index_table {
    dl_gather_fn gather;
    dl_gather_fn scatter;
    dl_advanced_fn index_get;
    dl_advanced_fn index_put;
    dl_status (*mask_count)(const uint8_t* mask, int64_t n, int64_t* count);
    dl_mask_fn nonzero;
    dl_mask_fn masked_select;
    dl_mask_fn masked_scatter;
    dl_status (*embedding_backward)(const dl_embedding_backward_args*);
    dl_sort_fn sort;
    dl_sort_fn topk;
    dl_sort_fn kthvalue;
    dl_status (*searchsorted)(const dl_searchsorted_args*);
    dl_status (*runs)(const dl_runs_args*);
    dl_status (*argsort_rows)(const dl_argsort_rows_args*);
    dl_status (*triangle)(const dl_triangle_args*);
    dl_status (*concat)(const dl_concat_args*);
    dl_pad_fn pad;
    dl_pad_fn pad_backward;
} dl_index_table;
