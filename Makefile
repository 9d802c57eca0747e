PYTHON_IN_VENV := .venv/bin/python
TEST_WORKERS ?= 2

.PHONY: help install test docs figure3 bench-peers lock

help:
	@echo "make install   the environment: .venv from requirements.lock"
	@echo "make test      install, then ruff and the tests"
	@echo "make docs      install, then the site in site/; a broken link fails"
	@echo "make figure3   install, then Figure 3 with the quick preset"
	@echo "make bench-peers   Smoothie's speed against SBX and Stable-Baselines3"
	@echo "make lock      resolve requirements.lock from setup.cfg again (needs uv)"

install: .venv/.installed

# Appears only when everything is installed, so an interrupted install is redone.
.venv/.installed: requirements.lock setup.cfg setup.py
	@tools/install.sh

test: install
	@$(PYTHON_IN_VENV) -m ruff check .
	@$(PYTHON_IN_VENV) -m pytest -n $(TEST_WORKERS) --dist worksteal --strict-skips

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

# Every line is bounded by the platforms named in pyproject.toml; what is left of
# its marker is where Python 3.10 and 3.11 differ. SQLAlchemy names processors for
# greenlet; it installs on any.
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
