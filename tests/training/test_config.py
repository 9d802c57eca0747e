"""Gin files load, later sources win, and mistakes name what is near."""

import gin
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from smoothie_tf.agents import factory
from smoothie_tf.training import config, gin_directory, gin_text, settings

TIME_STEP = ts.time_step_spec(tensor_spec.TensorSpec([4], tf.float32))
ACTION = tensor_spec.BoundedTensorSpec([2], tf.float32, -1, 1)
AGENTS = sorted(factory.AGENTS)
# Those with the values of the Smoothie paper; the others have Heess et al.'s (2015).
TABLE_1 = ["ddpg", "smoothie", "soft_ddpg", "svg0"]
FILES = sorted(gin_directory.ROOT.rglob("*.gin"))


def agents_of(path):
    """The agents that a file is for: the one it is named after, or several."""
    parts = path.relative_to(gin_directory.ROOT).with_suffix("").parts
    named = [agent for agent in AGENTS if agent in parts]
    # Others are for all agents: one for each class of critic is enough.
    return named or ["smoothie", "ddpg", "svg1_er"]


@pytest.mark.parametrize(
    ("path", "agent"),
    [(path, agent) for path in FILES for agent in agents_of(path)],
    ids=lambda x: x if isinstance(x, str) else str(x.relative_to(gin_directory.ROOT)),
)
def test_every_gin_file_loads_and_makes_its_agent(path, agent):
    config.parse(
        agent, "Hopper-v5", gin_files=[str(path)], bindings=["train.num_steps=10000"]
    )
    assert settings.Settings().num_steps == 10_000
    made = factory.create_agent(agent, TIME_STEP, ACTION, max_episode_steps=300)
    assert made.train_step_counter == 0


@pytest.mark.parametrize("agent", TABLE_1)
def test_fixed_values_are_table_1s(agent):
    config.parse(agent, "Hopper-v5", "paper")
    made = factory.create_agent(agent, TIME_STEP, ACTION)

    def setting(name):  # TF-Agents' own has no settings but attributes.
        return (
            getattr(made, f"_{name}") if agent == "ddpg" else getattr(made.config, name)
        )

    assert setting("gamma") == 0.995
    # SVG(0)'s own paper copies, every 50 updates.
    assert setting("target_update_tau") == (1.0 if agent == "svg0" else 0.01)
    assert setting("gradient_clipping") == 4.0
    assert settings.Settings().batch_size == 128
    assert settings.Settings().num_steps == 1_000_000
    # Huber with threshold 1: ½·½² and 2 − ½.
    loss = setting("td_errors_loss_fn")(tf.constant([0.5, 2.0]), tf.zeros(2))
    assert loss.numpy().tolist() == [0.125, 1.5]
    # Searched values start within their ranges but where the file says otherwise.
    for optimizer in (made._actor_optimizer, made._critic_optimizer):
        assert 1e-6 <= float(optimizer.learning_rate) <= 1e-3
    assert 0.01 <= setting("reward_scale_factor") <= 0.3


@pytest.mark.parametrize("task", ["Hopper-v5", "HalfCheetah-v5"])
def test_td3s_values_are_those_of_its_paper(task):
    config.parse("td3", task, "paper")
    made = factory.create_agent("td3", TIME_STEP, ACTION)
    assert (made._gamma, made._target_update_tau) == (0.99, 0.005)
    assert (made._actor_update_period, made._target_update_period) == (2, 2)
    assert made._exploration_noise_std == 0.1
    target = made._target_actor_network
    assert (target._stddev, target._clip) == (0.2, 0.5)
    assert made._gradient_clipping is None and made._reward_scale_factor == 1.0
    assert float(made._td_errors_loss_fn(tf.constant(5.0), tf.constant(2.0))) == 9.0
    assert settings.Settings().batch_size == 100
    uniform = 10_000 if task == "HalfCheetah-v5" else 1_000
    assert settings.Settings().initial_collect_steps == uniform


