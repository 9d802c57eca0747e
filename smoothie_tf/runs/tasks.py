"""Checks the names of tasks that a user has given."""

from collections.abc import Sequence

from smoothie_tf.validation import InputError


def check_envs(envs: Sequence[str], flag: str = "--envs") -> None:
    """Checks that every environment is one that training can make.

    Args:
        envs: Their names, as `task_names.find` reads them.
        flag: Where they were given.

    Raises:
        InputError: If one is unknown, with the nearest id there is.
    """
    # Half a second that `--help` and a typo in another flag need not wait for.
    from smoothie_tf.environments import task_names

    for env in envs:
        try:
            task_names.find(env)
        except task_names.UnknownTaskError as error:
            raise InputError(
                f"{flag} {env!r} is not an environment Gymnasium knows ({error})."
            ) from None
