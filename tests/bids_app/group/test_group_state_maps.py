"""Mean networks of states over participants: of those who visit them, at one repetition time, and of sound images."""

import nibabel as nib
import numpy as np
from runs_by_hand import write_run, write_state_maps, write_states

from scaae_nipype.derivatives.names import group_path
from scaae_nipype.files import read_json
from scaae_nipype.grid import load_grid


def test_state_maps_are_means_over_those_who_visit(folders, group):
    first, again = (write_run(folders[1], "1", run=run, seed=int(run)) for run in "12")
    second = write_run(folders[1], "2", seed=3)
    for stem, maps in {first: (1.0, 0.0), again: (3.0, 0.0), second: (5.0, -2.0)}.items():
        write_states(folders[1], stem, occupancy=0.3)
        write_state_maps(folders[1], stem, *maps)
    code, said = group()
    assert code == 0, said
    image = nib.load(folders[1] / group_path("fbn1_states"))
    inside = image.get_fdata()[load_grid().mask]
    np.testing.assert_allclose(inside, np.tile([3.5, -2.0], (len(inside), 1)), atol=1e-3)
    about = read_json(folders[1] / group_path("fbn1_states", ".json"))
    assert about["TemplateLabels"] == ["Visual", "DefaultMode"] and about["Participants"] == [2, 1]
    html = (folders[1] / "group.html").read_text()
    assert "Mean network of each state" in html and "Figure 6" in html


def test_state_maps_of_other_repetition_times_are_left_out(folders, group):
    for number, (time, value) in enumerate([(2.0, 1.0), (2.0, 3.0), (2.5, 9.0)]):
        stem = write_run(folders[1], f"{number}", repetition_time=time, seed=number)
        write_states(folders[1], stem, occupancy=0.3)
        write_state_maps(folders[1], stem, value, 0.0)
    code, said = group()
    assert code == 0 and "State maps are averaged over the 2 participants with TR 2 s only." in said
    found = nib.load(folders[1] / group_path("fbn2_states")).get_fdata()[load_grid().mask]
    np.testing.assert_allclose(found[:, 0], 2.0, atol=1e-3)


def spoil(path, damage):
    """Damage an image of state maps."""
    content = bytearray(path.read_bytes())
    if damage == "half a file":
        del content[len(content) // 2 :]
    elif damage == "no image":
        content = b"<html>404</html>"
    elif damage == "not finite":
        grid = load_grid()
        maps = grid.volumes(np.full((2, grid.n_voxels), np.nan, "f4"))
        nib.save(nib.Nifti1Image(np.moveaxis(maps, 0, -1), grid.affine), path)
        content = path.read_bytes()
    elif damage != "another grid":
        content[len(content) // 2 if "middle" in damage else 1] ^= 0xFF
    path.write_bytes(content)


def test_each_bad_state_map_is_named_and_left_out_and_the_rest_is_done(folders, group):
    damaged = {
        "another grid": "lies on another grid or has other states than",
        "one byte in the middle": "cannot be read as an image",
        "one byte at the start": "cannot be read as an image",
        "half a file": "cannot be read as an image",
        "not finite": "holds values that are not finite",
        "no image": "cannot be read as an image",
    }
    people = [("", 0.5), *((damage, 9.0) for damage in damaged), ("", 0.7)]
    bad = {}
    for number, (damage, value) in enumerate(people):
        stem = write_run(folders[1], f"{number}", seed=number)
        write_states(folders[1], stem, occupancy=0.3)
        write_state_maps(folders[1], stem, value, 0.0, *([1.0] if damage == "another grid" else []))
        if damage:
            bad[damage] = next(folders[1].glob(f"sub-{number}/**/*_desc-fbn1states_boldmap.nii.gz"))
            spoil(bad[damage], damage)
    code, said = group()
    assert code == 1
    for damage, words in damaged.items():
        (line,) = [line for line in said.splitlines() if line.startswith(f"{bad[damage].name}: FAILED")]
        assert words in line
    values = nib.load(folders[1] / group_path("fbn1_states")).get_fdata()[load_grid().mask]
    np.testing.assert_allclose(values[:, 0], 0.6, atol=1e-3)
    about = read_json(folders[1] / group_path("fbn1_states", ".json"))
    assert (about["Participants"], about["MapsLeftOut"]) == ([2, 0], [path.name for path in bad.values()])
    for meaning in ("overlap", "states", "gradual_change", "runs"):
        assert (folders[1] / group_path(meaning)).exists()
    assert "Something failed: " in said
