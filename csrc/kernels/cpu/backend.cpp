// The built-in backend: host memory, no streams, and the kernel tables of one instruction set. A kernel
// which that set does not have is taken from the reference, entry by entry.
#include "kernels/backend.h"

#include <stdlib.h>
#include <string.h>

#include <atomic>
#include <mutex>

#include "kernels/conv.h"
#include "kernels/cpu/dispatch.h"
#include "kernels/cpu/memory.h"
#include "kernels/cpu_backend.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/image.h"
#include "kernels/index.h"
#include "kernels/loss.h"
#include "kernels/norm.h"
#include "kernels/optim.h"
#include "kernels/pool.h"
#include "kernels/random.h"
#include "kernels/reduce.h"
#include "kernels/softmax.h"

namespace deeplite::cpu {
namespace {

// The tables of one set, complete. Built once and never changed, so whoever still holds a pointer into
// them after a switch may go on using it.
struct TableSet {
    bool built = false;
    dl_elementwise_table elementwise;
    dl_reduce_table reduce;
    dl_gemm_table gemm;
    dl_conv_table conv;
    dl_pool_table pool;
    dl_norm_table norm;
    dl_softmax_table softmax;
    dl_loss_table loss;
    dl_index_table index;
    dl_random_table random;
    dl_optim_table optim;
    dl_image_table image;
    FamilyTables tables = {};
};

TableSet table_sets[kMaxIsas];
std::mutex switch_mutex;
int current_isa = 0;
const char* env_error = nullptr;

// A table is nothing but function pointers, so it can be merged without knowing its entries.
template <class Table>
void merge(const Table** out, Table* storage, const Table* fast, const Table* plain) {
    typedef void (*Entry)();
    static_assert(sizeof(Table) % sizeof(Entry) == 0 && alignof(Table) == alignof(Entry));
    *out = nullptr;
    if (!fast && !plain) return;
    constexpr size_t count = sizeof(Table) / sizeof(Entry);
    Entry entries[count] = {}, fallback[count] = {};
    if (fast) memcpy(entries, fast, sizeof(Table));
    if (plain) memcpy(fallback, plain, sizeof(Table));
    for (size_t i = 0; i < count; ++i)
        if (!entries[i]) entries[i] = fallback[i];
    memcpy(static_cast<void*>(storage), entries, sizeof(Table));
    *out = storage;
}

const FamilyTables& tables_of(int i) {
    TableSet& set = table_sets[i];
    if (set.built) return set.tables;
    FamilyTables fast = {}, plain = {};
    isa(i).collect(&fast);
    isa(isa_count() - 1).collect(&plain);
    merge(&set.tables.elementwise, &set.elementwise, fast.elementwise, plain.elementwise);
    merge(&set.tables.reduce, &set.reduce, fast.reduce, plain.reduce);
    merge(&set.tables.gemm, &set.gemm, fast.gemm, plain.gemm);
    merge(&set.tables.conv, &set.conv, fast.conv, plain.conv);
    merge(&set.tables.pool, &set.pool, fast.pool, plain.pool);
    merge(&set.tables.norm, &set.norm, fast.norm, plain.norm);
    merge(&set.tables.softmax, &set.softmax, fast.softmax, plain.softmax);
    merge(&set.tables.loss, &set.loss, fast.loss, plain.loss);
    merge(&set.tables.index, &set.index, fast.index, plain.index);
    merge(&set.tables.random, &set.random, fast.random, plain.random);
    merge(&set.tables.optim, &set.optim, fast.optim, plain.optim);
    merge(&set.tables.image, &set.image, fast.image, plain.image);
    set.built = true;
    return set.tables;
}

int32_t device_count() { return 1; }

void* allocate(size_t bytes, int32_t) { return aligned_allocate(bytes); }

void release(void* p, size_t, int32_t) { free(p); }

dl_status copy(void* dst, const void* src, size_t bytes, dl_copy_kind, int32_t) {
    if (bytes) memmove(dst, src, bytes);
    return DL_OK;
}

dl_status synchronize(int32_t) { return DL_OK; }

const char* last_error() { return ""; }

dl_backend backend = {
    .abi_version = DL_ABI_VERSION,
    .struct_size = sizeof(dl_backend),
    .name = "cpu",
    .device_count = &device_count,
    .alloc = &allocate,
    .free = &release,
    .copy = &copy,
    .stream_create = nullptr,
    .stream_destroy = nullptr,
    .stream_set = nullptr,
    .synchronize = &synchronize,
    .last_error = &last_error,
    .elementwise = nullptr,
    .reduce = nullptr,
    .gemm = nullptr,
    .conv = nullptr,
    .pool = nullptr,
    .norm = nullptr,
    .softmax = nullptr,
    .loss = nullptr,
    .index = nullptr,
    .random = nullptr,
    .optim = nullptr,
    .image = nullptr,
};

template <class T>
void store(const T*& slot, const T* table) {
    std::atomic_ref(slot).store(table, std::memory_order_release);
}

void use(int i) {
    const FamilyTables& t = tables_of(i);
    store(backend.elementwise, t.elementwise);
    store(backend.reduce, t.reduce);
    store(backend.gemm, t.gemm);
    store(backend.conv, t.conv);
    store(backend.pool, t.pool);
    store(backend.norm, t.norm);
    store(backend.softmax, t.softmax);
    store(backend.loss, t.loss);
    store(backend.index, t.index);
    store(backend.random, t.random);
    store(backend.optim, t.optim);
    store(backend.image, t.image);
    current_isa = i;
}

// The choice at load: made by whoever asks for the backend first.
void ensure_chosen() {
    static const bool done = [] {
        use(initial_isa(&env_error));
        return true;
    }();
    (void)done;
}

}  // namespace
}  // namespace deeplite::cpu

extern "C" {

const dl_backend* cpu_backend(void) {
    deeplite::cpu::ensure_chosen();
    return &deeplite::cpu::backend;
}

const char* dl_cpu_isa_name(int i) {
    return i >= 0 && i < deeplite::cpu::isa_count() ? deeplite::cpu::isa(i).name : nullptr;
}

bool dl_cpu_isa_available(const char* name) {
    const int i = deeplite::cpu::find_isa(name);
    return i >= 0 && deeplite::cpu::isa(i).runs_here();
}

const char* dl_cpu_isa(void) {
    deeplite::cpu::ensure_chosen();
    std::lock_guard<std::mutex> lock(deeplite::cpu::switch_mutex);
    return deeplite::cpu::isa(deeplite::cpu::current_isa).name;
}

bool dl_cpu_set_isa(const char* name) {
    deeplite::cpu::ensure_chosen();
    if (!dl_cpu_isa_available(name)) return false;
    std::lock_guard<std::mutex> lock(deeplite::cpu::switch_mutex);
    deeplite::cpu::use(deeplite::cpu::find_isa(name));
    return true;
}

const char* dl_cpu_env_error(void) {
    deeplite::cpu::ensure_chosen();
    return deeplite::cpu::env_error;
}
}
