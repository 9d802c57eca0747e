"""Whatever a binding says, it is taken or refused in one sentence."""

import gin
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smoothie_tf.experiments import grid
from smoothie_tf.training import config, train

QUICK = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
# Gin files are code: what imports or includes does so, and is not what is tested.
TEXT = st.text(max_size=40).filter(
    lambda text: not any(word in text for word in ("import", "include", "from"))
)
OWNERS = st.sampled_from(["SmoothieAgent", "train", "create_agent", "MeanNetwork", "x"])
PARAMETERS = st.sampled_from(["gamma", "batch_size", "num_steps", "hidden_units", "y"])
VALUES = st.one_of(
    st.integers().map(str),
    st.floats().map(repr),
    st.booleans().map(str),
    st.text(max_size=10).map(repr),
    st.lists(st.integers(-3, 500), max_size=4).map(str),
    st.just("None"),
    st.sampled_from(["@train", "@train()", "%macro", "@", "(", "{1:", "1e999", "'"]),
    TEXT,
)
BINDINGS = st.one_of(TEXT, st.builds("{}.{}={}".format, OWNERS, PARAMETERS, VALUES))


def assert_one_sentence(error):
    message = str(error)
    assert message and len(message.splitlines()) == 1
    assert "Traceback" not in message


@QUICK
@given(BINDINGS)
def test_bindings_of_a_run(binding):
    try:
        config.parse("smoothie", "Hopper-v5", "quick", bindings=[binding])
    except config.ConfigError as error:
        assert_one_sentence(error)
    finally:
        gin.clear_config()


@QUICK
@given(BINDINGS)
def test_bindings_of_a_grid(binding):
    try:
        preset = grid.read_preset("quick", [binding])
    except grid.InputError as error:
        assert_one_sentence(error)
    else:
        assert preset.num_steps >= 1 and preset.num_seeds >= 1
        # A directory of that name can be made.
        assert "/" not in preset.label and len(preset.label.encode()) < 255


NUMBERS = st.one_of(
    st.integers(),
    st.integers(1, 10**6),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(max_size=5),
    st.tuples(st.integers()),
)


@QUICK
@given(
    st.fixed_dictionaries(
        {"num_steps": NUMBERS},
        optional=dict.fromkeys(
            ("batch_size", "replay_capacity", "evaluation_interval"), NUMBERS
        ),
    )
)
def test_numbers_of_the_loop(values):
    try:
        made = train.train(**values)
    except ValueError as error:
        assert str(error).startswith("train.")
    else:
        assert made.num_steps >= 1 and made.replay_capacity >= made.batch_size >= 1
