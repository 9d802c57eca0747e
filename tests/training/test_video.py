"""Pictures never cost a result, and say why there is none."""

import ctypes.util
import errno
import json
import os
import pathlib
import re
import subprocess
import sys

import gymnasium
import imageio
import numpy as np
import PIL.Image
import pytest

from smoothie_tf.export import export_command
from smoothie_tf.training import main, video
from tests import slow

ROOT = pathlib.Path(__file__).parents[2]


class Drawn(gymnasium.Env):
    """Ends after 5 steps; what it draws is given."""

    observation_space = gymnasium.spaces.Box(-1, 9, (1,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def __init__(self, picture=None, render_mode=None, **metadata):
        self.picture, self.render_mode = picture, render_mode
        self.metadata = {"render_modes": ["rgb_array"], **metadata}

    def reset(self, *, seed=None, options=None):
        self.number = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.number += 1
        observation = np.full(1, self.number, np.float32)
        return observation, 1.0, self.number == 5, False, {}

    def render(self):
        return self.picture(self.number)


class Undrawn(Drawn):
    render = gymnasium.Env.render


def shade(number, shape=(40, 60, 3), dtype=np.uint8):
    return np.full(shape, 40 * number, dtype)


gymnasium.register("Undrawn-v0", lambda **kwargs: Undrawn(**kwargs))
gymnasium.register(
    "DrawnStrangely-v0",
    lambda **kwargs: Drawn(lambda n: [shade(n)], render_fps=None, **kwargs),
)


def record(path, picture, **metadata):
    def make(_, render_mode):
        return Drawn(picture, render_mode, **metadata)

    return video.record_actions(lambda _: np.zeros(1), make, "Drawn-v0", path, 0)


@pytest.mark.parametrize(
    "picture",
    [
        shade,
        lambda n: [shade(0), shade(n)],
        lambda n: shade(n).tolist(),
        lambda n: shade(n, (40, 60)),
        lambda n: shade(n, (40, 60, 1)),
        lambda n: shade(n, (40, 60, 4)),
        lambda n: shade(n, dtype=np.int64),
        lambda n: shade(n, dtype=np.float32) / 255,
        lambda n: shade(n, (39, 59, 3)),
    ],
    ids=["plain", "list", "lists", "grey", "grey1", "rgba", "int", "float", "odd"],
)
@pytest.mark.parametrize(
    "fps", slow.all_but([{}], [{}, {"render_fps": None}, {"render_fps": 0.2}])
)
def test_pictures_of_all_kinds_become_a_video(tmp_path, picture, fps):
    assert record(tmp_path / "video.mp4", picture, **fps) is None
    with imageio.get_reader(tmp_path / "video.mp4") as reader:
        assert reader.get_meta_data()["fps"] == (1 if 0.2 in fps.values() else 30)
        frames = [np.asarray(frame) for frame in reader.iter_data()]
    assert [frame.shape for frame in frames] == 6 * [(40, 60, 3)]
    for number, frame in enumerate(frames):
        assert abs(frame[:38, :58].mean() - 40 * number) < 6
    assert [path.name for path in tmp_path.iterdir()] == ["video.mp4"]


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        (lambda n: None, "its render returns None instead of a picture"),
        (lambda n: "a picture", "its render returns a str instead of a picture"),
        (lambda n: shade(n, (4,)), "its render returns an array of shape (4,) in"),
        (lambda n: shade(n, (40 + 2 * n, 60, 3)), "ValueError: All images in a movie"),
        (lambda n: 1 / n and shade(n), "ZeroDivisionError: float division by zero"),
        (lambda n: 1 / (n - 3) and shade(n), "ZeroDivisionError: float division by"),
        (lambda n: sys.exit("no window"), "SystemExit: no window"),
    ],
)
def test_what_is_no_picture_is_said_in_one_sentence(tmp_path, picture, why, capfd):
    with pytest.raises(video.RenderingError) as caught:
        record(tmp_path / "video.mp4", picture)
    sentence = str(caught.value).replace("division by", "float division by")
    sentence = sentence.replace("float float", "float")
    assert sentence.startswith("Drawn-v0 cannot be rendered here: ")
    assert why in sentence and sentence.endswith(".") and "\n" not in sentence
    assert "EGL" not in sentence
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_a_folder_that_is_not_there_is_no_picture(tmp_path):
    with pytest.raises(video.RenderingError, match="no folder"):
        record(tmp_path / "no folder" / "video.mp4", shade)


