"""What the pictures say and draw."""

import dataclasses

import matplotlib.figure
import numpy as np
import pytest

from smoothie_tf.experiments.drawing import curves
from smoothie_tf.experiments.evidence import metrics
from smoothie_tf.experiments.figures import behind_ddpg
from smoothie_tf.experiments.figures import svg as svg_figures
from smoothie_tf.experiments.figures.ablations import ABLATIONS
from smoothie_tf.experiments.figures.behind_ddpg import BEHIND_DDPG
from smoothie_tf.experiments.figures.continuous_control import DDPG, FIGURE_3, FIGURE_4
from smoothie_tf.experiments.figures.grids import grid
from smoothie_tf.experiments.figures.neighbours import NEIGHBOURS, SOFT_DDPG_WIDTHS
from smoothie_tf.runs.run import Preset, read_preset
from tests.experiments.made_up_runs import write_run


@pytest.fixture
def draw(tmp_path, monkeypatch):
    """Draws the returns of runs, and returns the figure that is saved."""
    kept = []
    save = matplotlib.figure.Figure.savefig

    def saved(self, *args, **kwargs):
        kept.append(self)
        save(self, *args, **kwargs)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", saved)

    def work(figure, runs, panels=None):
        path, frame = tmp_path / "figure.png", metrics.read_runs(runs)
        curves.draw(curves.RETURN, frame, figure, runs, path, panels)
        assert path.read_bytes().startswith(b"\x89PNG")
        return kept[-1]

    return work


def write_metrics(run, rows, status="done"):
    steps, returns = zip(*rows, strict=True)
    write_run(run, returns, steps, status, policy_stddev="")


def test_line_and_band(tmp_path, draw):
    preset = Preset("short", num_steps=300_000, num_seeds=3)
    runs = grid(FIGURE_3, preset, envs=["Hopper-v5"], root=tmp_path)
    for run, value in zip(runs[::2], (0.0, 0.0, 6.0), strict=True):
        write_metrics(run, [(100_000, value), (300_000, value)])
    canvas = draw(FIGURE_3, runs)
    (panel,) = canvas.axes
    assert panel.get_title() == "Hopper-v5"
    assert panel.get_xlim() == (0, 0.3)
    assert panel.get_xlabel() == "million environment steps"
    line = panel.lines[0]
    assert line.get_xdata().tolist() == [0.1, 0.3]
    assert list(line.get_ydata()) == [2.0, 2.0]
    # Mean 2, deviation √8: clipped below at the minimum, 0.
    (band,) = panel.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == 0.0
    assert heights.max() == pytest.approx(2 + 8**0.5)
    text = " ".join(canvas.get_suptitle().split())
    assert "Figure 3, return: Smoothie and DDPG" in text
    assert "preset short, 300,000 steps, n = 3 seeds" in text
    assert "unfinished: 3 of 6 runs done" in text
    assert "clipped" in canvas.get_supxlabel()


def test_a_line_is_dotted_where_seeds_are_missing(tmp_path, draw):
    preset = Preset("quick", num_steps=300, num_seeds=2)
    runs = grid(FIGURE_3, preset, envs=["Hopper-v5"], root=tmp_path)[::2]
    write_metrics(runs[0], [(100, 1.0), (200, 1.0), (300, 1.0)])
    write_metrics(runs[1], [(100, 3.0), (200, 3.0)], status="running")
    line, tail = draw(FIGURE_3, runs).axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), [2.0, 2.0, np.nan])
    np.testing.assert_array_equal(tail.get_ydata(), [np.nan, 2.0, 1.0])
    assert (line.get_linestyle(), tail.get_linestyle()) == ("-", ":")


def test_one_seed_has_no_band(tmp_path, draw):
    preset = Preset("quick", num_steps=300, num_seeds=1)
    runs = grid(FIGURE_4, preset, envs=["Hopper-v5"], root=tmp_path)
    for run in runs:
        write_metrics(run, [(100, 1.0), (300, 2.0)])
    canvas = draw(FIGURE_4, runs)
    (panel,) = canvas.axes
    assert len(panel.lines) == 2
    assert not panel.collections
    assert canvas.get_suptitle().endswith("n = 1 seed")
    assert panel.get_xlim() == (0, 0.3)
    assert panel.get_xlabel() == "thousand environment steps"
    assert "no band" in canvas.get_supxlabel()


def test_the_title_counts_what_is_shown(tmp_path, draw):
    preset = Preset("quick", num_steps=300, num_seeds=2)
    runs = grid(FIGURE_4, preset, root=tmp_path)
    env = FIGURE_4.envs[0]
    runs = [run for run in runs if run.env == env or run.seed == 0]
    for run in runs:
        write_metrics(run, [(300, 1.0)])
    one = FIGURE_4.panels_on(env)
    for panels, said in ((one, "n = 2 seeds"), (None, "n = 1 to 2 seeds")):
        canvas = draw(FIGURE_4, runs, panels)
        assert canvas.get_suptitle().endswith(said)
        titles = [axes.get_title() for axes in canvas.subfigs[0].axes]
        assert titles[0] == "Hopper-v5" + " (n = 2)" * (panels is None)


def test_panel_without_runs_says_so(tmp_path, draw):
    preset = Preset("quick", num_steps=300, num_seeds=1)
    runs = grid(FIGURE_3, preset, root=tmp_path)
    write_metrics(runs[0], [(300, 1.0)])
    panels = draw(FIGURE_3, runs).axes
    assert [panel.get_title() for panel in panels] == list(FIGURE_3.envs)
    said = [[text.get_text() for text in panel.texts] for panel in panels]
    assert said == [[]] + [["no run yet"]] * 5


