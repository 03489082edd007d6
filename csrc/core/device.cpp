#include "core/device.h"

#include <dlfcn.h>

#include <charconv>
#include <mutex>
#include <ostream>

#include "core/error.h"

namespace deeplite {
namespace {

// Backends are only ever added, and a slot never changes once published, so readers need no lock.
constexpr int kMaxBackends = 16;
const dl_backend* g_backends[kMaxBackends];
int g_count = 0;
std::mutex g_mutex;

int find(std::string_view name) {
    for (int i = 0; i < g_count; ++i)
        if (name == g_backends[i]->name) return i;
    return -1;
}

}  // namespace

Device parse_device(std::string_view text) {
    std::string_view type = text;
    int index = 0;
    bool bad = text.empty();
    if (auto colon = text.find(':'); colon != text.npos) {
        type = text.substr(0, colon);
        std::string_view digits = text.substr(colon + 1);
        auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
        bad = type.empty() || digits.empty() || ec != std::errc{} ||
              end != digits.data() + digits.size() || index < 0;
    }
    check(!bad, "invalid device string: '", text, "' (expected 'cpu', 'cuda' or 'name:index')");
    int b = find(type);
    check(
        b >= 0, "device '", text, "': no backend '", type,
        "' is loaded (deeplite.backends.load(path) loads one; this build has: ",
        [] {
            std::string all;
            for (auto& n : backend_names()) all += (all.empty() ? "" : ", ") + n;
            return all;
        }(),
        ")");
    int n = g_backends[b]->device_count();
    check(index < n, "device '", text, "': backend '", type, "' has ", n, " device(s)");
    return {int8_t(b), int8_t(index)};
}

std::string to_string(Device d) {
    std::string s = backend_of(d).name;
    return d.is_cpu() ? s : s + ":" + std::to_string(d.index);
}

std::ostream& operator<<(std::ostream& out, Device d) { return out << to_string(d); }

const dl_backend& backend_of(Device d) { return *g_backends[d.backend]; }

int register_backend(const dl_backend* b) {
    check(b != nullptr, "backend: the entry point refused this host (ABI version ", DL_ABI_VERSION,
          ") or found no device");
    check(b->abi_version == DL_ABI_VERSION, "backend: built for ABI version ", b->abi_version,
          ", this deeplite speaks version ", DL_ABI_VERSION);
    check(b->struct_size == sizeof(dl_backend), "backend: dl_backend has ", b->struct_size,
          " bytes there, ", sizeof(dl_backend), " here");
    check(b->name && b->device_count && b->alloc && b->free && b->copy && b->synchronize &&
              b->last_error,
          "backend: a mandatory entry (name, device_count, alloc, free, copy, synchronize, "
          "last_error) is null");
    std::lock_guard lock(g_mutex);
    check(find(b->name) < 0, "backend: a backend named '", b->name, "' is already loaded");
    check(g_count < kMaxBackends, "backend: at most ", kMaxBackends, " backends can be loaded");
    g_backends[g_count] = b;
    return g_count++;
}

std::string load_backend(const std::string& path) {
    void* lib = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    check(lib != nullptr, "backend: cannot load '", path, "': ", lib ? "" : dlerror());
    auto init = reinterpret_cast<dl_backend_init_fn>(dlsym(lib, DL_BACKEND_ENTRY));
    try {
        check(init != nullptr, "backend: '", path, "' exports no symbol ", DL_BACKEND_ENTRY);
        int i = register_backend(init(DL_ABI_VERSION));
        return g_backends[i]->name;
    } catch (...) {
        dlclose(lib);
        throw;
    }
}

std::vector<std::string> backend_names() {
    std::vector<std::string> names;
    for (int i = 0; i < g_count; ++i) names.push_back(g_backends[i]->name);
    return names;
}

void check_status(dl_status s, Device d, const char* op, std::string_view detail) {
    if (s == DL_OK) [[likely]]
        return;
    std::string tail = detail.empty() ? "" : cat(" (", detail, ")");
    switch (s) {
        case DL_UNSUPPORTED:
            throw NotImplementedError(
                cat(op, ": not supported by backend '", backend_of(d).name, "'", tail));
        case DL_OUT_OF_MEMORY:
            throw OutOfMemoryError(cat(op, ": out of memory on ", d, tail));
        case DL_BAD_INDEX:
            throw IndexError(cat(op, ": index out of range", tail));
        default:
            break;
    }
    const char* why = backend_of(d).last_error();
    throw Error(cat(op, ": kernel failed on ", d, tail, ": ", why ? why : "unknown error"));
}

}  // namespace deeplite
