// What one instruction set (or the reference kernels) has to offer: a table per family, null where a
// family has none. backend.cpp puts the sets together.
#pragma once
#include "kernels/backend.h"

namespace deeplite::cpu {

struct FamilyTables {
    const dl_elementwise_table* elementwise;
    const dl_reduce_table* reduce;
    const dl_gemm_table* gemm;
    const dl_conv_table* conv;
    const dl_pool_table* pool;
    const dl_norm_table* norm;
    const dl_softmax_table* softmax;
    const dl_loss_table* loss;
    const dl_index_table* index;
    const dl_random_table* random;
    const dl_optim_table* optim;
    const dl_image_table* image;
};

}  // namespace deeplite::cpu
