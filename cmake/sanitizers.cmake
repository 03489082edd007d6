# -DDEEPLITE_SANITIZE=address,undefined: a checking build (see `make asan`), never what ships.
if(DEEPLITE_SANITIZE)
  target_compile_options(deeplite_flags INTERFACE
    -fsanitize=${DEEPLITE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  target_link_options(deeplite_flags INTERFACE -fsanitize=${DEEPLITE_SANITIZE})
endif()
