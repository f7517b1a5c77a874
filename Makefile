# Smelter's commands. `make help` lists them. Everything lives in .venv and .smelter; `make clean` removes both.
.DEFAULT_GOAL := help
VENV := .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/installed
export PYTHONPATH := $(CURDIR)

# A folder of local wheels, if pip knows one, is used first. Without it uv picks the torch build for this machine
# (CPU or CUDA) by itself.
WHEELS := $(shell python3 -m pip config get global.find-links 2>/dev/null || echo $$PIP_FIND_LINKS)
UV_OPTIONS := $(if $(strip $(WHEELS)),--find-links $(strip $(WHEELS)),--torch-backend auto)

.PHONY: help install demo up down status test lint types bench-intake lock clean

help:  ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP)  ## make .venv with everything that requirements.txt pins

$(STAMP): requirements.txt
	@test -x $(PYTHON) || python3 -m venv $(VENV)
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check uv
	@$(VENV)/bin/uv pip install --quiet --python $(PYTHON) $(UV_OPTIONS) -r requirements.txt
	@touch $(STAMP)

demo: $(STAMP)  ## gameplay video in, a trained policy out: real Airflow, Ray and a store, on the bundled sample
	@$(PYTHON) -m infra.demo

up: $(STAMP)  ## start a Ray head and Airflow on this machine
	@$(PYTHON) -m infra.services up

down: $(STAMP)  ## stop what `make up` or `make demo` started
	@$(PYTHON) -m infra.services down

status: $(STAMP)  ## what runs here
	@$(PYTHON) -m infra.services status

test: $(STAMP)  ## every test, with a real SeaweedFS, Ray and Airflow
	@OMP_NUM_THREADS=1 $(PYTHON) -m pytest -q -m "not services" --numprocesses 2 --dist loadfile
	@OMP_NUM_THREADS=1 $(PYTHON) -m pytest -q -m services

lint: $(STAMP)  ## ruff: rules and format
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

types: $(STAMP)  ## mypy over stages, models, operators and infra
	@$(VENV)/bin/mypy

bench-intake: $(STAMP)  ## segment and cut against a bare ffmpeg pipe and video2dataset's exact mode
	@$(PYTHON) -m infra.bench_intake

lock: $(STAMP)  ## compile requirements.in to requirements.txt
	@$(if $(strip $(WHEELS)),sed -i 's/^\(torch==[0-9.]*\)$$/\1+cpu/' requirements.txt)
	@$(VENV)/bin/uv pip compile --quiet --python-version 3.11 $(UV_OPTIONS) --no-emit-find-links --no-header \
	  --no-annotate requirements.in --output-file requirements.txt
	@sed -i 's/+cpu$$//' requirements.txt

clean: down  ## remove .venv and .smelter
	@rm -rf $(VENV) .smelter
