// Storage: the bytes that one or more tensors view, and the version that in-place ops advance.
#pragma once
#include <functional>

#include "core/device.h"
#include "core/ref.h"

namespace deeplite {

struct Storage : RefCounted {
    // Owns `bytes` from the caching allocator of `device`.
    Storage(size_t bytes, Device device);
    // Borrows memory of somebody else (a NumPy array, a DLPack capsule); `release` runs when the last
    // tensor lets go, on whatever thread that happens.
    Storage(void* data, size_t bytes, Device device, std::function<void()> release,
            bool writable = true);
    ~Storage();
    Storage(const Storage&) = delete;
    Storage& operator=(const Storage&) = delete;

    void* data = nullptr;
    size_t bytes = 0;
    Device device;
    bool writable = true;
    std::atomic<uint32_t> version{
        0};  // grows with every in-place change of any tensor that views it

 private:
    std::function<void()> release_;  // empty: the memory is ours
};

}  // namespace deeplite
