PYTHON_IN_VENV := .venv/bin/python
TEST_WORKERS ?= 2

.PHONY: help install test test-slow docs figure3 bench-peers lock

help:
	@echo "make install   create .venv from requirements.lock"
	@echo "make test      install, then run ruff, mypy and the tests"
	@echo "make test-slow   install, then run the tests that make test leaves out"
	@echo "make docs      install, then build the site in site/; a broken link fails"
	@echo "make figure3   install, then make Figure 3 with the quick preset"
	@echo "make bench-peers   compare Smoothie's speed with SBX and Stable-Baselines3"
	@echo "make lock      resolve requirements.lock from setup.cfg (requires uv)"

install: .venv/.installed

# Created only after a complete installation, so an interrupted one is repeated.
.venv/.installed: requirements.lock setup.cfg setup.py
	@tools/install.sh

test: install
	@$(PYTHON_IN_VENV) -m ruff check .
	@$(PYTHON_IN_VENV) -m mypy smoothie_tf
	@$(PYTHON_IN_VENV) -m pytest -n $(TEST_WORKERS) --dist worksteal --strict-skips

test-slow: install
	@$(PYTHON_IN_VENV) -m pytest -n $(TEST_WORKERS) --dist worksteal --strict-skips -m slow

docs: install
	@NO_MKDOCS_2_WARNING=1 $(PYTHON_IN_VENV) -m mkdocs --quiet build --strict
	@echo "The site is in site/index.html"

figure3: install
	@$(PYTHON_IN_VENV) reproduce/figure3.py

bench-peers: install .venv-peers/.installed
	@$(PYTHON_IN_VENV) benchmarks/throughput.py --peers

.venv-peers/.installed: benchmarks/requirements-peers.txt
	@$(PYTHON_IN_VENV) -m venv .venv-peers
	@.venv-peers/bin/python -m pip --disable-pip-version-check install --quiet \
	    --requirement benchmarks/requirements-peers.txt
	@touch $@

# pyproject.toml limits the platforms, so markers for platforms are removed, and only
# differences between Python 3.10 and 3.11 and between systems remain. SQLAlchemy requires
# greenlet only on some processors; it can be installed on all.
lock:
	@uv pip compile --quiet --universal --python-version 3.10 --upgrade \
	    --no-header --no-annotate --no-emit-index-url --extra test --extra docs setup.cfg \
	  | sed -e "/^greenlet==/s/ ;.*//" \
	        -e "s/ ; .*sys_platform == 'darwin'/ ; sys_platform == 'darwin'/" \
	        -e "s/ ; python_full_version < '3\.12'.*//" \
	        -e "s/ and python_full_version < '3\.12'.*//" \
	        -e "s/\('3\.11\.[0-9]*'\) and platform_python_implementation.*/\1/" \
	        -e "s/ ; python_full_version < '3\.11'.*/ ; python_version < '3.11'/" \
	        -e "s/ ; python_full_version == '3\.11\.\*'.*/ ; python_version >= '3.11'/" \
	  > requirements.lock.new
	@test -s requirements.lock.new || { rm -f requirements.lock.new; exit 1; }
	@mv requirements.lock.new requirements.lock
	@echo "requirements.lock"
