# Kelp: `make demo` shows it working, `make test` proves it. The environment is .venv, made from requirements/*.txt.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
PY := $(BIN)/python
COMPONENTS := bridge local yolo yolo-onnx coralscop kserve image-bridge image-up image-up-gpu
export PYTHONDONTWRITEBYTECODE :=
# ultralytics: never ask the network, never install anything.
export YOLO_OFFLINE := true
export YOLO_AUTOINSTALL := false

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.demo: requirements/demo.txt pyproject.toml environments/local/make_env.sh
	@environments/local/make_env.sh demo

.venv/.dev: requirements/dev.txt pyproject.toml environments/local/make_env.sh
	@environments/local/make_env.sh dev

demo: .venv/.demo ## raw photographs to annotated corals, through three CVAT projects; STAY=1 leaves it running
	@$(PY) -m demo $(if $(STAY),--stay)

demo-torch: .venv/.dev ## the same on the weights as training left them, DINOv2 and CoralSCoP last
	@$(PY) -m demo --torch $(if $(STAY),--stay)

test: .venv/.dev ## the tests, both engines (brings torch)
	@$(PY) -m pytest -m "not slow"

test-slow: .venv/.dev ## what takes longer: every kill, full-size shapes
	@$(PY) -m pytest -m slow

lint: .venv/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: .venv/.dev
	@$(BIN)/mypy

check: lint types test ## lint, types, tests: what must be green

bench: .venv/.dev ## measure, write benchmarks/results, renew docs/performance.md
	@$(PY) -m benchmarks

test-cluster: .venv/.dev ## on the cluster of KUBECONFIG: install, serve, sleep, survive (docs/cluster.md)
	@test -n "$${KUBECONFIG:-}" || { echo "make test-cluster needs a cluster: KUBECONFIG=FILE make test-cluster" >&2; exit 1; }
	@$(PY) -m pytest tests/cluster $(ONLY)

bench-cluster: .venv/.dev ## on the cluster of KUBECONFIG: cold starts, taken apart, and what the way costs
	@test -n "$${KUBECONFIG:-}" || { echo "make bench-cluster needs a cluster: KUBECONFIG=FILE make bench-cluster" >&2; exit 1; }
	@$(PY) -m benchmarks.cluster

weights: .venv/.dev ## train the small weights on the synthetic reef (resumable)
	@$(PY) -m demo.training
	@$(PY) -m demo.training.pages

render: .venv/.dev ## renew the chart's generated files, manifests/ and the environments' objects (with helm)
	@$(PY) -m kelp.deploy

locks: ## renew requirements/*.txt from pyproject.toml (needs uv)
	@set -x; uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header $(UPGRADE) \
	  pyproject.toml --extra dev -o requirements/dev.txt; \
	for part in demo $(COMPONENTS); do \
	  uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header -c requirements/dev.txt \
	    pyproject.toml --extra $$part $$([ $$part = demo ] || echo --extra tracing) -o requirements/$$part.txt; \
	done

images: ## build the images that need no torch (images/build.sh has all)
	@images/build.sh $(if $(PREFIX),--prefix $(PREFIX))

sbom: .venv/.dev ## what is in each image, as CycloneDX, into build/sbom
	@$(PY) images/sbom.py

clean: ## remove what was made here: environment, caches, demo output
	@rm -rf .venv .mypy_cache .ruff_cache .hypothesis .kelp build dist demo/out
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help demo demo-torch test test-slow lint types check bench test-cluster bench-cluster weights render locks images sbom clean
