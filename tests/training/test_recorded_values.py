"""Numbers that training has given before, and has to give again.

Runs of older commits stay valid in results/ for as long as these hold. Where one
changes on purpose the changelog says so, and results are run again.
"""

import pytest

from smoothie_tf.training import config, process

# Bound here, so that other starting values in gin/agents/ are no change of the agents;
# large enough for 40 updates to matter, with penalty and clipped gradients at work.
RATES = (
    "create_agent.actor_learning_rate=3e-4",
    "create_agent.critic_learning_rate=1e-3",
)
SMOOTHIE = (
    *RATES,
    "SmoothieAgent.reward_scale_factor=0.1",
    "SmoothieAgent.gradient_clipping=0.2",
)
# With TensorFlow 2.15.1, MuJoCo 3.17.0 and NumPy 1.26.4 on an AMD EPYC (Zen 5).
RECORDED = {
    "smoothie": (
        "smoothie",
        (*SMOOTHIE, "SmoothieAgent.kl_penalty=0.5"),
        {
            "evaluation_return_mean": 147.94056,
            "training_return": 22.385289,
            "policy_stddev": 0.60649395,
            "q": 0.10938507,
            "critic_loss": 5.7342887e-4,
            "kl": 8.6019827e-5,
        },
    ),
    "smoothie without penalty": (
        "smoothie",
        (*SMOOTHIE, "SmoothieAgent.kl_penalty=0.0"),
        {
            "evaluation_return_mean": 10.161116,
            "training_return": 19.206207,
            "policy_stddev": 0.60487872,
            "q": 0.11339418,
            "actor_loss": -2.1382389e-3,
            "critic_loss": 6.3145487e-4,
        },
    ),
    "ddpg": (
        "ddpg",
        (
            *RATES,
            "DdpgAgent.reward_scale_factor=0.1",
            "DdpgAgent.gradient_clipping=0.2",
            "DdpgAgent.ou_stddev=0.2",
            "DdpgAgent.ou_damping=0.15",
        ),
        {
            "evaluation_return_mean": 1.2156856,
            "training_return": 13.843007,
            "policy_stddev": 0.37966329,
            "q": 0.093763761,
            "actor_loss": 4.8803818e-6,
            "critic_loss": 5.2938354e-4,
        },
    ),
}
# XLA and op by op, which round as differently as two processors do, agree to 2e-6, and
# to 2e-4 in the divergence, a small difference of large numbers. A thousandth more of
# the critic's learning rate moves the return by 5e-3 and q by 3e-4.
RELATIVE = {"kl": 3e-3}
OTHERS = 5e-5


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_values(name, tmp_path):
    agent, bindings, expected = RECORDED[name]
    length = (
        "train.num_steps=80",
        "train.initial_collect_steps=40",
        "train.evaluation_episodes=2",
    )
    config.parse(agent, "Hopper-v5", bindings=(*bindings, *length))
    process.run(agent, "Hopper-v5", 7, tmp_path, quiet=True)
    row = _last_row(tmp_path)
    for key, value in expected.items():
        assert row[key] == pytest.approx(value, rel=RELATIVE.get(key, OTHERS)), key


def _last_row(run_dir):
    header, *_, last = (run_dir / "metrics.csv").read_text().splitlines()
    pairs = zip(header.split(","), last.split(","), strict=True)
    return {name: float(cell) for name, cell in pairs if cell}
