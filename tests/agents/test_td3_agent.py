"""TD3: TF-Agents' numbers by hand, and what is mended around them."""

import gin
import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import StepType
from tf_agents.trajectories import time_step as ts

from smoothie_tf import gaussian
from smoothie_tf.agents import td3_agent
from tests import slow
from tests.agents import builders

SGD = tf.keras.optimizers.legacy.SGD
WIDE = tensor_spec.BoundedTensorSpec([1], tf.float32, -100, 100)


def make(by_hand, action_spec=None, **changes):
    """An agent with the networks of `by_hand`, γ = 1, squares and no noise."""
    return builders.make(
        td3_agent.Td3Agent,
        by_hand,
        action_spec=action_spec,
        **{
            "actor_network": builders.actor_by_hand(by_hand),
            "critic_network": builders.critic_by_hand(by_hand),
            "td_errors_loss_fn": tf.math.squared_difference,
            "target_policy_noise": 0.0,
            "target_update_tau": 0.01,
            "seed": 7,
            **changes,
        },
    )


def small(**changes):
    return builders.small(
        td3_agent.Td3Agent,
        critic=builders.joint_critic,
        **{
            "gamma": 0.99,
            "target_update_tau": 0.05,
            "actor_update_period": 2,
            "target_update_period": 2,
            "gradient_clipping": 4.0,
            "seed": 7,
            **changes,
        },
    )


def test_losses_by_hand(by_hand):
    # Within ±100 nothing is clipped: targets 10 + 0.9·69 = 72.1, 20 + 0.9·89 = 100.1,
    # values 21 and 31, errors 51.1 and 69.1, and there are two such critics.
    info = make(by_hand, WIDE).loss(by_hand.experience(discounts=(0.9, 0.9))).extra
    np.testing.assert_allclose(info.critic_loss, 51.1**2 + 69.1**2, rtol=1e-6)
    # Q(s, μ(s)) is 29 and 49.
    np.testing.assert_allclose(info.actor_loss, -39.0)
    np.testing.assert_allclose(info.q, 39.0)


def test_the_target_action_is_within_the_bounds(by_hand):
    # μ(s′) = 21 and 27 become 1, Q(s′, 1) 29 and 37: targets 39 and 57, errors 18, 26.
    info = make(by_hand).loss(by_hand.experience()).extra
    np.testing.assert_allclose(info.critic_loss, 18.0**2 + 26.0**2)


def test_the_least_of_two_critics_is_the_target_of_both(by_hand):
    # The second critic is 10 lower: targets 10 + 59 and 20 + 79, against 21 and 31 of
    # the first, 11 and 21 of the second.
    agent = make(
        by_hand, WIDE, critic_network_2=builders.critic_by_hand(by_hand, bias=-6.0)
    )
    info = agent.loss(by_hand.experience()).extra
    expected = (48.0**2 + 68.0**2 + 58.0**2 + 78.0**2) / 2
    np.testing.assert_allclose(info.critic_loss, expected)
    # The actor follows the first.
    np.testing.assert_allclose(info.q, 39.0)