def test_sacs_values_are_those_of_its_paper():
    config.parse("sac", "Hopper-v5", "paper")
    made = factory.create_agent("sac", TIME_STEP, ACTION)
    assert (made._gamma, made._target_update_tau) == (0.99, 0.005)
    assert (made._target_update_period, made._target_entropy) == (1, -2.0)
    assert float(made._log_alpha) == 0.0
    assert made._gradient_clipping is None and made._reward_scale_factor == 1.0
    assert float(made._td_errors_loss_fn(tf.constant(5.0), tf.constant(2.0))) == 9.0
    assert float(made._alpha_optimizer.learning_rate) == pytest.approx(3e-4)
    bound = settings.Settings()
    assert (bound.batch_size, bound.replay_capacity) == (256, 1_000_000)
    assert bound.initial_collect_steps == 1_000


@pytest.mark.parametrize("agent", ["svg1", "svg_infinity", "dpg"])
@pytest.mark.parametrize(
    ("task", "discount", "policy", "value", "model"),
    [
        ("Hand", 1.0, [100, 100], None, [20, 20]),
        ("CartpoleSwingup", 0.99, [100, 100], [200, 100], [20, 20]),
        ("Swimmer3", 0.995, [50, 50], [200, 100], [20, 20]),
        ("Monoped", 0.95, [100, 100], [400, 200], [50, 50]),
    ],
)
def test_svgs_values_are_those_of_its_table_1(
    agent, task, discount, policy, value, model
):
    config.parse(agent, f"smoothie_tf/{task}-v0", "paper")
    made = factory.create_agent(agent, TIME_STEP, ACTION, max_episode_steps=300)
    assert made.config.gamma == discount

    def widths(variables):
        # A critic's second layer has a kernel of its own for the action.
        ranks = [v for v in variables if v.shape.rank == 2 and "action" not in v.name]
        return [v.shape[1] for v in ranks][:-1]

    assert widths(made._actor_network.variables) == policy
    critic = getattr(made, "_value_network", None) or getattr(
        made, "_critic_network", None
    )
    if critic is not None and value is not None:
        assert widths(critic.variables) == value
    network = getattr(made, "_dynamics_network", None)
    if network is not None:
        kernels = [v for v in network.variables if "/kernel" in v.name]
        # 4 states, and a reward that is not known here.
        assert [tuple(v.shape) for v in kernels] == [
            (5, 6, model[0]),
            (5, model[0], model[1]),
        ]
    if agent not in ("svg_infinity", "planner"):
        assert made.config.importance_weight_clipping == 5.0
        assert made.config.target_update_period == 50


@pytest.mark.parametrize("task", ["FourTargetReacher", "Gripper"])
def test_where_importance_weights_go_up_to_20(task):
    config.parse("svg1_er", f"smoothie_tf/{task}-v0", "paper")
    made = factory.create_agent("svg1_er", TIME_STEP, ACTION, max_episode_steps=300)
    assert made.config.importance_weight_clipping == 20.0


def test_recommended_values_are_one_setting_for_every_task():
    rates = set()
    for task in ("Hopper-v5", "HalfCheetah-v5", "Pendulum-v1"):
        files = config.parse("smoothie", task, "quick", values="recommended")
        names = [str(path.relative_to(gin_directory.ROOT)) for path in files]
        assert names == ["agents/smoothie.gin", "recommended/smoothie.gin"]
        rates.add(gin.query_parameter("create_agent.actor_learning_rate"))
        assert gin.query_parameter("SmoothieAgent.initial_log_variance") == -3.0
        # What no recommendation is about stays the paper's.
        assert gin.query_parameter("SmoothieAgent.gamma") == 0.995
    assert len(rates) == 1
    # By hand it is otherwise all the same.
    bindings = ["SmoothieAgent.initial_log_variance = 0.5"]
    config.parse("smoothie", "Hopper-v5", bindings=bindings, values="recommended")
    assert gin.query_parameter("SmoothieAgent.initial_log_variance") == 0.5


def test_the_papers_values_are_the_default(tmp_path, monkeypatch):
    monkeypatch.setattr(gin_directory, "TUNED", tmp_path)
    (agents_own,) = config.parse("smoothie", "Hopper-v5")
    assert agents_own == gin_directory.ROOT / "agents" / "smoothie.gin"
    path = gin_directory.tuned_path("smoothie", "Hopper-v5")
    path.parent.mkdir()
    path.write_text("SmoothieAgent.kl_penalty = 0.5")
    assert config.parse("smoothie", "Hopper-v5") == [agents_own, path]
    assert config.parse("smoothie", "Hopper-v5", tuned=False) == [agents_own]


