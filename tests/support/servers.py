"""Starts servers on free ports and stops them again. Standard library only."""
import os
import re
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CHAT, EMBED = "smollm2-135m-instruct", "all-minilm-l6-v2"


def candor_path():
    name = "candor.exe" if os.name == "nt" else "candor"
    return Path(os.environ.get("CANDOR_BIN") or ROOT / "target" / "release" / name)


def models_folder():
    """Where the models are: CANDOR_MODELS, or where the program says that it keeps its data."""
    if folder := os.environ.get("CANDOR_MODELS"):
        return folder
    told = subprocess.run([candor_path(), "config"], capture_output=True, text=True, check=True).stdout
    return str(Path(re.search(r"^# data: (.+)$", told, re.M)[1].strip()) / "models")


def model_file(name, ending):
    """A model's file, in the folder of its name or flat."""
    folder = Path(models_folder())
    found = [path for path in (*(folder / name).glob(f"*{ending}"), *folder.glob(f"*{ending}"))
             if path.name.lower().startswith(name.split("-")[0]) or path.parent.name == name]
    if not found:
        raise RuntimeError(f"{name} is not in {folder}; get it with: candor pull {name}")
    return found[0]


def stop(process):
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Candor:
    """`candor serve` on a free port, with a data directory of its own."""

    def __init__(self, data, models=(CHAT, EMBED), config="", env=None, arguments=()):
        Path(data).mkdir(parents=True, exist_ok=True)
        path = Path(data) / f"config-{time.monotonic_ns()}.toml"
        path.write_text(config)
        named = [part for model in models for part in ("-m", str(model))]
        self.command = [str(candor_path()), "serve", "--port", "0", "--config", str(path), *named, *arguments]
        self.env = {**os.environ, "CANDOR_DATA_DIR": str(data), "CANDOR_MODELS": models_folder(), "NO_COLOR": "1", **(env or {})}
        self.env.pop("CANDOR_API_KEY", None) if "CANDOR_API_KEY" not in (env or {}) else None
        self.lines = []

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, env=self.env, text=True, errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        ready = threading.Event()

        def read():
            for line in self.process.stdout:
                self.lines.append(line)
                if found := re.search(r"(http://[\d.]+:\d+)/? serves", line):
                    self.url = found[1]
                    ready.set()
            ready.set()

        threading.Thread(target=read, daemon=True).start()
        ready.wait(timeout=120)
        if not hasattr(self, "url"):
            stop(self.process)
            raise RuntimeError(f"candor serve did not start: {''.join(self.lines)}")
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def metrics(self):
        """Every sample of /metrics, by its name with labels."""
        with urllib.request.urlopen(f"{self.url}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line and not line.startswith("#")}

    def __exit__(self, *_):
        if self.process.poll() is None:
            stop(self.process)
