// Collects the family tables of one instruction set. Compiled once per set, and once for the reference.
#include "kernels/cpu/tables.h"

namespace deeplite::cpu::DL_ISA {

const dl_elementwise_table* elementwise_table();
const dl_reduce_table* reduce_table();
const dl_gemm_table* gemm_table();
const dl_conv_table* conv_table();
const dl_pool_table* pool_table();
const dl_norm_table* norm_table();
const dl_softmax_table* softmax_table();
const dl_loss_table* loss_table();
const dl_index_table* index_table();
const dl_random_table* random_table();
const dl_optim_table* optim_table();
const dl_image_table* image_table();

void collect(FamilyTables* t) {
    t->elementwise = elementwise_table();
    t->reduce = reduce_table();
    t->gemm = gemm_table();
    t->conv = conv_table();
    t->pool = pool_table();
    t->norm = norm_table();
    t->softmax = softmax_table();
    t->loss = loss_table();
    t->index = index_table();
    t->random = random_table();
    t->optim = optim_table();
    t->image = image_table();
}

}  // namespace deeplite::cpu::DL_ISA
