# make sweep-near-dupls            run the main sweep: on SLURM if sbatch is found, else on this machine
# make test                        run the tests
#
# PROFILE=paper|corrected|laptop|smoke   CLUSTER=<file in env/clusters>|local   OUTPUTS=<folder>   SET="seeds=[1,2] key=value"
# make campaign N=1000 SEED=1      random faults in real runs (tests/README.md); TRIAL=1:7 repeats one, JOBS=2 at a time
# PYTHON=<python 3.10-3.12> is used to make the environment.  FLAGS=<other flags of launch.py>

SHELL := /bin/bash
PYTHON ?= python3
OUTPUTS ?= outputs
RUN = .venv/bin/python launch.py
OPTIONS = --outputs "$(OUTPUTS)" $(if $(PROFILE),--profile "$(PROFILE)") $(if $(CLUSTER),--cluster "$(CLUSTER)") \
          $(foreach setting,$(SET),--set '$(setting)') $(FLAGS)

.PHONY: help env test bench campaign demo report doctor lint slurm-up slurm-down
help:
	@sed -n '1,7s/^# \{0,1\}//p' Makefile
	@echo; echo "also: env plan-<sweep> status-<sweep> logs-<sweep> tables-<sweep> cancel-<sweep> fetch-<sweep> report doctor demo bench campaign lint slurm-up slurm-down"

env:
	@env/make_env "$(PYTHON)"

sweep-%: env
	@$(RUN) submit $(subst -,_,$*) $(OPTIONS)
plan-%: env
	@$(RUN) plan $(subst -,_,$*) $(OPTIONS)
fetch-%: env
	@$(RUN) fetch $(subst -,_,$*) $(OPTIONS)
status-%: env
	@$(RUN) status $(subst -,_,$*) $(OPTIONS)
logs-%: env
	@$(RUN) logs $(subst -,_,$*) $(OPTIONS)
tables-%: env
	@$(RUN) collect $(subst -,_,$*) $(OPTIONS)
cancel-%: env
	@$(RUN) cancel $(subst -,_,$*) $(OPTIONS)
doctor: env
	@$(RUN) doctor $(OPTIONS)
doctor-%: env
	@$(RUN) doctor $(subst -,_,$*) $(OPTIONS)

report: env
	@$(RUN) report --outputs "$(OUTPUTS)"

demo: env
	@$(RUN) demo --outputs "$(OUTPUTS)"

test: lint
	@.venv/bin/python -m pytest tests -m "not slurm" -n 2 --dist worksteal
bench: env
	@.venv/bin/pip install --quiet --disable-pip-version-check --no-deps -r env/bench.txt
	@.venv/bin/python -m tests.benchmarks
campaign: env
	@.venv/bin/python -m tests.campaign --folder "$(OUTPUTS)/campaign" $(if $(TRIAL),--trial $(TRIAL)) $(if $(N),-n $(N)) \
	    $(if $(SEED),--seed $(SEED)) $(if $(JOBS),--jobs $(JOBS)) $(if $(KINDS),--kinds "$(KINDS)") $(FLAGS)
lint: env
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

slurm-up: env
	@env/slurm/up
slurm-down:
	@env/slurm/down