def test_a_panel_shows_what_no_other_does_and_says_where_seeds_lack(tmp_path, draw):
    preset = Preset("quick", num_steps=300, num_seeds=2)
    runs = grid(BEHIND_DDPG, preset, [behind_ddpg.HALFCHEETAH], root=tmp_path)
    equal = "smoothie-ddpg-values"  # In panels 1, 2 and 3.
    for run in runs:
        alone = run.variant == equal and run.seed == 0
        if alone or run.variant in ("smoothie", "ddpg", f"{equal}-held"):
            write_metrics(run, [(100, 1.0), (300, 2.0)])
    canvas = draw(BEHIND_DDPG, runs)
    titles = [panel.get_title() for panel in canvas.axes]
    values, spread = "HalfCheetah: values and algorithm", "DDPG's values: σ"
    assert titles == [values, f"HalfCheetah, {spread}"]
    texts = canvas.axes[0].get_legend().get_texts()
    labels = [text.get_text() for text in texts]
    assert labels == ["Smoothie", "DDPG", "Smoothie, DDPG's values (n = 1)"]


def test_a_report_shows_where_all_arms_have_runs():
    preset = Preset("quick", num_steps=300, num_seeds=1)
    runs = grid(FIGURE_4, preset)
    first, second = FIGURE_4.envs[:2]
    whole = [run for run in runs if run.env == second]
    half = next(run for run in runs if run.env == first)

    def shown(of):
        return [panel.env for panel in curves.compared(FIGURE_4, of)]

    assert shown([half, *whole]) == [second]
    assert shown([half]) == [first]
    assert shown(runs) == list(FIGURE_4.envs)


def test_of_two_panels_on_a_task_a_report_shows_the_whole_one():
    figure = svg_figures.SVG_FIGURE_2
    runs = grid(figure, read_preset("svg"), [svg_figures.HAND], [0])
    arms = {arm.variant for arm in figure.panels[0].arms}
    runs = [run for run in runs if run.variant in arms]
    assert curves.compared(figure, runs) == [figure.panels[0]]


def test_arms_with_fewer_seeds_say_so_in_the_shared_legend(tmp_path, draw):
    preset = Preset("short", num_steps=300_000, num_seeds=2)
    runs = grid(FIGURE_3, preset, envs=["Hopper-v5"], root=tmp_path)
    for run in runs[:3]:  # The second run of DDPG is missing.
        write_metrics(run, [(100_000, 1.0), (300_000, 2.0)])
    (body,) = draw(FIGURE_3, runs).subfigs
    (legend,) = body.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["Smoothie", "DDPG (n = 1)"]
    assert body.axes[0].get_title() == "Hopper-v5"


def test_a_panel_whose_arms_differ_from_the_shared_legend_says_so(tmp_path, draw):
    preset = Preset("short", num_steps=300_000, num_seeds=2)
    envs = ["Hopper-v5", "Ant-v5"]
    runs = grid(FIGURE_3, preset, envs=envs, root=tmp_path)
    for run in runs:
        if (run.env, run.agent, run.seed) != ("Ant-v5", "ddpg", 1):
            write_metrics(run, [(100_000, 1.0), (300_000, 2.0)])
    (body,) = draw(FIGURE_3, runs).subfigs
    (legend,) = body.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["Smoothie", "DDPG"]
    titles = [panel.get_title() for panel in body.axes]
    assert titles == ["Hopper-v5", "Ant-v5 (n = 1 to 2)"]


def test_a_length_is_in_the_title_once():
    preset = read_preset("short", ["train.num_steps = 1000"])
    runs = grid(FIGURE_3, preset, envs=["Hopper-v5"], seeds=[0])
    text = curves.title(FIGURE_3, "return", runs, finished=len(runs))
    assert text.endswith("preset short, 1,000 steps, n = 1 seed")


def test_bindings_given_by_hand_are_in_the_title():
    preset = Preset("quick", 300, 1, ("SmoothieAgent.kl_penalty=0.5",))
    runs = grid(FIGURE_3, preset)
    text = curves.title(FIGURE_3, "return", runs, finished=len(runs))
    assert text.endswith("n = 1 seed, SmoothieAgent.kl_penalty=0.5")


def test_an_agent_has_one_colour_in_every_figure():
    third = curves.colours(FIGURE_3.arms)
    fourth = curves.colours(FIGURE_4.arms)
    assert third[0] == fourth[0]
    # Smoothie is in both; Figure 4 has two more.
    assert len({*third, *fourth}) == 4
    more = [dataclasses.replace(DDPG, variant=name) for name in ("a", "b")]
    assert len({*third, *curves.colours(more)}) == 4


def test_every_arm_of_a_comparison_has_a_colour_of_its_own():
    for figure in (NEIGHBOURS, SOFT_DDPG_WIDTHS):
        assert len({*curves.colours(figure.arms)}) == len(figure.arms)


@pytest.mark.parametrize("figure", [ABLATIONS, FIGURE_4])
def test_a_legend_of_many_arms_stays_on_the_page(tmp_path, draw, figure):
    preset = Preset("quick", num_steps=300, num_seeds=1)
    runs = grid(figure, preset, envs=["Hopper-v5"], root=tmp_path)
    for run in runs:
        write_metrics(run, [(100, 1.0), (300, 2.0)])
    canvas = draw(figure, runs)
    (body,) = canvas.subfigs
    (legend,) = body.legends
    assert len(legend.get_texts()) == len(figure.panels_on("Hopper-v5")[0].arms)
    extent = legend.get_window_extent()
    assert 0 <= extent.x0 and extent.x1 <= canvas.bbox.width
