"""`candor chat` at a terminal: a pseudo-terminal, so that the line editor, Ctrl-C and what is drawn are what people get."""
import os
import pty
import select
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from servers import CHAT, candor_path, models_folder  # noqa: E402


class Terminal:
    """A running `candor chat` and everything that it has written."""

    def __init__(self, data, *arguments, **env):
        self.said = b""
        env = {**os.environ, "CANDOR_DATA_DIR": str(data), "CANDOR_MODELS": models_folder(), "TERM": "xterm-256color", **env}
        command = [str(candor_path()), "chat", "-m", CHAT, *arguments]
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(command[0], command, env)

    def read(self):
        """What came in the last tenth of a second; `None` at the end."""
        if not select.select([self.fd], [], [], 0.1)[0]:
            return b""
        try:
            more = os.read(self.fd, 65536)
        except OSError:
            return None
        # The line editor asks where the cursor is, and waits for the answer.
        for _ in range(more.count(b"\x1b[6n")):
            os.write(self.fd, b"\x1b[1;1R")
        self.said += more
        return more or None

    def until(self, text, seconds=120):
        """Waits for text that comes after what was seen by an earlier call."""
        start, end = getattr(self, "seen", 0), time.monotonic() + seconds
        while (at := self.said.find(text, start)) < 0:
            assert time.monotonic() < end, f"{text} did not come: {self.said[start:]}"
            assert self.read() is not None, f"ended before {text}: {self.said[start:]}"
        self.seen = at + len(text)

    def send(self, keys):
        os.write(self.fd, keys)

    def end(self):
        """Waits for the end; the exit status."""
        while self.read() is not None:
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_ctrl_c_stops_the_answer_and_not_the_program(tmp_path):
    terminal = Terminal(tmp_path, "--plain", "-t", "0", "-n", "2000")
    terminal.until(b"> ")
    terminal.send(b"Tell me a very long story about the sea.\r")
    terminal.until(b"sea.\x1b")  # the line editor's echo
    terminal.until(b"\r\n")
    while len(terminal.said) - terminal.seen < 60:
        assert terminal.read() is not None
    terminal.send(b"\x03")
    terminal.until(b"stopped after")
    terminal.until(b"> ")
    terminal.send(b"/set max_tokens 2\r")
    terminal.until(b"> ")
    terminal.send(b"hi\r")
    terminal.until(b"cut off at the limit of tokens")
    terminal.until(b"> ")
    terminal.send(b"\x04")
    assert terminal.end() == 0
    assert "about the sea" in (tmp_path / "chat-history.txt").read_text()


def test_a_terminal_that_cannot_move_its_cursor_gets_no_escape_sequences(tmp_path):
    terminal = Terminal(tmp_path, "-n", "3", TERM="dumb")
    terminal.until(b"> ")
    terminal.send(b"hi\r")
    terminal.until(b"first after")
    terminal.until(b"> ")
    terminal.send(b"\x04")
    assert terminal.end() == 0
    assert b"\x1b" not in terminal.said, terminal.said


def test_a_history_that_cannot_be_kept_is_said_and_the_chat_goes_on(tmp_path):
    file = tmp_path / "file"
    file.write_text("in the way of the data directory")
    terminal = Terminal(file, "-n", "3")
    terminal.until(b"what you type is not kept")
    terminal.until(b"> ")
    terminal.send(b"hi\r")
    terminal.until(b"first after")
    terminal.until(b"> ")
    terminal.send(b"\x04")
    assert terminal.end() == 0
