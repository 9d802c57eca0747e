"""Tasks as they are found in the wild: each breaks one promise, or keeps it oddly.

Named "wild_tasks:Wild<kind>-v0" where this folder can be imported from.
"""

import time

import gymnasium
import numpy as np
from gymnasium import spaces

#: What is broken, from the sixth step of an episode on where nothing else is said.
FAULTS = (
    "Raises",
    "SaysNothing",
    "Exits",
    "NanReward",
    "NoReward",
    "NanObservation",
    "WrongShape",
    "FourValues",
    "NoInfo",
    "NoneAsFlag",
    "ResetWithoutInfo",
    "ResetRaises",
)
LENGTH = 20


class Task(gymnasium.Env):
    """Two numbers to see, one to choose, and a picture of four pixels."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space = spaces.Box(-1e6, 1e6, (2,))
    action_space = spaces.Box(-1.0, 1.0, (1,))

    def __init__(self, render_mode=None, kind="", only_drawn=False):
        self.render_mode = render_mode
        self.kind = kind if render_mode or not only_drawn else ""

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        if self.kind == "ResetRaises":
            raise RuntimeError("The robot is not there.\nTwice.")
        if self.kind == "ResetWithoutInfo":
            return self.look()
        return self.look(), {}

    def look(self):
        return np.array([self.steps, self.np_random.uniform()], np.float32)

    def step(self, action):
        self.steps += 1
        values = [self.look(), float(action[0]), False, self.steps == LENGTH, {}]
        if self.steps > 5:
            self.spoil(values)
        return tuple(values)

    def spoil(self, values):
        if self.kind == "Raises":
            raise RuntimeError("The robot fell off the table.\nTwice.")
        if self.kind == "SaysNothing":
            assert self.steps < 0
        if self.kind == "Exits":
            raise SystemExit(0)
        if self.kind == "NanReward":
            values[1] = np.nan
        if self.kind == "NoReward":
            values[1] = None
        if self.kind == "NanObservation":
            values[0][1] = np.nan
        if self.kind == "WrongShape":
            values[0] = np.zeros(3)
        if self.kind == "FourValues":
            del values[3]
        if self.kind == "NoInfo":
            values[4] = None
        if self.kind == "NoneAsFlag":
            values[2] = None

    def render(self):
        return np.zeros((2, 2, 3), np.uint8)

    def close(self):
        if self.kind == "CloseRaises":
            raise RuntimeError("The window is gone.")


class OneArray(Task):
    """Fills one array anew, and returns it from every step of every instance."""

    array = np.zeros(2, np.float32)

    def look(self):
        self.array[:] = super().look()
        return self.array


class OneDict(OneArray):
    """Likewise, within a dict within a tuple, both the same objects for ever."""

    observation_space = spaces.Tuple(
        (spaces.Dict({"a": spaces.Box(-1e6, 1e6, (2,))}), spaces.Discrete(30))
    )
    nest = ({"a": OneArray.array}, np.zeros((), np.int64))

    def look(self):
        super().look()
        self.nest[1][...] = self.steps
        return self.nest


class Listed(Task):
    """Returns lists in place of a tuple and of arrays."""

    observation_space = spaces.Tuple(
        (spaces.Box(-1e6, 1e6, (2,)), spaces.Dict({"b": spaces.Box(-1.0, 1.0, (1,))}))
    )

    def look(self):
        return [super().look().tolist(), {"b": [0.5]}]


class MoreKeys(Task):
    """Returns what its space does not announce."""

    observation_space = spaces.Dict({"a": spaces.Box(-1e6, 1e6, (2,))})

    def look(self):
        return {"a": super().look(), "more": 1.0}


class Endless(Task):
    """Never ends an episode and has no limit; a file tells of a long one."""

    def step(self, action):
        self.steps += 1
        if self.steps == 100:
            with open("endless", "w"):
                pass
        return self.look(), 1.0, False, False, {}


class Unseeded(Task):
    """Begins each episode anew, whatever the seed."""

    def reset(self, *, seed=None, options=None):
        return super().reset()


class Curriculum(Task):
    """Rewards less in each episode that it begins."""

    episodes = 0

    def reset(self, *, seed=None, options=None):
        self.episodes += 1
        return super().reset(seed=seed)

    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, reward - self.episodes, *rest


class Blocks(Task):
    """Waits for 40 seconds in the step in which it is told to; a file says that."""

    taken = 0

    def __init__(self, render_mode=None, at=60, where="blocked"):
        super().__init__(render_mode)
        self.at, self.where = at, where

    def step(self, action):
        Blocks.taken += 1
        if Blocks.taken == self.at:
            with open(self.where, "w"):
                pass
            time.sleep(40)
        return super().step(action)


class Detached(gymnasium.Wrapper):
    """A wrapper that says that it is the task itself."""

    def __init__(self, env):
        super().__init__(env)
        self._other = Task()

    @property
    def unwrapped(self):
        return self._other


def normalized(render_mode=None):
    return gymnasium.wrappers.NormalizeObservation(Task(render_mode))


def with_normalized_rewards(render_mode=None):
    return gymnasium.wrappers.NormalizeReward(Task(render_mode))


def detached(render_mode=None):
    return Detached(Task(render_mode))


def register():
    for kind in ("", *FAULTS, "CloseRaises"):
        for drawn in ("", "Drawn"):
            gymnasium.register(
                f"Wild{kind}{drawn}-v0",
                entry_point=Task,
                kwargs={"kind": kind, "only_drawn": bool(drawn)},
            )
    for task in (
        OneArray,
        OneDict,
        Listed,
        MoreKeys,
        Endless,
        Unseeded,
        Curriculum,
        Blocks,
    ):
        gymnasium.register(f"Wild{task.__name__}-v0", entry_point=task)
    gymnasium.register("WildDetached-v0", entry_point=detached)
    gymnasium.register("WildNormalized-v0", entry_point=normalized)
    entry_point = with_normalized_rewards
    gymnasium.register("WildNormalizedReward-v0", entry_point=entry_point)
    gymnasium.register("WildUnversioned", entry_point=Task)


if "Wild-v0" not in gymnasium.registry:
    register()
