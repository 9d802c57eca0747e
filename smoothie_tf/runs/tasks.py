"""Checks the names of tasks that a user has given."""

from collections.abc import Sequence

from smoothie_tf.validation import InputError, nearest


def check_envs(envs: Sequence[str], flag: str = "--envs") -> None:
    """Checks that Gymnasium knows every environment.

    Args:
        envs: Their ids.
        flag: Where they were given.

    Raises:
        InputError: If one is unknown, with the nearest id there is.
    """
    # Half a second that `--help` and a typo in another flag need not wait for.
    import gymnasium

    import smoothie_tf.environments  # noqa: F401  Registers the package's own tasks.

    for env in envs:
        try:
            gymnasium.spec(env)
        except (gymnasium.error.Error, ImportError) as error:
            near = nearest(env, gymnasium.registry)
            detail = near or f" ({' '.join(str(error).split())})"
            raise InputError(
                f"{flag} {env!r} is not an environment Gymnasium knows{detail}."
            ) from None
