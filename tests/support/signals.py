"""What tests start may be interrupted, although they may not: a script starts them in its background, or nohup."""

import signal

ASKING = (signal.SIGINT, signal.SIGHUP)


def let_commands_be_interrupted() -> None:
    """Take the signals that this process ignores and do nothing: commands that it starts then do not ignore them."""
    for number in ASKING:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
