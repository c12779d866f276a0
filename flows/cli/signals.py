"""SIGTERM and SIGHUP end a command as Ctrl-C does: running work is closed, and a sentence says what happened."""

import signal
from types import FrameType


class Terminated(KeyboardInterrupt):
    """Another program, or the end of the terminal, asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(f"Ended by {signal.Signals(number).name}")
        self.number = number


def raise_on_signals() -> None:
    """From now on SIGINT raises KeyboardInterrupt and SIGTERM and SIGHUP raise Terminated.

    A signal that is ignored, as nohup does with SIGHUP, stays ignored. Inside a flow run, Prefect installs its own
    handler for SIGTERM in front of this one and sends the signal again once the flow has been closed.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _raise(number: int, frame: FrameType | None) -> None:
    raise Terminated(number)
