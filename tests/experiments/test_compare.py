"""Comparisons from the command line, with fake training."""

import itertools
import types

import pytest

from smoothie_tf.environments import task_names
from smoothie_tf.experiments.commands.compare import compare_command, read_arms
from smoothie_tf.runs.run import Run, read_preset
from smoothie_tf.validation import InputError
from tests.experiments.made_up_runs import write_run


@pytest.fixture(autouse=True)
def somewhere(tmp_path, monkeypatch):
    """A working directory that may be written to."""
    monkeypatch.chdir(tmp_path)


def test_an_arm_is_an_agent_or_a_label_with_bindings():
    plain, wide = read_arms(
        [
            "smoothie",
            "wide: smoothie, SmoothieAgent.initial_log_variance = 0,"
            " MeanNetwork.hidden_units = (64, 64)",
        ]
    )
    assert (plain.variant, plain.agent, plain.label) == ("smoothie",) * 3
    assert wide.label == "wide" and wide.agent == "smoothie"
    assert wide.gin_bindings == (
        "SmoothieAgent.initial_log_variance = 0",
        "MeanNetwork.hidden_units = (64, 64)",
    )
    # The runs' directory follows from what is bound, not from how it is written.
    (again,) = read_arms(
        [
            "other: smoothie, MeanNetwork.hidden_units=(64,64),"
            "SmoothieAgent.initial_log_variance=0"
        ]
    )
    assert again.variant == wide.variant != plain.variant


def test_an_arm_may_have_recommended_values():
    paper, recommended, penalized = read_arms(
        [
            "smoothie",
            "smoothie, values = recommended",
            "more: smoothie, values=recommended, SmoothieAgent.kl_penalty = 0.01",
        ]
    )
    assert (paper.values, recommended.values) == ("", "recommended")
    assert read_arms(["smoothie, values = 'recommended'"])[0].gin_bindings == ()
    assert recommended.gin_bindings == ()
    assert recommended.label == "smoothie, values = recommended"
    assert recommended.variant == "smoothie-recommended"
    assert penalized.gin_bindings == ("SmoothieAgent.kl_penalty = 0.01",)
    assert penalized.variant.startswith("smoothie-recommended-")


def test_a_label_may_have_an_apostrophe_and_a_binding_quotes():
    (arm,) = read_arms(
        ["TD3's: ddpg, DdpgAgent.gamma = 0.9, DdpgAgent.name = 'one, two'"]
    )
    assert arm.label == "TD3's"
    assert arm.gin_bindings == ("DdpgAgent.gamma = 0.9", "DdpgAgent.name = 'one, two'")


@pytest.mark.parametrize(
    ("arms", "sentence"),
    [
        (["smothie"], "'smothie' is not an agent (did you mean 'smoothie'?)"),
        (["1,000 steps: ddpg"], "'1' is not an agent"),
        (["1,000 steps: ddpg"], ", td_actor_critic. A label has no comma."),
        (["x: smoothie a.b = 1"], "Commas separate the agent and its bindings."),
        ([": smoothie"], "must be an agent, or 'LABEL: AGENT, BINDING, …'"),
        (["a: smoothie, kl_penalty"], "cannot be read as gin"),
        (["smoothie", "smoothie"], "has the settings or the label of another"),
        (["ddpg, values = recommended"], "'ddpg' has no recommended values; agents"),
        (["smoothie, values = best"], "cannot be read as gin"),
        (["smoothie, train.num_steps = 5"], "same length; --num_steps sets it"),
        (["smoothie", "smoothie, values = paper"], "has the settings or the label"),
        (["a: smoothie", "a: ddpg"], "has the settings or the label of another"),
    ],
)
def test_bad_arms_are_said_in_a_sentence(arms, sentence):
    with pytest.raises(InputError) as error:
        read_arms(arms)
    assert sentence in str(error.value)


def test_checks_the_parameters_of_all_arms_before_a_run(fake_command, tmp_path, capsys):
    flags = ["--env", "Pendulum-v1", "--arm", "ddpg", "--out_dir", "here"]
    flags += ["--arm", "bad: smoothie, SmoothieAgent.gama = 0.9"]
    assert compare_command(flags) == 2
    said = capsys.readouterr().err
    assert said.startswith("bad: --arm 'SmoothieAgent.gama = 0.9': ")
    assert "Did you mean SmoothieAgent.gamma?" in said
    assert list(tmp_path.iterdir()) == []


def test_an_arm_cannot_bind_what_belongs_to_all():
    for binding in ("grid.num_seeds = 5", "search.num_trials = 3"):
        with pytest.raises(InputError, match="is for all arms; --seeds sets the seeds"):
            read_arms([f"x: smoothie, {binding}"])


