"""The image, built from the Dockerfile of this checkout by buildah, and run by podman (`make container-test`).

Three variables of the environment are for machines that cannot reach what a build fetches: IMAGE_BASE is taken in place
of the Dockerfile's base image, BUILD_OPTIONS are further words for buildah, and IMAGE_STORE is a folder in which layers
are kept between calls.
"""

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

TAG = "localhost/scaae:test"

STRANGER = "54321"
"""A user whom the image does not know."""

RUNTIME = ("--runtime", "runc", "run", "--ulimit", "nofile=1024:4096", "--ulimit", "nproc=4096:4096")
"""With limits that a process without special rights may set."""


class Image:
    """An image in a store of its own."""

    def __init__(self, store: Path):
        self.store = store
        self.options = ["--root", f"{store}/store", "--runroot", f"{store}/run", "--storage-driver", "overlay"]

    def ask(self, *words: str) -> str:
        return subprocess.run(["podman", *self.options, *words], check=True, capture_output=True, text=True).stdout

    def build(self, source: Path, tag: str) -> None:
        """Build the Dockerfile of a folder, with the store's layers where nothing has changed."""
        base = os.environ.get("IMAGE_BASE")
        words = ["buildah", *self.options, "bud", "--isolation", "chroot", "--network", "host", "--layers"]
        words += ["--build-arg", f"BASE={base}"] if base else []
        words += shlex.split(os.environ.get("BUILD_OPTIONS", ""))
        done = subprocess.run([*words, "--tag", tag, source], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]

    def configuration(self, tag: str = TAG) -> dict:
        return json.loads(self.ask("image", "inspect", tag))[0]

    def layers(self, tag: str = TAG) -> dict[str, float]:
        """Give the size in MB of every layer that holds something, by its digest; that of the base comes first."""
        rows = json.loads(self.ask("history", "--no-trunc", "--format", "json", tag))
        sizes = [row["size"] / 1e6 for row in reversed(rows) if row["size"] > 0]
        digests = self.configuration(tag)["RootFS"]["Layers"]
        return dict(zip(digests[-len(sizes) :], sizes, strict=True))

    def run(self, binds: dict[str, Path], *arguments: str, program: str | None = None, options: tuple[str, ...] = ()):
        """Run it read-only, without network, as a stranger without a home."""
        words = ["podman", *self.options, *RUNTIME, "--rm", "--network", "none", "--read-only"]
        words += ["--user", f"{STRANGER}:{STRANGER}", "--env", "HOME=/nonexistent", *options]
        words += [word for inside, outside in binds.items() for word in ("--volume", f"{outside}:{inside}")]
        words += ["--entrypoint", program] if program else []
        return subprocess.run([*words, TAG, *arguments], capture_output=True, text=True)


def checkout(folder: Path) -> Path:
    """Copy what git tracks, so that nothing else of this machine can be in the image."""
    folder.mkdir()
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    return folder
