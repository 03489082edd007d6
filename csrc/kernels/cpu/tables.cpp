// Collects the family tables of one instruction set. Compiled once per set, and once for the reference.
#include "kernels/cpu/tables.h"

namespace deeplite::cpu::DL_ISA {

// Weak: null for a family that has no kernels for this set yet.
#define DL_FAMILY(name) __attribute__((weak)) const dl_##name##_table* name##_table()
DL_FAMILY(elementwise);
DL_FAMILY(reduce);
DL_FAMILY(gemm);
DL_FAMILY(conv);
DL_FAMILY(pool);
DL_FAMILY(norm);
DL_FAMILY(softmax);
DL_FAMILY(loss);
DL_FAMILY(index);
DL_FAMILY(random);
DL_FAMILY(optim);
#undef DL_FAMILY

void collect(FamilyTables* t) {
#define DL_FAMILY(name) t->name = name##_table ? name##_table() : nullptr
    DL_FAMILY(elementwise);
    DL_FAMILY(reduce);
    DL_FAMILY(gemm);
    DL_FAMILY(conv);
    DL_FAMILY(pool);
    DL_FAMILY(norm);
    DL_FAMILY(softmax);
    DL_FAMILY(loss);
    DL_FAMILY(index);
    DL_FAMILY(random);
    DL_FAMILY(optim);
#undef DL_FAMILY
}

}  // namespace deeplite::cpu::DL_ISA