def test_writes_what_it_compared(fake_command, tmp_path, capsys):
    flags = ["--env", "Pendulum-v1", "--envs", "InvertedPendulum-v5", "--arm", "ddpg"]
    flags += ["--arm", "wide: smoothie, SmoothieAgent.initial_log_variance = 0"]
    flags += ["--seeds", "3", "--num_steps", "300", "--out_dir", "here"]
    assert compare_command(flags) == 0
    assert "0 of 12 runs done" in capsys.readouterr().out
    readme = (tmp_path / "here" / "README.md").read_text()
    assert "smoothie compare --env Pendulum-v1" in readme
    assert "| wide | smoothie | SmoothieAgent.initial_log_variance = 0 |" in readme
    assert "probability that a run beats one of ddpg" in readme
    assert "](comparison.png)" in readme
    for name in ("comparison.png", "comparison_stddev.png", "comparison_runs.csv"):
        assert (tmp_path / "here" / name).is_file()
    # The same again trains nothing; another label shares the runs.
    flags[7] = "very wide: smoothie, SmoothieAgent.initial_log_variance=0"
    assert compare_command(flags) == 0
    assert "12 of 12 runs done" in capsys.readouterr().out


def test_refuses_an_arm_with_bindings_of_another_agent():
    with pytest.raises(InputError, match="has no effect, since ddpg has no Smoothie"):
        read_arms(["gamma 0.5: ddpg, SmoothieAgent.gamma = 0.5"])
    (arm,) = read_arms(["short: dpg, Svg0Agent.gamma = 0.5, train.batch_size = 4"])
    assert arm.agent == "dpg"


def test_refuses_before_it_trains(capsys):
    flags = ["--arm", "ddpg", "--out_dir", "here"]
    assert compare_command(["--env", "Hoper-v5", *flags]) == 2
    assert "--env 'Hoper-v5' is not an environment" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        compare_command(["--env", "Hopper-v5", "--num_steps", "0", *flags])
    assert "--num_steps must be at least 1, but is 0." in capsys.readouterr().err
    flags[1] = "ddpg, values = paper"
    assert compare_command(["--env", "Hopper-v5", "--values=paper", *flags]) == 2
    assert "--values is for all arms" in capsys.readouterr().err


def test_two_lengths_are_refused(capsys):
    words = ["--env", "Pendulum-v1", "--arm", "smoothie", "--out_dir", "there"]
    words += ["--num_steps", "600", "--gin_bindings", "train.num_steps = 200"]
    assert compare_command(words) == 2
    assert "--num_steps 600 and --gin_bindings" in capsys.readouterr().err


def test_replaces_no_other_readme(tmp_path, capsys):
    readme = tmp_path / "README.md"
    flags = ["--env", "Hopper-v5", "--arm", "ddpg", "--out_dir", str(tmp_path)]
    readme.write_text("# Mine\n")
    assert compare_command(flags) == 2
    assert "has a README.md that is not a comparison's" in capsys.readouterr().err
    assert readme.read_text() == "# Mine\n"


def test_small_returns_have_decimals(tmp_path, capsys):
    flags = ["--env", "Pendulum-v1", "--arm", "ddpg", "--arm", "smoothie"]
    flags += ["--seeds", "2", "--out_dir", "here", "--plot_only"]
    preset = read_preset("short", [])
    for agent, mean in (("ddpg", 0.85), ("smoothie", 0.9)):
        for seed, noise in enumerate((-0.001, 0.001)):
            run = Run(agent, "Pendulum-v1", seed, preset, agent)
            write_run(run, [mean + noise] * 4, training_return=1000 * mean)
    assert compare_command(flags) == 0
    readme = (tmp_path / "here" / "README.md").read_text()
    difference = "+0.0500 [+0.0439, +0.0561]: better"
    assert f"| smoothie | 2 | 0.900 ± 0.001 | {difference} | 900 ± 0 | +50 [" in readme
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    smoothie = ["smoothie", "0.900", "0.001", "2", "0.0500", "0.0439", "0.0561"]
    assert ["Pendulum-v1", *smoothie] in table
    assert ["Pendulum-v1", "ddpg", "0.850", "0.001", "2"] in table


def test_labels_have_any_letters(fake_command, tmp_path):
    flags = ["--env", "Pendulum-v1", "--arm", r"$\foo$ _ | 5%: ddpg", "--seeds", "1"]
    flags += ["--num_steps", "300", "--out_dir", "here"]
    assert compare_command(flags) == 0
    readme = (tmp_path / "here" / "README.md").read_text()
    assert "| $\\foo$ _ \\| 5% | ddpg | – | `ddpg` |\n" in readme
    assert "Not trained" not in readme
    (path,) = (tmp_path / "runs").rglob("metrics.csv")
    path.write_text(path.read_text().replace(",0.0,0.0,0.0,", ",,,,"))
    assert compare_command([*flags, "--plot_only"]) == 0
    readme = (tmp_path / "here" / "README.md").read_text()
    assert r"**Not trained: $\foo$ _ | 5%.**" in readme
    # The command that is shown makes the runs.
    assert "smoothie compare --env Pendulum-v1" in readme
    assert "--plot_only" not in readme