def test_critics_begin_with_weights_of_their_own():
    agent = small()
    first, second = agent._critic_network_1, agent._critic_network_2
    assert (first.variables[0].numpy() != second.variables[0].numpy()).any()
    for online, target in (
        (first, agent._target_critic_network_1),
        (second, agent._target_critic_network_2),
        (agent._actor_network, agent._target_actor_network),
    ):
        for mine, theirs in zip(online.variables, target.variables, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_reward_scale_and_termination_by_hand(by_hand):
    # Scale 0.1: terminated 1 − 21 = −20, cut off 2 + 89 − 31 = 60.
    experience = by_hand.experience(
        discounts=(0.0, 1.0), next_step_types=[StepType.LAST, StepType.LAST]
    )
    info = make(by_hand, WIDE, reward_scale_factor=0.1).loss(experience).extra
    np.testing.assert_allclose(info.critic_loss, 20.0**2 + 60.0**2, rtol=1e-6)


def test_pairs_across_an_episodes_end_have_no_weight(by_hand):
    experience = by_hand.experience(
        step_types=[StepType.LAST, StepType.MID],
        next_step_types=[StepType.FIRST, StepType.MID],
        rewards=(1e6, 20.0),
    )
    info = make(by_hand, WIDE).loss(experience).extra
    # Target 20 + 89, value 31: error 78, of two critics. Q(s, μ(s)) = 49.
    np.testing.assert_allclose(info.critic_loss, 2 * 78.0**2)
    np.testing.assert_allclose(info.q, 49.0)


@pytest.mark.parametrize(("stddev", "clip"), [(0.2, 0.5), (3.0, 0.5)])
def test_noise_of_the_target_action_by_hand(by_hand, stddev, clip):
    agent = make(
        by_hand, WIDE, target_policy_noise=stddev, target_policy_noise_clip=clip
    )
    agent.train_step_counter.assign(3)
    noise = stddev * gaussian.stateless_normal([2, 1], [7, 3]).numpy()[:, 0]
    noise = np.clip(noise, -clip, clip)
    assert (stddev < 1) == (np.abs(noise) < clip).all()
    # ∂Q/∂a = 2: errors 58 and 78 of before, plus twice the noise.
    expected = np.sum((np.array([58.0, 78.0]) + 2 * noise) ** 2)
    loss = agent.loss(by_hand.experience()).extra.critic_loss
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_noise_is_a_function_of_seed_and_step(random_experience):
    experience = random_experience(6, 5, 3)

    def loss(step, seed=7):
        agent = small(seed=seed)
        agent.train_step_counter.assign(step)
        # Not one of TensorFlow's global stream.
        tf.random.set_seed(np.random.default_rng().integers(1000))
        return float(agent.loss(experience).extra.critic_loss)

    assert loss(0) == loss(0) != loss(1)
    assert loss(1) == loss(1) != loss(1, seed=8)
    assert small(seed=None)._noise([2]).shape == (2,)


def test_actor_and_targets_move_every_other_step(by_hand):
    # A critic that stands still: ∂Q/∂a = 2 moves the bias by 2 and the kernel by
    # 2·(mean s₁, mean s₂) = 2·(2, 3), in the first and in the third step. The target
    # goes a quarter of the way: 5 + 2/4, then 5.5 + 3.5/4.
    agent = make(
        by_hand,
        critic_optimizer=SGD(0.0),
        actor_update_period=2,
        target_update_period=2,
        target_update_tau=0.25,
    )
    seen = []
    for _ in range(4):
        agent.train(by_hand.experience())
        kernel, bias = agent._actor_network.trainable_variables
        target = agent._target_actor_network.variables[1]
        seen.append((float(bias), kernel.numpy()[:, 0].tolist(), float(target)))
    first, third = (7.0, [6.0, 7.0], 5.5), (9.0, [10.0, 13.0], 6.375)
    assert seen == [first, first, third, third]
    assert agent.train_step_counter == 4


def test_targets_move_with_the_actor_from_any_step_on(by_hand):
    agent = make(
        by_hand,
        train_step_counter=tf.Variable(3, dtype=tf.int64),
        actor_update_period=2,
        target_update_period=4,
    )
    moved = []
    for _ in range(6):
        before = float(agent._target_actor_network.variables[1])
        agent.train(by_hand.experience())
        moved.append(float(agent._target_actor_network.variables[1]) != before)
    # Steps 3 to 8: the fourth and the eighth.
    assert moved == [False, True, False, False, False, True]
    with pytest.raises(
        ValueError, match="a multiple of actor_update_period, 2, but is"
    ):
        make(by_hand, actor_update_period=2, target_update_period=3)


def test_critics_move_in_every_step(by_hand):
    # Steps of 0 for the actor, and of 1e-3 down the gradient 2·error of each critic;
    # errors are 18 and 26, then those of the critic as it has become.
    agent = make(
        by_hand,
        actor_optimizer=SGD(0.0),
        critic_optimizer=SGD(1e-3),
        actor_update_period=2,
        target_update_period=2,
        target_update_tau=1.0,
    )
    biases = []
    for _ in range(2):
        agent.train(by_hand.experience())
        biases.append(float(agent._critic_network_2.variables[1]))
        np.testing.assert_array_equal(
            agent._critic_network_1.variables[0], agent._critic_network_2.variables[0]
        )
        # The copy is of the first step.
        assert float(agent._target_critic_network_2.variables[1]) == biases[0]
    np.testing.assert_allclose(biases[0], 4 + 1e-3 * 2 * 22, rtol=1e-6)
    assert biases[1] != biases[0]


@pytest.mark.parametrize("clipping", [4.0, None])
def test_only_critic_gradients_are_clipped(by_hand, clipping):
    # Errors 18 and 26: −½·Σ 2·error·(s, a, 1) = 18·(1, 2, 5, 1) + 26·(3, 4, 6, 1), for
    # each of two critics.
    agent = make(by_hand, gradient_clipping=clipping)
    agent.train(by_hand.experience())
    step = np.array([96.0, 140.0, 246.0, 44.0])
    if clipping is not None:
        step *= clipping / np.sqrt(2 * np.sum(step**2))
    for critic_ in (agent._critic_network_1, agent._critic_network_2):
        weights = np.concatenate([v.numpy().ravel() for v in critic_.variables])
        np.testing.assert_allclose(weights - [1, 3, 2, 4], step, rtol=1e-5)
    # The actor's gradient follows the critic as updated, whose norm is beyond 4.
    bias = agent._actor_network.variables[1]
    np.testing.assert_allclose(bias, [5 + 2 + step[2]], rtol=1e-5)


def test_the_order_of_critic_variables_is_that_of_the_networks(random_experience):
    # TF-Agents has them in a set, ordered by their addresses.
    def train(order):
        agent = small()
        gradients = {
            variable.ref(): tf.random.stateless_normal(variable.shape, (1, place))
            for place, variable in enumerate(agent._critic_variables)
        }
        variables = agent._critic_variables[::order]
        agent._apply_gradients(
            [gradients[v.ref()] for v in variables], variables, agent._critic_optimizer
        )
        # Slots as well, in the order that a checkpoint has them in.
        return [v.numpy() for v in agent._critic_optimizer.variables]

    for mine, same in zip(train(1), train(-1), strict=True):
        np.testing.assert_array_equal(mine, same)


def test_exploration_is_uniform_first_and_then_gaussian(by_hand):
    agent = make(by_hand, exploration_noise_std=0.1)
    for variable in agent._actor_network.variables:
        variable.assign(tf.zeros_like(variable))
    batch, seed = ts.restart(tf.ones([1000, 2]), 1000), tf.constant([1, 2])
    policy = agent.collect_policy
    state = policy.get_initial_state(1000)
    first = policy.action(batch, state, seed=seed).action.numpy()
    np.testing.assert_allclose(
        first, 2 * gaussian.stateless_uniform([1000, 1], seed) - 1, rtol=1e-6
    )
    agent.train_step_counter.assign(1)
    later = policy.action(batch, state, seed=seed).action.numpy()
    noise = 0.1 * gaussian.stateless_normal([1000, 1], seed)
    np.testing.assert_allclose(later, noise, rtol=1e-5)
    # Noise does not go on from step to step, and is clipped with the action.
    agent._actor_network.variables[1].assign([0.95])
    middle = ts.transition(tf.ones([1000, 2]), tf.zeros([1000]))
    clipped = policy.action(middle, tf.ones([1000, 1]), seed=seed).action
    np.testing.assert_allclose(clipped, np.minimum(0.95 + noise, 1), rtol=1e-5)
    info = agent.loss(by_hand.experience()).extra
    np.testing.assert_allclose(info.policy_stddev, 0.1, rtol=1e-6)


@pytest.mark.parametrize(
    "xla", slow.all_but([True], [False, True]), ids=["graph", "xla"]
)
def test_compiled_training_is_eager_training(random_experience, xla):
    actors = []

    def watch(agent):
        actors.append([v.numpy() for v in agent._actor_network.variables])

    builders.check_compiled_is_eager(
        small, random_experience(12, 5, 3), xla, watch=watch
    )
    moved = [
        any((a != b).any() for a, b in zip(before, after, strict=True))
        for before, after in zip(actors, actors[1:], strict=False)
    ]
    assert moved == [True, False, True, False]


def test_same_batches_same_weights(random_experience):
    builders.check_repeats(small, random_experience)


def test_training_resumes_from_a_checkpoint(random_experience, tmp_path):
    def everything(agent):
        optimizers = agent._actor_optimizer, agent._critic_optimizer
        return [*agent.variables, *(v for each in optimizers for v in each.variables)]

    builders.check_resumes(small, random_experience, tmp_path, everything)


def test_hyperparameters_are_bound_on_tf_agents_class():
    gin.parse_config(
        [
            "Td3Agent.target_policy_noise = 0.25",
            "Td3Agent.td_errors_loss_fn = @squared_difference",
        ]
    )
    agent = small()
    assert agent._target_actor_network._stddev == 0.25
    assert float(agent._td_errors_loss_fn(tf.constant(5.0), tf.constant(2.0))) == 9.0


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("gamma", 1.5, "a number between 0 and 1"),
        ("target_update_tau", 0.0, "a number above 0 and at most 1"),
        ("target_update_period", 0, "a whole number of at least 1"),
        ("actor_update_period", 1.5, "a whole number of at least 1"),
        ("reward_scale_factor", -1.0, "a number above 0"),
        ("gradient_clipping", 0.0, "a number above 0"),
        ("exploration_noise_std", -0.1, "a number of at least 0"),
        ("target_policy_noise", -0.1, "a number of at least 0"),
        ("target_policy_noise_clip", -1.0, "a number of at least 0"),
    ],
)
def test_numbers_out_of_range_are_named(by_hand, name, value, allowed):
    with pytest.raises(ValueError, match=f"^Td3Agent.{name} must be {allowed}"):
        make(by_hand, **{name: value})
