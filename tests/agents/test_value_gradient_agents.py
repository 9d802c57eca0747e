"""The SVG family's agents against closed forms, by hand, and against each other."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.trajectories import policy_step

from smoothie_tf import gaussian, value_gradients
from smoothie_tf.networks import dynamics_network
from tests import slow
from tests.agents import linear_quadratic_agents as lq

AGENTS = ["svg1", "svg1_er", "svg_infinity", "planner", "td_actor_critic"]
EPISODIC = [*AGENTS, "svg0_episode", "dpg"]
LENGTH = 8


def data(agent, seed=0, length=LENGTH, padded=None, **changes):
    """One minibatch an update, and an episode, as the loop hands them over."""
    experience = lq.transition(*lq.rows(16 * agent.minibatches_per_train, seed))
    columns = list(lq.rows(length, seed + 1, episode=True))
    mask = np.ones(length)
    if padded is not None:
        columns = [
            np.concatenate([x, np.zeros((padded - length, *x.shape[1:]))])
            for x in columns
        ]
        mask = np.arange(padded) < length
    episode = lq.transition(*columns, **changes)
    return experience, {
        "episode": episode,
        "episode_mask": tf.constant(mask, tf.float32),
    }


def step_of(agent, experience, episode):
    """How far a training step moves the gain."""
    before = lq.gain_of(agent)
    agent.train(experience, **episode)
    return lq.gain_of(agent) - before


def critic_of(agent, known):
    """Gives an agent the exact V, or Q, in its critic and its target."""
    P, H = known.cost, known.curvature
    if hasattr(agent, "_value_network"):
        weights, constant = -0.5 * P, -known.noise_cost
        networks = agent._value_network, agent._target_value_network
    else:
        cross = lq.GAMMA * lq.SYSTEM.B.T @ P @ lq.SYSTEM.A
        corner = lq.SYSTEM.Q + lq.GAMMA * lq.SYSTEM.A.T @ P @ lq.SYSTEM.A
        weights = -0.5 * np.block([[corner, cross.T], [cross, H]])
        constant = known.action_value(np.zeros(2), np.zeros(2))
        networks = agent.critic_network, agent._target_critic_network
    for network in networks:
        network.variables[0].assign(weights)
        network.variables[1].assign(constant)


KNOWN = lq.SYSTEM.evaluate(lq.GAIN, 0.3 * np.eye(2), lq.GAMMA)


def expected_step(name, state, action, following, eta):
    """Mean over the batch of the action's cotangent times the state, by SVG.md's rows.

    SVG(1): −(Ra + γBᵀPs'); SVG(0): −(Ra + γBᵀP(As + Ba)); DPG at the mean action; the
    actor-critic: δ·η/σ.
    """
    system, P = lq.SYSTEM, KNOWN.cost
    if name in ("svg1", "svg1_er"):
        g = -(action @ system.R + lq.GAMMA * following @ P @ system.B)
    elif name == "svg0_episode":
        g = KNOWN.action_gradient(state, action)
    elif name == "dpg":
        g = KNOWN.action_gradient(state, state @ lq.GAIN.T)
    else:
        error = system.reward(state, action) - KNOWN.state_value(state)
        error += lq.GAMMA * KNOWN.state_value(following)
        g = error[:, np.newaxis] * eta / 0.3
    return g.T @ state / len(state)


@pytest.mark.parametrize(
    "name", ["svg1", "svg1_er", "td_actor_critic", "svg0_episode", "dpg"]
)
def test_the_policys_step_with_exact_critics_and_models(name):
    agent = lq.make(name, learning_rate=1.0)
    critic_of(agent, KNOWN)
    experience, episode = data(agent)
    if name == "svg1_er":
        # The last of three minibatches: model, value function, policy.
        columns = [x[32:] for x in lq.rows(48, 0)]
    else:
        columns = lq.rows(LENGTH, 1, episode=True)
    state, action, following, _, _ = columns
    eta = (action - state @ lq.GAIN.T) / 0.3
    expected = expected_step(name, state, action, following, eta)
    np.testing.assert_allclose(
        step_of(agent, experience, episode), expected, rtol=1e-3, atol=1e-4
    )


def test_svg_infinitys_step_is_the_realised_returns_gradient():
    agent = lq.make("svg_infinity", learning_rate=1.0)
    experience, episode = data(agent)
    state, action, following, _, _ = lq.rows(LENGTH, 1, episode=True)
    eta = action - state @ lq.GAIN.T
    push = following - lq.SYSTEM.next_mean(state, action)

    def realised(gain):
        now, total = state[0], 0.0
        for t in range(LENGTH):
            taken = gain @ now + eta[t]
            total += lq.GAMMA**t * lq.SYSTEM.reward(now, taken)
            now = lq.SYSTEM.next_mean(now, taken) + push[t]
        return total

    expected = np.zeros((2, 2))
    for place in np.ndindex(2, 2):
        change = np.zeros((2, 2))
        change[place] = 1e-5
        expected[place] = realised(lq.GAIN + change) - realised(lq.GAIN - change)
    np.testing.assert_allclose(
        step_of(agent, experience, episode), expected / 2e-5, rtol=1e-3, atol=1e-4
    )


# SVG(k), and SVG(∞) with V̂ at an episode's end.


def with_horizon(horizon, name="svg_infinity", **changes):
    agent = lq.make(
        name,
        learning_rate=1.0,
        horizon=horizon,
        value_updates=1,
        critic_optimizer=tf.keras.optimizers.legacy.SGD(0.0),
        **changes,
    )
    critic_of(agent, KNOWN)
    return agent


def realised(first, eta, push, gain, discount, gain_at_first=None):
    """γ-weighted rewards from a state on, and V behind them, with all noise held."""
    now, total = first, 0.0
    for t in range(len(eta)):
        used = gain if t or gain_at_first is None else gain_at_first
        taken = used @ now + eta[t]
        total += lq.GAMMA**t * lq.SYSTEM.reward(now, taken)
        now = lq.SYSTEM.next_mean(now, taken) + push[t]
    return total + discount * lq.GAMMA ** len(eta) * KNOWN.state_value(now)


def noise_of(state, action, following):
    return action - state @ lq.GAIN.T, following - lq.SYSTEM.next_mean(state, action)


def by_gain(function):
    """∂function/∂K by differences, exact for polynomials but for rounding."""
    found, step = np.zeros((2, 2)), 1e-5
    for place in np.ndindex(2, 2):
        change = np.zeros((2, 2))
        change[place] = step
        found[place] = function(lq.GAIN + change) - function(lq.GAIN - change)
    return found / (2 * step)


@pytest.mark.parametrize("horizon", [LENGTH, 100])
@pytest.mark.parametrize("last_discount", [1.0, 0.0], ids=["cut off", "terminated"])
def test_with_a_value_at_the_end_the_step_is_that_returns_gradient(
    horizon, last_discount
):
    discount = np.ones(LENGTH)
    discount[-1] = last_discount
    agent = with_horizon(horizon)
    experience, episode = data(agent, discount=discount)
    state, action, following, _, _ = lq.rows(LENGTH, 1, episode=True)
    eta, push = noise_of(state, action, following)
    expected = by_gain(lambda gain: realised(state[0], eta, push, gain, last_discount))
    without = by_gain(lambda gain: realised(state[0], eta, push, gain, 0.0))
    assert last_discount == 0 or np.abs(expected - without).max() > 1e-2
    np.testing.assert_allclose(
        step_of(agent, experience, episode), expected, rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("horizon", [1, 3, LENGTH - 1])
def test_svg_k_is_the_gradient_of_k_steps_and_the_value_behind_them(horizon):
    # Σ γᵗ of the derivative by each action, later actions following the policy: only
    # the gain at the first of the k steps is changed.
    agent = with_horizon(horizon)
    experience, episode = data(agent)
    state, action, following, _, _ = lq.rows(LENGTH, 1, episode=True)
    eta, push = noise_of(state, action, following)
    expected = sum(
        lq.GAMMA**t
        * by_gain(
            lambda gain, t=t: realised(
                state[t],
                eta[t : t + horizon],
                push[t : t + horizon],
                lq.GAIN,
                1.0,
                gain,
            )
        )
        for t in range(LENGTH)
    )
    np.testing.assert_allclose(
        step_of(agent, experience, episode), expected, rtol=1e-3, atol=1e-4
    )


def test_svg_k_of_one_step_is_svg_1():
    # SVG.md's row, −(Ra + γBᵀPs'), weighted by γᵗ as all that SVG(∞) does.
    agent = with_horizon(1)
    experience, episode = data(agent)
    state, action, following, _, _ = lq.rows(LENGTH, 1, episode=True)
    g = -(action @ lq.SYSTEM.R + lq.GAMMA * following @ KNOWN.cost @ lq.SYSTEM.B)
    weight = lq.GAMMA ** np.arange(LENGTH)[:, np.newaxis]
    np.testing.assert_allclose(
        step_of(agent, experience, episode), (weight * g).T @ state, rtol=1e-3
    )


@pytest.mark.parametrize("horizon", [3, 5, 20])
def test_padding_changes_no_horizon(horizon):
    steps = []
    for padded in (None, 13):
        agent = with_horizon(horizon, max_episode_steps=padded or LENGTH)
        steps.append(step_of(agent, *data(agent, padded=padded)))
    np.testing.assert_allclose(*steps, rtol=1e-4, atol=1e-6)


def test_a_planner_may_have_a_value_at_the_end():
    # Along its own trajectory, whose model is exact: the same gradient as there.
    planner = with_horizon(LENGTH, "planner")
    experience, episode = data(planner)
    rollout = planner._rollout(episode["episode"].time_step.observation[0])
    state, action, following = (
        x.numpy().astype(float)
        for x in (rollout.state, rollout.action, rollout.next_state)
    )
    eta, push = noise_of(state, action, following)
    expected = by_gain(lambda gain: realised(state[0], eta, push, gain, 1.0))
    np.testing.assert_allclose(
        step_of(planner, experience, episode), expected, rtol=1e-3, atol=1e-4
    )


def test_no_horizon_makes_no_value_function():
    agent = lq.make("svg_infinity")
    assert agent.value_network is None and agent.minibatches_per_train == 1
    agent = with_horizon(2)
    assert agent.minibatches_per_train == 2  # One of the model, one of V̂.


def test_svg_ks_value_function_is_algorithm_4s():
    # V̂ = 1 everywhere in the copy, 0 in ν_new: ½·(r + γ·d)², with w = 1.
    agent = lq.make(
        "svg_infinity",
        horizon=2,
        value_updates=1,
        critic_optimizer=tf.keras.optimizers.legacy.SGD(0.0),
    )
    agent._target_value_network.variables[1].assign(1.0)
    columns = lq.rows(32, 0)
    info = agent.train(lq.transition(*columns), **data(agent)[1]).extra
    expected = 0.5 * (columns[3][16:] + lq.GAMMA) ** 2
    np.testing.assert_allclose(info.critic_loss, expected.mean(), rtol=1e-4)


# The likelihood ratio: from the TD error to the return.


def test_reinforce_with_a_baseline_by_hand():
    # A = Σγⁱr_{t+i} + γᴸ⁻ᵗ·V(s_L) − V(s_t); the step Σ A·η/σ·sᵀ/T.
    agent = lq.make("td_actor_critic", learning_rate=1.0, trace_decay=1.0)
    critic_of(agent, KNOWN)
    state, action, following, reward, _ = lq.rows(LENGTH, 1, episode=True)
    eta = (action - state @ lq.GAIN.T) / 0.3
    for last_discount in (1.0, 0.0):
        discount = np.ones(LENGTH)
        discount[-1] = last_discount
        returned = last_discount * KNOWN.state_value(following[-1:])[0]
        returns = []
        for each in reward[::-1]:
            returned = each + lq.GAMMA * returned
            returns.append(returned)
        advantage = np.array(returns[::-1]) - KNOWN.state_value(state)
        agent.actor_network.variables[0].assign(lq.GAIN)
        experience, episode = data(agent, discount=discount)
        np.testing.assert_allclose(
            step_of(agent, experience, episode),
            (advantage[:, np.newaxis] * eta / 0.3).T @ state / LENGTH,
            rtol=1e-3,
            atol=1e-4,
        )


def test_a_trace_between_is_a_weighted_sum_of_td_errors():
    agent = lq.make("td_actor_critic", trace_decay=0.5)
    critic_of(agent, KNOWN)
    _, episode = data(agent, padded=13)
    batch = agent._episode(episode["episode"], episode["episode_mask"])
    state, _, following, reward, _ = lq.rows(LENGTH, 1, episode=True)
    error = reward + lq.GAMMA * KNOWN.state_value(following) - KNOWN.state_value(state)
    expected = [
        sum((0.5 * lq.GAMMA) ** i * each for i, each in enumerate(error[t:]))
        for t in range(LENGTH)
    ]
    np.testing.assert_allclose(
        agent.advantages(batch, agent._value_network(batch.state)[0])[:LENGTH],
        expected,
        rtol=1e-3,
        atol=1e-4,
    )


def test_both_ends_of_the_trace_are_unbiased_and_the_return_is_noisier():
    # With the exact V, E[A·η/σ·sᵀ] = −E_K·E[ssᵀ] for any trace. Forty stretches of 500
    # steps each, which are as good as independent: four standard errors.
    length, stretches = 500, 40
    columns = [
        lq.rows(length, 100 + seed, episode=True, start=0.1)
        for seed in range(stretches)
    ]
    spread = {}
    for trace in (0.0, 1.0):
        agent = lq.make("td_actor_critic", trace_decay=trace, max_episode_steps=length)
        critic_of(agent, KNOWN)
        differences = []
        for each in columns:
            state, action = each[:2]
            episode = lq.transition(*each)
            batch = agent._episode(episode, tf.ones([length]))
            eta = (action - state @ lq.GAIN.T) / 0.3
            advantage = agent.advantages(
                batch, agent._value_network(batch.state)[0]
            ).numpy()[:, np.newaxis]
            found = (advantage * eta / 0.3).T @ state / length
            differences.append(found + KNOWN.action_cost @ state.T @ state / length)
        error = np.std(differences, axis=0, ddof=1) / stretches**0.5
        assert (np.abs(np.mean(differences, axis=0)) < 4 * error).all()
        spread[trace] = error.mean()
    assert spread[1.0] > 1.2 * spread[0.0]


def test_the_planner_is_svg_infinity_on_the_models_own_trajectory():
    # With the same noise it has the same gradient, sample by sample.
    planner = lq.make("planner", learning_rate=1.0)
    experience, episode = data(planner)
    rollout = planner._rollout(episode["episode"].time_step.observation[0])
    np.testing.assert_allclose(rollout.state[1:], rollout.next_state[:-1])
    np.testing.assert_allclose(
        rollout.state[0], episode["episode"].time_step.observation[0]
    )
    real = lq.transition(
        *(x.numpy() for x in (rollout.state, rollout.action, rollout.next_state)),
        rollout.reward.numpy(),
        np.zeros(LENGTH),
    )
    svg = lq.make("svg_infinity", learning_rate=1.0)
    mask = {"episode_mask": tf.ones([LENGTH])}
    found = step_of(planner, experience, episode)
    expected = step_of(svg, experience, {"episode": real, **mask})
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    # Another training step draws other noise.
    again = planner._rollout(episode["episode"].time_step.observation[0])
    assert (again.action.numpy() != rollout.action.numpy()).any()


@pytest.mark.parametrize("compiled", [False, True])
def test_the_planner_rolls_out_the_model_that_it_has_just_trained(compiled):
    def planner(model, model_rate):
        optimizer = tf.keras.optimizers.legacy.SGD(model_rate)
        rates = {"learning_rate": 1.0, "model_optimizer": optimizer}
        agent = lq.make("planner", dynamics_network=model, **rates)
        experience, episode = data(agent)
        if compiled:
            agent.train = tf.function(agent.train, autograph=False)
        return step_of(agent, experience, episode)

    learned = lq.LinearDynamics(A=np.eye(2), B=np.zeros((2, 2)))
    found = planner(learned, model_rate=0.5)
    assert np.abs(learned.B.numpy()).max() > 0.05
    known = lq.LinearDynamics(A=learned.A.numpy(), B=learned.B.numpy())
    np.testing.assert_allclose(found, planner(known, model_rate=0.0), rtol=1e-4)


@pytest.mark.parametrize("name", [each for each in EPISODIC if each != "planner"])
def test_a_padded_episode_is_the_short_one(name):
    steps = []
    for padded in (None, 13):
        agent = lq.make(name, learning_rate=1.0, max_episode_steps=padded or LENGTH)
        if not name.startswith("svg_"):
            critic_of(agent, KNOWN)
        steps.append(step_of(agent, *data(agent, padded=padded)))
    np.testing.assert_allclose(*steps, rtol=1e-4, atol=1e-6)
    assert np.abs(steps[0]).max() > 1e-3


def test_a_terminal_transition_has_no_value_behind_it():
    # All terminal: what is left of (13) is r_a = −Ra.
    agent = lq.make("svg1", learning_rate=1.0)
    critic_of(agent, KNOWN)
    experience, episode = data(agent, discount=np.zeros(LENGTH))
    state, action, *_ = lq.rows(LENGTH, 1, episode=True)
    expected = -(action @ lq.SYSTEM.R).T @ state / LENGTH
    np.testing.assert_allclose(
        step_of(agent, experience, episode), expected, rtol=1e-3, atol=1e-5
    )


def test_learned_rewards_take_the_place_of_known_ones():
    tf.keras.utils.set_random_seed(0)
    model = dynamics_network.DynamicsNetwork(lq.OBSERVATION, lq.ACTION, True, (6,))
    agent = lq.make("svg1", dynamics_network=model, reward_fn=None)
    state, action = (tf.constant(x, tf.float32) for x in lq.rows(5)[:2])
    np.testing.assert_allclose(
        agent.reward(state, action, state), model(state, action).reward
    )
    agent.train(*data(agent)[:1], **data(agent)[1])
    silent = dynamics_network.DynamicsNetwork(lq.OBSERVATION, lq.ACTION, False, (6,))
    with pytest.raises(ValueError, match="must learn rewards where there is no"):
        lq.make("svg1", dynamics_network=silent, reward_fn=None)


def test_importance_weights_are_those_of_13():
    # log p stored lower by log 2 and by log 10: weights 2, and 5 at most.
    agent = lq.make("svg1", learning_rate=1.0)
    critic_of(agent, KNOWN)
    experience, _ = data(agent)
    columns = list(lq.rows(LENGTH, 1, episode=True))
    mask = tf.ones([LENGTH])
    plain = lq.transition(*columns)
    columns[4] = columns[4] - np.log(2)
    twice = lq.transition(*columns)
    columns[4] = columns[4] - np.log(5)
    tenfold = lq.transition(*columns)
    steps, weights = [], []
    for episode in (plain, twice, tenfold):
        agent.actor_network.variables[0].assign(lq.GAIN)
        before = lq.gain_of(agent)
        info = agent.train(experience, episode=episode, episode_mask=mask).extra
        steps.append(lq.gain_of(agent) - before)
        weights.append(float(info.importance_weight))
    np.testing.assert_allclose(weights, [1, 2, 5], rtol=1e-4)
    np.testing.assert_allclose(steps[1], 2 * steps[0], rtol=1e-3)
    np.testing.assert_allclose(steps[2], 5 * steps[0], rtol=1e-3)


def test_importance_weights_may_have_no_limit():
    weights = value_gradients.importance_weights(
        tf.constant([3.0]), tf.zeros([1]), None
    )
    np.testing.assert_allclose(weights, [np.exp(3)], rtol=1e-6)
    agent = lq.make("svg0_episode", importance_weight_clipping=None)
    experience, _ = data(agent)
    columns = list(lq.rows(LENGTH, 1, episode=True))
    columns[4] = columns[4] - np.log(20)
    episode = {"episode": lq.transition(*columns), "episode_mask": tf.ones([LENGTH])}
    found = agent.train(experience, **episode).extra.importance_weight
    np.testing.assert_allclose(found, 20, rtol=1e-4)


def test_value_functions_are_copied_at_whole_periods_exactly():
    # Seven updates a training step, a copy every five: in the middle of either.
    agent = lq.make(
        "td_actor_critic",
        value_updates=7,
        target_update_period=5,
        critic_optimizer=tf.keras.optimizers.legacy.SGD(1e-3),
    )
    copied, seen = [], []
    copy, loss = agent._copy_value_network, agent.value_loss

    def count(batch):
        seen.append(len(seen))
        return loss(batch)

    def remember():
        copy()
        copied.append((len(seen), agent._value_network.variables[0].numpy()))

    agent.value_loss, agent._copy_value_network = count, remember
    for seed in range(2):
        agent.train(*data(agent, seed)[:1], **data(agent, seed)[1])
    assert [number for number, _ in copied] == [5, 10]
    np.testing.assert_array_equal(
        agent._target_value_network.variables[0], copied[-1][1]
    )
    # Four more updates since: the value function has moved on.
    assert (agent._value_network.variables[0].numpy() != copied[-1][1]).any()


def test_the_papers_period_is_counted_over_training_steps():
    # Ten updates a training step: a copy at 50 and at 100, and at no other.
    agent = lq.make(
        "td_actor_critic",
        value_updates=10,
        critic_optimizer=tf.keras.optimizers.legacy.SGD(1e-3),
    )
    train, copied = tf.function(agent.train, autograph=False), []
    for step in range(1, 12):
        before = agent._target_value_network.variables[0].numpy()
        train(data(agent, step)[0], **data(agent, step)[1])
        after = agent._target_value_network.variables[0].numpy()
        if (after != before).any():
            copied.append(10 * step)
            np.testing.assert_array_equal(after, agent._value_network.variables[0])
    assert copied == [50, 100]


def test_the_target_is_algorithm_4s_by_hand():
    # V = 1 everywhere in the copy, 0 in ν_new: w·½·(r + γ·d)², with w = 1 and 2.
    agent = lq.make("td_actor_critic")
    agent._target_value_network.variables[1].assign(1.0)
    columns = list(lq.rows(16, 0))
    weight = np.where(np.arange(16) % 3, 1.0, 2.0)
    columns[4] = columns[4] - np.log(weight)
    discount = np.arange(16) % 2
    experience = lq.transition(*columns, discount=discount)
    info = agent.train(experience, **data(agent)[1]).extra
    expected = weight * 0.5 * (columns[3] + lq.GAMMA * discount) ** 2
    np.testing.assert_allclose(info.critic_loss, expected.mean(), rtol=1e-4)


def test_the_penalty_is_of_the_current_policy_from_the_one_before():
    agent = lq.make("svg1_er", kl_penalty=0.5)
    experience, _ = data(agent)
    agent.train(experience)
    batch = agent._minibatches(experience, None)[2]
    batch = type(batch)(*(x[0] for x in batch))
    np.testing.assert_allclose(agent.divergence(batch), 0.0, atol=1e-6)
    # Means apart by δ: ½·‖δ‖²/σ_start², and with another σ_start the order shows:
    # KL(N(0, σ²) ‖ N(δ, τ²)) = log(τ/σ) + (σ² + δ²)/(2τ²) − ½ a dimension.
    agent._start_actor_network.variables[0].assign(lq.GAIN + 0.1)
    agent._start_log_variance.assign([2 * np.log(0.6)] * 2)
    shift = np.sum(0.1 * batch.state.numpy(), axis=1)
    each = np.log(2) + (0.3**2 + shift**2) / (2 * 0.6**2) - 0.5
    np.testing.assert_allclose(agent.divergence(batch), 2 * each.mean(), rtol=1e-4)
    # The gradient is the current policy's alone.
    with tf.GradientTape() as tape:
        loss = agent.divergence(batch)
    gradients = tape.gradient(
        loss,
        [agent.actor_network.variables[0], agent._start_actor_network.variables[0]],
    )
    assert np.abs(gradients[0]).max() > 1e-3 and gradients[1] is None


def test_the_penalty_is_from_the_policy_before_each_step():
    agent = lq.make("svg1_er", learning_rate=0.01, kl_penalty=0.5)
    critic_of(agent, KNOWN)
    for seed in range(2):
        before = lq.gain_of(agent)
        agent.train(data(agent, seed)[0])
        assert (lq.gain_of(agent) != before).any()
        np.testing.assert_array_equal(agent._start_actor_network.variables[0], before)


def test_padding_changes_no_penalty():
    agent = lq.make("svg1", kl_penalty=0.5)
    agent._start_actor_network.variables[0].assign(lq.GAIN + 0.1)
    short, padded = (
        agent.divergence(agent._episode(*data(agent, padded=padded)[1].values()))
        for padded in (None, 13)
    )
    assert short > 1e-3
    np.testing.assert_allclose(short, padded, rtol=1e-5)


def test_the_penalty_holds_the_policy_back():
    moved = {}
    for penalty in (0.0, 100.0):
        agent = lq.make(
            "svg1_er", learning_rate=1e-3, kl_penalty=penalty, policy_updates=20
        )
        critic_of(agent, KNOWN)
        moved[penalty] = step_of(agent, data(agent)[0], {})
        info = agent.train(data(agent)[0]).extra
        assert (float(info.kl) > 0) == (penalty > 0)
    assert np.abs(moved[100.0]).max() < 0.5 * np.abs(moved[0.0]).max()


@pytest.mark.parametrize("clipping", [None, 1.0])
def test_a_gradient_that_is_not_finite_moves_nothing(clipping):
    def adam(rate):
        return tf.keras.optimizers.Adam(rate, jit_compile=False)

    agent = lq.make("svg_infinity", 0.1, adam, policy_gradient_clipping=clipping)
    batch = data(agent)
    assert np.abs(step_of(agent, *batch)).max() > 0.05
    moments = [each.numpy() for each in agent._actor_optimizer.variables]
    agent.dynamics_network.A.assign(1e30 * np.eye(2))
    step = step_of(agent, *batch)
    np.testing.assert_array_equal(step, np.zeros((2, 2)))
    # Nor do Adam's moments, which would move the weights as well.
    for before, after in zip(moments, agent._actor_optimizer.variables, strict=True):
        np.testing.assert_array_equal(before, after.numpy())


def test_the_policys_gradient_is_clipped_by_its_norm():
    agent = lq.make("svg_infinity", learning_rate=1.0, policy_gradient_clipping=0.01)
    step = step_of(agent, *data(agent))
    np.testing.assert_allclose(np.linalg.norm(step), 0.01, rtol=1e-4)
    # A smaller one stays as it is.
    loose, free = (
        step_of(each, *data(each))
        for each in (
            lq.make("svg_infinity", learning_rate=1.0, policy_gradient_clipping=clip)
            for clip in (1e6, None)
        )
    )
    np.testing.assert_allclose(loose, free, rtol=1e-5)


def test_a_learned_stddev_has_its_pathwise_gradient():
    # ∂/∂σ = Σ γ^t g_t·η_t for SVG(∞), and φ = 2·log σ.
    agent = lq.make("svg_infinity", learning_rate=1.0, learn_stddev=True)
    experience, episode = data(agent)
    batch = agent._episode(episode["episode"], episode["episode_mask"])
    by_action = agent.action_gradients(batch, tf.ones([LENGTH]))
    state, action, *_ = lq.rows(LENGTH, 1, episode=True)
    eta = (action - state @ lq.GAIN.T) / 0.3
    weighted = lq.GAMMA ** np.arange(LENGTH)[:, np.newaxis] * by_action * eta
    before = agent._log_variance.numpy()
    agent.train(experience, **episode)
    np.testing.assert_allclose(
        agent._log_variance - before, 0.5 * 0.3 * weighted.numpy().sum(axis=0), 1e-3
    )


#: Options that have a graph of their own, by a name for the test.
OPTIONS = {
    "svg_k": ("svg_infinity", {"horizon": 3}),
    "svg_infinity_with_value": ("svg_infinity", {"horizon": LENGTH}),
    "reinforce": ("td_actor_critic", {"trace_decay": 1.0}),
}
#: These have every kind of network and of update.
LARGEST = "svg0_episode", "svg1_er", "svg_infinity_with_value", "td_actor_critic"


def option(name):
    """The agent and the arguments that a name of `OPTIONS`, or an agent's, means."""
    return OPTIONS.get(name, (name, {}))


@pytest.mark.parametrize("name", slow.all_but(LARGEST, [*EPISODIC, *OPTIONS]))
@pytest.mark.parametrize(
    "xla", slow.all_but([True], [False, True]), ids=["graph", "xla"]
)
def test_compiled_training_is_eager_training(name, xla):
    name, options = option(name)

    def small():
        rate = tf.keras.optimizers.legacy.SGD
        changes = {"policy_gradient_clipping": 1.0, **options}
        if "horizon" in options:
            changes |= {"value_updates": 2, "critic_optimizer": rate(1e-2)}
            changes["target_update_period"] = 3
        if name != "td_actor_critic" and "svg0" not in name and name != "dpg":
            changes |= {"model_updates": 3, "model_optimizer": rate(1e-2)}
        if name in ("svg1", "svg1_er", "td_actor_critic"):
            changes |= {"value_updates": 2, "critic_optimizer": rate(1e-2)}
            changes |= {"policy_updates": 2, "target_update_period": 3}
        if name == "svg1_er":
            changes["kl_penalty"] = 0.1
        if name in ("svg0_episode", "dpg"):
            changes |= {"critic_updates": 2, "critic_optimizer": rate(1e-2)}
            changes |= {"policy_updates": 2, "target_update_period": 3}
        return lq.make(name, learning_rate=1e-2, **changes)

    eager, compiled = small(), small()
    function = tf.function(compiled.train, jit_compile=xla, autograph=False)
    for seed in range(3):
        experience, episode = data(eager, seed)
        expected = eager.train(experience, **episode)
        found = function(experience, **episode)
        for mine, other in zip(found.extra, expected.extra, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-5)
    assert compiled.train_step_counter == 3
    for mine, other in zip(compiled.variables, eager.variables, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-5)
    assert np.abs(lq.gain_of(compiled) - lq.GAIN).max() > 1e-4


def test_algorithm_2_trains_after_each_step():
    # One update of each kind, from three minibatches, without an episode.
    none = dict.fromkeys(("model_updates", "value_updates", "policy_updates"))
    agent = lq.make("svg1_er", 1.0, trains_at_episode_end=False, **none)
    assert agent.minibatches_per_train == 3 and not agent.trains_at_episode_end
    other = lq.make("svg1_er", 1.0)
    steps = [step_of(each, data(each)[0], {}) for each in (agent, other)]
    np.testing.assert_array_equal(*steps)
    # At an episode's end there are T of each kind.
    assert lq.make("svg1_er", **none).minibatches_per_train == 3 * LENGTH


@pytest.mark.parametrize("name", ["svg1", "svg_infinity", "svg0_episode"])
def test_the_last_episode_is_needed(name):
    agent = lq.make(name)
    with pytest.raises(ValueError, match="was trained without one"):
        agent.train(data(agent)[0])


def test_batches_that_do_not_divide_are_named():
    agent = lq.make("svg1_er")
    with pytest.raises(ValueError, match="must hold 3 minibatches of equal size"):
        agent.train(lq.transition(*lq.rows(16)))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"gamma": 1.5}, "gamma must be a number between 0 and 1"),
        ({"stddev": 0.0}, "stddev must be a number above 0"),
        ({"kl_penalty": -1.0}, "kl_penalty must be a number of at least 0"),
        ({"model_updates": 0}, "model_updates must be a whole number of at least 1"),
        ({"target_update_period": 0}, "target_update_period must be a whole number"),
        ({"policy_replay": 1}, "policy_replay must be True or False"),
        ({"importance_weight_clipping": 0}, "importance_weight_clipping must be"),
        ({"model_optimizer": None}, "model_optimizer must be an optimizer"),
        (
            {"trains_at_episode_end": False, "policy_replay": False},
            "trains_at_episode_end must be True where the policy learns from the last",
        ),
    ],
)
def test_what_is_not_allowed_is_named(changes, sentence):
    with pytest.raises(ValueError, match=f"Svg1Agent.{sentence}"):
        lq.make("svg1_er", **changes)


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        (
            "svg_infinity",
            {"horizon": 0},
            "SvgInfinityAgent.horizon must be a whole number of at least 1",
        ),
        (
            "svg_infinity",
            {"horizon": 3, "value_network": None},
            "SvgInfinityAgent.value_network must be a network, but is None.",
        ),
        (
            "svg_infinity",
            {"horizon": 3, "critic_optimizer": None},
            "SvgInfinityAgent.critic_optimizer must be an optimizer",
        ),
        (
            "planner",
            {"max_episode_steps": None},
            "SvgInfinityAgent.max_episode_steps must be a whole number of at least 1",
        ),
        (
            "td_actor_critic",
            {"trace_decay": 1.5},
            "TdActorCriticAgent.trace_decay must be",
        ),
    ],
)
def test_what_options_do_not_allow_is_named(name, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        lq.make(name, **changes)


def test_smoothies_step_with_an_exact_critic():
    # At the mean action, so without noise: −E_K·ssᵀ; and half the Hessian, −½H, by
    # Σ = LLᵀ is −HL by L, which for φ = log σ² is −½·H_ii·σ².
    agent = lq.make_smoothie(learning_rate=1.0)
    critic_of(agent, KNOWN)
    state, *_ = lq.rows(16)
    log_variance = agent._log_variance.numpy()
    step = step_of(agent, lq.transition(*lq.rows(16)), {})
    expected = -KNOWN.action_cost @ state.T @ state / 16
    np.testing.assert_allclose(step, expected, rtol=1e-3, atol=1e-4)
    found = agent._log_variance.numpy() - log_variance
    expected = 0.5 * 0.3 * np.diag(-KNOWN.curvature * 0.3)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


# Training steps, transitions of an "episode", and Adam's first rate.
LEARNING = {
    "svg1": (80, 64, 0.08),
    "svg1_er": (80, 8, 0.08),
    "svg0_episode": (80, 64, 0.08),
    "dpg": (80, 64, 0.08),
    "td_actor_critic": (80, 256, 0.08),
    "svg_infinity": (200, 30, 0.15),
    "planner": (200, 30, 0.15),
    "svg_k": (200, 30, 0.15),
    "svg_infinity_with_value": (200, 30, 0.15),
    # The noisier estimate: more and longer episodes.
    "reinforce": (240, 512, 0.08),
}


@pytest.mark.parametrize(
    "name",
    slow.all_but(
        ["svg1_er", "svg0_episode", "td_actor_critic", "svg_infinity"], LEARNING
    ),
)
def test_each_reaches_the_best_gains_cost(name):
    # From a stabilising gain at four times that cost, from wrong models and critics.
    steps, number, rate = LEARNING[name]
    agent_name, options = option(name)
    agent = lq.make_learner(agent_name, rate, number, **options)
    train = tf.function(agent.train, autograph=False)

    def cost(gain):
        return np.trace(lq.SYSTEM.evaluate(gain, 0.3 * np.eye(2), lq.GAMMA).cost)

    best = cost(lq.SYSTEM.optimal_gain(lq.GAMMA))
    assert cost(lq.gain_of(agent)) > 3.9 * best
    in_a_row = agent_name in ("svg_infinity", "planner") or name == "reinforce"
    for step in range(steps):
        agent._actor_optimizer.learning_rate.assign(rate * 0.03 ** (step / steps))
        gain, seeds = lq.gain_of(agent), (2 * step, 2 * step + 1)
        replayed = lq.rows(64 * agent.minibatches_per_train, seeds[0], gain)
        episode = lq.rows(number, seeds[1], gain, episode=in_a_row)
        train(
            lq.transition(*replayed),
            episode=lq.transition(*episode),
            episode_mask=tf.ones([number]),
        )
    assert cost(lq.gain_of(agent)) < 1.02 * best


# SVG(0): what it can do besides, with the stored next action.


def stored_next(agent, number, seed=5):
    action = np.random.default_rng(seed).normal(size=(number, 2))
    return action, np.full(number, -1.0)


def test_stored_next_actions_and_their_weights_by_hand():
    agent = lq.make(
        "svg0_episode", stored_next_action=True, importance_weight_clipping=3.0
    )
    # Q' = 2 + a'ᵀa' in the target, Q = 0: y = r + γ·d·(2 + ‖a'‖²).
    target = agent._target_critic_network
    target.variables[0].assign(np.diag([0, 0, 1.0, 1.0]))
    target.variables[1].assign(2.0)
    columns = lq.rows(16, 0)
    discount = np.where(np.arange(16) % 4 == 1, 0.0, 1.0)
    is_stored = np.arange(16) % 3 > 0
    following, reward = columns[2], columns[3]
    action, log_probability = stored_next(agent, 16)
    log_density = -0.5 * (((action - following @ lq.GAIN.T) / 0.3) ** 2).sum(axis=1)
    log_density -= np.log(2 * np.pi * 0.3**2)
    # Close enough for weights on both sides of 1 and of the clipping.
    log_probability = log_density + np.linspace(-2, 2, 16)
    importance = np.minimum(np.exp(-np.linspace(-2, 2, 16)), 3.0)
    fresh = following @ lq.GAIN.T + 0.3 * agent._next_noise([16, 2], 0).numpy()
    used = np.where(is_stored[:, None], action, fresh)
    weight = np.where(is_stored & (discount > 0), importance, 1.0)
    y = reward + lq.GAMMA * discount * (2 + (used**2).sum(axis=1))
    step = policy_step.PolicyStep(
        tf.constant(action, tf.float32),
        (),
        policy_step.set_log_probability((), tf.constant(log_probability, tf.float32)),
    )
    info = agent.train(
        lq.transition(*columns, discount=discount),
        next_action_step=step,
        next_is_stored=tf.constant(is_stored),
        **data(agent)[1],
    ).extra
    np.testing.assert_allclose(
        info.critic_loss, (0.5 * weight * y**2).mean(), rtol=1e-4
    )


def test_each_update_of_a_training_step_has_its_own_noise():
    # Q = Q' = ‖a‖², in the third of training steps of two draws for the policy and two
    # for next actions.
    agent = lq.make(
        "svg0_episode", critic_updates=2, policy_updates=2, infer_noise=False
    )
    agent.train_step_counter.assign(2)
    for critic in (agent.critic_network, agent._target_critic_network):
        critic.variables[0].assign(np.diag([0, 0, 1.0, 1.0]))

    def drawn(state, draw):
        noise = gaussian.stateless_normal([len(state), 2], [3, 4 * 2 + draw])
        return np.sum((state @ lq.GAIN.T + 0.3 * noise) ** 2, axis=1)

    _, action, following, reward, _ = lq.rows(32, 0)
    next_value = [drawn(x, 2 + i) for i, x in enumerate(np.split(following, 2))]
    error = reward + lq.GAMMA * np.concatenate(next_value) - (action**2).sum(axis=1)
    info = agent.train(data(agent)[0], **data(agent)[1]).extra
    np.testing.assert_allclose(info.critic_loss, (0.5 * error**2).mean(), rtol=1e-4)
    state = lq.rows(LENGTH, 1, episode=True)[0]
    value = np.mean([drawn(state, 0), drawn(state, 1)])
    np.testing.assert_allclose(info.q, value, rtol=1e-4)


def test_deterministic_targets_have_no_noise():
    agent = lq.make("dpg")
    target = agent._target_critic_network
    target.variables[0].assign(np.diag([0, 0, 1.0, 1.0]))
    columns = lq.rows(16, 0)
    info = agent.train(lq.transition(*columns), **data(agent)[1]).extra
    y = columns[3] + lq.GAMMA * ((columns[2] @ lq.GAIN.T) ** 2).sum(axis=1)
    np.testing.assert_allclose(info.critic_loss, (0.5 * y**2).mean(), rtol=1e-4)
    assert float(info.importance_weight) == 1.0
    # σ is mere exploration.
    assert not any("log_variance" in v.name for v in agent.trainable_variables)
    with pytest.raises(ValueError, match="a deterministic policy did not choose it"):
        lq.make("dpg", stored_next_action=True)


def test_svg0s_critic_learns_first_and_its_copies_are_counted_by_updates():
    agent = lq.make(
        "svg0_episode",
        critic_updates=4,
        target_update_period=6,
        critic_optimizer=tf.keras.optimizers.legacy.SGD(1e-3),
    )
    copied, seen = [], []
    update, loss = agent._update_targets, agent.critic_loss

    def count(*batch):
        seen.append(len(seen))
        return loss(*batch)

    def remember(tau):
        update(tau)
        copied.append(len(seen))

    agent.critic_loss, agent._update_targets = count, remember
    before = agent._target_critic_network.variables[0].numpy()
    agent.train(data(agent)[0], **data(agent)[1])
    np.testing.assert_array_equal(agent._target_critic_network.variables[0], before)
    agent.train(data(agent)[0], **data(agent)[1])  # Eight updates, one copy.
    after = agent._target_critic_network.variables[0].numpy()
    assert (after != before).any()
    assert (after != agent.critic_network.variables[0].numpy()).any()
    assert copied == [6] and len(seen) == 8
