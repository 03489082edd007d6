// The C ABI between deeplite and a backend (the built-in CPU one, or a plug-in loaded from a shared
// object). PODs and function pointers only; no C++ types and no exceptions cross it.
//
// A backend fills one dl_backend and one table of kernels per family. A null table, or a null entry
// in a table, means "this backend has no such kernel": the caller raises NotImplementedError that
// names op, dtype and backend. Kernels enqueue on the calling thread's current stream; a backend
// without streams runs them before it returns.
#pragma once
#include "kernels/types.h"

#define DL_ABI_VERSION 1u

struct dl_elementwise_table;
struct dl_reduce_table;
struct dl_gemm_table;
struct dl_conv_table;
struct dl_pool_table;
struct dl_norm_table;
struct dl_softmax_table;
struct dl_loss_table;
struct dl_index_table;
struct dl_random_table;
struct dl_optim_table;
struct dl_image_table;

typedef enum dl_copy_kind {
    DL_HOST_TO_DEVICE,
    DL_DEVICE_TO_HOST,
    DL_DEVICE_TO_DEVICE
} dl_copy_kind;

typedef struct dl_backend {
    uint32_t abi_version;  // DL_ABI_VERSION the backend was compiled against
    uint32_t struct_size;  // sizeof(dl_backend) there
    const char* name;      // the device type users write: "cpu", "cuda", ...

    int32_t (*device_count)(void);
    void* (*alloc)(size_t bytes, int32_t device);  // 64-byte aligned; null when out of memory
    void (*free)(void* p, size_t bytes, int32_t device);
    dl_status (*copy)(void* dst, const void* src, size_t bytes, dl_copy_kind kind, int32_t device);

    void* (*stream_create)(int32_t device);  // the four stream calls may be null: no streams
    void (*stream_destroy)(void* stream);
    void (*stream_set)(void* stream,
                       int32_t device);  // for the calling thread; null stream = default
    dl_status (*synchronize)(int32_t device);

    const char* (*last_error)(void);  // text for the last DL_FAILED of the calling thread

    const struct dl_elementwise_table* elementwise;
    const struct dl_reduce_table* reduce;
    const struct dl_gemm_table* gemm;
    const struct dl_conv_table* conv;
    const struct dl_pool_table* pool;
    const struct dl_norm_table* norm;
    const struct dl_softmax_table* softmax;
    const struct dl_loss_table* loss;
    const struct dl_index_table* index;
    const struct dl_random_table* random;
    const struct dl_optim_table* optim;
    const struct dl_image_table* image;
} dl_backend;

// The one symbol a plug-in exports. Returns null when it cannot serve a host of that ABI version or
// finds no device. What it returns stays valid as long as the shared object is loaded.
#define DL_BACKEND_ENTRY "dl_backend_init"
typedef const dl_backend* (*dl_backend_init_fn)(uint32_t host_abi_version);
