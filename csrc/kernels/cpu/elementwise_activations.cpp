// Elementwise kernels: activations. The formulas are in elementwise_activation.h, the loops in elementwise_rows.h.
#include "kernels/cpu/elementwise_activation.h"
#include "kernels/cpu/elementwise_rows.h"

namespace deeplite::cpu::DL_ISA {
void add_elementwise_activations(dl_elementwise_table* table) { fill_activations<Fast>(table); }
}  // namespace deeplite::cpu::DL_ISA
