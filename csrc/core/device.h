// Devices and the registry of backends behind them. Backend 0 is the built-in CPU one.
#pragma once
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/backend.h"

namespace deeplite {

struct Device {
    int8_t backend = 0;  // index into the registry
    int8_t index = 0;    // which device of that backend

    bool is_cpu() const { return backend == 0; }
    bool operator==(const Device&) const = default;
};

// "cpu", "cuda", "cuda:1", or the name of a loaded plug-in. RuntimeError when no such backend is loaded
// or it has no such device.
Device parse_device(std::string_view text);
std::string to_string(Device d);  // "cpu", "guard:0"
std::ostream& operator<<(std::ostream& out, Device d);

// The table of a device's backend. Never null for a Device made by parse_device.
const dl_backend& backend_of(Device d);
// Adds a backend (checked: ABI version, size, mandatory entries, name not taken). Returns its index.
int register_backend(const dl_backend* b);
// Loads a plug-in and registers it; the name under which its devices are reached is returned.
std::string load_backend(const std::string& path);
std::vector<std::string> backend_names();

// Turns what a kernel answered into an exception (nothing when DL_OK). `op` and `detail` go into the message.
void check_status(dl_status s, Device d, const char* op, std::string_view detail = {});

}  // namespace deeplite
