# Seatrial's make targets. `make` alone lists them; README.md and CONTRIBUTING.md explain them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.ONESHELL:
.NOTPARALLEL:
.SUFFIXES:

# The system's Python, by its path: another python3 on PATH may lack venv or be too old.
PYTHON ?= /usr/bin/python3
# What `make conformance` judges, by name or path: RUNTIME="crun /usr/local/bin/youki". Blank: all found.
RUNTIME ?=
# What `make suite`, and so `make test`, runs the suite on.
SUITE_RUNTIMES ?= crun runc
# The reference runtime starts Python for every command, so in `make test` only runtime.md's chapter
# is judged on it; `make conformance RUNTIME=.venv/bin/seatrial-oci` takes it all, in eight minutes.
REFERENCE := seatrial-oci
# How long `make fuzz` (300) and `make load` (600) go on; what is drawn is drawn by which seed.
SECONDS ?=
SEED ?= 1
# More arguments for `seatrial test` or pytest.
ARGS ?=
# Only `make lock` uses it.
UV_VERSION := 0.13.9

PACKAGES := gcc libc6-dev make python3 python3-dev python3-venv git runc crun
# What `make engines` tries the reference runtime with.
ENGINE_PACKAGES := busybox-static conmon containerd docker-registry docker.io iproute2 nftables podman
VENV := .venv
BIN := $(VENV)/bin
# What hatch_build.py compiles: the probe, the executor, the launcher, the benchmarks' programs.
COMPILED := conformance/src/seatrial/conformance/bin/probe runtime/src/seatrial/oci/_core.abi3.so
COMPILED += runtime/src/seatrial/oci/bin/seatrial-oci runtime/src/seatrial/engine/bin/init
COMPILED += $(addprefix perf/src/seatrial/perf/bin/,stopwatch payload floor)
C_SOURCES := $(wildcard conformance/csrc/*/*.c runtime/csrc/*.c runtime/csrc/*/*.c perf/csrc/*/*.c)
C_FILES := $(C_SOURCES) $(wildcard conformance/csrc/*/*.h runtime/csrc/*.h perf/csrc/*/*.h)
C_WARNINGS := -std=c11 -O2 -D_GNU_SOURCE -Wall -Wextra -Wshadow -Wconversion -Werror

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
export PIP_NO_INPUT := 1

.PHONY: help
help: ## list these targets
	@echo "Seatrial. Give one of these to make:"
	sed -nE 's/^([a-z-]+):[^#]*## (.*)$$/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

# --- Set-up ------------------------------------------------------------------------------------

.PHONY: setup
setup: $(VENV)/.installed $(VENV)/.compiled ## install what is needed: Debian packages, .venv, what is compiled

# Asks dpkg first, so that a machine that has everything needs no network and hears nothing. A
# command that came some other way counts too: installing Debian's runc would remove Docker's.
.PHONY: packages
packages:
	@has() { PATH="$$PATH:/usr/sbin:/sbin" type -P "$$1" >/dev/null; }
	missing=()
	for package in $(PACKAGES); do
	    if dpkg-query -W -f='$${db:Status-Abbrev}' "$$package" 2>/dev/null | grep -q '^ii'; then continue; fi
	    case $$package in
	        python3-dev) [ ! -e "$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))' 2>/dev/null)/Python.h" ] || continue ;;
	        libc6-dev) [ ! -e /usr/include/stdio.h ] || continue ;;
	        python3-venv) ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || continue ;;
	        python3) ! has $(PYTHON) || continue ;;
	        gcc) ! has "$${CC:-gcc}" || continue ;;
	        *) ! has "$$package" || continue ;;
	    esac
	    missing+=("$$package")
	done
	[ $${#missing[@]} -gt 0 ] || exit 0
	if has apt-get && [ "$$(id -u)" = 0 ]; then
	    echo "== installing Debian packages: $${missing[*]}"
	    export DEBIAN_FRONTEND=noninteractive
	    install=(apt-get install -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends)
	    # With fresh package lists already there no update is needed; with stale or no lists it is.
	    "$${install[@]}" "$${missing[@]}" </dev/null >/dev/null 2>&1 && exit 0
	    apt-get update -qq </dev/null
	    "$${install[@]}" "$${missing[@]}" </dev/null >/dev/null
	    exit 0
	fi
	if has apt-get; then
	    echo "== missing, and only root can install them: apt-get install $${missing[*]}"
	else
	    echo "== missing, to be installed with this system's package manager (named as in Debian): $${missing[*]}"
	fi
	for package in "$${missing[@]}"; do
	    case $$package in
	        runc|crun) echo "== going on without $$package: nothing needs it but a trial of it" ;;
	        libc6-dev) echo "== going on: compiling the probe will tell whether a static C library is there" ;;
	        *) echo "== cannot go on without $$package"; exit 1 ;;
	    esac
	done

