// Exceptions of the core, and cat(): the way messages are put together. The bindings translate each
// class to the Python exception of the same name.
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

namespace deeplite {

struct Error : std::runtime_error {  // Python: RuntimeError
    using std::runtime_error::runtime_error;
};
struct ShapeError : Error {  // Python: deeplite.ShapeError, a ValueError and a RuntimeError
    using Error::Error;
};
struct TypeError : Error {
    using Error::Error;
};
struct ValueError : Error {
    using Error::Error;
};
struct IndexError : Error {
    using Error::Error;
};
struct NotImplementedError : Error {
    using Error::Error;
};
struct OutOfMemoryError : Error {  // Python: MemoryError
    using Error::Error;
};

// cat("conv2d: expected ", 3, " channels") -> std::string. Out of line per type set only on error paths.
template <class... Args>
[[gnu::noinline, gnu::cold]] std::string cat(const Args&... args) {
    std::ostringstream out;
    out << std::boolalpha;
    (out << ... << args);
    return out.str();
}

// check<ShapeError>(ok, "op: ", ...) throws E with the parts joined when !ok.
template <class E = Error, class... Args>
inline void check(bool ok, const Args&... args) {
    if (!ok) [[unlikely]]
        throw E(cat(args...));
}

}  // namespace deeplite
