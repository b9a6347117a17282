"""What a run ends with when it finds something."""


class Broken(AssertionError):
    """A promise does not hold."""

    def __init__(self, promise: str, text: str) -> None:
        super().__init__(f"{promise}: {text}")
        self.promise = promise
