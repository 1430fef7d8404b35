"""A Slurm of one machine, for as long as a command runs: ``python -m tools.one_machine_slurm COMMAND …``.

For root on Debian: installs its Slurm where it is missing, starts it without systemd and cgroups, runs the command with
``SLURM_CONF`` set, and stops it. Tasks that take more memory than they asked for are killed, as on a cluster.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["main", "slurm"]

PACKAGES = ("slurm-wlm", "slurm-client", "munge")
_STARTS_WITHIN = 60.0  # s

_CONFIGURATION = """\
ClusterName=onemachine
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/controller
SlurmdSpoolDir={folder}/node
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill,UsePss
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0,defer_batch,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=512
ReturnToService=2
KillWait=5
MinJobAge=600
MaxArraySize=1001
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} SocketsPerBoard=1 CoresPerSocket={cpus} ThreadsPerCore=1 \
RealMemory={memory} State=UNKNOWN
PartitionName=here Nodes=ALL Default=YES MaxTime=1-00:00:00 State=UP
"""


def install() -> None:
    """Install Debian's packages where Slurm is missing."""
    if all(shutil.which(program) for program in ("sbatch", "slurmctld", "slurmd", "munged")):
        return
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "--quiet"], check=True, env=quiet, stdout=subprocess.DEVNULL)
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *PACKAGES]
    subprocess.run(command, check=True, env=quiet, stdout=subprocess.DEVNULL)


@contextmanager
def slurm(folder: Path) -> Iterator[Path]:
    """Start a Slurm that keeps everything in a folder; give its configuration; stop it at the end."""
    folder.chmod(0o755)
    for name in ("controller", "node", "munge"):
        (folder / name).mkdir()
    (folder / "munge").chmod(0o711)
    key = folder / "munge" / "key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    configuration = folder / "slurm.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            host=socket.gethostname().partition(".")[0],
            folder=folder,
            port=_free_port(),
            node_port=_free_port(),
            cpus=os.cpu_count() or 1,
            memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 9 // 10 // 2**20,
        )
    )
    munge = [f"--{name}={folder}/munge/{name.partition('-')[0]}" for name in ("socket", "key-file", "pid-file")]
    munge += [f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge/seed"]
    try:
        subprocess.run(["munged", "--force", *munge], check=True, stderr=subprocess.DEVNULL)
        subprocess.run(["slurmctld", "-f", configuration, "-i", "-c"], check=True)
        subprocess.run(["slurmd", "-f", configuration, "-c"], check=True)
        _wait_for_node(configuration, folder)
        yield configuration
    finally:
        for name in ("slurmd.pid", "slurmctld.pid", "munge/pid"):
            _stop(folder / name)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for_node(configuration: Path, folder: Path) -> None:
    environment = {**os.environ, "SLURM_CONF": str(configuration)}
    deadline = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < deadline:
        asked = ["sinfo", "--noheader", "--format=%T"]
        state = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False).stdout.strip()
        if state == "idle":
            return
        time.sleep(0.1)
    logs = "\n".join(path.read_text()[-2000:] for path in sorted(folder.glob("*.log")))
    raise RuntimeError(f"Slurm did not start within {_STARTS_WITHIN:g} s:\n{logs}")


def _stop(pid_file: Path) -> None:
    with suppress(OSError, ValueError):
        number = int(pid_file.read_text())
        os.kill(number, signal.SIGTERM)
        for _ in range(100):
            os.kill(number, 0)  # raises when it has gone
            time.sleep(0.1)
        os.kill(number, signal.SIGKILL)


def main(command: Sequence[str]) -> int:
    """Run a command beside a Slurm; give its exit code."""
    if not command:
        print(__doc__, file=sys.stderr)
        return 64
    install()
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder, slurm(Path(folder)) as configuration:
        environment = {**os.environ, "SLURM_CONF": str(configuration)}
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
