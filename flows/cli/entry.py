"""The entry point of the `textmill` script: Ctrl-C is handled from the first moment, before anything is imported."""

import os
import signal
from types import FrameType


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, b"\nStopped before anything had begun.\n")
    os._exit(128 + number)


def main() -> None:
    """Run the command line, whose imports take half a second."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    from flows.cli.main import main as textmill

    textmill()


if __name__ == "__main__":
    main()
