#pragma once
#include "bindings/python.h"

namespace deeplite {

PyObject* get_item(const Tensor& x, PyObject* index);
void set_item(const Tensor& x, PyObject* index, PyObject* value);

}  // namespace deeplite
