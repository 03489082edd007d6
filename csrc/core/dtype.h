// Element types, their sizes and names, and torch's promotion lattice.
#pragma once
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string_view>

#include "kernels/types.h"

namespace deeplite {

enum class DType : int8_t {
    Float32 = DL_F32,
    Float64 = DL_F64,
    BFloat16 = DL_BF16,
    Float16 = DL_F16,
    Int64 = DL_I64,
    Int32 = DL_I32,
    Int16 = DL_I16,
    Int8 = DL_I8,
    UInt8 = DL_U8,
    Bool = DL_BOOL,
};
inline constexpr int kDTypeCount = DL_DTYPE_COUNT;

constexpr size_t itemsize(DType t) {
    constexpr size_t sizes[kDTypeCount] = {4, 8, 2, 2, 8, 4, 2, 1, 1, 1};
    return sizes[int(t)];
}
constexpr bool is_floating(DType t) { return t <= DType::Float16; }
constexpr bool is_half(DType t) { return t == DType::BFloat16 || t == DType::Float16; }
constexpr bool is_integral(DType t) {
    return t >= DType::Int64 && t != DType::Bool;
}  // without bool
constexpr bool is_signed(DType t) { return t < DType::UInt8; }
// 0 bool, 1 integer, 2 floating: the category that decides how scalars promote.
constexpr int category(DType t) { return is_floating(t) ? 2 : t == DType::Bool ? 0 : 1; }
// The type in which arithmetic on t is done: half types compute in float32.
constexpr DType compute_dtype(DType t) { return is_half(t) ? DType::Float32 : t; }

std::string_view name(DType t);  // "float32"
std::optional<DType> dtype_from_name(
    std::string_view s);              // also "float", "double", "half", "long", ...
DType promote(DType a, DType b);      // torch.promote_types
bool can_cast(DType from, DType to);  // torch.can_cast: no fall in category

DType default_dtype();  // of Python floats; float32 unless changed
void set_default_dtype(DType t);

std::ostream& operator<<(std::ostream& out, DType t);

}  // namespace deeplite
