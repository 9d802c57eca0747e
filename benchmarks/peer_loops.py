"""Trains DDPG of other libraries for `throughput.py --peers`, in .venv-peers.

    python benchmarks/peer_loops.py sb3 HalfCheetah-v5
    python benchmarks/peer_loops.py sbx HalfCheetah-v5

Networks, batch size and schedule are ours: hidden layers of 400 and 300 units, batch
size 128, and one update per environment step after the first 1,000 steps.
"""

import sys

import contest


def train(algorithm: type, environment_id: str, policy_kwargs: dict) -> None:
    """Trains until the contest ends the process."""
    from stable_baselines3.common.callbacks import BaseCallback

    turns = contest.Turns(warm_up=1200)

    class TakeTurns(BaseCallback):
        def _on_step(self):
            turns.step()
            return True

    algorithm(
        "MlpPolicy",
        environment_id,
        batch_size=128,
        learning_starts=1000,
        train_freq=1,
        gradient_steps=1,
        tau=0.01,
        gamma=0.995,
        policy_kwargs=policy_kwargs,
        device="cpu",
    ).learn(10_000_000, callback=TakeTurns())


if __name__ == "__main__":
    library, environment_id = sys.argv[1:]
    if library == "sb3":
        import torch
        from stable_baselines3 import DDPG

        torch.set_num_threads(1)
    else:
        from sbx import DDPG
    train(DDPG, environment_id, {"net_arch": [400, 300]})