# Made anew when the lock changes, so that nothing is left of the versions before.
$(VENV)/.locked: requirements.lock | packages
	@echo "== installing the locked Python packages into $(VENV)"
	if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
	    echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3"
	    exit 1
	fi
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --require-hashes --no-deps -r requirements.lock
	touch $@

$(VENV)/.installed: $(VENV)/.locked pyproject.toml hatch_build.py
	@echo "== installing seatrial into $(VENV), from this tree"
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

# The launcher belongs beside the Python that it starts.
$(VENV)/.compiled: $(C_FILES) hatch_build.py $(VENV)/.installed
	@echo "== compiling what is written in C"
	$(BIN)/python hatch_build.py
	cp runtime/src/seatrial/oci/bin/seatrial-oci $(BIN)/seatrial-oci
	touch $@

# --- Trials ------------------------------------------------------------------------------------

.PHONY: conformance
conformance: setup ## judge runtimes: RUNTIME="crun /path/to/another", blank for all on this machine
	@echo "== judging $(or $(strip $(RUNTIME)),every runtime on this machine)"
	$(BIN)/seatrial test $(foreach runtime,$(RUNTIME),--runtime $(runtime)) $(ARGS)

.PHONY: suite
suite: setup ## run the suite on SUITE_RUNTIMES (crun and runc)
	@echo "== running the suite on $(SUITE_RUNTIMES)"
	$(BIN)/seatrial test $(foreach runtime,$(SUITE_RUNTIMES),--runtime $(runtime)) $(ARGS)

.PHONY: suite-reference
suite-reference: setup ## run the suite's chapter on runtime.md on seatrial-oci
	@echo "== running the suite on the reference runtime"
	$(BIN)/seatrial test --runtime $(REFERENCE) --requirement runtime $(ARGS)

# Twice the whole suite: not for every day.
.PHONY: suite-warm
suite-warm: setup ## run the suite on seatrial-oci with and without kept plans, and compare: ARGS="--profile quick"
	@echo "== running the suite on the reference runtime, cold and warm"
	$(BIN)/python runtime/tests/kept/suite.py $(ARGS)

