# dubarr: `make demo` dubs a video; `make test` runs every test. Both install what they need.

PYTHON ?= python3
# Two more than there are cores: the longest tests often wait. With four more no core is ever idle,
# and the suite takes longer.
WORKERS ?= $(shell expr $$(nproc 2>/dev/null || echo 2) + 2)
VENV   := .venv
WORK   ?= $(CURDIR)/work
export DUBARR_WORK_DIR ?= $(WORK)
DUBARR_CONFIG ?= $(wildcard $(CURDIR)/dubarr.toml)

.PHONY: demo test test-weights lint ui postgres bench bench-against settings example clean help

help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## dub the demo video into Spanish and Catalan
	@$(VENV)/bin/dubarr demo

# Hundreds of tests start processes of ours, which would compile our modules each time.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.installed-tests ## run every test, the end-to-end ones included
	$(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST)

test-weights: $(VENV)/.installed-tests ## measure real voices: FOLDER=weights, FILM=folder of a known film
	$(VENV)/bin/python benchmarks/real_weights.py "$(FOLDER)" $(if $(FILM),--film "$(FILM)")

lint: $(VENV)/.installed-tests ## style, types, floors
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/pyright

ui: $(VENV)/.installed ## Dagster's UI on the videos of $(WORK): http://127.0.0.1:3000
	@mkdir -p "$(DUBARR_WORK_DIR)/.dagster"
	@cd "$(DUBARR_WORK_DIR)/.dagster" \
	  && env -u DAGSTER_HOME "$(CURDIR)/$(VENV)/bin/python" -c "from pathlib import Path; from dubarr_pipeline.defs.runtime.home import dagster_home; dagster_home(Path.cwd().parent)" \
	  && export DAGSTER_HOME="$$PWD" DUBARR_WORK_DIR="$${PWD%/.dagster}" DUBARR_CONFIG="$(DUBARR_CONFIG)" \
	  && PYTHONWARNINGS=ignore::FutureWarning "$(CURDIR)/$(VENV)/bin/python" -m dubarr_pipeline.defs.runtime.report_pages dev -w "$(CURDIR)/workspace.yaml"

postgres: $(VENV)/.installed ## keep the store in a PostgreSQL server of our own, below $(WORK)
	@scripts/install-system postgresql
	@scripts/postgres start "$(DUBARR_WORK_DIR)/.postgres" $(PORT)
	@scripts/postgres use "$(DUBARR_WORK_DIR)/.postgres" "$(DUBARR_WORK_DIR)/.dagster"

example: settings

settings: $(VENV)/.installed ## write dubarr.example.toml, docs/settings.md and the schema of edits from the code
	$(VENV)/bin/python scripts/write_settings.py
	$(VENV)/bin/python scripts/write_edits_schema.py

bench: $(VENV)/.installed-tests ## print every benchmark's table (quick forms)
	@for each in $$(grep -l __main__ benchmarks/*.py); do echo "== $$each"; $(VENV)/bin/python $$each --quick || [ $$? -eq 3 ] || exit 1; done

bench-against: $(VENV)/.installed-tests ## print what a dub costs against another build: REV=revision
	@$(VENV)/bin/python benchmarks/against.py $(REV)

clean: ## remove the virtual environment (never the work folder)
	rm -rf $(VENV)

$(VENV)/.installed: pyproject.toml scripts/install-system
	@scripts/install-system
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

# All at once, for pip looks at everything again each time. It compiles on one core; we on all.
$(VENV)/.installed-tests: pyproject.toml scripts/install-system
	@scripts/install-system postgresql nginx chromium redis
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile torch==2.13.0 -e '.[test,laptop,studio,celery,k8s]'
	@$(VENV)/bin/python -m compileall -qq -j 0 -x '/tests?/|transformers/models/' $(VENV)/lib || true # templates are no Python
	@touch $(VENV)/.installed $@
