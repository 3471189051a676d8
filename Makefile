##run
##  make sweep-<name>      run a sweep: on SLURM where sbatch is found, else on this machine; again to go on
##  make audit MODEL= TEXTS= CONTROLS=     what a model remembers of your texts: sweep-audit in short (README.md)
##                         REFERENCE=: a model that has not read them either
##                         REDACT=1: positions and numbers alone in its report and tables; ACCEPT=gemma: Gemma as well
##  make cancel-<name>     end its running and waiting tasks
##  make fetch-<name>      bring its models and data of the hub into the cache; sweep- does it, too
##  make trace             where does a text stand in a corpus? TEXT="...", TEXTS=<file>, or SERVE=1 for a page
##  make demo              ρ from published AUCs, in seconds
##
##look
##  make plan-<name>       what would run, what is done, hours, memory, disk
##  make status-<name>     how many tasks are done, running, queued, failed
##  make logs-<name>       the last lines of the logs of failed tasks
##  make sweeps            the sweeps, what each answers, how long that takes
##  make vars-<name>       the variables of a sweep: meaning, and value in each profile
##  make doctor[-<name>]   what a run needs, and how to mend what is missing
##
##keep
##  make tables-<name>     write tables, figures and report again
##  make report            one page over all sweeps that have results
##
##develop
##  make env               the Python environment in .venv; every command makes it first
##  make image             an Apptainer image with the same packages, for clusters whose tasks run in one
##  source <(.venv/bin/python launch.py completion bash)            the command tessera, and its completion (or zsh)
##  make test, lint, bench, campaign, slurm-up, slurm-down        tests/README.md, env/README.md
##  make rehearse-slimpajama                                      the paper's corpus run on sparse files (tests/README.md)
##  make gpu-check         the GPU path on a card: here if there is one, else as a job of the cluster (tests/gpu/README.md)
##
##variables
##  PROFILE=paper|corrected|laptop|smoke      the scale; default: paper where sbatch is found, else laptop
##  SET="seeds=[1,2] corpus='/data/my books'" variables of the sweep; quotes around a value with blanks
##  CLUSTER=<file in env/clusters>|local      where to run
##  OUTPUTS=<folder>                          where everything is written
##  YES=1                                     submit without asking; needed for GPUs where there is no terminal
##  TEXT="...", TEXTS=<file>, SERVE=1         what make trace looks for; CORPUS=<run>: where (the newest of slimpajama)
##  FLAGS="--partial"                         other flags of launch.py, as .venv/bin/python launch.py --help lists them
##  PYTHON=python3.11                         what .venv is made with
##  IMAGE=/project/tessera.sif                what make image writes
##
##make ends with 2 for whatever failed. launch.py ends with 0, 1 (failed or missing), 2 (wrong usage) or 128 + signal.

SHELL := /bin/bash
PYTHON ?= python3
OUTPUTS ?= outputs
export PROFILE CLUSTER OUTPUTS SET YES KINDS IMAGE MODEL REFERENCE TEXTS CONTROLS ACCEPT TEXT CORPUS  # recipes take values from the environment: any characters may be in them

# A misspelt variable would be ignored, and the default sweep would run.
KNOWN := MODEL REFERENCE TEXTS CONTROLS REDACT ACCEPT PROFILE SET CLUSTER OUTPUTS YES FLAGS PYTHON TORCH IMAGE N SEED TRIAL JOBS KINDS MAX_ARRAY_SIZE TEXT CORPUS SERVE
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
UNKNOWN := $(firstword $(filter-out $(KNOWN),$(GIVEN)))
SUGGEST := from sys import argv; from lib.base.errors import suggestion; print(suggestion(argv[1].upper(), argv[2:]))
ifneq ($(UNKNOWN),)
$(error unknown variable $(UNKNOWN)$(shell $(PYTHON) -c '$(SUGGEST)' $(UNKNOWN) $(KNOWN)))
endif

# MODEL, REFERENCE, TEXTS, CONTROLS, REDACT and ACCEPT are settings of the sweep audit, whatever is done with it.
AUDITS := $(filter audit %-audit,$(MAKECMDGOALS))
ifneq ($(MODEL)$(REFERENCE)$(CONTROLS)$(REDACT)$(ACCEPT),)
ifeq ($(AUDITS),)
$(error MODEL, REFERENCE, CONTROLS, REDACT and ACCEPT are of the sweep audit: make audit MODEL=...)
endif
endif

RUN = $(if $(filter audit %-audit,$@),$(AUDITED);) .venv/bin/python launch.py
SETTINGS = $(if $(filter audit %-audit,$@),--settings "$$audited",$(if $(SET),--settings "$$SET"))
OPTIONS = --outputs "$$OUTPUTS" $(if $(PROFILE),--profile "$$PROFILE") $(if $(CLUSTER),--cluster "$$CLUSTER") \
          $(SETTINGS) $(FLAGS)

