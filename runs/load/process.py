"""What a process takes of the machine, by /proc (Linux)."""
import os
from pathlib import Path


def memory(pid):
    """Bytes: `rss` all that is resident, `anonymous` what is not a file's, `peak` the most that was ever resident."""
    names = {"VmRSS": "rss", "RssAnon": "anonymous", "RssFile": "file", "VmHWM": "peak"}
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {names[words[0][:-1]]: int(words[1]) * 1024 for words in lines if words and words[0][:-1] in names}


def cpu_s(pid):
    """Seconds of processor time so far, all threads."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def handles(pid):
    """Open files and sockets."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))
