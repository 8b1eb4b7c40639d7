# Each target is a script that CI runs as well. PYTHON chooses the interpreter (3.11 or later).
DATA ?= mnist-5k

lab: .venv  ## train the lab's four models and write the report (DATA=mnist for the whole of MNIST)
	scripts/lab $(DATA)

test: .venv  ## lint, format, types and all tests
	scripts/test

test-backends:  ## the tests that run on every backend, on TensorFlow and on JAX
	scripts/test-backends

bench: .venv  ## time training beside Torch alone and Keras on Torch, TensorFlow and JAX
	scripts/bench --data $(DATA)

course: .venv  ## open the course's notebooks in Jupyter
	scripts/course

notebooks: .venv  ## make the notebooks anew from notebooks/course.py
	scripts/notebooks

test-course: .venv  ## run the notebooks from top to bottom, in both languages
	scripts/test-course

test-cluster: .venv  ## sweeps and readings on several nodes of Ray, one of which is killed
	scripts/test-cluster

docs: .venv  ## the documentation site, into site/
	scripts/docs

embedded: .venv  ## exported networks on emulated microcontrollers (MODELS="runs/…" for a table of yours)
	scripts/embedded $(MODELS)

weights: .venv  ## train the models that come with Chiffres, on the whole of MNIST, and judge them
	scripts/weights

build: .venv  ## wheel and sdist, installed and run in an empty environment
	scripts/build

.venv: constraints.txt pyproject.toml setup.py src/chiffres/native/kernels.c
	scripts/setup

clean:  ## remove what the targets above made; runs/ stays
	rm -rf .venv .venv-* build dist site

help:
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/'

.PHONY: lab course notebooks test test-backends test-course test-cluster bench docs embedded weights build clean help
