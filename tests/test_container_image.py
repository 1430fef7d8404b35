"""The image: what it is made of, and that it does its work read-only, without network, for a user it does not know."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scaae_nipype._version import __version__

sys.path.append(str(Path(__file__).parent))
from podman_image import PROJECT, STRANGER, TAG, Image, checkout

pytestmark = pytest.mark.slow

JOB = ("--preset", "tiny", "--train-volumes", "40", "--precision", "fp32", "--nprocs", "1", "--work-dir", "/work")


BASE, BASE_MB = "python:3.11-slim-bookworm", 130
"""Docker's own slim image of Python, and its size on disk."""


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """Give the image of this checkout; skip where the programs are missing."""
    missing = [name for name in ("podman", "buildah", "runc") if shutil.which(name) is None]
    if missing or os.getuid() != 0:
        pytest.skip(f"needs root and {', '.join(missing) or 'its rights'} (Debian: podman, buildah, runc)")
    store = os.environ.get("IMAGE_STORE")
    made = Image(Path(store) if store else tmp_path_factory.mktemp("store"))
    made.build(checkout(tmp_path_factory.mktemp("source") / "project"), TAG)
    yield made
    if not store:
        subprocess.run(["podman", *made.options, "system", "reset", "--force"], capture_output=True, check=False)


@pytest.fixture(scope="session")
def study(image, tmp_path_factory):
    """Give a small dataset, simulated by the image itself, and folders that are the stranger's."""
    folder = tmp_path_factory.mktemp("study")
    for name in ("made", "out", "work", "out2", "work2"):
        (folder / name).mkdir()
        os.chown(folder / name, int(STRANGER), int(STRANGER))
    for parent in (folder, folder.parent):
        parent.chmod(0o755)
    size = ("--participants", "2", "--runs", "1", "--volumes", "60", "--voxel-size", "8")
    done = image.run({"/out": folder / "made"}, "/out/data", *size, program="/opt/venv/bin/scaae-simulate")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_nothing_in_it_is_of_this_machine(image):
    """No path of the checkout or the store, no certificate or address that only this machine knows."""
    searched = "/opt/scaae /opt/venv/bin /opt/venv/pyvenv.cfg /opt/venv/lib/python3*/site-packages/*.pth /etc/pip.conf"
    mounted = [word.partition(":")[0] for word in shlex.split(os.environ.get("BUILD_OPTIONS", "")) if word[0] == "/"]
    words = [str(PROJECT), str(image.store), *mounted, *filter(None, [os.environ.get("PIP_INDEX_URL")])]
    patterns = " ".join(f"-e '{word}'" for word in words)
    done = image.run({}, "-c", f"grep -rlF {patterns} {searched} 2>/dev/null", program="/bin/sh")
    assert done.stdout == ""
    names = {entry.partition("=")[0] for entry in image.configuration()["Config"]["Env"]}
    assert not names & {"PIP_CONFIG_FILE", "PIP_CERT", "PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"}
    instructions = (PROJECT / "Dockerfile").read_text()
    assert not [word for word in words if word in instructions]


