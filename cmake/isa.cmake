# One source, several instruction sets. Every csrc/kernels/cpu/<family>.cpp is compiled once per set, in
# a namespace of its own (DL_ISA); the files listed below are compiled just once, and the reference
# kernels once, with the baseline's flags. Sets DEEPLITE_KERNEL_OBJECTS.

set(DL_KERNELS ${CMAKE_CURRENT_SOURCE_DIR}/csrc/kernels/cpu)
file(GLOB DL_KERNEL_SOURCES CONFIGURE_DEPENDS ${DL_KERNELS}/*.cpp)
file(GLOB DL_REFERENCE_SOURCES CONFIGURE_DEPENDS ${DL_KERNELS}/reference/*.cpp)
set(DL_ONCE_SOURCES)
foreach(stem backend parallel dispatch cpu_count cache_size)
  if(EXISTS ${DL_KERNELS}/${stem}.cpp)
    list(APPEND DL_ONCE_SOURCES ${DL_KERNELS}/${stem}.cpp)
    list(REMOVE_ITEM DL_KERNEL_SOURCES ${DL_KERNELS}/${stem}.cpp)
  endif()
endforeach()

# No -ffast-math: IEEE semantics stay, only errno and trap state (which nobody reads) are given up.
# -fopenmp-simd honours `#pragma omp simd` and needs no run-time library.
set(DL_KERNEL_OPTIMIZE -O3)
if(DEEPLITE_SANITIZE)
  set(DL_KERNEL_OPTIMIZE -O1)
endif()
set(DL_KERNEL_FLAGS ${DL_KERNEL_OPTIMIZE} -fno-math-errno -fno-trapping-math -ffp-contract=fast -fno-exceptions
    -fno-threadsafe-statics -fopenmp-simd -Wno-psabi)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND NOT CMAKE_OSX_ARCHITECTURES MATCHES "arm64")
  set(DL_ALL_ISAS baseline avx2 avx512)
  set(DL_FLAGS_baseline -msse2)
  set(DL_FLAGS_avx2 -mavx2 -mfma -mf16c)
  set(DL_FLAGS_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c
      -mprefer-vector-width=512)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64|ARM64)$" OR CMAKE_OSX_ARCHITECTURES MATCHES "arm64")
  set(DL_ALL_ISAS neon)
  set(DL_FLAGS_neon "")
else()
  set(DL_ALL_ISAS baseline)
  set(DL_FLAGS_baseline "")
endif()
list(GET DL_ALL_ISAS 0 DL_LOWEST_ISA)

set(DL_ISAS ${DEEPLITE_ISAS})
if(DL_ISAS STREQUAL "all")
  set(DL_ISAS ${DL_ALL_ISAS})
endif()
foreach(isa ${DL_ISAS})
  if(NOT isa IN_LIST DL_ALL_ISAS)
    message(FATAL_ERROR "DEEPLITE_ISAS: '${isa}' is not one of ${DL_ALL_ISAS} on ${CMAKE_SYSTEM_PROCESSOR}")
  endif()
endforeach()

set(DEEPLITE_KERNEL_OBJECTS)
function(dl_kernel_library name isa_name isa_flags)
  if(ARGN)
    add_library(${name} OBJECT ${ARGN})
    target_link_libraries(${name} PRIVATE deeplite_flags)
    target_compile_options(${name} PRIVATE ${DL_KERNEL_FLAGS} ${isa_flags})
    target_compile_definitions(${name} PRIVATE DL_ISA=${isa_name})
    set(DEEPLITE_KERNEL_OBJECTS ${DEEPLITE_KERNEL_OBJECTS} $<TARGET_OBJECTS:${name}> PARENT_SCOPE)
  endif()
endfunction()

foreach(isa ${DL_ISAS})
  dl_kernel_library(deeplite_kernels_${isa} ${isa} "${DL_FLAGS_${isa}}" ${DL_KERNEL_SOURCES})
endforeach()
# Reference kernels are for reading and comparing: -O2 saves compile time.
dl_kernel_library(deeplite_kernels_reference reference "${DL_FLAGS_${DL_LOWEST_ISA}};-O2"
                  ${DL_REFERENCE_SOURCES} ${DL_KERNELS}/tables.cpp)

if(DL_ONCE_SOURCES)
  add_library(deeplite_kernels_once OBJECT ${DL_ONCE_SOURCES})
  target_link_libraries(deeplite_kernels_once PRIVATE deeplite_flags)
  foreach(isa ${DL_ISAS})
    target_compile_definitions(deeplite_kernels_once PRIVATE DL_BUILT_${isa}=1)
  endforeach()
  list(APPEND DEEPLITE_KERNEL_OBJECTS $<TARGET_OBJECTS:deeplite_kernels_once>)
endif()
