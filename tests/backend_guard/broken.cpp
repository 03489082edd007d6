// Plug-ins that must be refused; BROKEN says in which way.
#include "kernels/backend.h"

namespace {
int32_t one_device() { return 1; }
void* allocate(size_t, int32_t) { return nullptr; }
void release(void*, size_t, int32_t) {}
dl_status copy(void*, const void*, size_t, dl_copy_kind, int32_t) { return DL_FAILED; }
dl_status synchronize(int32_t) { return DL_OK; }
const char* last_error() { return "no reason"; }
}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

#if BROKEN == 1  // no entry point
EXPORT int something_else() { return 0; }
#else
EXPORT const dl_backend* dl_backend_init(uint32_t) {
    static dl_backend b = {};
    b.abi_version = DL_ABI_VERSION;
    b.struct_size = sizeof b;
    b.name = "broken";
    b.device_count = one_device;
    b.alloc = allocate;
    b.free = release;
    b.copy = copy;
    b.synchronize = synchronize;
    b.last_error = last_error;
#if BROKEN == 2    // refuses this host, or finds no device
    return nullptr;
#elif BROKEN == 3  // built against another version
    b.abi_version = DL_ABI_VERSION + 98;
#elif BROKEN == 4  // another layout
    b.struct_size = 8;
#elif BROKEN == 5  // a mandatory entry is missing
    b.alloc = nullptr;
#elif BROKEN == 6  // a name that is taken
    b.name = "cpu";
#elif BROKEN == 7  // loads, but has no memory to give and no kernels
    b.name = "barren";
#endif
    return &b;
}
#endif