def test_values_that_there_are_not_are_named():
    with pytest.raises(
        config.ConfigError, match="none for the agent 'ddpg', but for s"
    ):
        config.parse("ddpg", "Hopper-v5", values="recommended")
    with pytest.raises(config.ConfigError, match="'best' is unknown: .* paper, recomm"):
        config.parse("smoothie", "Hopper-v5", values="best")


def test_later_sources_win(tmp_path):
    first, second = tmp_path / "first.gin", tmp_path / "second.gin"
    first.write_text("train.num_steps = 11\nSmoothieAgent.gamma = 0.5\n")
    second.write_text("SmoothieAgent.gamma = 0.25\n")
    files = [str(first), str(second)]
    config.parse("smoothie", "Hopper-v5", "quick", files)
    assert gin.query_parameter("train.num_steps") == 11
    assert gin.query_parameter("SmoothieAgent.gamma") == 0.25
    bindings = ["SmoothieAgent.gamma=0.75"]
    config.parse("smoothie", "Hopper-v5", "quick", files, bindings)
    assert gin.query_parameter("SmoothieAgent.gamma") == 0.75
    # The next parse starts anew.
    config.parse("smoothie", "Hopper-v5", "short")
    assert gin.query_parameter("train.num_steps") == 300_000
    assert gin.query_parameter("SmoothieAgent.gamma") == 0.995


@pytest.mark.parametrize(
    ("binding", "near"),
    [
        ("SmoothieAgent.kl_penalti=0.1", "SmoothieAgent.kl_penalty"),
        ("SmoothieAgent.reward_scale=0.1", "SmoothieAgent.reward_scale_factor"),
        ("SmothieAgent.kl_penalty=0.1", "SmoothieAgent"),
        ("DdpgAgent.ou_std=0.1", "DdpgAgent.ou_stddev"),
        ("DdpgAgnet.gamma=0.1", "DdpgAgent"),
        ("trian.num_steps=5", "train"),
        ("train.num_step=5", "train.num_steps"),
        ("create_agent.actor_lerning_rate=1", "create_agent.actor_learning_rate"),
        ("MeanNetwork.hiden_units=(3,)", "MeanNetwork.hidden_units"),
        ("smoothie_tf.CriticNetwork.joint=(3,)", "CriticNetwork.joint_units"),
        ("smoothie_tf.CriticNetwrk.joint_units=(3,)", "CriticNetwork"),
    ],
)
def test_a_typo_names_the_nearest(binding, near):
    with pytest.raises(config.ConfigError) as caught:
        config.parse("smoothie", "Hopper-v5", bindings=[binding])
    message = str(caught.value)
    assert message.startswith(f"--gin_bindings '{binding}': ")
    assert message.endswith(f"Did you mean {near}?")
    assert "\n" not in message


@pytest.mark.parametrize(
    "binding", ["SmoothieAgent.gamma", "SmoothieAgent.gamma=", "=3", "a b c"]
)
def test_what_is_no_binding_is_named(binding):
    with pytest.raises(config.ConfigError) as caught:
        config.parse("smoothie", "Hopper-v5", bindings=[binding])
    assert str(caught.value).startswith(f"--gin_bindings {binding!r}: ")
    assert "\n" not in str(caught.value)


def test_a_parameter_needs_the_name_of_its_function(tmp_path):
    sentence = "Did you mean SmoothieAgent.kl_penalty?"
    with pytest.raises(config.ConfigError, match=sentence):
        config.parse("smoothie", "Hopper-v5", bindings=["kl_penalty = 7"])
    # Names that a file or another value refers to are no parameters.
    config.parse("svg1_er", "Hopper-v5", bindings=["kl_penalty = 7"])
    config.parse("svg1", "smoothie_tf/Gripper-v0", bindings=["kl_penalty = 7"])
    bindings = ["l = 7", "SmoothieAgent.kl_penalty = %l"]
    config.parse("smoothie", "Hopper-v5", bindings=bindings)
    # So it is in a file of the user's.
    path = tmp_path / "mine.gin"
    path.write_text("kl_penalty = 7\n")
    with pytest.raises(config.ConfigError, match=f"--gin_file: .*{sentence}"):
        config.parse("smoothie", "Hopper-v5", gin_files=[str(path)])
    path.write_text("l = 7\n")
    read = config.parse(
        "smoothie", "Hopper-v5", gin_files=[str(path)], bindings=bindings[1:]
    )
    assert read[-1] == path