def test_says_which_runs_are_not_done(tmp_path):
    flags = ["--env", "Pendulum-v1", "--arm", "ddpg", "--arm", "ours: smoothie"]
    flags += ["--seeds", "4", "--out_dir", "here", "--plot_only"]
    preset = read_preset("short", [])

    def readme(*done):
        for agent in ("ddpg", "smoothie"):
            for seed in range(4):
                # The last evaluation of a run that fails may have gone well.
                status = "done" if (agent, seed) in done else "failed"
                run = Run(agent, "Pendulum-v1", seed, preset, agent)
                write_run(run, [1.0] * 4, status=status)
        assert compare_command(flags) == 0
        return (tmp_path / "here" / "README.md").read_text()

    text = readme(("ddpg", 2), *[("smoothie", seed) for seed in range(3)])
    assert (
        "**Not done: 4 of 8 runs** (ddpg on Pendulum-v1, seeds 0, 1, 3; "
        "ours on Pendulum-v1, seed 3)."
    ) in text
    everything = itertools.product(("ddpg", "smoothie"), range(4))
    assert "Not done" not in readme(*everything)


def test_a_list_of_many_runs_that_are_not_done_is_short(tmp_path):
    flags = ["--env", "Pendulum-v1", "--seeds", "2", "--out_dir", "here", "--plot_only"]
    for number in range(9):
        flags += ["--arm", f"arm {number}: ddpg, DdpgAgent.gamma = 0.{number}"]
    flags += ["--arm", "ddpg"]
    for seed in range(2):
        run = Run("ddpg", "Pendulum-v1", seed, read_preset("short", []), "ddpg")
        write_run(run, [1.0] * 4)
    assert compare_command(flags) == 0
    text = (tmp_path / "here" / "README.md").read_text()
    assert "**Not done: 18 of 20 runs** (arm 0 on Pendulum-v1, seeds 0, 1; " in text
    assert "arm 5 on Pendulum-v1, seeds 0, 1; and 3 more arms and tasks)." in text


def test_says_what_had_no_effect_and_which_tasks_were_edited(tmp_path, monkeypatch):
    monkeypatch.setattr(task_names, "code", lambda env: {"code of Task": "new"})
    flags = ["--env", "Pendulum-v1", "--arm", "ddpg", "--seeds", "2", "--plot_only"]
    flags += ["--arm", "other: ddpg, DdpgAgent.gamma = 0.9", "--out_dir", "here"]
    ((_, other), preset) = read_arms(flags[3:4] + flags[8:9]), read_preset("short", [])
    bound = {"gin_bindings": other.gin_bindings}
    for seed, code in enumerate(("old", "new")):
        versions = {"versions": {"code of Task": code}}
        write_run(Run("ddpg", "Pendulum-v1", seed, preset, "ddpg"), [1.0] * 4)
        write_run(
            Run("ddpg", "Pendulum-v1", seed, preset, other.variant, **bound),
            [1.0] * 4,
            record={"without_effect": ["DdpgAgent.gamma"], **versions},
        )
    assert compare_command(flags) == 0
    text = (tmp_path / "here" / "README.md").read_text()
    assert "**Without effect: DdpgAgent.gamma = 0.9 (other).** No run reads" in text
    assert "**Pendulum-v1 has been edited since 1 of its 4 runs were trained.**" in text


def test_a_longer_comparison_continues_the_shorter_one(fake_command, tmp_path, starts):
    flags = ["--env", "Pendulum-v1", "--arm", "ddpg", "--seeds", "1"]
    for number, begins in ((200, [0]), (300, [0, 200]), (200, [0, 200])):
        again = [*flags, "--num_steps", str(number), "--out_dir", f"of_{number}"]
        assert compare_command(again) == 0
        (directory,) = (tmp_path / "runs").rglob("seed0")
        assert starts(types.SimpleNamespace(directory=directory)) == begins


def test_says_which_arms_have_recommended_values(fake_command, tmp_path):
    flags = ["--env", "Pendulum-v1", "--arm", "smoothie", "--seeds", "1"]
    flags += ["--arm", "ours: smoothie, values = recommended"]
    flags += ["--num_steps", "300", "--out_dir", "here"]
    assert compare_command(flags) == 0
    readme = (tmp_path / "here" / "README.md").read_text()
    assert "| smoothie | smoothie | – |" in readme
    assert "| ours | smoothie | recommended values |" in readme
    assert "Other values are those of the agents' gin files. All arms also" in readme
    directories = {each.parent.name for each in (tmp_path / "runs").rglob("seed0")}
    assert len(directories) == 2
    assert any("+recommended-" in each for each in directories)
