"""No test is skipped unseen: with `--strict-skips`, a skip that is not listed fails.

`make test` asks for it, and so does `CI=true`. Used as a plugin by `conftest.py`.
"""

import os

import pytest

#: Tests that may be skipped, by the start of their names: the reason they give.
LISTED = {
    # Whoever is not root runs it, so developers do.
    "tests/training/test_bad_input.py::test_a_directory_that_is_read_only": (
        "nothing is read-only to root"
    ),
    # `.ci/run` installs the library where it may.
    "tests/environments/test_svg_tasks.py::test_pictures_with_mujoco": (
        "there is no EGL"
    ),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--strict-skips",
        action="store_true",
        default=os.environ.get("CI", "").lower() in ("1", "true"),
        help="a skipped test fails unless tests/skips.py lists it (default in CI)",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    return _fail_if_unlisted((yield), item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return _fail_if_unlisted((yield), collector.config)


def _fail_if_unlisted(report, config):
    expected_failure = hasattr(report, "wasxfail")
    if not report.skipped or expected_failure or not config.option.strict_skips:
        return report
    reason = _reason(report)
    for start, listed in LISTED.items():
        if report.nodeid.startswith(start) and reason == listed:
            return report
    report.outcome = "failed"
    report.longrepr = (
        f"{report.nodeid} was skipped ({reason}), and tests/skips.py does not list it."
    )
    return report


def _reason(report):
    _, _, text = report.longrepr
    return text.removeprefix("Skipped: ")