def test_defaults_are_those_of_the_signature():
    assert config.default("SmoothieAgent.kl_penalty") == "0.0"
    assert config.default("smoothie_tf.CriticNetwork.activation") == "'tanh'"
    for unknown in ("train.num_steps", "train.nothing", "Nothing.at_all", "alone"):
        assert config.default(unknown) is None


def test_a_typo_in_a_file_names_the_file(tmp_path):
    path = tmp_path / "mine.gin"
    path.write_text("train.batch_sise = 3\n")
    with pytest.raises(config.ConfigError, match=f"^{path}: .*train.batch_size"):
        config.parse("smoothie", "Hopper-v5", gin_files=[str(path)])


def test_what_does_not_exist_is_named():
    with pytest.raises(
        config.ConfigError, match="--preset 'huge' is unknown: .* paper, quick, short"
    ):
        config.parse("smoothie", "Hopper-v5", "huge")
    with pytest.raises(config.ConfigError, match="--gin_file no.gin does not exist"):
        config.parse("smoothie", "Hopper-v5", gin_files=["no.gin"])
    with pytest.raises(config.ConfigError, match="'ppo' is unknown") as caught:
        config.parse("ppo", "Hopper-v5")
    assert "ddpg" in str(caught.value) and "smoothie" in str(caught.value)


