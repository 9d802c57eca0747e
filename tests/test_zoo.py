"""The policies in results/: small, evaluated by the command, and as their pairs say."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

ROOT = pathlib.Path(__file__).parents[1]
POLICIES = sorted(path.parent for path in ROOT.glob("results/policies/*/*/policy.json"))


def test_there_are_policies_of_both_agents():
    assert {path.name for path in POLICIES} == {"ddpg", "smoothie"}


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: "/".join(path.parts[-2:]))
def test_a_policy_is_what_its_card_says(path):
    described = json.loads((path / "policy.json").read_text())
    assert described["environment"]["id"] == path.parts[-2]
    assert described["agent"] == path.parts[-1]
    pairs = described["pairs"]
    policy = tf.saved_model.load(str(path))
    actions = policy.action(np.array([pair["observation"] for pair in pairs]))
    expected = np.array([pair["action"] for pair in pairs])
    np.testing.assert_allclose(actions, expected, rtol=1e-4, atol=1e-5)
    # What docs/deployment.md says of wrong input.
    for wrong in (pairs[0]["observation"], [pairs[0]["observation"][:-1]]):
        with pytest.raises(tf.errors.InvalidArgumentError, match="expected shape"):
            policy.action(np.array(wrong))

    (evaluation,) = described["evaluations"]
    card = (path / "README.md").read_text()
    assert f"$ {evaluation['command']}\n{evaluation['output']}\n" in card
    assert f"--policy {path.relative_to(ROOT).as_posix()} " in evaluation["command"]
    assert evaluation["episodes"] == 20

    files = [each for each in path.rglob("*") if each.is_file()]
    assert sum(each.stat().st_size for each in files) < 1_000_000
    # Nothing of the machine that made it.
    for text in (card, (path / "policy.json").read_text()):
        for word in text.split():
            assert not pathlib.PurePath(word.strip('",`()')).is_absolute()
