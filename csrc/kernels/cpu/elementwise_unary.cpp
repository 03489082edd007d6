// Elementwise kernels: unary. The formulas are in elementwise_unary.h, the loops in elementwise_rows.h.
#include "kernels/cpu/elementwise_unary.h"
#include "kernels/cpu/elementwise_rows.h"

namespace deeplite::cpu::DL_ISA {
void add_elementwise_unary(dl_elementwise_table* table) { fill_unary_basic<Fast>(table->unary); }
}  // namespace deeplite::cpu::DL_ISA
