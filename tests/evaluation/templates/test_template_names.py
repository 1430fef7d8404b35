"""Tables of names as atlases bring them, and those that fit no image."""

import nibabel as nib
import numpy as np
import pytest

from scaae_nipype.errors import InputError, UsageError
from scaae_nipype.evaluation import load_templates

AFFINE = np.diag([4.0, 4, 4, 1])


@pytest.fixture
def labels(tmp_path):
    """Give a maker of label images: a slab of the box for each label."""

    def labels(*numbers: int):
        volume = np.zeros((8, 8, 8), np.int32)
        for place, number in enumerate(numbers):
            volume[1 + place] = number
        nib.save(nib.Nifti1Image(volume, AFFINE), tmp_path / "atlas.nii.gz")
        return tmp_path / "atlas.nii.gz"

    return labels


@pytest.fixture
def maps(tmp_path):
    values = np.random.default_rng(0).standard_normal((8, 8, 8, 3)).astype("f4")
    nib.save(nib.Nifti1Image(values, AFFINE), tmp_path / "maps.nii.gz")
    return tmp_path / "maps.nii.gz"


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "names.txt", encoding: str = "utf-8"):
        (tmp_path / name).write_bytes(text.encode(encoding))
        return tmp_path / name

    return write


LUT = """#$Id: FreeSurferColorLUT.txt $
#No. Label Name:                            R   G   B   A

0   Unknown                                 0   0   0   0
1   Left-Cerebral-Exterior                  70  130 180 0
10  Left-Thalamus                           0   118 14  0
17  Left-Hippocampus                        220 216 20  0
1001    ctx-lh-bankssts                     25  100 40  0
2002    ctx-rh-caudalanteriorcingulate      125 100 160 0
"""

ITK_SNAP = """################################################
# ITK-SnAP Label Description File
    0     0    0    0        0  0  0    "Clear Label"
   10   255    0    0        1  1  1    "Left Thalamus"
   17     0  255    0      0.5  1  1    "Left Hippocampus"
"""

XML = """<?xml version="1.0" encoding="ISO-8859-1"?>
<atlas version="1.0"><header><name>Test</name><type>{type}</type></header>
<data><label index="0" x="1" y="2" z="3">Frontal Pole</label><label index="1">Insular Cortex</label>
<label index="2">Juxtapositional (formerly SMA)</label></data></atlas>"""


@pytest.mark.parametrize(
    ("text", "numbers", "expected"),
    [
        ("index\tname\n10\tleft\n17\tright\n", (10, 17), ("left", "right")),
        ("index,name\n10,left\n17,right\n", (10, 17), ("left", "right")),
        ("index;name\n10;left\n17;right\n", (10, 17), ("left", "right")),
        ("Index,Region\n10,left\n17,right\n", (10, 17), ("left", "right")),
        ("ROI,Name\n10,left\n17,right\n", (10, 17), ("left", "right")),
        ("Index\tROI\n10\tleft\n17\tright\n", (10, 17), ("left", "right")),
        ("Label,Name\n10,left\n17,right\n", (10, 17), ("left", "right")),
        ("ROI,Label\n10,left\n17,right\n", (10, 17), ("left", "right")),
        ("id,label,hemisphere\n17,right,R\n10,left,L\n", (10, 17), ("right", "left")),
        (" Index , NAME \n 10 , left \n 17 , right \n", (10, 17), ("left", "right")),
        ('"index","name"\n10,"pole, left"\n17,"pole, right"\n', (10, 17), ("pole, left", "pole, right")),
        ("index\tname\n10.0\tleft\n17.0\tright\n", (10, 17), ("left", "right")),
        ("index\tname\n10\tNA\n17\tright\nn/a\tnothing\n", (10, 17), ("NA", "right")),
        ("\ufeffindex\tname\n10\tleft\n17\tright\n", (10, 17), ("left", "right")),
        ("index\tname\r\n10\tleft\r\n17\tright\r\n", (10, 17), ("left", "right")),
        ("10 Left Thalamus\n17 Left Hippocampus\n", (10, 17), ("Left Thalamus", "Left Hippocampus")),
        ("10\tleft\n17\tright\n", (10, 17), ("left", "right")),
        ("10,left\n17,right\n", (10, 17), ("left", "right")),
        ("10: left\n17: right\n", (10, 17), ("left", "right")),
        ("index\tname\n10\tsüd\n17\t左\n", (10, 17), ("süd", "左")),
        (LUT, (10, 17), ("Left-Thalamus", "Left-Hippocampus")),
        (LUT, (1001, 2002), ("ctx-lh-bankssts", "ctx-rh-caudalanteriorcingulate")),
        ("10\tVis_1\t120\t18\t131\t0\n17\tVis_2\t120\t18\t132\t0\n", (10, 17), ("Vis_1", "Vis_2")),
        (ITK_SNAP, (10, 17), ("Left Thalamus", "Left Hippocampus")),
        (
            XML.format(type="Probabilistic"),
            (1, 2, 3),
            ("Frontal Pole", "Insular Cortex", "Juxtapositional (formerly SMA)"),
        ),
        (XML.format(type="Label"), (1, 2), ("Insular Cortex", "Juxtapositional (formerly SMA)")),
        ("left\nright\n", (1, 2), ("left", "right")),
        ("Background\nleft\nright\n", (1, 2), ("left", "right")),
        ("name\nleft\nright\n", (1, 2), ("left", "right")),
        ("Gyrus, anterior division\nPole\n", (1, 2), ("Gyrus, anterior division", "Pole")),
    ],
)
def test_names_of_labels_are_read_as_atlases_write_them(grid, labels, write, text, numbers, expected):
    templates = load_templates(labels(*numbers), grid=grid, labels=write(text))
    assert templates.names == expected
    assert not templates.warnings
    assert templates.voxels.tolist() == [36] * len(numbers)


