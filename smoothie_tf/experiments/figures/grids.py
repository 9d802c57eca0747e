"""Figures as data: what they compare, and their runs."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Sequence

from smoothie_tf.runs.run import Preset, Run
from smoothie_tf.training import gin_directory
from smoothie_tf.training.searched_values import (
    recommended_digest,
    tuned_digest,
    tuned_values,
)


@dataclasses.dataclass(frozen=True)
class Arm:
    """One curve of a figure: an agent and what is bound for it.

    Attributes:
        variant: Directory name and key of the curve, e.g. `smoothie-no-kl`.
        agent: Name of the agent, as `reproduce/train.py --agent` takes it.
        label: Its name in the legend.
        gin_bindings: Bindings of this arm; they override those of the command line.
        colour: Colour of the curve, if it is not the agent's.
        values: Hyperparameters, one of `gin_directory.VALUES`: paper or recommended;
            empty for those of the whole grid.
        tuned_as: Directory of gin/tuned for its hyperparameters, if it is not its
            agent's. The arm is left out on tasks that the directory does not cover.
    """

    variant: str
    agent: str
    label: str
    gin_bindings: tuple[str, ...] = ()
    colour: str = ""
    values: str = ""
    tuned_as: str = ""

    def is_on(self, env: str) -> bool:
        """Says whether there are values for it on a task."""
        return not self.tuned_as or bool(tuned_values(self.tuned_as, env))


@dataclasses.dataclass(frozen=True)
class Panel:
    """One panel of a figure whose panels differ in more than the environment.

    Attributes:
        title: Its title.
        env: Its environment.
        arms: Its curves.
        num_steps: Environment steps of its runs with the preset `svg`; the maximum
            with other presets. 0 for no limit.
    """

    title: str
    env: str
    arms: tuple[Arm, ...]
    num_steps: int


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure as a grid: every arm on every environment, or as its panels say.

    Attributes:
        title: Its title, such as `Figure 3` or `Baselines`.
        subject: What it shows; empty for no more than its arms.
        arms: Its curves.
        envs: Its panels.
        panels: Its panels, if they differ in more than the environment.
        tuned: Whether its runs use tuned hyperparameters. For a fair comparison, they
            are not used unless every arm was searched.
    """

    title: str
    subject: str
    arms: tuple[Arm, ...]
    envs: tuple[str, ...]
    panels: tuple[Panel, ...] = ()
    tuned: bool = True

    @classmethod
    def of_panels(cls, title: str, subject: str, panels: tuple[Panel, ...]) -> "Figure":
        """Makes a figure from panels, each with its own environment and arms."""
        arms = {arm.variant: arm for panel in panels for arm in panel.arms}
        envs = dict.fromkeys(panel.env for panel in panels)
        return cls(title, subject, tuple(arms.values()), tuple(envs), panels)

    def panels_on(self, env: str) -> tuple[Panel, ...]:
        """Returns its panels on an environment: one of all arms, or its own."""
        own = tuple(panel for panel in self.panels if panel.env == env)
        arms = tuple(arm for arm in self.arms if arm.is_on(env))
        return own or (Panel(env, env, arms, 0),)

    @property
    def name(self) -> str:
        """Stem of the figure's files, e.g. `figure3`."""
        title = re.sub("^figure ", "figure", self.title.lower())
        return re.sub(r"\W+", "_", title)

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its arms, by variant."""
        return {arm.variant: arm.label for arm in self.arms}


def grid(
    figure: Figure,
    preset: Preset,
    envs: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    root: str | os.PathLike[str] = "runs",
    tuned: bool = True,
    values: str = "paper",
) -> tuple[Run, ...]:
    """Lists the runs of a figure, seed by seed.

    Args:
        figure: The arms and the default environments.
        preset: Steps, seeds and bindings of each run.
        envs: Environments instead of the figure's.
        seeds: Seeds instead of the preset's 0 … num_seeds − 1.
        root: Directory that holds all runs.
        tuned: Whether runs use tuned hyperparameters, if the figure's runs do. On a
            task where a search found values for some agents only, none are used;
            agents that were never searched do not count.
        values: "recommended" gives recommended hyperparameters to every arm whose
            agent has some; the others keep theirs.

    Returns:
        The runs. The first seed of all panels comes before the second of any, so that
        an unfinished figure shows all of its panels.
    """
    if seeds is None:
        seeds = range(preset.num_seeds)
    runs = (
        Run(
            agent=arm.agent,
            env=env,
            seed=seed,
            preset=preset.of_length(panel.num_steps),
            variant=arm.variant,
            gin_bindings=_searched(arm, env) + preset.gin_bindings + arm.gin_bindings,
            root=pathlib.Path(root),
            **_values(arm, env, all_searched and tuned and figure.tuned, values),
        )
        for seed in seeds
        for env in (figure.envs if envs is None else envs)
        for panel in figure.panels_on(env)
        for all_searched in [_are_all_searched(panel.arms, env)]
        for arm in panel.arms
        # Without its hyperparameters it would be another arm.
        if not arm.tuned_as or (tuned and figure.tuned and values == "paper")
    )
    # Panels may share runs.
    return tuple({run.directory: run for run in runs}.values())


def _are_all_searched(arms, env):
    return all(
        tuned_digest(arm.agent, env)
        for arm in arms
        if arm.values != "recommended" and gin_directory.is_searched(arm.agent)
    )


def _values(arm, env, wanted, values):
    if (arm.values or values) == "recommended" and (
        digest := recommended_digest(arm.agent)
    ):
        return {"recommended": digest}
    digest = tuned_digest(arm.agent, env)
    if arm.tuned_as:
        return {"tuned": tuned_digest(arm.tuned_as, env), "untuned": True}
    return {"tuned": digest} if wanted else {"untuned": bool(digest)}


def _searched(arm, env):
    """Returns an arm's tuned bindings that training does not load by itself."""
    values = tuned_values(arm.tuned_as, env) if arm.tuned_as else {}
    return tuple(f"{name} = {value!r}" for name, value in values.items())
