# models/ x data/ -> fits/ -> reports/

SYNTHETIC := data/synthetic-msc-als
TRIAL ?= $(SYNTHETIC)
MODELS := $(sort $(basename $(notdir $(wildcard models/*.py))))

# What a fit depends on besides its model and its trial: fit.py, the models' vocabulary, and all that these import
# (tests/test_architecture.py). Every other module only reads fits, and can be edited without refitting.
ENGINE := trial shape basis interval priors history lanes kernel marginal coordinate_kernel coordinates curves residuals outcomes formula log_prior model atomic fit

NAME := $(notdir $(patsubst %/,%,$(TRIAL)))
FITS := fits/$(NAME)
REPORT := reports/$(NAME)/index.html
PASSED := $(FITS)/.passed
MISSING := $(filter-out $(basename $(notdir $(wildcard $(FITS)/*.json))),$(MODELS))
# The folder that trial.toml names as the trial's control, if it names one.
CONTROL := $(shell awk -F'"' '/^\[/ { here = ($$0 == "[control]") } here && /^source/ { print $$2 }' $(TRIAL)/trial.toml 2>/dev/null)
DATA := $(TRIAL) $(if $(CONTROL),$(TRIAL)/$(CONTROL))
TRIAL_FILES := $(wildcard $(DATA:%=%/*.csv) $(DATA:%=%/trial.toml))
ENGINE_FILES := $(wildcard $(ENGINE:%=src/slopeshift/%.py) $(ENGINE:%=src/slopeshift/%/*.py))
READER_FILES := $(filter-out $(ENGINE_FILES),$(wildcard src/slopeshift/*.py src/slopeshift/*/*.* src/slopeshift/*/*/*.* src/slopeshift/*/*/*/*.*))
NULL_OPTIONS := $(if $(SEED),--seed $(SEED)) $(if $(REPLICATES),--replicates $(REPLICATES)) $(if $(REFITS),--refits $(REFITS))
OPTIONS := $(if $(SEED),--seed $(SEED)) $(if $(DRAWS),--draws $(DRAWS)) $(if $(TUNE),--tune $(TUNE)) $(if $(CHAINS),--chains $(CHAINS))

# An active conda environment made from environment.yml is used as it is; everyone else gets .venv, made from the lock.
ifneq ($(and $(CONDA_PREFIX),$(if $(PYTHON),,no)),)
CONDA := $(shell test -x "$$CONDA_PREFIX/bin/slopeshift" && echo yes)
endif
export PYTHON
# Hospital and company networks often have a certificate of their own: uv is to trust what the machine trusts (new name, old name).
export UV_SYSTEM_CERTS := 1
export UV_NATIVE_TLS := 1
ifeq ($(CONDA),yes)
BIN := $(CONDA_PREFIX)/bin
export PYTHONPATH := src
else
BIN := .venv/bin
READY := .venv/.ready
# Stale as well: a checkout that was moved, an interpreter that has gone, another PYTHON than the one it was built with.
STALE := $(shell test -x .venv/bin/python && grep -qxF "$(CURDIR)" $(READY) 2>/dev/null \
	&& { test -z "$(PYTHON)" || grep -qxF "PYTHON=$(PYTHON)" $(READY); } || echo yes)
endif
SLOPESHIFT := $(BIN)/slopeshift
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4

.PHONY: help fit report null sensitivity calibrate validate check simulate test test-slow test-browser bench bench-page lint env lock clean passed settings FORCE
.DEFAULT_GOAL := help
.SUFFIXES:

help: ## List the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-21s %s\n", $$1, $$2}'
	@echo 'Settings: TRIAL=$(TRIAL)  SEED= DRAWS= TUNE= CHAINS=  REPLICATES= REFITS=  PYTHON='

# Where a report is asked for too, that fits first, and reports what failed as well.
fit: $(READY) settings ## Sample every model that is out of date
ifeq ($(filter report,$(MAKECMDGOALS)),)
	@$(MAKE) --no-print-directory -q passed && echo '$(FITS): every fit is up to date.' || $(MAKE) --no-print-directory passed
endif

report: $(READY) settings ## Write reports/NAME/index.html, fitting first where needed
	@gate=0; $(MAKE) --no-print-directory -s passed || gate=$$?; \
	$(MAKE) --no-print-directory $(REPORT) && exit $$gate

null: $(READY) ## Show what the same trial gives where no injection changes anything
	@$(SLOPESHIFT) null $(TRIAL) --fits fits --published petrou2021 --pseudo $(NULL_OPTIONS)

sensitivity: $(READY) ## Show what moves the answer: priors, values left out, values after leaving, bias
	@$(SLOPESHIFT) sensitivity $(TRIAL) --fits fits $(if $(SEED),--seed $(SEED))
calibrate: $(READY) ## Fit trials drawn from each model's own prior, and write validation/calibration
	@$(SLOPESHIFT) calibrate $(TRIAL) $(if $(SEED),--seed $(SEED)) $(if $(REPLICATES),--replicates $(REPLICATES))

validate: $(READY) ## Compare with independent programs, count checks where traps are set, write validation/README.md
	@$(BIN)/python validation/oracles.py
	@$(BIN)/python validation/traps.py
	@$(BIN)/python validation/page.py

check: $(READY) ## Look for mistakes in the tables of a trial
	@$(SLOPESHIFT) check $(TRIAL)

simulate: $(READY) ## Write data/synthetic-msc-als again, from its seed or from SEED
	@$(SLOPESHIFT) simulate $(SYNTHETIC) $(if $(SEED),--seed $(SEED))

test: $(READY) ## Run the fast tests
	@$(PYTEST) $(if $(SLOW),-m slow)

test-slow: $(READY) ## Run the slow tests, which fit many simulated trials
	@$(PYTEST) -m slow

# Packages are pinned in package.json; no lock file is kept, since it would name where they were fetched from.
test-browser: $(READY) ## Test the page in headless Chromium
	@command -v npm > /dev/null || { echo 'test-browser: no npm on the PATH: install Node.js 20 or newer' >&2; exit 1; }
	@cd tests/browser && npm install --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error
	@BROWSER_TESTS=required $(BIN)/python -m pytest tests/browser

bench: $(READY) ## Time the exact engine beside its alternatives, and write bench/README.md
	@$(BIN)/python bench/run.py

bench-page: $(READY) ## Time how long the page of the report takes to open
	@$(BIN)/python bench/page.py $(REPORT)

lint: $(READY) ## Check style (ruff) and types (mypy)
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy

env: $(READY) ## Build .venv from requirements.lock

lock: $(READY) ## Pin the newest allowed versions in requirements.lock
	@uv=$$(scripts/find-uv) && "$$uv" pip compile pyproject.toml --extra dev --python $(BIN)/python --python-version 3.12 \
		--universal --upgrade --generate-hashes --no-header --quiet --output-file requirements.lock

clean: ## Delete fits/, reports/ and caches
	@rm -rf fits reports .pytest_cache .ruff_cache .mypy_cache .hypothesis dist

# ---- files ----

passed: $(PASSED)

# One process for all models: most of a fit is loading and compiling what they share. Which of them to sample is decided by
# slopeshift, by content. A failed gate leaves no .passed file and is tried again; a fit whose record was deleted is out of date.
$(PASSED): $(MODELS:%=models/%.py) $(FITS)/.models $(FITS)/.settings $(TRIAL_FILES) $(ENGINE_FILES) $(READY) $(if $(MISSING),FORCE)
	@$(SLOPESHIFT) fit $(TRIAL) --models models --fits fits $(OPTIONS)
	@touch $@

# Depends on the fits that are there, so that a failed gate is reported too.
$(REPORT): $(FITS)/.models $(wildcard $(FITS)/*.nc $(FITS)/*.json $(FITS)/null/*.csv $(FITS)/sensitivity/*.csv) $(TRIAL_FILES) $(READER_FILES)
	@$(SLOPESHIFT) report $(TRIAL) --fits fits --models models --out $(@D)

# Times alone cannot tell that a setting changed or that a file was deleted: these lists are rewritten when they differ.
settings:
	@mkdir -p $(FITS)
	@echo '$(OPTIONS) $(TRIAL_FILES)' | cmp -s - $(FITS)/.settings || echo '$(OPTIONS) $(TRIAL_FILES)' > $(FITS)/.settings
	@echo '$(MODELS)' | cmp -s - $(FITS)/.models || echo '$(MODELS)' > $(FITS)/.models

# .ready is written last: a build that fails or is interrupted counts for nothing.
.venv/.ready: pyproject.toml requirements.lock $(if $(STALE),FORCE)
	@uv=$$(scripts/find-uv) && python=$$(scripts/find-python "$$uv") && rm -f $@ && \
	echo "Building .venv from requirements.lock with $$python (a minute or so the first time) ..." && \
	"$$uv" venv --quiet --clear --python "$$python" .venv && \
	"$$uv" pip sync --quiet --python .venv/bin/python --require-hashes requirements.lock && \
	"$$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable . && \
	printf '%s\n' "$(CURDIR)" "PYTHON=$(PYTHON)" > $@
