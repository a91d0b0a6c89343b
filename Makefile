# make test       everything that must hold; installs what is missing on Debian as root, otherwise says what to install
# make sample     real genomes (GENOMES=) and random cases: SEED=, CASES= or SECONDS=; stopped, those go on where they were
# make test-long  the sample, and models, sanitizers, other MPIs, a stopped job, 200 mutants, more NUMA machines, NPB class A, simulations in all layouts, readers of outputs
# make bench      benchmarks
# make doc        the documentation of all crates, in target/doc

CARGO ?= cargo
ALL = --features mpi,hwloc
STATE = target/test-long

# More ranks than cores, and as root, is what tests do.
export OMPI_ALLOW_RUN_AS_ROOT = 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM = 1
export OMPI_MCA_rmaps_base_oversubscribe = 1

.PHONY: setup test sample test-long models sanitizers other-mpis stopped mutants numa npb layouts readers genomes bench doc

# Built as a newcomer does, in Rust alone: the commands and what they rest on. With both features: all tests of all crates.
test: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --workspace --features mpi -- -D warnings
	$(CARGO) clippy --workspace --features hwloc -- -D warnings
	$(CARGO) clippy --workspace --all-targets $(ALL) -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps $(ALL)
	$(CARGO) test -p physalia-topology -p physalia-collectives -p physalia-apps
	$(CARGO) test --workspace $(ALL)
	tests/models

test-long: setup models sanitizers other-mpis stopped mutants numa npb layouts readers sample

sample: setup genomes
	$(CARGO) build -p physalia-tests $(ALL)
	$(CARGO) run -p physalia-tests $(ALL) --bin long -- --state $(STATE) \
	  $(if $(SEED),--seed $(SEED)) $(if $(CASES),--cases $(CASES)) $(if $(SECONDS),--seconds $(SECONDS))

models:
	tests/models --mutants

sanitizers:
	tests/sanitizers

other-mpis:
	tests/other-mpis $(MPIS)

# A job that is stopped for three minutes.
stopped:
	PHYSALIA_TEST_STOPPED=180 $(CARGO) test -p physalia-tests $(ALL) --test stopped

# Programs of which one rank has another copy.
mutants:
	PHYSALIA_TEST_MUTANTS=200 $(CARGO) test -p physalia-tests $(ALL) --test in_process --test launched -- mutants

# Simulated machines of two, four and uneven NUMA nodes.
numa:
	tests/numa --mutants

# Class A of the NAS Parallel Benchmarks MG and CG.
npb:
	$(CARGO) test -p physalia --test npb_mg --test npb_cg -- --ignored

# Simulations in all ways to compute them, and long ones.
layouts:
	$(CARGO) test -p physalia-apps --test simulations -- --ignored

# Outputs, opened by programs of other people.
readers:
	tests/readers

# PROFILE=debug takes the program that the tests have built.
genomes:
	$(CARGO) build $(if $(filter debug,$(PROFILE)),,--release) $(ALL)
	PROFILE=$(PROFILE) tests/real-genomes $(GENOMES)

bench:
	$(CARGO) bench -p physalia-benches

doc:
	$(CARGO) doc --workspace --no-deps $(ALL)

setup:
	tests/setup
