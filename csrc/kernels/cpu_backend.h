// The built-in CPU backend (kernels/cpu/backend.cpp) as the layers above see it: the backend itself and
// the choice of instruction set. Strings returned here live as long as the process.
#pragma once
#include "kernels/backend.h"

extern "C" {
// Never null. Its table pointers follow dl_cpu_set_isa(); read them anew for each call.
const dl_backend* cpu_backend(void);

// The sets the kernels were built for, lowest first, ending in "reference" (the plain twins);
// null past the end.
const char* dl_cpu_isa_name(int i);
// Whether this processor and operating system can run that set, and whether we have kernels for it.
bool dl_cpu_isa_available(const char* name);

const char* dl_cpu_isa(void);  // the set in use
// Switches all tables; false (and nothing changed) when the set is unknown or not available. Not to be
// called while kernels run on other threads: each op would be right, but which set ran it is undefined.
bool dl_cpu_set_isa(const char* name);

// Null, or why DEEPLITE_CPU_ISA / DEEPLITE_REFERENCE could not be obeyed at load time.
const char* dl_cpu_env_error(void);
}
