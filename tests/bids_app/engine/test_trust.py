"""Nothing is unpickled that this user did not write, root or not: owners, modes and links on the way count."""

import gzip
import os
import pickle

import pytest
from nipype.pipeline.engine.utils import load_resultfile
from nipype.utils import filemanip

from scaae_nipype.bids_app.engine import workers  # noqa: F401 - guards what Nipype loads
from scaae_nipype.bids_app.engine.trust import refuse_others
from scaae_nipype.errors import UsageError

OTHER = 12345
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")


class Payload:
    """What runs a command when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.open, (str(self.trace), os.O_CREAT)


@pytest.fixture
def pickled(tmp_path):
    """Write a result file that leaves a trace when it is unpickled."""
    folder = tmp_path / "work" / "node"
    folder.mkdir(parents=True)
    path = folder / "result_node.pklz"
    path.write_bytes(gzip.compress(pickle.dumps(Payload(tmp_path / "trace"))))
    return path


def give_file(path):
    os.chown(path, OTHER, OTHER)


def give_folder(path):
    os.chown(path.parent, OTHER, OTHER)


def give_parent(path):
    os.chown(path.parent.parent, OTHER, OTHER)


def open_folder(path):
    path.parent.chmod(0o777)


def open_parent(path):
    path.parent.parent.chmod(0o757)


def open_file(path):
    path.chmod(0o666)


def share_folder(path):
    os.chown(path.parent, 0, OTHER)
    path.parent.chmod(0o770)


def link_file(path):
    path.rename(path.with_name("target"))
    path.symlink_to(path.with_name("target"))


def link_of_another(path):
    path.parent.rename(path.parent.with_name("target"))
    path.parent.symlink_to(path.parent.with_name("target"))
    os.chown(path.parent, OTHER, OTHER, follow_symlinks=False)


ATTACKS = (
    *(pytest.param(attack, marks=AS_ROOT) for attack in (give_file, give_folder, give_parent, share_folder)),
    pytest.param(link_of_another, marks=AS_ROOT),
    *(open_folder, open_parent, open_file, link_file),
)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("load", [lambda path: filemanip.loadpkl(path), load_resultfile], ids=["any", "result"])
def test_what_others_may_have_written_is_not_unpickled(pickled, tmp_path, attack, load):
    attack(pickled)
    with pytest.raises(UsageError, match=r"unpickled"):
        load(pickled)
    assert not (tmp_path / "trace").exists()


def test_what_this_user_wrote_is_unpickled(pickled, tmp_path):
    filemanip.loadpkl(pickled)
    assert (tmp_path / "trace").exists()


def test_a_folder_in_which_everybody_moves_his_own_files_alone_is_no_danger(tmp_path):
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    (tmp_path / "tmp" / "work").mkdir(mode=0o700)
    refuse_others(tmp_path / "tmp" / "work")
    (tmp_path / "tmp").chmod(0o777)
    with pytest.raises(UsageError, match="can be written by everybody"):
        refuse_others(tmp_path / "tmp" / "work")


@pytest.mark.parametrize("attack", ["link", "open parent", pytest.param("other owner", marks=AS_ROOT)])
def test_a_work_folder_of_others_is_wrong_usage(tree, scaae_bids_here, tmp_path, attack):
    tree.run("sub-01_task-rest")
    work = tmp_path / "place" / "work"
    folder = work / "scaae_nipype"
    work.mkdir(parents=True)
    if attack == "link":
        (tmp_path / "target").mkdir()
        folder.symlink_to(tmp_path / "target")
    elif attack == "open parent":
        work.parent.chmod(0o777)
    else:
        folder.mkdir()
        os.chown(folder, OTHER, OTHER)
    call = [tree.root, tmp_path / "out", "participant", "--preset", "tiny", "--work-dir", work]
    for more in ((), ("--clean-workdir",)):
        done = scaae_bids_here(*call, *more)
        assert done.returncode == 64
        assert "unpickled" in done.stderr and "choose another --work-dir" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert attack == "open parent" or os.path.lexists(folder)
