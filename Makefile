# Every target sets itself up in .venv (own environment, nothing outside is touched) and is quick the
# second time: a stamp file in .venv stands for each finished step.
#
#   make demo     train LeNet-5 on real handwritten digits
#   make test     build the wheel, check everything, run all tests but the slow ones
#   make test-slow  the slow ones
#   make dev      build the module in the source tree (PYTHONPATH=python then works)
#   make lint | format | stubs | wheel | asan | clean

PYTHON ?= python3
JOBS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); echo $$((n > 8 ? 8 : n)))
VENV := .venv
PY := $(VENV)/bin/python
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.PHONY: demo test test-slow dev lint format stubs wheel asan check clean

# A compiler cache is used where there is one; nothing depends on it.
ifneq ($(shell command -v ccache 2>/dev/null),)
export CMAKE_CXX_COMPILER_LAUNCHER ?= ccache
endif
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export CMAKE_BUILD_PARALLEL_LEVEL ?= $(JOBS)

SOURCES := $(shell find csrc cmake python CMakeLists.txt pyproject.toml README.md LICENSE -type f \
	! -name '*.so' ! -name '*.pyc')
CPP_FILES = $(shell find csrc tests -name '*.cpp' -o -name '*.h')
BUILD_TOOLS := "scikit-build-core>=0.11" "pybind11>=3.0" "ninja>=1.11" "cmake>=3.25"

$(VENV)/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV) || { echo "no venv module: install your system's python3-venv"; exit 1; }
	touch $@

$(VENV)/tools: $(VENV)/created
	$(PY) -m pip install -q $(BUILD_TOOLS)
	touch $@

# The wheel, as users get it; its build folder stays, so only what changed is compiled again.
$(VENV)/wheel: $(VENV)/tools $(SOURCES)
	rm -rf dist/*.whl
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PY) -m pip wheel -q . --no-build-isolation --no-deps -w dist
	$(PY) -m pip install -q --force-reinstall --no-deps dist/*.whl
	touch $@

# Its dependencies, by group of extras. They change with pyproject.toml only.
$(VENV)/extras-train: pyproject.toml | $(VENV)/wheel
	$(PY) -m pip install -q "$$(ls dist/*.whl)[train]"
	touch $@
$(VENV)/extras-test: pyproject.toml | $(VENV)/wheel
	$(PY) -m pip install -q "$$(ls dist/*.whl)[train,test,dev]"
# torchvision's Python files are what model keys and scores are compared with. Its dependencies stay
# out: they would bring a torch of another kind.
	$(PY) -m pip install -q --no-deps "torchvision==0.28.0"
	touch $@
$(VENV)/extras-lint: pyproject.toml | $(VENV)/created
	$(PY) -m pip install -q "clang-format==23.*" "ruff==0.17.*" "mypy==2.4.*" numpy
	touch $@

wheel: $(VENV)/wheel

demo: $(VENV)/wheel $(VENV)/extras-train
	$(PY) -m deeplite demo

lint: $(VENV)/extras-lint
	@$(VENV)/bin/clang-format --dry-run --Werror $(CPP_FILES) && echo "clang-format: ok"
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(PY) tools/check_includes.py

format: $(VENV)/extras-lint
	$(VENV)/bin/clang-format -i $(CPP_FILES)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

# What the built objects and the installed wheel must hold to.
check: $(VENV)/wheel $(VENV)/extras-test
	$(PY) tools/check_isa.py build-wheel-*
	$(PY) tools/check_budgets.py dist/*.whl
	$(PY) tools/stubs.py --check

stubs: $(VENV)/wheel $(VENV)/extras-lint
	$(PY) tools/stubs.py

# One kernel thread per test process: the processes themselves fill the machine.
test: $(VENV)/wheel $(VENV)/extras-test $(VENV)/extras-lint
	@$(MAKE) --no-print-directory lint check
	OMP_NUM_THREADS=1 $(PY) -m pytest -q -n $(JOBS)

# What takes too long for every day: large architectures, and training each family on real digits.
test-slow: $(VENV)/wheel $(VENV)/extras-test
	OMP_NUM_THREADS=1 $(PY) -m pytest -q -n $(JOBS) -m slow

dev: $(VENV)/tools $(VENV)/extras-lint
	$(VENV)/bin/cmake -S . -B build -G Ninja -DPython_EXECUTABLE=$(CURDIR)/$(PY) \
		-DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(VENV)/bin/ninja
	$(VENV)/bin/ninja -C build
	@echo "try: PYTHONPATH=python $(PY) -c 'import deeplite; print(deeplite.ones(2, 3))'"

# Address and undefined-behaviour sanitizers over the core tests, in a package folder of its own.
ASAN_ISAS ?= all
ASAN_TESTS ?= tests/tensor tests/autograd tests/capture tests/test_ops_forward.py tests/test_ops_errors.py
asan: $(VENV)/tools $(VENV)/extras-test
	mkdir -p build-asan/package
	$(VENV)/bin/cmake -S . -B build-asan -G Ninja -DPython_EXECUTABLE=$(CURDIR)/$(PY) \
		-DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(VENV)/bin/ninja -DDEEPLITE_SANITIZE=address,undefined \
		-DDEEPLITE_ISAS="$(ASAN_ISAS)" \
		-DDEEPLITE_MODULE_DIR=$(CURDIR)/build-asan/package/deeplite
	$(VENV)/bin/ninja -C build-asan
	cp -r $$(ls -d python/deeplite/* | grep -v '\.so$$') build-asan/package/deeplite/
	PYTHONPATH=build-asan/package OMP_NUM_THREADS=2 PYTHONMALLOC=malloc \
	LD_PRELOAD="$$(tools/sanitizer_libs.sh)" \
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:detect_odr_violation=1 \
	UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
		$(PY) -m pytest -q -p no:cacheprovider -n $(JOBS) $(ASAN_TESTS)

clean:
	rm -rf $(VENV) build build-wheel-* build-asan dist python/deeplite/_C*.so