@pytest.mark.parametrize("agent", ["", "../presets/quick", "/tmp/x"])
def test_an_agent_is_a_name_and_not_a_path(agent):
    with pytest.raises(config.ConfigError, match="is unknown"):
        config.parse(agent, "Hopper-v5")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"batch_size": 0}, "train.batch_size must be a whole number of at least 1"),
        ({"num_steps": 2.5}, "train.num_steps must be a whole number"),
        ({"num_steps": -3}, "train.num_steps must be"),
        ({"evaluation_interval": 0}, "train.evaluation_interval must be"),
        ({"replay_capacity": 100}, "train.replay_capacity is 100, but must hold"),
    ],
)
def test_numbers_of_the_loop_are_checked(changes, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        settings.Settings(**{"num_steps": 100_000, **changes})


def test_a_discretized_task_has_the_files_of_the_task_before_its_own():
    config.parse("svg0", "smoothie_tf/DiscretizedTwoGaussians-v0")
    # The dense task's, the agent's tuned values for it, and its own.
    assert gin.query_parameter("MeanNetwork.initial_mean") == -0.8
    assert gin.query_parameter("create_agent.critic_learning_rate") == 1e-2
    assert gin.query_parameter("DiscretizedReward.levels") == 5


def test_older_records_bind_a_parameter_that_is_no_more(tmp_path):
    path = tmp_path / "operative_config.gin"
    path.write_text("DiscretizedReward.levels = 7\nDiscretizedReward.width = None\n")
    config.parse_operative(path)
    assert gin.query_parameter("DiscretizedReward.levels") == 7


def test_tuned_values_are_taken_unless_they_are_not_wanted(tmp_path, monkeypatch):
    monkeypatch.setattr(gin_directory, "TUNED", tmp_path)
    config.parse("smoothie", "Walker2d-v5")
    without = gin.query_parameter("SmoothieAgent.kl_penalty")
    (tmp_path / "smoothie").mkdir()
    found = tmp_path / "smoothie" / "Hopper-v5.gin"
    found.write_text("SmoothieAgent.kl_penalty = 0.0123")
    for env in ("Hopper-v5", "Walker2d-v5", "smoothie_tf/DiscretizedWalker2d-v5"):
        config.parse("smoothie", env)
        assert gin.query_parameter("SmoothieAgent.kl_penalty") == 0.0123
        config.parse("smoothie", env, tuned=False)
        assert gin.query_parameter("SmoothieAgent.kl_penalty") == without


def parsed(text, tmp_path, encoding="utf-8", name="mine.gin"):
    """The agent's penalty and the length of the run after parsing such a file."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding=encoding)
    config.parse("smoothie", "Hopper-v5", gin_files=[str(path)])
    names = "SmoothieAgent.kl_penalty", "train.num_steps"
    return tuple(gin.query_parameter(name) for name in names)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_file_may_begin_with_the_mark_of_an_editor(tmp_path, encoding):
    text = "SmoothieAgent.kl_penalty = 0.5  # λ\ntrain.num_steps = 7\n"
    assert parsed(text, tmp_path, encoding) == (0.5, 7)
    read = gin_text.bound_values(tmp_path / "mine.gin")
    assert read == {"SmoothieAgent.kl_penalty": 0.5, "train.num_steps": 7}


def test_a_file_includes_what_lies_beside_it(tmp_path, monkeypatch):
    (tmp_path / "mine" / "inner").mkdir(parents=True)
    (tmp_path / "mine" / "inner" / "a.gin").write_text(
        "SmoothieAgent.kl_penalty = 0.5\ntrain.num_steps = 7\ninclude 'b.gin'\n"
    )
    # Beside a.gin, not beside the file that includes that.
    (tmp_path / "mine" / "inner" / "b.gin").write_text("train.num_steps = 8\n")
    text = "train.num_steps = 6\ninclude 'inner/a.gin'\nSmoothieAgent.kl_penalty = 2.0"
    assert parsed(text, tmp_path, name="mine/mine.gin") == (2.0, 8)
    text = "include 'inner/a.gin'"
    assert parsed(text, tmp_path, name="mine/mine.gin") == (0.5, 8)
    # As gin has it: from the working folder.
    monkeypatch.chdir(tmp_path / "mine")
    assert parsed("include 'inner/b.gin'", tmp_path)[1] == 8


def test_what_is_wrong_in_an_included_file_is_said_of_it(tmp_path):
    (tmp_path / "a.gin").write_text("\n\ntrain.num_step = 3\n")
    with pytest.raises(config.ConfigError, match=f"^{tmp_path / 'a.gin'}: .*num_steps"):
        parsed("include 'a.gin'", tmp_path)
    with pytest.raises(config.ConfigError, match="mine.gin: line 2 includes b.gin"):
        parsed("\ninclude 'b.gin'", tmp_path)
    with pytest.raises(config.ConfigError, match="mine.gin: line 1 .* in itself.$"):
        parsed("include 'mine.gin'", tmp_path)
    (tmp_path / "a.gin").write_text("include 'mine.gin'\n")
    with pytest.raises(config.ConfigError, match="a.gin: line 1 .* in itself.$"):
        parsed("include 'a.gin'", tmp_path)


def test_a_line_after_an_include_keeps_its_number(tmp_path):
    (tmp_path / "a.gin").write_text("train.num_steps = 3\n")
    with pytest.raises(config.ConfigError, match="line 4"):
        parsed("\ninclude 'a.gin'\n\nx\n", tmp_path)


def test_an_ambiguous_name_says_which_there_are(tmp_path):
    with pytest.raises(config.ConfigError) as caught:
        config.parse("ddpg", "Hopper-v5", bindings=["CriticNetwork.joint_units=(8,)"])
    assert str(caught.value).endswith(
        "Write smoothie_tf.CriticNetwork or"
        " tf_agents.agents.ddpg.critic_network.CriticNetwork."
    )


def test_what_bindings_say_however_they_are_written():
    meant = {"A.b": 0.5, "train.x": (8, "y z"), "s/A.b": "@f()"}
    ways = [
        ["A.b=0.5", "train.x=(8,'y z')", "s/A.b=@f()"],
        ["s/A.b = @f()", "A.b=9", "train.x = ( 8,\n 'y z' )  # c", " A.b = 5e-1"],
        ["train.x=(8, 'y z')\nA.b=.5\ns/A.b=@f()"],
    ]
    for way in ways:
        assert gin_text.meaning(way) == meant, way
    assert gin_text.meaning(["A.b=", "A.c=2"]) == {"A.b=": None, "A.c": 2}
