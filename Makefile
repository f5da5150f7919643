# models/ x data/ -> fits/ -> reports/

SYNTHETIC := data/synthetic-msc-als
CONTROLLED := data/synthetic-rct-als
TRIAL ?= $(SYNTHETIC)

NAME := $(notdir $(patsubst %/,%,$(TRIAL)))
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
# Where Python is not to keep what it has read, every process of the tests would spend seconds reading all of it again.
unexport PYTHONDONTWRITEBYTECODE
ifeq ($(CONDA),yes)
BIN := $(CONDA_PREFIX)/bin
export PYTHONPATH := src
else
BIN := .venv/bin
READY := .venv/.ready
DOCS_READY := .venv/.docs
# Stale as well: a checkout that was moved, an interpreter that has gone, another PYTHON than the one it was built with.
STALE := $(shell test -x .venv/bin/python && grep -qxF "$(CURDIR)" $(READY) 2>/dev/null \
	&& { test -z "$(PYTHON)" || grep -qxF "PYTHON=$(PYTHON)" $(READY); } || echo yes)
endif
SLOPESHIFT := $(BIN)/slopeshift
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

.PHONY: help fit answer checks report null sensitivity calibrate validate check simulate test test-slow test-browser bench bench-page docs dist lint env lock clean FORCE
.DEFAULT_GOAL := help
.SUFFIXES:

help: ## List the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-21s %s\n", $$1, $$2}'
	@echo 'Settings: TRIAL=$(TRIAL)  SEED= DRAWS= TUNE= CHAINS=  REPLICATES= REFITS=  PYTHON='

# What is out of date, slopeshift decides by content.
fit: $(READY) ## Sample every model that is out of date
	@$(SLOPESHIFT) fit $(TRIAL) --models models --fits fits $(OPTIONS)

answer: $(READY) ## Print what the fits answer, from the tables kept beside them
	@$(SLOPESHIFT) answer $(TRIAL) --models models --fits fits

checks: $(READY) ## Check whether the fits fit their data
	@$(SLOPESHIFT) checks $(TRIAL) --models models --fits fits

# A fit that fails its gate or cannot be checked is reported too, and fails the command in the end.
report: $(READY) ## Write reports/NAME (index, technical and summary.html), fitting and checking first where needed
	@gate=0; $(SLOPESHIFT) fit $(TRIAL) --models models --fits fits $(OPTIONS) || gate=$$?; \
	$(SLOPESHIFT) checks $(TRIAL) --models models --fits fits || gate=$$?; \
	$(SLOPESHIFT) report $(TRIAL) --fits fits --models models --out reports/$(NAME) && exit $$gate

null: $(READY) ## Show what the same trial gives where no injection changes anything
	@$(SLOPESHIFT) null $(TRIAL) --fits fits --published petrou2021 --pseudo $(NULL_OPTIONS)

sensitivity: $(READY) ## Show what moves the answer: priors, values left out, values after leaving, bias
	@$(SLOPESHIFT) sensitivity $(TRIAL) --fits fits $(if $(SEED),--seed $(SEED))
calibrate: $(READY) ## Fit trials drawn from each model's own prior, and write validation/calibration
	@$(SLOPESHIFT) calibrate $(TRIAL) $(if $(SEED),--seed $(SEED)) $(if $(REPLICATES),--replicates $(REPLICATES))

validate: $(READY) ## Compare with independent programs, count checks where traps are set, write validation/README.md
	@$(BIN)/python validation/oracles.py
	@$(BIN)/python validation/traps.py
	@$(BIN)/python validation/headline.py
	@$(BIN)/python validation/arms.py
	@$(BIN)/python validation/closed_form.py
	@$(BIN)/python validation/planning.py
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
test-browser: $(READY) ## Test the pages in headless Chromium, those of both synthetic trials among them
	@command -v npm > /dev/null || { echo 'test-browser: no npm on the PATH: install Node.js 20 or newer' >&2; exit 1; }
	@$(MAKE) --no-print-directory report TRIAL=$(SYNTHETIC) && $(MAKE) --no-print-directory report TRIAL=$(CONTROLLED)
	@cd tests/browser && npm install --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error
	@BROWSER_TESTS=required $(BIN)/python -m pytest tests/browser

bench: $(READY) ## Time the exact engine beside its alternatives, and write bench/README.md
	@$(BIN)/python bench/run.py

bench-page: $(READY) ## Time how long the page of the report takes to open
	@$(BIN)/python bench/page.py reports/$(NAME)/index.html

# What is executed and drawn there comes from fits that are made first where they are out of date. Warnings are errors.
docs: $(READY) $(DOCS_READY) ## Build the documentation in site/html, from the fits and reports of the synthetic trials
	@for trial in $(SYNTHETIC) $(CONTROLLED); do \
		$(SLOPESHIFT) --quiet fit $$trial && $(SLOPESHIFT) --quiet checks $$trial && $(SLOPESHIFT) --quiet report $$trial || exit; \
	done
	@$(BIN)/python -m sphinx -c docs -W --keep-going -q -d site/.doctrees -b html . site/html
	@echo "wrote site/html/index.html"

dist: $(READY) $(DOCS_READY) ## Build the wheel and the source distribution in dist/, and check them
	@rm -rf dist && $(BIN)/python -m hatchling build && $(BIN)/python -m twine check --strict dist/*

lint: $(READY) ## Check style (ruff) and types (mypy)
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy

env: $(READY) ## Build .venv from requirements.lock

lock: $(READY) ## Pin the newest allowed versions in requirements.lock and requirements-docs.lock
	@uv=$$(scripts/find-uv) && compile="$$uv pip compile pyproject.toml --python $(BIN)/python --python-version 3.12 \
		--universal --upgrade --generate-hashes --no-header --quiet" && \
	$$compile --extra dev --output-file requirements.lock && \
	$$compile --extra docs --extra release --constraints requirements.lock --no-annotate --output-file requirements-docs.lock

clean: ## Delete fits/, reports/, site/ and caches
	@rm -rf fits reports site .pytest_cache .ruff_cache .mypy_cache .hypothesis dist

# ---- files ----

# .ready is written last: a build that fails or is interrupted counts for nothing.
.venv/.ready: pyproject.toml requirements.lock $(if $(STALE),FORCE)
	@uv=$$(scripts/find-uv) && python=$$(scripts/find-python "$$uv") && rm -f $@ && \
	echo "Building .venv from requirements.lock with $$python (a minute or so the first time) ..." && \
	"$$uv" venv --quiet --clear --python "$$python" .venv && \
	"$$uv" pip sync --quiet --python .venv/bin/python --require-hashes requirements.lock && \
	"$$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable . && \
	printf '%s\n' "$(CURDIR)" "PYTHON=$(PYTHON)" > $@

# Beside what .venv has, and gone with it; in conda, `pip install --editable ".[docs,release]"` does the same.
.venv/.docs: $(READY) requirements-docs.lock
	@uv=$$(scripts/find-uv) && "$$uv" pip install --quiet --python .venv/bin/python --require-hashes -r requirements-docs.lock && touch $@
