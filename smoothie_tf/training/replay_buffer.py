"""A ring buffer of packed rows that stores each observation once.

Row i holds the observation of one time step, and the action, policy info, reward and
discount that follow it. The next observation is in row i + 1. An episode's final
observation has its own row, at which no transition starts, so no sampled pair crosses
an episode's end.

Shapes: N sampled transitions, S state, A action, P policy info, W = S + A + P + 2.
"""

import numpy as np

#: Replaces the discount in rows at which no transition starts.
NO_TRANSITION = -1.0


class ReplayBuffer:
    """Uniform replay of transitions, in numpy."""

    def __init__(
        self, capacity: int, observation_size: int, action_size: int, info_size: int = 0
    ):
        """Allocates the ring; the system allocates pages only when they are written.

        Args:
          capacity: Number of rows, at least 2: one per transition, and one for each
            episode's final observation.
          observation_size: S.
          action_size: A.
          info_size: P, numbers of policy info per transition.

        Raises:
          ValueError: If the capacity is below 2.
        """
        if capacity < 2:
            raise ValueError(f"Replay capacity must be at least 2, but is {capacity}.")
        row_size = observation_size + action_size + info_size + 2
        self._rows = np.zeros((capacity, row_size), np.float32)
        self._observation_end = observation_size
        self._action_end = observation_size + action_size
        self._total_rows = 0

    @property
    def capacity(self) -> int:
        """Number of rows."""
        return len(self._rows)

    @property
    def row_size(self) -> int:
        """W, numbers per row."""
        return self._rows.shape[1]

    @property
    def total_rows(self) -> int:
        """Complete rows ever written, including overwritten ones."""
        return self._total_rows

    def add(
        self,
        observation: np.ndarray,
        action: np.ndarray,
        info: np.ndarray,
        reward: float,
        next_observation: np.ndarray,
        terminated: bool,
        truncated: bool,
    ) -> None:
        """Adds a transition, which can be sampled immediately.

        Args:
          observation: s, shape [S].
          action: a, shape [A].
          info: The policy's info of the action, shape [P].
          reward: r.
          next_observation: s', shape [S].
          terminated: Whether the episode terminated there: discount 0, else 1.
          truncated: Whether the episode was truncated there.
        """
        row = self._rows[self._total_rows % self.capacity]
        row[: self._observation_end] = observation
        row[self._observation_end : self._action_end] = action
        row[self._action_end : -2] = info
        row[-2] = reward
        row[-1] = 0.0 if terminated else 1.0
        self._total_rows += 1
        self.look_ahead(next_observation)
        if terminated or truncated:
            self._total_rows += 1

    def look_ahead(self, observation: np.ndarray) -> None:
        """Writes an observation, shape [S], into the row for the next step."""
        row = self._rows[self._total_rows % self.capacity]
        row[:] = 0.0
        row[: self._observation_end] = observation
        row[-1] = NO_TRANSITION

    def sample(self, number: int, rng: np.random.Generator) -> np.ndarray:
        """Draws transitions uniformly, with replacement.

        Args:
          number: N.
          rng: Stream to draw from.

        Returns:
          Copies of the rows at which the transitions start, and of the rows after them,
          float32, shape [2, N, W].

        Raises:
          ValueError: If replay is empty.
        """
        filled = min(self._total_rows, self.capacity)
        if filled == 0:
            raise ValueError("Replay is empty: there is no transition to sample.")
        indices = rng.integers(filled, size=number)
        while True:
            following = indices + 1
            following[following == self.capacity] = 0
            rows = self._rows.take(np.stack((indices, following)), axis=0)
            unusable = np.flatnonzero(rows[0, :, -1] == NO_TRANSITION)
            if not len(unusable):
                return rows
            indices[unusable] = rng.integers(filled, size=len(unusable))

    def last_episode(self, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the episode that the last transition ended, in order.

        Args:
          length: T, number of transitions after padding.

        Returns:
          Copies of the rows at which its transitions start, and of the rows after them,
          float32, shape [2, T, W], padded with zeros; and a mask, 1 for transitions, 0
          for padding, float32, shape [T].

        Raises:
          ValueError: If the last transition ended no episode, or if the episode has
            more than T transitions or was partly overwritten.
        """
        oldest = max(0, self._total_rows - self.capacity)
        # Its longest extent, and the final observation of the episode before.
        first = max(oldest, self._total_rows - length - 2)
        window = self.rows_since(first)
        ends = np.flatnonzero(window[:, -1] == NO_TRANSITION)
        if not len(ends) or ends[-1] != len(window) - 1:
            raise ValueError("The last transition in replay ended no episode.")
        if len(ends) > 1:
            window = window[ends[-2] + 1 :]
        elif first > 0:
            raise ValueError(
                f"The last episode has more than {length} transitions, or begins"
                f" before what is left in replay, which has {self.capacity} rows."
            )
        number = len(window) - 1
        rows = np.zeros((2, length, self.row_size), np.float32)
        if number > length:
            raise ValueError(
                f"The last episode has {number} transitions, but must have at most"
                f" {length}."
            )
        rows[0, :number], rows[1, :number] = window[:-1], window[1:]
        return rows, (np.arange(length) < number).astype(np.float32)

    def rows_since(self, total_rows: int) -> np.ndarray:
        """Returns the complete rows written since `total_rows`, oldest first.

        Args:
          total_rows: An earlier value of `total_rows`, at most `capacity` rows ago.

        Returns:
          A copy, shape [rows, W].
        """
        indices = np.arange(total_rows, self._total_rows) % self.capacity
        return self._rows.take(indices, axis=0)

    def rewards(self) -> np.ndarray:
        """Returns the rewards of all transitions in memory order, shape [N]."""
        rows = self._rows[: min(self._total_rows, self.capacity)]
        return rows[rows[:, -1] != NO_TRANSITION, -2]

    def load(self, rows: np.ndarray, total_rows: int) -> None:
        """Restores the ring to its content after `total_rows` rows.

        Args:
          rows: The last rows that were written, oldest first, shape [rows, W].
          total_rows: Number of rows ever written at that time.
        """
        rows = rows[-self.capacity :]
        indices = np.arange(total_rows - len(rows), total_rows) % self.capacity
        self._rows[indices] = rows
        self._total_rows = total_rows
