# -DDEEPLITE_SANITIZE=address,undefined: a checking build (see `make asan`), never what ships.
# CMAKE_CXX_FLAGS_RELEASE is lowered too: instrumented code at -O2 takes minutes more to compile.
if(DEEPLITE_SANITIZE)
  set(CMAKE_CXX_FLAGS_RELEASE "-O1")
  target_compile_options(deeplite_flags INTERFACE
    -fsanitize=${DEEPLITE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  target_link_options(deeplite_flags INTERFACE -fsanitize=${DEEPLITE_SANITIZE})
endif()
