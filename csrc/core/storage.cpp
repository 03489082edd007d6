#include "core/storage.h"

#include "core/allocator.h"

namespace deeplite {

Storage::Storage(size_t n, Device d) : data(allocate(n, d)), bytes(n), device(d) {}

Storage::Storage(void* p, size_t n, Device d, std::function<void()> release, bool can_write)
    : data(p), bytes(n), device(d), writable(can_write), release_(std::move(release)) {}

Storage::~Storage() {
    if (release_)
        release_();
    else
        deallocate(data, bytes, device);
}

}  // namespace deeplite
