// Elementwise kernels: math. The formulas are in elementwise_unary.h, the loops in elementwise_rows.h.
#include "kernels/cpu/elementwise_rows.h"
#include "kernels/cpu/elementwise_unary.h"

namespace deeplite::cpu::DL_ISA {
void add_elementwise_math(dl_elementwise_table* table) { fill_unary_math<Fast>(table->unary); }
}  // namespace deeplite::cpu::DL_ISA