UNTRAINED = (
    "train.num_steps is 30, less than train.initial_collect_steps, 1,000: the agent is"
    " not trained.\n"
)


def arguments(run_dir, env):
    flags = ["--agent", "ddpg", "--env", env, "--run_dir", str(run_dir), "--quiet"]
    flags += ["--num_steps", "30"]
    for binding in ("train.use_xla=False", "train.evaluation_episodes=1"):
        flags += ["--gin_bindings", binding]
    return flags


def test_a_task_without_a_render_method_trains_exports_and_evaluates(tmp_path, capfd):
    run, out = tmp_path / "run", tmp_path / "policy"
    assert main.main([*arguments(run, "Undrawn-v0"), "--video"]) == 0
    said = capfd.readouterr()
    why = "Undrawn-v0 cannot be rendered here: it has no render method.\n"
    assert said.err == f"{UNTRAINED}There is no video: {why}"
    assert said.out == f"Results are in {run}.\n"
    assert json.loads((run / "run.json").read_text())["status"] == "done"
    flags = ["--run_dir", str(run), "--out", str(out), "--no_tf_agents"]
    assert export_command.export_main(flags) == 0
    assert capfd.readouterr().err == f"The card has no picture: {why}"
    assert "gif" not in (out / "README.md").read_text()
    flags = ["--policy", str(out), "--episodes", "2", "--record"]
    flags += ["--video", str(tmp_path / "video.mp4")]
    assert export_command.evaluate_main(flags) == 0
    said = capfd.readouterr()
    assert said.out == (
        "Undrawn-v0: return 5.00 ± 0.00 over 2 episodes of 5 steps (seed 0).\n"
        f"Recorded in {out / 'README.md'}.\n"
    )
    assert said.err == f"There is no video: {why}"
    assert "return 5.0" in (out / "README.md").read_text()


def test_an_earlier_video_does_not_pass_for_the_new_one(tmp_path, capfd):
    run = tmp_path / "run"
    assert main.main(arguments(run, "Undrawn-v0")) == 0
    (run / "video.mp4").write_bytes(b"earlier")
    capfd.readouterr()
    assert main.main([*arguments(run, "Undrawn-v0"), "--video"]) == 0
    said = f"There is no new video, and {run / 'video.mp4'} is an earlier one: Undrawn"
    assert capfd.readouterr().err.startswith(said)
    assert (run / "video.mp4").read_bytes() == b"earlier"


def test_an_incomplete_picture_does_not_replace_a_complete_one(tmp_path, monkeypatch):
    path = tmp_path / "policy.gif"

    def record():
        make = lambda _, render_mode: Drawn(shade, render_mode)  # noqa: E731
        video.record_gif(lambda _: np.zeros(1), make, "Drawn-v0", path, 0)

    def save(_, file, *__, **___):
        pathlib.Path(file).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(file))

    record()
    complete = path.read_bytes()
    monkeypatch.setattr(PIL.Image.Image, "save", save)
    with pytest.raises(video.RenderingError, match="cannot be written .No space left"):
        record()
    assert path.read_bytes() == complete
    assert list(tmp_path.iterdir()) == [path]


def test_a_card_with_a_picture_of_a_list_without_a_speed(tmp_path, capfd):
    run, out = tmp_path / "run", tmp_path / "policy"
    assert main.main([*arguments(run, "DrawnStrangely-v0"), "--video"]) == 0
    assert (run / "video.mp4").stat().st_size > 500
    flags = ["--run_dir", str(run), "--out", str(out), "--no_tf_agents"]
    assert export_command.export_main(flags) == 0
    assert capfd.readouterr().err == UNTRAINED
    assert (out / "policy.gif").exists()
    assert "policy.gif" in (out / "README.md").read_text()