VERBS := sweep plan fetch status logs tables cancel doctor vars
NAMES := $(subst _,-,$(basename $(notdir $(wildcard sweeps/*.yaml))))

# MODEL and REFERENCE are a folder, a repository of the hub (owner/name), or an installed package with a GGUF file.
# $(call NAMED,VARIABLE,before the kind of place,after it,before the variable that holds the place)
NAMED = if [ -z "$$$(1)" ]; then $(1)_=; \
        elif [[ -d "$$$(1)" || "$$$(1)" == [/.~]* ]]; then $(1)_="$(2)folder$(3) $(4)folder='$$$(1)'"; \
        elif [[ "$$$(1)" == */* ]]; then $(1)_="$(2)hub$(3) $(4)repo='$$$(1)'"; \
        else $(1)_="$(2)package$(3) $(4)package='$$$(1)'"; fi
AUDITED = $(call NAMED,MODEL,models=[,],); $(call NAMED,REFERENCE,reference=,,reference_); \
          audited="$$MODEL_ $$REFERENCE_ $${TEXTS:+texts='$$TEXTS'} $${CONTROLS:+controls='$$CONTROLS'} \
          $(if $(filter-out 0,$(REDACT)),show_texts=false) $${ACCEPT:+accept='$$ACCEPT'} $$SET"

.PHONY: help env audit image test bench campaign rehearse-slimpajama demo trace report sweeps doctor lint gpu-check slurm-up slurm-down $(VERBS)
help:
	@sed -n 's/^##//p' Makefile
	@echo; echo "sweeps, and how long they take on a laptop with two cores ('about' is estimated)"
	@awk 'function show() {if (name) printf "  %-15s %-30s %s\n", name, laptop, question} \
	    FNR == 1 {show(); name = FILENAME; gsub(/.*\/|\.yaml/, "", name); gsub("_", "-", name); laptop = "not timed"; question = ""} \
	    sub(/^title: /, "") && !question {gsub(/^"|"$$/, ""); question = $$0} \
	    sub(/^question: /, "") {question = $$0} sub(/^laptop: /, "") {laptop = $$0} END {show()}' sweeps/*.yaml

$(foreach verb,$(VERBS),$(NAMES:%=$(verb)-%)):  # named, so that a shell can complete them; their recipes follow
$(filter-out doctor,$(VERBS)):  # without a sweep
	@echo "error: name a sweep, as in make $@-near-dupls; make alone lists them" >&2; exit 2
env:
	@env/make_env "$(PYTHON)"

image:
	@env/apptainer/build $(if $(IMAGE),"$$IMAGE")

sweep-%: env
	@$(RUN) submit $(subst -,_,$*) $(OPTIONS) $(if $(filter-out 0,$(YES)),--yes)
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
vars-%: env
	@$(RUN) vars $(subst -,_,$*)

audit: env
	@$(RUN) submit audit $(OPTIONS) $(if $(filter-out 0,$(YES)),--yes)

sweeps: env
	@$(RUN) sweeps
report: env
	@$(RUN) report --outputs "$$OUTPUTS" $(FLAGS)

trace: env
	@$(RUN) trace --outputs "$$OUTPUTS" $(if $(TEXT),--text="$$TEXT") $(if $(TEXTS),--texts="$$TEXTS") \
	    $(if $(CORPUS),--corpus="$$CORPUS") $(if $(filter-out 0,$(SERVE)),--serve) $(FLAGS)
demo: env
	@$(RUN) demo --outputs "$$OUTPUTS"

test: lint
	@.venv/bin/python -m pytest tests -m "not slurm and not browser" -n 2 --dist worksteal
bench: env
	@.venv/bin/pip install --quiet --disable-pip-version-check --no-deps -r env/bench.txt
	@.venv/bin/python -m tests.benchmarks
campaign: env
	@.venv/bin/python -m tests.campaign --folder "$$OUTPUTS/campaign" $(if $(TRIAL),--trial $(TRIAL)) $(if $(N),-n $(N)) \
	    $(if $(SEED),--seed $(SEED)) $(if $(JOBS),--jobs $(JOBS)) $(if $(KINDS),--kinds "$$KINDS") $(FLAGS)
rehearse-slimpajama: env
	@.venv/bin/python -m tests.rehearsal $(FLAGS)
gpu-check: env
	@.venv/bin/python -m tests.gpu.submit --outputs "$$OUTPUTS" $(if $(CLUSTER),--cluster "$$CLUSTER") $(FLAGS)
lint: env
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

slurm-up: env
	@env/slurm/up
slurm-down:
	@env/slurm/down