.PHONY: engine-packages
engine-packages:
	@missing=()
	for package in $(ENGINE_PACKAGES); do
	    dpkg-query -W -f='$${db:Status-Abbrev}' "$$package" 2>/dev/null | grep -q '^ii' || missing+=("$$package")
	done
	[ $${#missing[@]} -gt 0 ] || exit 0
	if ! type -P apt-get >/dev/null || [ "$$(id -u)" != 0 ]; then
	    echo "== missing, and only root can install them, with apt-get: $${missing[*]}"
	    exit 1
	fi
	echo "== installing Debian packages: $${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	# No daemon of theirs is to run here: each is started by its tests, with nothing of the host's.
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $$policy ]; then
	    trap 'rm -f $$policy' EXIT
	    printf '#!/bin/sh\nexit 101\n' >$$policy
	    chmod 755 $$policy
	fi
	# Docker's own packages would have to go for Debian's: that is not ours to do.
	install=(apt-get install -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends --no-remove)
	"$${install[@]}" "$${missing[@]}" </dev/null >/dev/null 2>&1 && exit 0
	apt-get update -qq </dev/null
	"$${install[@]}" "$${missing[@]}" </dev/null >/dev/null

# Not for `make conformance`'s RUNTIME: another runtime here is to see that the tests are fair.
.PHONY: engines
engines: setup engine-packages ## run podman, docker and containerd on seatrial-oci, or on RUNTIME=runc
	@echo "== running podman, docker and containerd on $(or $(firstword $(RUNTIME)),the reference runtime)"
	$(BIN)/pytest -q runtime/engines $(addprefix --runtime-under-test=,$(firstword $(RUNTIME))) $(ARGS)

.PHONY: bench-layers
bench-layers: setup ## time the engine's layout of layers beside GNU tar, 35 s of CPU
	@$(BIN)/python perf/benchmarks/layers.py

# The daemon and its containers have namespaces of their own, and end with this. The hierarchies of
# cgroups are the host's; what is left there is removed.
.PHONY: engine
engine: setup ## start seatriald, our own engine, on a socket in build/engine: RUNTIME=runc for another
	@mkdir -p build/engine
	socket=$(CURDIR)/build/engine/seatriald.sock
	cgroup=/seatrial-engine-$$$$
	trap 'find /sys/fs/cgroup -depth -type d -path "*$$cgroup*" -exec rmdir {} + 2>/dev/null || true' EXIT
	trap : INT TERM
	echo "== starting seatriald; in another terminal: export DOCKER_HOST=unix://$$socket"
	unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private sh -c '
	    mount -t tmpfs tmpfs /run
	    { ip link set lo up || busybox ip link set lo up; } 2>/dev/null
	    "$$@" & wait $$!; kill $$! 2>/dev/null; wait $$!' sh \
	    $(BIN)/seatriald --host=unix://$$socket --data-root=$(CURDIR)/build/engine/data \
	    --cgroup-parent=$$cgroup --runtime=$(or $(firstword $(RUNTIME)),seatrial-oci) || true

# What `make bench` times: all of these that are on this machine, or RUNTIME. What is ours is an
# installed wheel's, as its users have it: the checkout's own is an editable install.
BENCHED := build/bench/bin/seatrial-oci crun runc youki runsc podman docker build/bench/bin/seatriald
# What seatrial-oci and seatriald import, of the lock.
BENCH_NEEDS := aiohappyeyeballs|aiohttp|aiosignal|attrs|dnspython|frozenlist|idna|msgspec|multidict
BENCH_NEEDS := $(BENCH_NEEDS)|propcache|pyroute2|typing-extensions|yarl

.PHONY: bench
bench: setup build/bench/.installed ## time runtimes, 7 quiet minutes on two cores: ARGS=--quick for a look, RUNTIME="crun runc"
	@echo "== timing $(or $(strip $(RUNTIME)),every runtime on this machine)"
	$(BIN)/seatrial bench run $(foreach runtime,$(or $(strip $(RUNTIME)),$(BENCHED)),--runtime $(runtime)) $(ARGS)

# On a quiet machine: a run that is not fit to be published is not, and says why (PUBLISH_ARGS=--anyway does).
PUBLISHED ?= results/perf/$(shell date -u +%Y-%m-%d)

.PHONY: publish-bench
publish-bench: setup build/bench/.installed ## time runtimes, and put the run into results/perf and README.md
	@if [ -e $(PUBLISHED) ]; then echo "$(PUBLISHED) is there already: remove it, or PUBLISHED=another"; exit 1; fi
	rm -rf build/bench/run
	$(BIN)/seatrial bench run --output build/bench/run $(foreach runtime,$(BENCHED),--runtime $(runtime)) \
	    $(foreach results,$(wildcard results/conformance/*.jsonl),--conformance $(results)) $(ARGS)
	$(BIN)/seatrial bench publish build/bench/run --to $(PUBLISHED) --readme README.md $(PUBLISH_ARGS)

build/bench/.installed: $(VENV)/.compiled $(wildcard $(foreach depth,* */* */*/*,runtime/src/seatrial/$(depth).py))
	@echo "== installing the reference runtime and the engine as a wheel, into build/bench"
	$(PYTHON) -m venv --clear build/bench
	$(BIN)/hatchling build -t wheel -d build/bench/dist >/dev/null
	awk '/^[^ #]/ {wanted = /^($(BENCH_NEEDS))==/} wanted' requirements.lock >build/bench/needed
	build/bench/bin/pip install --quiet --require-hashes --no-deps -r build/bench/needed
	build/bench/bin/pip install --quiet --no-deps build/bench/dist/*.whl
	touch $@

# What guests need on this machine; they are not in PACKAGES, as nothing else needs them.
VM_PACKAGES := vagrant vagrant-libvirt libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils
VM_PACKAGES += dnsmasq-base iptables mmdebstrap e2fsprogs rsync openssh-client
# Debian's release in the box that `make box` makes; the guest `newest` wants trixie.
SUITE ?= bookworm

.PHONY: box
box: ## make a Vagrant box of Debian's packages, about 4 minutes: SUITE=trixie for another release
	@vagrant/box/build $(SUITE) build/vm

# What only a kernel with cgroup v2 alone shows; where KVM works, SMOKE= runs all chapters.
SMOKE ?= linux.cgroups.devices linux.cgroups.unified

.PHONY: vm-smoke
vm-smoke: setup ## start the guest cgroup2, check it, run SMOKE's chapters in it, fetch the results
	@$(BIN)/seatrial vm up cgroup2
	$(BIN)/seatrial vm test cgroup2 --profile quick $(addprefix --requirement=,$(SMOKE)) $(ARGS)

.PHONY: vm-packages
vm-packages: ## install what guests need (root, Debian)
	@if ! type -P apt-get >/dev/null || [ "$$(id -u)" != 0 ]; then
	    echo "only root can install them, with apt-get: $(VM_PACKAGES)"
	    exit 1
	fi
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends $(VM_PACKAGES) </dev/null >/dev/null

# --- Checks of Seatrial itself -----------------------------------------------------------------

.PHONY: test
test: lint types imports requirements check-c test-harness sanitize browser suite suite-reference engines ## everything that CI runs

.PHONY: lint
lint: setup ## lint, and check the formatting of Python and C
	@echo "== linting"
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(if $(C_FILES),$(BIN)/clang-format --dry-run -Werror $(C_FILES))

.PHONY: types
types: setup ## check the types (mypy, strict)
	@echo "== checking types"
	$(BIN)/mypy

.PHONY: imports
imports: setup ## check who imports whom
	@echo "== checking imports"
	$(BIN)/lint-imports --no-logo

.PHONY: requirements
requirements: setup ## check the registry: ids, anchors, every row with a test or a reason
	@echo "== checking the registry of requirements"
	$(BIN)/seatrial requirements check

.PHONY: check-c
check-c: setup ## compile the C code under gcc's static analyzer
	@echo "== analyzing C"
	scratch=$$(mktemp -d)
	trap 'rm -rf "$$scratch"' EXIT
	for source in $(C_SOURCES); do
	    gcc $(C_WARNINGS) -fanalyzer -I"$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))')" -S -o "$$scratch/out.s" "$$source"
	done

# Apart from `make test`: its wheel is 150 MB, and what it says depends on its version.
.PHONY: tidy
tidy: ## look at the C code with clang-tidy, if that is installed
	@echo "== linting C with clang-tidy"
	if ! type -P clang-tidy >/dev/null; then echo "clang-tidy is missing (hint: apt-get install clang-tidy)"; exit 1; fi
	clang-tidy --quiet $(C_SOURCES) -- -std=c11 -D_GNU_SOURCE

.PHONY: test-harness
test-harness: setup engine-packages ## run the rooms' own tests
	@echo "== testing the harness and the reference runtime"
	$(BIN)/pytest -q $(ARGS)

# Not in PACKAGES: only this needs it. Any Chromium will do, from Debian or elsewhere.
.PHONY: browser
browser: setup ## open the reports' pages in a headless browser, which is installed for it
	@for name in chromium-headless-shell chromium chromium-browser google-chrome; do
	    if type -P "$$name" >/dev/null; then found=1; fi
	done
	[ -n "$${found:-}" ] || $(MAKE) packages PACKAGES=chromium-headless-shell
	echo "== testing the reports' pages in a browser"
	# One process each: Playwright's loop is one per process.
	$(BIN)/pytest -q conformance/tests/browser $(ARGS)
	$(BIN)/pytest -q perf/tests/reading/browser $(ARGS)

# Apart from `make test`: it takes about as long as all of that.
.PHONY: mutants
mutants: setup ## spoil the reference runtime in every way of the catalogue: the suite has to notice
	@echo "== trying mutants of the reference runtime"
	PYTHONPATH=. $(BIN)/python -m conformance.tests.mutants $(ARGS)

.PHONY: fuzz
fuzz: setup ## fuzz all that reads plans, JSON and state: SECONDS=N SEED=N; `make test` does a little
	@echo "== fuzzing for $(or $(SECONDS),300) seconds"
	PYTHONPATH=runtime/tests/attacks/src $(BIN)/python runtime/tests/fuzz/budget.py --seconds $(or $(SECONDS),300) --seed $(SEED)
	echo "== fuzzing kept plans"
	$(BIN)/python runtime/tests/kept/fuzzing.py --iterations $$(($(or $(SECONDS),300) * 10000)) --seed $(SEED)

# Not in the lock: only this needs it, and it is not there for every Python.
ATHERIS := atheris==3.0.0
DECODERS ?= config process resources record plan

.PHONY: fuzz-guided
fuzz-guided: setup ## fuzz each decoder of JSON and state by coverage, SECONDS in all: DECODERS="config plan"
	@[ -d build/atheris ] || $(BIN)/pip install --quiet --target build/atheris $(ATHERIS)
	for name in $(DECODERS); do
	    echo "== fuzzing the decoder of $$name by coverage"
	    PYTHONPATH=build/atheris $(BIN)/python runtime/tests/fuzz/guided.py $$name \
	        --seconds $$(($(or $(SECONDS),600) / $(words $(DECODERS)))) --seed $(SEED)
	done

.PHONY: sanitize
sanitize: setup ## run the runtime's tests with an executor and a launcher that sanitizers watch
	@echo "== testing the executor with sanitizers"
	$(BIN)/python runtime/tests/sanitize/sanitizing.py $(ARGS)

.PHONY: attacks
attacks: setup ## try known attacks on seatrial-oci, or RUNTIME="crun runc": ARGS="--seconds 60 A04"
	@echo "== attacking $(or $(strip $(RUNTIME)),the reference runtime)"
	PYTHONPATH=runtime/tests/attacks/src $(BIN)/python -m attacking \
	    $(foreach runtime,$(RUNTIME),--runtime $(runtime)) $(ARGS)

.PHONY: thousand
thousand: setup ## let 1,000 containers live, 8 at a time, and look for what they leave
	@echo "== a thousand containers"
	$(BIN)/python runtime/tests/endurance/thousand.py $(ARGS)

.PHONY: load
load: setup ## load for SECONDS (600): 8 lives at once, races, state roots that are full or go away
	@echo "== load, for $(or $(SECONDS),600) seconds"
	$(BIN)/python runtime/tests/endurance/load.py --seconds $(or $(SECONDS),600) $(ARGS)

.PHONY: engine-load
engine-load: setup engine-packages ## 200 containers of the engine at once, 1,000 in a row, the daemon's memory flat
	@echo "== loading the engine"
	PYTHONPATH=runtime/engines/src $(BIN)/python runtime/tests/endurance/engine_load.py $(ARGS)

.PHONY: engine-crashes
engine-crashes: setup engine-packages ## kill -9 the engine's daemon and supervisors: ARGS="--moments 200 --seed 7"
	@echo "== killing daemons and supervisors"
	PYTHONPATH=runtime/engines/src $(BIN)/python runtime/tests/endurance/engine_crashes.py $(ARGS)

.PHONY: faults
faults: setup ## fail and kill seatrial-oci at each call of each operation, or go on with it: ARGS="--half kept"
	@echo "== faults at every operation"
	$(BIN)/python runtime/tests/faults/faults.py $(ARGS)

# --- Chores ------------------------------------------------------------------------------------

.PHONY: format
format: setup ## format Python and C in place, and fix what the linter can
	@echo "== formatting"
	$(BIN)/ruff check --quiet --fix-only
	$(BIN)/ruff format --quiet
	$(if $(C_FILES),$(BIN)/clang-format -i $(C_FILES))

.PHONY: lock
lock: ## renew requirements.lock with the newest versions that pyproject.toml allows
	@echo "== renewing requirements.lock"
	$(PYTHON) -m venv --clear build/lock
	build/lock/bin/pip install --quiet uv==$(UV_VERSION)
	UV_CUSTOM_COMPILE_COMMAND="make lock" build/lock/bin/uv pip compile pyproject.toml \
	    --group dev --extra engine --universal --python-version 3.11 --upgrade --generate-hashes \
	    --quiet --output-file requirements.lock
	if grep -n '://' requirements.lock; then echo "requirements.lock must hold no address"; exit 1; fi

.PHONY: wheel
wheel: setup ## build the wheel into dist/
	@echo "== building the wheel"
	$(BIN)/hatchling build -t wheel

.PHONY: clean
clean: ## remove all that make and the tools have made, .venv too
	@echo "== cleaning"
	rm -rf $(VENV) build dist $(COMPILED) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
