#include "core/dtype.h"

#include <array>
#include <atomic>
#include <ostream>
#include <utility>

#include "core/error.h"

namespace deeplite {
namespace {

constexpr std::array<std::string_view, kDTypeCount> kNames = {
    "float32", "float64", "bfloat16", "float16", "int64",
    "int32",   "int16",   "int8",     "uint8",   "bool"};
constexpr std::pair<std::string_view, DType> kAliases[] = {
    {"float", DType::Float32}, {"double", DType::Float64}, {"half", DType::Float16},
    {"long", DType::Int64},    {"int", DType::Int32},      {"short", DType::Int16},
};

std::atomic<DType> g_default{DType::Float32};

}  // namespace

std::string_view name(DType t) { return kNames[size_t(t)]; }

std::optional<DType> dtype_from_name(std::string_view s) {
    for (size_t i = 0; i < kNames.size(); ++i)
        if (kNames[i] == s) return DType(i);
    for (auto [alias, t] : kAliases)
        if (alias == s) return t;
    return std::nullopt;
}

DType promote(DType a, DType b) {
    if (a == b) return a;
    if (category(a) != category(b)) return category(a) > category(b) ? a : b;
    if (is_floating(a)) {
        if (is_half(a) && is_half(b)) return DType::Float32;  // bfloat16 with float16
        if (is_half(a)) return b;
        if (is_half(b)) return a;
        return DType::Float64;
    }
    if (a == DType::UInt8 || b == DType::UInt8) {  // the only unsigned type
        DType other = a == DType::UInt8 ? b : a;
        return other == DType::Int8 ? DType::Int16 : other;
    }
    return itemsize(a) > itemsize(b) ? a : b;
}

bool can_cast(DType from, DType to) { return category(from) <= category(to); }

DType default_dtype() { return g_default.load(std::memory_order_relaxed); }

void set_default_dtype(DType t) {
    check<TypeError>(is_floating(t),
                     "set_default_dtype: only floating-point types are supported, got ", t);
    g_default.store(t, std::memory_order_relaxed);
}

std::ostream& operator<<(std::ostream& out, DType t) { return out << name(t); }

}  // namespace deeplite