def test_names_in_other_encodings_are_read_and_a_guess_is_said(grid, labels, write):
    text = "index\tname\n10\tsüd\n17\tnord\n"
    assert load_templates(labels(10, 17), grid=grid, labels=write(text, encoding="utf-16")).names == ("süd", "nord")
    templates = load_templates(labels(10, 17), grid=grid, labels=write(text, encoding="latin-1"))
    assert templates.names == ("süd", "nord")
    assert templates.warnings == ("names.txt is not UTF-8: its names were read as Latin-1.",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\ntwo\nthree\n", ("one", "two", "three")),
        ("name\none\ntwo\nthree\n", ("one", "two", "three")),
        (
            "Component,Difumo_names,Yeo_networks7\n1,one,VisCent\n2,two,DefaultA\n3,three,VisCent\n",
            ("one", "two", "three"),
        ),
        ("index,name\n0,one\n1,two\n2,three\n", ("one", "two", "three")),
        ("index,name\n0,Background\n1,one\n2,two\n3,three\n", ("one", "two", "three")),
        ("3 three\n1 one\n2 two\n", ("one", "two", "three")),
        (XML.format(type="Probabilistic"), ("Frontal Pole", "Insular Cortex", "Juxtapositional (formerly SMA)")),
    ],
)
def test_names_of_maps_are_read_as_atlases_write_them(grid, maps, write, text, expected):
    assert load_templates(maps, grid=grid, labels=write(text)).names == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("left\nright\nmore\n", r"no column 'index'.*list of 3 names.*has 2 labels, 10, 17"),
        ("left\nright\n", r"no column 'index'.*labels are 1, 2, 3"),
        ("name,colour\nleft,red\nright,blue\n", r"no column 'index'.*its columns are name, colour"),
        ("index,title\n10,left\n17,right\n", r"no column 'name'; its columns are index, title"),
        ("title;descr\n10;left\n17;right\n", r"is no table of names: its first line is 'title;descr'; expected are"),
        ("1 2 3\n4 5 6\n", r"has no row for label 10|is no table of names"),
        ("index,name\n10,left\n17,left\n", r"the name left occurs twice"),
        ("10 left\n10 right\n17 more\n", r"an index occurs twice \(10\)"),
        ("index,name\n10,left\n", r"has no row for label 17 of .*atlas\.nii\.gz \(1 labels lack one\)"),
        ("index,name\n10,pole, left\n17,right\n", r"line 2 has 3 cells, but the header has 2; put names"),
        ("index,name\n", r"holds no names below its header \(index, name\)"),
        ("", r"holds no names"),
        ("<html><body>404</body></html>", r"is not FSL's description of an atlas"),
        ("<atlas><data>", r"is not valid XML"),
        ("a\0b", r"is not a text file"),
    ],
)
def test_tables_that_fit_no_label_image_are_refused_in_one_line(grid, labels, write, text, message):
    with pytest.raises(InputError, match=message) as error:
        load_templates(labels(10, 17), grid=grid, labels=write(text))
    assert "\n" not in str(error.value)
    assert "names.txt" in str(error.value)


@pytest.mark.parametrize("text", ["one\ntwo\n", "one\ntwo\nthree\nfour\n", "index,name\n1,one\n2,two\n"])
def test_a_wrong_number_of_names_for_maps_is_refused(grid, maps, write, text):
    with pytest.raises(InputError, match=r"has [24] rows for the 3 maps of .*maps\.nii\.gz; it needs one row per map"):
        load_templates(maps, grid=grid, labels=write(text))


def test_names_without_a_label_in_the_image_stay_in_a_table_and_not_in_a_look_up_table(grid, labels, write):
    """A table of an atlas says what belongs to it; FreeSurfer's list says what there is in the world."""
    table = load_templates(labels(10, 17), grid=grid, labels=write("index,name\n10,left\n17,right\n18,lost\n"))
    assert table.names == ("left", "right", "lost")
    assert table.warnings == ("Template lost has no voxel in the model's brain mask.",)
    assert len(load_templates(labels(10, 17), grid=grid, labels=write(LUT)).names) == 2


def test_the_table_beside_an_image_may_have_any_of_these_forms(grid, labels, write):
    path = labels(10, 17)
    write("Index,ROI\n10,left\n17,right\n", "atlas.tsv")
    assert load_templates(path, grid=grid).names == ("left", "right")


def test_a_table_that_is_not_there_is_one_line(grid, labels, tmp_path):
    with pytest.raises(UsageError, match=r"none\.csv: there is no such file; `template_labels` is a table of names"):
        load_templates(labels(10, 17), grid=grid, labels=tmp_path / "none.csv")
