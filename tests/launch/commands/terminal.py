#!/usr/bin/env python3
"""terminal.py LOCKSTEP: on a terminal the progress bar is as wide as there is room, follows the terminal's width, and Ctrl-C
leaves a clean line behind it."""

import fcntl
import os
import pty
import re
import signal
import struct
import sys
import tempfile
import termios

RECIPE = """
model { mlp { hidden: 8 } }
data { train { synthetic { features: 4 classes: 3 samples: 64 } } test { synthetic { features: 4 classes: 3 samples: 32 } } }
train { steps: 100000000 global_batch: 8 lanes: 2 evaluate_every_steps: 100000000 }
optimizer { sgd {} learning_rate: 0.01 }
"""
BAR = re.compile(rb"\r([^\r\n]*)\x1b\[K")


class Session:
    """A program on a terminal of its own."""

    def __init__(self, command, columns):
        self.output = b""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", NO_COLOR="")
            os.execvp(command[0], command)
        self.resize(columns)

    def resize(self, columns):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def more(self):
        """Reads what comes next; False at the end."""
        try:
            part = os.read(self.terminal, 65536)
        except OSError:
            return False
        self.output += part
        return bool(part)

    def bars(self, count):
        """The next bars that are drawn from now on, without the first, which may be of an instant before."""
        begin = len(self.output)
        while len(found := [bar for bar in BAR.findall(self.output[begin:]) if bar]) <= count:
            assert self.more(), self.output
        return found[1:]


def main():
    signal.alarm(60)
    with tempfile.TemporaryDirectory() as folder:
        recipe = os.path.join(folder, "r.textproto")
        with open(recipe, "w") as file:
            file.write(RECIPE)
        session = Session([sys.argv[1], "train", recipe, "--out", os.path.join(folder, "run")], 120)
        for columns in (120, 50, 25, 90):
            session.resize(columns)
            for bar in session.bars(2):
                assert len(bar) < columns, (columns, bar)
                assert bar.startswith(b"step" if columns < 30 else b"["), (columns, bar)
        os.write(session.terminal, b"\x03")
        while session.more():
            pass
        code = os.waitstatus_to_exitcode(os.waitpid(session.pid, 0)[1])
        assert code == 75, (code, session.output)
        last_bar_and_rest = session.output[session.output.rindex(b"left"):]
        assert b"\r\x1b[K\x1b[1;36mnote:\x1b[0m stopped at step" in last_bar_and_rest, last_bar_and_rest
        assert session.output.endswith(b"\n"), session.output[-100:]
    print("ok: terminal")


if __name__ == "__main__":
    main()
