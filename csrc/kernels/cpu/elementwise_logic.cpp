// Elementwise kernels: logic. The formulas are in elementwise_binary.h, the loops in elementwise_rows.h.
#include "kernels/cpu/elementwise_binary.h"
#include "kernels/cpu/elementwise_rows.h"

namespace deeplite::cpu::DL_ISA {
void add_elementwise_logic(dl_elementwise_table* table) { fill_logic<Fast>(table); }
}  // namespace deeplite::cpu::DL_ISA
