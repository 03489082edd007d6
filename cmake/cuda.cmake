# The CUDA backend is a plug-in behind csrc/kernels/backend.h, built only when DEEPLITE_CUDA=ON.
if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/cuda/backend.cu)
  message(FATAL_ERROR "DEEPLITE_CUDA=ON, but this source tree has no CUDA backend (cuda/backend.cu)")
endif()
enable_language(CUDA)
file(GLOB DEEPLITE_CUDA_SOURCES CONFIGURE_DEPENDS cuda/*.cu)
add_library(deeplite_cuda MODULE ${DEEPLITE_CUDA_SOURCES})
target_include_directories(deeplite_cuda PRIVATE csrc)
install(TARGETS deeplite_cuda LIBRARY DESTINATION deeplite)
