// A backend as a plug-in, for tests. Its "device" is host memory that it watches:
//
// - every block is fenced by guard bytes, which are checked when the block is given back;
// - every kernel call is counted, by family;
// - with DL_GUARD_SEAL=1 the memory can be touched only while one of the plug-in's own functions runs,
//   so code that reads device memory behind the backend's back dies on the spot.
//
// Kernels are the reference ones, compiled in, but for a few loops of its own. It lacks the norm family
// and some entries on purpose, to see "unsupported" answered.
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "kernels/backend.h"
#include "kernels/conv.h"
#include "kernels/cpu/tables.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/index.h"
#include "kernels/loss.h"
#include "kernels/optim.h"
#include "kernels/pool.h"
#include "kernels/random.h"
#include "kernels/reduce.h"
#include "kernels/softmax.h"

namespace deeplite::cpu::reference {
void collect(FamilyTables* tables);
}

namespace {

// ---------------------------------------------------------------- watched memory

constexpr size_t kArena = size_t(4) << 30;  // reserved, not committed
constexpr size_t kFence = 64;
constexpr unsigned char kMark = 0xA5;

struct Counts {
    int64_t live, live_bytes, allocations, copies, violations;
    int64_t calls[16];  // by family
};
Counts counts;
std::recursive_mutex mutex;
char* arena;
size_t used;
std::map<size_t, std::vector<char*>> free_blocks;  // by size, fences included
std::map<char*, size_t> live_blocks;               // inner address -> size
bool sealed;
int open_depth;  // how many of our functions run right now

// While one lives, device memory may be touched.
struct Open {
    Open() {
        mutex.lock();
        if (sealed && open_depth++ == 0) mprotect(arena, used, PROT_READ | PROT_WRITE);
    }
    ~Open() {
        if (sealed && --open_depth == 0) mprotect(arena, used, PROT_NONE);
        mutex.unlock();
    }
};

size_t round_up(size_t bytes) { return (bytes + 63) / 64 * 64; }

bool fence_intact(const char* fence, size_t n) {
    for (size_t i = 0; i < n; ++i)
        if (static_cast<unsigned char>(fence[i]) != kMark) return false;
    return true;
}

void* allocate(size_t bytes, int32_t) {
    Open open;
    const size_t inner = round_up(bytes ? bytes : 1), outer = inner + 2 * kFence;
    char* block;
    if (auto& spare = free_blocks[outer]; !spare.empty()) {
        block = spare.back();
        spare.pop_back();
    } else {
        if (used + outer > kArena) return nullptr;
        block = arena + used;
        const size_t page = 4096, end = (used + outer + page - 1) / page * page;
        mprotect(arena + used / page * page, end - used / page * page, PROT_READ | PROT_WRITE);
        used += outer;
    }
    memset(block, kMark, kFence);
    memset(block + kFence, 0xCD, inner);  // not zeros: reading what was never written must show
    memset(block + kFence + bytes, kMark, inner - bytes + kFence);
    live_blocks[block + kFence] = bytes;
    ++counts.live;
    ++counts.allocations;
    counts.live_bytes += int64_t(bytes);
    return block + kFence;
}

void release(void* p, size_t bytes, int32_t) {
    Open open;
    char* inner = static_cast<char*>(p);
    auto it = live_blocks.find(inner);
    const size_t room = round_up(bytes ? bytes : 1);
    if (it == live_blocks.end() || it->second != bytes || !fence_intact(inner - kFence, kFence) ||
        !fence_intact(inner + bytes, room - bytes + kFence)) {
        ++counts.violations;
        if (it == live_blocks.end()) return;
    }
    live_blocks.erase(it);
    --counts.live;
    counts.live_bytes -= int64_t(bytes);
    free_blocks[room + 2 * kFence].push_back(inner - kFence);
}

dl_status copy(void* dst, const void* src, size_t bytes, dl_copy_kind, int32_t) {
    Open open;
    ++counts.copies;
    if (bytes) memmove(dst, src, bytes);
    return DL_OK;
}

dl_status synchronize(int32_t) { return DL_OK; }
int32_t device_count() { return 2; }
const char* last_error() { return "the guard backend gives no reasons"; }

// ---------------------------------------------------------------- counting

enum Family {
    kElementwise,
    kReduce,
    kGemm,
    kConv,
    kPool,
    kSoftmax,
    kLoss,
    kIndex,
    kRandom,
    kOptim
};

// One function per table entry (told apart by Id), which counts and then calls the real one.
template <int Id, class R, class... A>
struct Counted {
    static inline R (*target)(A...);
    static R call(A... args) {
        Open open;
        ++counts.calls[Id >> 16];
        return target(args...);
    }
};
template <int Id, class R, class... A>
void count(R (*&entry)(A...)) {
    if (!entry) return;
    Counted<Id, R, A...>::target = entry;
    entry = &Counted<Id, R, A...>::call;
}
template <int Id, class F, size_t N>
void count(F (&entries)[N]) {
    [&]<size_t... I>(std::index_sequence<I...>) {
        (count<Id + int(I)>(entries[I]), ...);
    }(std::make_index_sequence<N>());
}
constexpr int id(Family family, int place) { return family << 16 | place << 8; }

// ---------------------------------------------------------------- loops of our own

const dl_elementwise_table* plain;  // the reference table, for other dtypes

template <class F>
void each(const dl_iter* it, int64_t offsets[], int dim, const F& f) {
    for (int64_t i = 0; i < it->shape[dim]; ++i) {
        int64_t at[DL_MAX_OPERANDS];
        for (int k = 0; k < it->noperands; ++k) at[k] = offsets[k] + i * it->strides[k][dim];
        if (dim == 0)
            f(at);
        else
            each(it, at, dim - 1, f);
    }
}

dl_status relu(const dl_iter* it, const double* params) {
    if (it->dtype[1] != DL_F32 || !it->data[1]) return plain->unary[DL_UNARY_RELU](it, params);
    int64_t zero[DL_MAX_OPERANDS] = {};
    each(it, zero, it->ndim - 1, [&](const int64_t* at) {
        float x;
        memcpy(&x, static_cast<char*>(it->data[1]) + at[1], sizeof x);
        const float y = x <= 0 ? 0 : x;  // a NaN stays
        memcpy(static_cast<char*>(it->data[0]) + at[0], &y, sizeof y);
    });
    return DL_OK;
}

// ---------------------------------------------------------------- the tables

dl_elementwise_table elementwise;
dl_reduce_table reduce;
dl_gemm_table gemm;
dl_conv_table conv;
dl_pool_table pool;
dl_softmax_table softmax;
dl_loss_table loss;
dl_index_table index_table;
dl_random_table random_table;
dl_optim_table optim;

void fill_elementwise(const deeplite::cpu::FamilyTables& t) {
    plain = t.elementwise;
    elementwise = *plain;
    elementwise.unary[DL_UNARY_RELU] = relu;
    elementwise.unary[DL_UNARY_ERFINV] = nullptr;
    elementwise.unary[DL_UNARY_LGAMMA] = nullptr;
    elementwise.binary[DL_BINARY_NEXTAFTER] = nullptr;
    count<id(kElementwise, 0)>(elementwise.unary);
    count<id(kElementwise, 1)>(elementwise.binary);
    count<id(kElementwise, 2)>(elementwise.ternary);
    count<id(kElementwise, 3)>(elementwise.copy);
    count<id(kElementwise, 4)>(elementwise.fill);
    count<id(kElementwise, 5)>(elementwise.arange);
    count<id(kElementwise, 6)>(elementwise.linspace);
}

void fill_layers(const deeplite::cpu::FamilyTables& t) {
    gemm = *t.gemm;
    count<id(kGemm, 0)>(gemm.gemm);
    conv = *t.conv;
    count<id(kConv, 0)>(conv.forward);
    count<id(kConv, 1)>(conv.backward_input);
    count<id(kConv, 2)>(conv.backward_weight);
    pool = *t.pool;
    count<id(kPool, 0)>(pool.max_forward);
    count<id(kPool, 1)>(pool.adaptive_max_forward);
    count<id(kPool, 2)>(pool.avg_forward);
    count<id(kPool, 3)>(pool.avg_backward);
    count<id(kPool, 4)>(pool.adaptive_avg_forward);
    count<id(kPool, 5)>(pool.adaptive_avg_backward);
    count<id(kPool, 6)>(pool.gather);
    count<id(kPool, 7)>(pool.scatter_add);
    count<id(kPool, 8)>(pool.scatter);
    count<id(kPool, 9)>(pool.max_at);
    count<id(kPool, 10)>(pool.resample);
    softmax = *t.softmax;
    count<id(kSoftmax, 0)>(softmax.softmax);
    count<id(kSoftmax, 1)>(softmax.log_softmax);
    count<id(kSoftmax, 2)>(softmax.softmax_backward);
    count<id(kSoftmax, 3)>(softmax.log_softmax_backward);
    loss = *t.loss;
    count<id(kLoss, 0)>(loss.nll);
    count<id(kLoss, 1)>(loss.nll_backward);
    count<id(kLoss, 2)>(loss.pointwise);
    count<id(kLoss, 3)>(loss.pointwise_backward);
    count<id(kLoss, 4)>(loss.multi_margin);
    count<id(kLoss, 5)>(loss.multilabel_margin);
    optim = *t.optim;
    count<id(kOptim, 0)>(optim.sgd);
    count<id(kOptim, 1)>(optim.adam);
    count<id(kOptim, 2)>(optim.rmsprop);
    count<id(kOptim, 3)>(optim.adagrad);
}

void fill_data(const deeplite::cpu::FamilyTables& t) {
    reduce = *t.reduce;
    reduce.histc = nullptr;
    count<id(kReduce, 0)>(reduce.reduce);
    count<id(kReduce, 1)>(reduce.scan);
    count<id(kReduce, 2)>(reduce.bincount);
    index_table = *t.index;
    count<id(kIndex, 0)>(index_table.gather);
    count<id(kIndex, 1)>(index_table.scatter);
    count<id(kIndex, 2)>(index_table.index_get);
    count<id(kIndex, 3)>(index_table.index_put);
    count<id(kIndex, 4)>(index_table.mask_count);
    count<id(kIndex, 5)>(index_table.nonzero);
    count<id(kIndex, 6)>(index_table.masked_select);
    count<id(kIndex, 7)>(index_table.masked_scatter);
    count<id(kIndex, 8)>(index_table.embedding_backward);
    count<id(kIndex, 9)>(index_table.sort);
    count<id(kIndex, 10)>(index_table.topk);
    count<id(kIndex, 11)>(index_table.kthvalue);
    count<id(kIndex, 12)>(index_table.searchsorted);
    count<id(kIndex, 13)>(index_table.runs);
    count<id(kIndex, 14)>(index_table.argsort_rows);
    count<id(kIndex, 15)>(index_table.triangle);
    count<id(kIndex, 16)>(index_table.concat);
    count<id(kIndex, 17)>(index_table.pad);
    count<id(kIndex, 18)>(index_table.pad_backward);
    random_table = *t.random;
    count<id(kRandom, 0)>(random_table.fill);
    count<id(kRandom, 1)>(random_table.dropout);
    count<id(kRandom, 2)>(random_table.dropout_backward);
    count<id(kRandom, 3)>(random_table.permutation);
    count<id(kRandom, 4)>(random_table.multinomial);
}

const dl_backend* make() {
    void* p = mmap(nullptr, kArena, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return nullptr;
    arena = static_cast<char*>(p);
    const char* seal = getenv("DL_GUARD_SEAL");
    sealed = seal && *seal == '1';

    deeplite::cpu::FamilyTables t = {};
    deeplite::cpu::reference::collect(&t);
    fill_elementwise(t);
    fill_layers(t);
    fill_data(t);

    static dl_backend b = {};
    b.abi_version = DL_ABI_VERSION;
    b.struct_size = sizeof b;
    b.name = "guard";
    b.device_count = device_count;
    b.alloc = allocate;
    b.free = release;
    b.copy = copy;
    b.synchronize = synchronize;
    b.last_error = last_error;
    b.elementwise = &elementwise;
    b.reduce = &reduce;
    b.gemm = &gemm;
    b.conv = &conv;
    b.pool = &pool;
    b.softmax = &softmax;
    b.loss = &loss;
    b.index = &index_table;
    b.random = &random_table;
    b.optim = &optim;
    return &b;  // no norm family
}

}  // namespace

#define GUARD_EXPORT __attribute__((visibility("default")))

extern "C" {
GUARD_EXPORT const dl_backend* dl_backend_init(uint32_t host_abi_version) {
    if (host_abi_version != DL_ABI_VERSION) return nullptr;
    static const dl_backend* backend = make();
    return backend;
}

// For the tests, through ctypes.
GUARD_EXPORT void guard_counts(Counts* out) { *out = counts; }
// Writes one byte at `p`, as a kernel with an off-by-one would.
GUARD_EXPORT void guard_poke(char* p) {
    Open open;
    *p = char(*p ^ 0xFF);
}
}
