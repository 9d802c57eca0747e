"""Checks the task names that a user gives."""

from collections.abc import Sequence

from smoothie_tf.validation import InputError


def check_envs(envs: Sequence[str], flag: str = "--envs") -> None:
    """Checks that training can make every environment.

    Args:
        envs: Names that `task_names.find` accepts.
        flag: The flag that gave them, for the message.

    Raises:
        InputError: If one is unknown; the message names the nearest known id.
    """
    # Imported here: `--help` and errors in other flags save half a second.
    from smoothie_tf.environments import task_names

    for env in envs:
        try:
            task_names.find(env)
        except task_names.UnknownTaskError as error:
            raise InputError(
                f"{flag} {env!r} is not an environment Gymnasium knows ({error})."
            ) from None