def test_it_is_small_and_a_change_of_the_project_ships_little(image, tmp_path_factory):
    """Sizes as they lie on disk; shipped, layers are compressed. Python itself counts as in Docker's own image."""
    below = set(image.configuration(os.environ.get("IMAGE_BASE") or f"docker.io/library/{BASE}")["RootFS"]["Layers"])
    layers = image.layers()
    own = [(digest, size) for digest, size in layers.items() if digest not in below]
    print(f"\n{sum(layers.values()) - sum(size for _, size in own):8.1f} MB  base image (Docker's own: {BASE_MB})")
    print("\n".join(f"{size:8.1f} MB  {digest[:19]}" for digest, size in own))
    assert BASE_MB + sum(size for _, size in own) <= 1300
    changed = checkout(tmp_path_factory.mktemp("changed") / "project")
    with (changed / "bids_app" / "exits.py").open("a") as file:
        file.write("# a change\n")
    with (changed / "setup.cfg").open("a") as file:
        file.write("# another\n")
    image.build(changed, f"{TAG}-changed")
    new = {digest: size for digest, size in image.layers(f"{TAG}-changed").items() if digest not in layers}
    root = image.ask("image", "mount", f"{TAG}-changed").strip()
    try:
        shipped = subprocess.run(["tar", "-cz", "-C", f"{root}/opt/scaae", "."], capture_output=True, check=True).stdout
    finally:
        image.ask("image", "unmount", f"{TAG}-changed")
    print(f"after a change: {sum(new.values()):.2f} MB in {len(new)} layer, {len(shipped) / 1e6:.2f} MB compressed")
    assert len(new) == 1 and sum(new.values()) < 10
    assert len(shipped) < 5e6


def test_it_says_what_it_is_and_runs_as_nobody_in_particular(image):
    told = image.configuration()
    labels = told["Labels"]
    names = ("title", "version", "licenses", "description", "authors", "revision", "base.name")
    assert all(labels.get(f"org.opencontainers.image.{name}") for name in names), labels
    assert labels["org.opencontainers.image.version"] == __version__
    assert told["Config"]["User"] not in ("", "0", "root")
    done = image.run({}, "-c", "ls -d /data /out /work", program="/bin/sh")
    assert done.stdout.split() == ["/data", "/out", "/work"]
    assert image.run({}, "--version").stdout.strip().endswith(__version__)


def test_main_job_and_group_level_under_podman(image, study):
    binds = {"/data:ro": study / "made" / "data", "/out": study / "out", "/work": study / "work"}
    done = image.run(binds, "/data", "/out", "participant", *JOB)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All done: 2 runs" in done.stdout
    done = image.run(binds, "/data", "/out", "group", "--work-dir", "/work")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("sub-01.html", "group.html"):
        assert (study / "out" / name).stat().st_uid == int(STRANGER)


def test_the_same_as_apptainer_shows_it(image, study):
    """The unpacked image, its root read-only, the caller's user, no network, only the folders that are bound."""
    if shutil.which("bwrap") is None:
        pytest.skip("needs bwrap (Debian: bubblewrap)")
    root = image.ask("image", "mount", TAG).strip()
    as_user = ["setpriv", "--reuid", STRANGER, "--regid", STRANGER, "--clear-groups", "--no-new-privs"]
    alone = ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--die-with-parent"]
    seen = ["--ro-bind", root, "/", "--dev", "/dev", "--proc", "/proc", "--perms", "1777", "--tmpfs", "/tmp"]
    seen += ["--ro-bind", study / "made" / "data", "/data", "--bind", study / "out2", "/out"]
    seen += ["--bind", study / "work2", "/work", "--clearenv", "--setenv", "PATH", "/opt/venv/bin:/usr/bin:/bin"]
    seen += ["--setenv", "HOME", "/nonexistent", "--setenv", "APPTAINER_CONTAINER", "/images/scaae.sif", "--chdir", "/"]
    try:
        for words in (("participant", *JOB), ("group", "--work-dir", "/work")):
            command = [*alone, *seen, *as_user, "scaae-bids", "/data", "/out", *words]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "nonexistent" not in done.stderr  # nobody looks for a home
    finally:
        image.ask("image", "unmount", TAG)
    assert (study / "out2" / "group.html").is_file()


def test_without_binds_one_line_says_what_to_bind(image, study):
    done = image.run({}, "/data", "/out", "participant")
    assert done.returncode == 64
    (line,) = done.stderr.splitlines()
    assert "/data: holds nothing, because a container sees only folders that are bound" in line
    done = image.run({"/data": study / "made" / "data"}, "/data", "/out", "participant")
    assert done.returncode == 64
    assert "/out: is not bound, so that results would vanish with the container" in done.stderr
