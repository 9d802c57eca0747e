"""The operative configuration of every run in results/ can still be used."""

import gin
import pytest

from smoothie_tf.training import config, gin_directory

RESULTS = gin_directory.ROOT.parent / "results"
#: One path for each configuration that there is, by its text.
PATHS = sorted(
    {
        path.read_text(): path
        for path in sorted(RESULTS.rglob("operative_config.gin"), reverse=True)
    }.values()
)


def test_there_are_configurations_of_the_agents_that_have_changed():
    texts = [path.read_text() for path in PATHS]
    for name in ("SmoothieAgent.gamma", "SmoothieAgent.importance_weight_clipping"):
        assert any(name in text for text in texts), name


@pytest.mark.parametrize(
    "path", PATHS, ids=lambda p: str(p.parent.relative_to(RESULTS))
)
def test_operative_configurations_of_committed_runs_parse(path):
    config.parse_operative(path)
    assert gin.query_parameter("train.num_steps") > 0
