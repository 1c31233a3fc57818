"""Reads on and on until nothing is lacking, once at a time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable


class ReadsOn:
    """Something that may be `lacking` data: while it is, run `read_on`.

    Attributes:
        reading: Whether a `read_on` is in progress.
    """

    reading = False

    @property
    @abstractmethod
    def lacking(self) -> bool:
        """Whether anything wanted is still to be read."""

    async def read_on(self, progress: Callable[[], None]) -> None:
        """Read until nothing is lacking, even if more is wanted meanwhile; call `progress` after
        each step. Returns at once if another call is in progress.

        A failed read is not retried until something else is wanted.

        Raises:
            StoreError: The store cannot be read.
        """
        if self.reading:
            return
        self.reading = True
        try:
            while self.lacking:
                await self.read_next()
                progress()
        except Exception:
            self.give_up()
            raise
        finally:
            self.reading = False

    @abstractmethod
    async def read_next(self) -> None:
        """Read some of what is lacking."""

    @abstractmethod
    def give_up(self) -> None:
        """Lack nothing any more: reading it has failed."""
