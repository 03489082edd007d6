// The plain-old-data vocabulary that ops and backends share. C types only: this header is part of
// the binary interface of backend.h, so nothing in it may depend on a C++ library.
#pragma once
#include <stddef.h>
#include <stdint.h>

#define DL_MAX_DIMS 12     // most dimensions a tensor may have
#define DL_MAX_OPERANDS 6  // most tensors one elementwise kernel touches

typedef enum dl_dtype {
    DL_F32 = 0,
    DL_F64,
    DL_BF16,
    DL_F16,
    DL_I64,
    DL_I32,
    DL_I16,
    DL_I8,
    DL_U8,
    DL_BOOL,
    DL_DTYPE_COUNT
} dl_dtype;

// What a kernel answers. A kernel never throws and never aborts.
typedef enum dl_status {
    DL_OK = 0,
    DL_UNSUPPORTED,    // this dtype or these attributes have no kernel in this backend
    DL_OUT_OF_MEMORY,  // scratch memory could not be had
    DL_BAD_INDEX,      // an index in the data lies outside its range (gather, embedding, nll, ...)
    DL_FAILED          // anything else; dl_backend.last_error tells
} dl_status;

// Operands of an elementwise kernel, broadcast to one shape and coalesced. Dimension 0 is the
// innermost (fastest) one. Outputs come first, then inputs. Strides are in bytes, may be 0
// (broadcast) and may be negative (flip). ndim is at least 1; a size of 0 means nothing to do.
typedef struct dl_iter {
    int32_t ndim;
    int32_t noperands;
    int64_t shape[DL_MAX_DIMS];
    int64_t strides[DL_MAX_OPERANDS][DL_MAX_DIMS];
    void* data[DL_MAX_OPERANDS];
    int32_t dtype[DL_MAX_OPERANDS];  // dl_dtype
} dl_iter;

typedef dl_status (*dl_map_fn)(const dl_iter* it, const double* params);