def test_the_policy_is_there_before_its_picture(tmp_path, monkeypatch):
    run, out = tmp_path / "run", tmp_path / "policy"
    assert main.main(arguments(run, "DrawnStrangely-v0")) == 0

    def crashes(*_, **__):
        # As a driver would end the process.
        assert {"saved_model.pb", "policy.json", "README.md"} <= set(os.listdir(out))
        raise KeyboardInterrupt

    monkeypatch.setattr(video, "record_gif", crashes)
    flags = ["--run_dir", str(run), "--out", str(out), "--no_tf_agents"]
    with pytest.raises(KeyboardInterrupt):
        export_command.export_main(flags)
    assert export_command.evaluate_main(["--policy", str(out), "--episodes", "1"]) == 0


RENDER = """
import os, sys
import numpy as np
from smoothie_tf import quiet
quiet.silence_imports()
from smoothie_tf.environments import checked_task
from smoothie_tf.training import video
task, path = sys.argv[1:]
before = dict(os.environ)
try:
    video.record_gif(lambda _: np.zeros(1, np.float32), checked_task.make_task,
                     task, path, 0, 0.5)
    print("drawn")
except video.RenderingError as error:
    print(error)
assert dict(os.environ) == before
"""


def rendered(tmp_path, task, **environment):
    # What MuJoCo sets when a test before this one has drawn goes as well.
    chosen = "DISPLAY", "MUJOCO_GL", "PYOPENGL_PLATFORM"
    kept = {k: v for k, v in os.environ.items() if k not in chosen}
    done = subprocess.run(
        [sys.executable, "-c", RENDER, task, tmp_path / "picture.gif"],
        capture_output=True,
        text=True,
        check=True,
        env={**kept, **environment},
    )
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    return line


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        ("foo", "MUJOCO_GL is 'foo', but must be one of egl, osmesa and glfw."),
        ("glfw", "MUJOCO_GL is 'glfw', but GLFW needs a screen, which EGL and OSMesa"),
    ],
)
def test_a_renderer_that_is_not_there_concerns_those_alone_who_need_it(
    tmp_path, chosen, why
):
    assert rendered(tmp_path, "Pendulum-v1", MUJOCO_GL=chosen) == "drawn"
    said = rendered(tmp_path, "InvertedPendulum-v5", MUJOCO_GL=chosen)
    start = "InvertedPendulum-v5 cannot be rendered here: "
    assert said.startswith(start + why), said


@pytest.mark.skipif(not ctypes.util.find_library("EGL"), reason="there is no EGL")
@pytest.mark.parametrize(
    "chosen", slow.all_but([{}], [{}, {"MUJOCO_GL": "EGL"}, {"MUJOCO_GL": "on"}])
)
def test_mujoco_draws_without_a_screen(tmp_path, chosen):
    assert rendered(tmp_path, "InvertedPendulum-v5", **chosen) == "drawn"
    assert (tmp_path / "picture.gif").stat().st_size > 1000


def test_osmesa_draws_or_says_what_to_install(tmp_path):
    assert rendered(tmp_path, "Pendulum-v1", MUJOCO_GL="osmesa") == "drawn"
    said = rendered(tmp_path, "InvertedPendulum-v5", MUJOCO_GL="osmesa")
    if ctypes.util.find_library("OSMesa"):
        assert said == "drawn"
        assert (tmp_path / "picture.gif").stat().st_size > 1000
    else:
        why = "MUJOCO_GL is 'osmesa', but OSMesa (libosmesa6) is not installed."
        assert said == f"InvertedPendulum-v5 cannot be rendered here: {why}"


@pytest.mark.parametrize("chosen", slow.all_but(["foo"], ["foo", "osmesa"]))
def test_what_draws_nothing_does_not_look_for_a_renderer(tmp_path, chosen):
    done = subprocess.run(
        [
            *(sys.executable, ROOT / "reproduce" / "train.py"),
            *arguments(tmp_path / "run", "InvertedPendulum-v5"),
        ],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MUJOCO_GL": chosen},
    )
    assert done.stderr == UNTRAINED
    assert re.fullmatch(r"Results are in .*run\.\n", done.stdout)
