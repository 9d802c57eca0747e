#!/usr/bin/env bash
# Makes .venv from requirements.lock and installs the package into it.
#
# PYTHON=<interpreter> sets the Python to use. Otherwise the first working CPython 3.10
# or 3.11 is used; if there is none, uv downloads one.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
environment=$root/.venv
made=$environment/.installed
making=$environment/.installing

fail() {
  echo "make install: $*" >&2
  exit 1
}

# Prints the version of a CPython 3.10 or 3.11. The command is executed, because an
# existing command may not work (pyenv's shims).
supported_version() {
  "$1" -c '
import sys
if sys.implementation.name == "cpython" and sys.version_info[:2] in ((3, 10), (3, 11)):
    print("%d.%d.%d" % sys.version_info[:3])
' 2>/dev/null
}

# Debian and Ubuntu install Python without the modules that `python -m venv` needs.
can_make_environments() {
  "$1" -c 'import ensurepip, venv' 2>/dev/null
}

candidates() {
  local name version
  for name in python3.11 python3.10 python3 python; do
    type -aP "$name" || true
  done
  if type -P pyenv >/dev/null; then
    pyenv versions --bare 2>/dev/null | grep -E '^3\.1[01]\.[0-9]+$' | sort -r |
      while read -r version; do
        echo "$(pyenv prefix "$version")/bin/python"
      done || true
  fi
}

# Sets `python` to the interpreter, or to the empty string if none is found, and
# `without_venv` to an interpreter that lacks only the venv module.
find_python() {
  local candidate
  python='' without_venv=''
  while IFS= read -r candidate; do
    # Skips the environment that is to be replaced, which may be active.
    case $candidate in "$environment"/*) continue ;; esac
    [ -n "$(supported_version "$candidate")" ] || continue
    if can_make_environments "$candidate"; then
      python=$candidate
      return
    fi
    without_venv=${without_venv:-$candidate}
  done < <(candidates)
}

make_environment() {
  if [ -n "${PYTHON:-}" ]; then
    case $(type -P "$PYTHON") in
      "$environment"/* | .venv/* | ./.venv/*)
        fail "PYTHON=$PYTHON is in .venv, which is about to be replaced: name another." ;;
    esac
    [ -n "$(supported_version "$PYTHON")" ] ||
      fail "PYTHON=$PYTHON does not run as Python 3.10 or 3.11, the only ones TensorFlow 2.15 and TF-Agents 0.19 work on."
    can_make_environments "$PYTHON" ||
      fail "PYTHON=$PYTHON has no venv module: install it (on Debian and Ubuntu the package python$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv)."
    python=$PYTHON
  else
    find_python
  fi

  rm -rf "$environment"
  if [ -n "$python" ]; then
    echo "Making .venv with Python $(supported_version "$python") ($python)"
    "$python" -m venv "$environment"
  elif type -P uv >/dev/null; then
    echo "No Python 3.10 or 3.11 here: asking uv for 3.11"
    uv venv --quiet --seed --python 3.11 "$environment" ||
      fail "uv could not bring Python 3.11: install Python 3.10 or 3.11, or name one with PYTHON=<path> make install."
  elif [ -n "$without_venv" ]; then
    fail "$without_venv has no venv module: install it (on Debian and Ubuntu the package python3-venv), or install uv, which needs none."
  else
    fail "Python 3.10 or 3.11 is needed (TensorFlow 2.15 has no wheels for others) and none was found: install one, or install uv, which brings it, or name one with PYTHON=<path> make install."
  fi
}

# An environment without the stamp is incomplete: its installation was interrupted.
finished=''
[ ! -e "$made" ] || finished=$(supported_version "$environment/bin/python" || true)
rm -f "$made"
[ -n "$finished" ] || make_environment
# The stamp has the time of the start, so that a lock file that changes during the
# installation counts as newer.
touch "$making"

echo "Installing the packages of requirements.lock (a few minutes the first time)"
pip() {
  "$environment/bin/python" -m pip --disable-pip-version-check "$@"
}
# The lock file is complete, which `pip check` verifies below, so nothing is resolved.
# pip would compile modules on one core. A failure is no error: some packages have
# templates that are not Python. Older versions of pip warn without --use-pep517.
pip install --quiet --no-deps --no-compile --use-pep517 --requirement requirements.lock
"$environment/bin/python" -m compileall -q -j 0 "$environment"/lib/python3*/site-packages \
  >/dev/null 2>&1 || true
# --no-build-isolation builds with the setuptools of the lock file. The ignored warning is
# about editable installs in general.
PYTHONWARNINGS=ignore pip install --quiet --no-deps --no-build-isolation --editable .
pip check >/dev/null || {
  pip check >&2 || true
  fail "the packages in .venv do not fit together: is requirements.lock older than setup.cfg? (make lock)"
}
mv "$making" "$made"
echo "The environment is ready: .venv"
