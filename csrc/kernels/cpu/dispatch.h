// The instruction sets this library was built for, and which of them this machine can run.
#pragma once
#include "kernels/cpu/tables.h"

namespace deeplite::cpu {

struct Isa {
    const char* name;
    bool (*runs_here)();  // processor and operating system
    void (*collect)(FamilyTables*);
};

constexpr int kMaxIsas = 4;  // at most baseline, avx2, avx512, reference

int isa_count();
const Isa& isa(int i);           // lowest first; the last is "reference"
int find_isa(const char* name);  // -1 when there is none of that name

// The set to start with: the highest that runs here, unless DEEPLITE_CPU_ISA names another, or
// DEEPLITE_REFERENCE=1 asks for the reference. *error gets a text when such a wish cannot be met.
int initial_isa(const char** error);

}  // namespace deeplite::cpu
