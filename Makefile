# sotto: `make help` lists the targets. Objects go to build/, one tree for each way of compiling; js/dist/ gets the WebAssembly.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:

CC ?= cc
ifeq ($(origin CC),default)
CC := cc
endif
MACHINE := $(shell $(CC) -dumpmachine 2>/dev/null)
OS := $(shell uname -s)

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Werror
ifeq ($(shell $(CC) --version 2>/dev/null | grep -c clang),0)
WARNINGS += -Wno-format-truncation # text cut to its buffer is meant
WARNINGS += -Wno-psabi             # wide vectors are handed to inlined functions alone
endif
WARNINGS_WASM := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Werror
CFLAGS_ALL := -std=c11 -fno-math-errno $(WARNINGS) -MMD -MP
CFLAGS_RELEASE := -O3 -g1 -DNDEBUG -ffile-prefix-map=$(CURDIR)=. # the same bytes wherever the sources lie
CFLAGS_ASAN := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LIBS := -lm -lpthread

# ---- sources: found by name; a file whose name ends in an instruction set is compiled for it, where it exists ----

ENGINE := $(filter-out src/wasm/%,$(wildcard src/*/*.c)) $(wildcard src/sotto*.c)
NATIVE := $(filter-out %_wasm.c,$(ENGINE))
ifeq ($(filter x86_64%,$(MACHINE)),)
NATIVE := $(filter-out %_avx2.c %_avx512.c,$(NATIVE))
endif
ifeq ($(filter aarch64% arm64%,$(MACHINE)),)
NATIVE := $(filter-out %_neon.c,$(NATIVE))
endif
WASM := $(filter-out %_avx2.c %_avx512.c %_neon.c,$(ENGINE)) $(wildcard src/wasm.c src/wasm/*.c)
CLI := $(filter-out %_wasm.c,$(wildcard cli/*.c))
VENDOR := $(wildcard cli/vendor/*.c)

ISA_avx2 := -mavx2 -mfma -mf16c
ISA_avx512 := $(ISA_avx2) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni
isa = $(ISA_$(lastword $(subst _, ,$(basename $(notdir $1))))) $(if $(findstring src/quant/,$1),-ffp-contract=off)

# ---- native ----

build/release/%.o: %.c
	@mkdir -p $(@D)
	@echo CC $@
	@$(CC) $(CFLAGS_ALL) $(CFLAGS_RELEASE) $(call isa,$<) $(CFLAGS) -c $< -o $@

build/asan/%.o: %.c
	@mkdir -p $(@D)
	@echo CC $@
	@$(CC) $(CFLAGS_ALL) $(CFLAGS_ASAN) $(call isa,$<) $(CFLAGS) -c $< -o $@

# The kernels optimized: 55 s of processor time of test_golden become 39. More than this takes the compiler minutes.
build/asan/src/cpu/kernels_avx2.o: CFLAGS_ASAN += -O2

# Others' code: no warnings of ours.
build/release/cli/vendor/%.o: cli/vendor/%.c
	@mkdir -p $(@D)
	@echo CC $@
	@$(CC) -O2 -fwrapv -w -MMD -MP $(CFLAGS) -c $< -o $@

build/release/libsotto.a: $(NATIVE:%.c=build/release/%.o)
build/asan/libsotto.a: $(NATIVE:%.c=build/asan/%.o)
build/%/libsotto.a:
	@rm -f $@
	@$(AR) rcs $@ $^

build/sotto: $(CLI:%.c=build/release/%.o) $(VENDOR:%.c=build/release/%.o) build/release/libsotto.a
	$(CC) $(LDFLAGS) $^ -o $@ $(LIBS)

.PHONY: native
native: build/release/libsotto.a $(if $(CLI),build/sotto) ## the engine's library and the command build/sotto

# ---- WebAssembly: {relaxed SIMD, plain SIMD} x {threads, single} ----
#
# The compiler is chosen by tools/wasm-cc. `-disable-lsr` keeps the tiles of the matrix kernels in registers; an installed wasm-opt must
# not touch the result. The single variants import no memory; the threads variants import a shared env.memory, and every
# worker of the host sets its own __stack_pointer.

WASM_CC := tools/wasm-cc
WASM_VARIANTS := simd-single simd-threads relaxed-single relaxed-threads
WASM_FLAGS := --target=wasm32-unknown-unknown -std=c11 -O2 -DNDEBUG -nostdlibinc -isystem src/wasm/include \
  -msimd128 -mbulk-memory -mnontrapping-fptoint -msign-ext -fno-math-errno -fvisibility=hidden -mllvm -disable-lsr
WASM_LDFLAGS := --target=wasm32-unknown-unknown -nostdlib --no-wasm-opt -Wl,--no-entry,--stack-first,-z,stack-size=262144 \
  -Wl,--export=__stack_pointer,--gc-sections,--strip-all,--max-memory=4294967296
# Loops over many numbers are compiled for speed, all else for size.
WASM_FAST := $(addprefix src/,cpu/% audio/fft.c audio/mel.c audio/resample.c quant/dtype.c base/% wasm/% models/vad.c models/mel_window.c text/sampler%)
WASM_SMALL := $(filter-out $(WASM_FAST),$(WASM))
# Sums that come in another number of rows at once are to have the same bits, vectorized or not.
WASM_EXACT := src/cpu/cpu_linear_few.c
WASM_FLAGS_simd-single :=
WASM_FLAGS_simd-threads := -matomics
WASM_FLAGS_relaxed-single := -mrelaxed-simd
WASM_FLAGS_relaxed-threads := -mrelaxed-simd -matomics
WASM_LDFLAGS_simd-threads := -Wl,--import-memory,--shared-memory
WASM_LDFLAGS_relaxed-threads := $(WASM_LDFLAGS_simd-threads)

define WASM_VARIANT
build/wasm/$1/%.o: %.c build/wasm/compiler
	@mkdir -p $$(@D)
	@echo WASM $$@
	@$$(WASM_CC) $$(WASM_FLAGS) $$(WASM_FLAGS_$1) $$(if $$(filter $$(WASM_SMALL),$$<),-Oz) $$(if $$(filter $$(WASM_EXACT),$$<),-ffp-contract=off) $$(WARNINGS_WASM) -MMD -MP -c $$< -o $$@

js/dist/sotto-$1.wasm: $$(WASM:%.c=build/wasm/$1/%.o)
	@mkdir -p $$(@D)
	@echo LINK $$@
	@$$(WASM_CC) $$(WASM_LDFLAGS) $$(WASM_LDFLAGS_$1) $$^ -o $$@
endef
$(foreach variant,$(WASM_VARIANTS),$(eval $(call WASM_VARIANT,$(variant))))

# The command's audio decoders, for Node, which has none.
AUDIO_WASM := $(wildcard cli/*_wasm.c) $(addprefix cli/,audio_in.c decode.c sniff.c vendor/decoders.c) \
  $(addprefix src/,audio/wav.c audio/resample.c base/base.c) $(wildcard src/wasm/*.c)

build/wasm/simd-single/cli/vendor/%.o: cli/vendor/%.c build/wasm/compiler
	@mkdir -p $(@D)
	@echo WASM $@
	@$(WASM_CC) $(WASM_FLAGS) -fwrapv -w -MMD -MP -c $< -o $@

js/dist/audio-decoders.wasm: $(AUDIO_WASM:%.c=build/wasm/simd-single/%.o)
	@mkdir -p $(@D)
	@echo LINK $@
	@$(WASM_CC) $(WASM_LDFLAGS) $^ -o $@

# Holds the name of the compiler; another compiler makes everything anew.
build/wasm/compiler: FORCE
	@mkdir -p $(@D)
	@$(WASM_CC) --version | head -n 1 > $@.new; cmp -s $@.new $@ && rm $@.new || mv $@.new $@

.PHONY: wasm wasm-files FORCE
wasm: wasm-files js/dist/index.js ## the npm package in js/, engine included
js/dist/index.js: wasm-files $(wildcard js/src/*.ts js/src/*/*.ts src/gpu/wgsl/*.wgsl js/*.json js/*.mjs)
	npm run --silent build -w js

wasm-files: $(WASM_VARIANTS:%=js/dist/sotto-%.wasm) js/dist/audio-decoders.wasm
FORCE:

# ---- native tests, benches, fuzz targets ----

TESTS := $(patsubst tests/native/%.c,build/asan/%,$(wildcard tests/native/test_*.c)) \
  $(patsubst tests/cli/test_%.c,build/asan/test_cli_%,$(wildcard tests/cli/test_*.c))
BENCHES := $(patsubst bench/%.c,build/bench/%,$(wildcard bench/*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

build/asan/test_%: build/asan/tests/native/test_%.o build/asan/libsotto.a
	@echo LINK $@
	@$(CC) $(CFLAGS_ASAN) $(LDFLAGS) $^ -o $@ $(LIBS)

build/asan/test_cli_%: build/asan/tests/cli/test_%.o $(patsubst %.c,build/asan/%.o,$(filter-out cli/main.c,$(CLI)) $(VENDOR)) build/asan/libsotto.a
	@echo LINK $@
	@$(CC) $(CFLAGS_ASAN) $(LDFLAGS) $^ -o $@ $(LIBS)

# The command, for tests/cli/serve.test.mjs.
build/asan/sotto: $(CLI:%.c=build/asan/%.o) $(VENDOR:%.c=build/asan/%.o) build/asan/libsotto.a
	@echo LINK $@
	@$(CC) $(CFLAGS_ASAN) $(LDFLAGS) $^ -o $@ $(LIBS)

build/asan/cli/vendor/%.o: cli/vendor/%.c
	@mkdir -p $(@D)
	@echo CC $@
	@$(CC) -O1 -g -fsanitize=address -fwrapv -w -MMD -MP $(CFLAGS) -c $< -o $@

# The C tests in WebAssembly: tests/wasm/ has what they need of a C library, and runs them. Kernels run in all variants, models and what is
# around them in two that have each kind of SIMD, with threads and without, what handles sizes in one of them, the pool where there are threads.
WASM_TESTS := attention gemma_ops kernels linear_types quant quant_kernels
WASM_TESTS_models := audio gemma golden quantize rules sampler session teller text
WASM_TESTS_simd-single := $(WASM_TESTS_models) vad base ggml_bin gguf gguf_write json safetensors spm spm_readers template transcribe vocab wasm_libc wav
WASM_TESTS_simd-threads := pool
WASM_TESTS_relaxed-single := speculate
WASM_TESTS_relaxed-threads := $(WASM_TESTS_models) pool model_types attention_model
WASM_TEST_SHIM := $(wildcard tests/wasm/*.c)
WASM_TEST_FLAGS := -isystem tests/wasm/include -Dmain=test_main
WASM_TEST_LDFLAGS_simd-threads := -Wl,--wrap=pool_open,--wrap=pool_close
WASM_TEST_LDFLAGS_relaxed-threads := $(WASM_TEST_LDFLAGS_simd-threads)

define WASM_TEST_VARIANT
build/wasm-tests/$1/%.o: %.c build/wasm/compiler
	@mkdir -p $$(@D)
	@echo WASM $$@
	@$$(WASM_CC) $$(WASM_TEST_FLAGS) $$(WASM_FLAGS) $$(WASM_FLAGS_$1) $$(WARNINGS_WASM) -MMD -MP -c $$< -o $$@

WASM_TEST_OBJECTS_$1 := $$(WASM_TEST_SHIM:%.c=build/wasm-tests/$1/%.o) \
  $$(patsubst %.c,build/wasm/$1/%.o,$$(filter-out src/wasm.c,$$(WASM)))

build/wasm-tests/$1/test_%.wasm: build/wasm-tests/$1/tests/native/test_%.o $$(WASM_TEST_OBJECTS_$1)
	@echo LINK $$@
	@$$(WASM_CC) $$(WASM_LDFLAGS) $$(WASM_LDFLAGS_$1) $$(WASM_TEST_LDFLAGS_$1) $$^ -o $$@

build/wasm-tests/$1/bench_%.wasm: build/wasm-tests/$1/bench/%.o $$(WASM_TEST_OBJECTS_$1)
	@echo LINK $$@
	@$$(WASM_CC) $$(WASM_LDFLAGS) $$(WASM_LDFLAGS_$1) $$(WASM_TEST_LDFLAGS_$1) $$^ -o $$@
endef
$(foreach variant,$(WASM_VARIANTS),$(eval $(call WASM_TEST_VARIANT,$(variant))))

# Both backends side by side, for tests/gpu/NAME.test.mjs.
GPU_TESTS := ops quantize whisper
build/wasm-tests/relaxed-single/gpu_%.wasm: build/wasm-tests/relaxed-single/tests/gpu/%.o \
  $(patsubst %.c,build/wasm/relaxed-single/%.o,$(filter-out src/wasm.c,$(WASM)))
	@echo LINK $@
	@$(WASM_CC) $(WASM_LDFLAGS) $^ -o $@

.PHONY: wasm-tests
wasm-tests: $(GPU_TESTS:%=build/wasm-tests/relaxed-single/gpu_%.wasm) $(foreach variant,$(WASM_VARIANTS),$(patsubst %,build/wasm-tests/$(variant)/test_%.wasm,$(WASM_TESTS) $(WASM_TESTS_$(variant))))

build/bench/%: build/release/bench/%.o build/release/libsotto.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ $(LIBS)

# By a clang with libFuzzer (build/fuzz/guided says so to the runner); elsewhere by the compiler in use, driven by tests/fuzz/standalone.c.
ifneq ($(filter test fuzz fuzzers build/fuzz/%,$(MAKECMDGOALS)),)
FUZZ_CC := $(shell tools/fuzz-cc)
endif
ifneq ($(FUZZ_CC),)
FUZZ_FLAGS := -std=c11 -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -w -MMD -MP
FUZZ_LINK := $(FUZZ_CC) -fsanitize=fuzzer,address,undefined
FUZZ_COMPILE := $(FUZZ_CC)
else
FUZZ_FLAGS := $(CFLAGS_ALL) $(CFLAGS_ASAN)
FUZZ_LINK := $(CC) $(CFLAGS_ASAN)
FUZZ_COMPILE := $(CC)
FUZZ_DRIVER := build/fuzz/tests/fuzz/standalone.o
endif

build/fuzz/%.o: %.c
	@mkdir -p $(@D)
	@echo FUZZ $@
	@$(FUZZ_COMPILE) $(FUZZ_FLAGS) $(call isa,$<) -c $< -o $@

build/fuzz/libsotto.a: $(NATIVE:%.c=build/fuzz/%.o)
build/fuzz/fuzz_http: build/fuzz/cli/http.o build/fuzz/cli/multipart.o

build/fuzz/fuzz_%: build/fuzz/tests/fuzz/fuzz_%.o $(FUZZ_DRIVER) build/fuzz/libsotto.a
	@echo LINK $@
	@$(FUZZ_LINK) $^ -o $@ $(LIBS)
	@$(if $(FUZZ_DRIVER),rm -f,touch) build/fuzz/guided

.PHONY: native-tests benches fuzzers test fuzz bench
native-tests: $(TESTS) build/asan/sotto
benches: $(BENCHES)
fuzzers: $(FUZZERS)

test: setup setup-tests models-for-tests ## every test, the page's in browsers included; the last line counts them
	@$(MAKE) --no-print-directory -j2 native native-tests fuzzers
	@$(MAKE) --no-print-directory -j2 wasm wasm-tests
	@$(MAKE) --no-print-directory app
	@node tools/run-tests.mjs $(ONLY)

.PHONY: test-native test-wasm
test-native: native-tests ## the native unit tests alone
	@node tools/run-tests.mjs build/asan

test-wasm: wasm-tests ## the unit tests that run in WebAssembly alone
	@node tools/run-tests.mjs build/wasm-tests

fuzz: fuzzers ## the fuzz targets alone, each for FUZZ_SECONDS (60)
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-60} node tools/run-tests.mjs build/fuzz

bench: native wasm benches build/wasm-tests/relaxed-single/bench_kernels.wasm build/wasm-tests/simd-single/bench_kernels.wasm ## speed of the engine, native and in WebAssembly: make bench ARGS=--json
	@node bench/bench.mjs $(ARGS)
	@$(if $(findstring --json,$(ARGS)),,build/bench/quantize)

# Other packages, for the comparison alone, and only here.
bench/peers/node_modules/.package-lock.json: bench/peers/package.json bench/peers/package-lock.json
	cd bench/peers && npm ci --silent
	@touch $@

.PHONY: bench-peers native-peers bench-check
bench-peers: native wasm bench/peers/node_modules/.package-lock.json ## beside other packages, which are installed in bench/peers: make bench-peers ARGS=--quick
	@node bench/peers/bench.mjs $(ARGS)

native-peers: ## llama.cpp and whisper.cpp as programs of this machine, which bench-peers then measures too (npm, cmake, git)
	@node bench/peers/native/install.mjs $(ARGS)

bench-check: native build/bench/instructions ## instructions for fixed inputs, beside those of bench/instructions.json (valgrind)
	@node bench/check.mjs $(ARGS)

# The unit tests for arm64, on another machine (the tests themselves at -O1: Debian's gcc 12 fails on one at -O2): cross-compiled and emulated (Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user).
ARM64_CC := aarch64-linux-gnu-gcc
# Without those that compute whole networks: emulated, they take many minutes.
ARM64_TESTS := $(filter-out %/test_golden %/test_model_types,$(patsubst tests/native/%.c,build/arm64/%,$(wildcard tests/native/test_*.c)))

build/arm64/%.o: %.c
	@mkdir -p $(@D)
	@echo ARM64 $@
	@$(ARM64_CC) -std=c11 $(if $(filter tests/%,$<),-O1,-O3) -g1 -fno-math-errno $(WARNINGS) -MMD -MP -c $< -o $@

build/arm64/libsotto.a: $(patsubst %.c,build/arm64/%.o,$(filter-out %_avx2.c %_avx512.c %_wasm.c,$(ENGINE)))

build/arm64/test_%: build/arm64/tests/native/test_%.o build/arm64/libsotto.a
	@$(ARM64_CC) -static $^ -o $@ $(LIBS)

.PHONY: test-arm64
test-arm64: $(ARM64_TESTS) ## the native unit tests for arm64, emulated
	@node tools/run-tests.mjs build/arm64

# ---- what others bring: npm packages, the WebAssembly compiler, browsers, models ----

.PHONY: setup setup-tests models models-for-tests
setup: node_modules/.package-lock.json ## npm packages and the WebAssembly compiler
	@tools/setup-toolchain

node_modules/.package-lock.json: package.json package-lock.json $(wildcard js/package.json app/package.json)
	npm $(if $(CI),ci,install) --silent
	@touch $@

setup-tests: ## what tests use beyond the build: browsers, clang for fuzzing
	@tools/setup-tests

models: ## the model that the page starts with
	@tools/fetch-models tiny-q5_1

models-for-tests:
	@tools/fetch-models tiny-q5_1 tiny base.en
	-@tools/fetch-tokenizers

# ---- the page ----

PORT ?= 8080

.PHONY: app run
app: app/dist/index.html
app/dist/index.html: js/dist/index.js $(wildcard app/*.json app/*.ts app/*.html app/src/* app/src/*/* app/public/*) bench/rounds.js
	npm run --silent build -w app
	@touch $@

run: setup models ## builds the page and serves it: make run PORT=8080
	@$(MAKE) --no-print-directory -j2 wasm
	@$(MAKE) --no-print-directory app
	@node tools/serve.mjs --port $(PORT)

# ---- what is handed out ----

.PHONY: dist
dist: setup ## dist/: the npm package, the page as a folder, the native command; the same bytes of the same sources
	@$(MAKE) --no-print-directory -j2 native wasm
	@$(MAKE) --no-print-directory app
	@tools/make-dist

# ---- housekeeping ----

.PHONY: lint format clean help compile_commands.json
OUR_C = $(shell git ls-files '*.c' '*.h' 2>/dev/null | grep -v '^cli/vendor/')

format: ## formats the C files
	clang-format -i $(OUR_C)

.PHONY: api-reference
api-reference: js/dist/index.js ## docs/api.md, made from the package's types
	node tools/api-reference.mjs

lint: ## what a reader would complain about: format, types, hosts in the lock file
	clang-format --dry-run -Werror $(OUR_C)
	@! grep -n '"resolved": "http' package-lock.json || { echo 'package-lock.json names a registry: run npm install with the .npmrc of this repository.'; exit 1; }
	npm run --silent check -w js
	npx --no-install tsc --noEmit -p app
	[ ! -e js/dist/types/index.d.ts ] || node tools/api-reference.mjs --check

compile_commands.json: ## for editors: how every C file is compiled
	@{ echo '['; for f in $(NATIVE) $(CLI) $(wildcard tests/native/*.c bench/*.c tests/fuzz/*.c); do \
	  case $$f in *_avx2.c) isa="$(ISA_avx2)";; *_avx512.c) isa="$(ISA_avx512)";; *) isa=;; esac; \
	  printf '{"directory":"%s","file":"%s","command":"$(CC) -std=c11 $(filter-out -Werror,$(WARNINGS)) %s -c %s"},\n' "$(CURDIR)" "$$f" "$$isa" "$$f"; \
	  done | sed '$$ s/,$$//'; echo ']'; } > $@

clean: ## removes what was built (not models/ and node_modules/)
	rm -rf build dist js/dist app/dist compile_commands.json

help: ## this list
	@sed -n 's/^\([a-z0-9_.-]*\):.*## /\1#/p' Makefile | sort | awk -F'#' '{ printf "  make %-24s %s\n", $$1, $$2 }'

.SECONDARY:
-include $(shell find build -name '*.d' 2>/dev/null)
