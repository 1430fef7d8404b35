"""The page as a whole: self-contained, complete, honest, tolerant, escaped."""

import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import nibabel as nib
import numpy as np
import pytest

from scaae_nipype.derivatives.names import output_path, outputs
from scaae_nipype.errors import InputError, UsageError
from scaae_nipype.files import read_json, read_table, write_json, write_table
from scaae_nipype.report import participant_report
from scaae_nipype.report.participant_page import HOW_TO_READ, RUN_SECTIONS

pytestmark = pytest.mark.xdist_group("participant_report")  # most look at one page, which takes a while

ENTITIES = {"sub": "01", "task": "rest", "run": "01", "space": "MNI152NLin6Asym"}
VOID = {"meta", "img", "link", "br", "input", "hr"}
FIGURES = [item for section in RUN_SECTIONS for item in section.items if item.title]


class Page(HTMLParser):
    """What a page consists of: its elements, and whether every one is closed."""

    def __init__(self, html: str):
        super().__init__()
        self.html = html
        self.elements: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def keys(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]


def file_of(root: Path, meaning: str, extension: str | None = None) -> Path:
    return root / output_path(ENTITIES, meaning, extension)


def page_of(root: Path, out_file: Path) -> Page:
    return Page(participant_report(root, "01", out_file).read_text(encoding="utf-8"))


def without(root: Path, *meanings: str) -> Path:
    """Remove files, so that a test draws only what it looks at."""
    for meaning in meanings:
        file_of(root, meaning).unlink()
    return root


@pytest.fixture(scope="module")
def page(dataset, tmp_path_factory) -> Page:
    return page_of(dataset, tmp_path_factory.mktemp("page") / "sub-01.html")


def test_nothing_is_fetched(page):
    policies = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    for tag, attributes in page.elements:
        assert tag not in ("script", "iframe", "object", "embed", "link", "base"), tag
        for name in ("src", "srcset", "action", "data", "poster", "background"):
            assert attributes.get(name, "data:").startswith("data:")
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("href", "#").startswith(("./", "#"))
    style = page.html[page.html.index("<style>") : page.html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_every_section_and_figure_of_every_run_is_there(page):
    expected = ["glance", "reading", "model", "methods", "files", "run1", "run2"]
    for run in ("run1", "run2"):
        for section in RUN_SECTIONS:
            expected.append(f"{run}-{section.key}")
            expected += [f"{run}-{section.key}-{item.key}" for item in section.items if item.title]
    assert len(set(page.keys)) == len(page.keys)
    assert sorted(key for key in page.keys if not key.startswith("caption")) == sorted(expected)
    assert [table["aria-labelledby"] for table in page.all("table")] == [
        k for k in page.keys if k.startswith("caption")
    ]
    assert "not shown" not in page.text.lower()


def test_contents_lead_somewhere(page):
    targets = [a["href"][1:] for a in page.all("a") if a["href"].startswith("#")]
    assert len(targets) == 5 + 2 * (1 + len(RUN_SECTIONS))
    assert set(targets) <= set(page.keys)


def test_links_lead_to_files_of_the_dataset(page, dataset):
    addresses = [a["href"] for a in page.all("a") if not a["href"].startswith("#")]
    assert len(addresses) > 15
    assert all((dataset / unquote(address)).is_file() for address in addresses)


def test_figures_have_alternative_texts_and_captions(page):
    images = page.all("img")
    assert len(images) == 2 * len(FIGURES)
    assert all(len(image["alt"]) > 20 for image in images)
    assert len(page.all("figcaption")) == len(images)


@pytest.mark.parametrize(
    "text",
    [
        *("scaae-nipype 0.1.0", "Mode calibrated", "Preset light", "Model abc123", "Model checksum 0123456789 "),
        *("Seitzman 2018, 4 mm", "17 of 20", *HOW_TO_READ),
        *("auto: 24P + WM + CSF", "6 mm", "0.008 Hz", "93.4 %", "7: trans_x", "Low-pass none"),
        "Warning: The run covers only 71 % of the template Visual.",
        "Methods Volumes were smoothed (6 mm) & z-scored; FBNs where > 0.3.",
        "fitted to data that includes task-rest run-01: scores on those runs are in-sample",
        *("Distinct training volumes 292", "Loss at the end 0.4123", "Random seed 0"),
        "Mean IoU of consecutive volumes, 2.0 s apart: FBN branch 1 ",
        "The FBN beats the volume itself in average precision for ",
        "The weights lie between ",
    ],
)
def test_the_page_says(page, text):
    assert text in page.text


def test_a_good_model_needs_no_banner(page):
    assert not [a for a in page.all("div") if a.get("class") == "banner"]


def test_banners_stand_before_everything_else(make_dataset, undrawn, tmp_path):
    root = make_dataset(n=8, Undertrained=True, ChannelWeightRange=[0.45, 0.54])
    without(root, "fbn1", "overlap", "template_iou", "samples", "region", "code", "gradual_change", "channel_weights")
    page = page_of(root, tmp_path / "r.html")
    assert len([a for a in page.all("div") if a.get("class") == "banner"]) == 2
    first = page.text.index("The model is undertrained (abc123)")
    assert first < page.text.index("Channel attention selects nothing") < page.text.index("The runs at a glance")


def test_missing_files_are_named(make_dataset, tmp_path):
    root = make_dataset(n=8)
    there = [meaning for meaning in outputs() if file_of(root, meaning).exists()]
    assert len(there) > 10
    without(root, *(meaning for meaning in there if meaning != "samples"))
    page = page_of(root, tmp_path / "r.html")
    assert [key for key in page.keys if key.startswith("run1-")] == [
        *("run1-networks", "run1-templates", "run1-gradual", "run1-states", "run1-channels"),
        *("run1-data", "run1-data-motion"),
    ]
    always = [item for section in RUN_SECTIONS if not section.optional for item in section.items]
    always = [item for item in always if item.title]
    for meaning in {meaning for item in always for meaning in item.needs} - {"samples"}:
        assert f"{file_of(root, meaning).name}" in page.text
    assert page.text.count("not shown, for want of") == len(always) - 1


def test_images_alone_make_a_page(make_dataset, undrawn, tmp_path):
    root = make_dataset(n=8)
    for path in [p for p in root.rglob("*") if p.is_file() and not p.name.endswith(("boldmap.nii.gz", "mask.nii.gz"))]:
        path.unlink()
    page = page_of(root, tmp_path / "r.html")
    assert [key for key in page.keys if key.startswith("run1-") and key.count("-") == 2] == [
        *("run1-networks-density", "run1-data-region")
    ]
    for text in ("not recorded", "do not say which model", "CITATION.md is missing", "do not say how it was prepared"):
        assert text in page.text
    assert "No step had anything to warn of" not in page.text


def test_damaged_files_are_named(make_dataset, undrawn, tmp_path):
    root = make_dataset(n=8)
    file_of(root, "fbn1").write_bytes(file_of(root, "fbn1").read_bytes()[:5000])
    file_of(root, "overlap").write_text("method\nfbn1\n")
    file_of(root, "fbn1", ".json").write_text("{")
    without(root, "template_iou", "code")
    page = page_of(root, tmp_path / "r.html")
    assert f"{file_of(root, 'fbn1').name}: cannot be read as an image" in page.text
    assert f"{file_of(root, 'overlap').name}: lacks the column(s) template" in page.text
    assert "auto: 24P + WM + CSF" in page.text  # branch 2 tells as well


def test_images_on_another_grid_than_the_region_are_refused(make_dataset, undrawn, tmp_path):
    root = without(make_dataset(n=8), "overlap", "template_iou", "code", "channel_weights", "gradual_change")
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4, 8), "f4"), np.eye(4)), file_of(root, "fbn1"))
    assert "lies on another grid" in page_of(root, tmp_path / "r.html").text


def test_hostile_labels_are_shown_and_do_nothing(make_dataset, tmp_path):
    root = make_dataset(n=8, ModelName="../../<b>x</b>", Mode="</dd><script>alert(1)</script>")
    hostile = "<img src=x onerror=alert(1)>$\\frac$"
    for meaning in ("overlap", "template_iou"):
        table = read_table(file_of(root, meaning))
        table = table.replace("Visual", hostile).rename(columns=lambda c: c.replace("Visual", hostile))
        write_table(table, file_of(root, meaning))
    sidecar = read_json(file_of(root, "fbn1", ".json"))
    sidecar["Preparation"]["NuisanceStrategy"] = "\"><script src='//x'></script>"
    write_json(sidecar, file_of(root, "fbn1", ".json"))
    without(root, "code", "channel_weights", "gradual_change", "region")
    page = page_of(root, tmp_path / "r.html")
    assert not page.all("script")
    assert all(image["src"].startswith("data:image/") for image in page.all("img"))
    for text in (hostile, "</dd><script>alert(1)</script>", "\"><script src='//x'></script>"):
        assert text in page.text
    assert "Not shown" not in page.text


def test_a_run_without_kept_volumes(make_dataset, tmp_path):
    root = make_dataset(n=8)
    for meaning in ("samples", "template_iou", "channel_weights", "code"):
        table = read_table(file_of(root, meaning)).astype(object)
        table["kept"] = 0
        if meaning != "samples":
            table.iloc[:, 1:] = np.nan
        write_table(table, file_of(root, meaning))
    without(root, "overlap", "gradual_change")
    page = page_of(root, tmp_path / "r.html")
    assert "0 of 8" in page.text
    assert "No volume was kept." in page.text
    assert len(page.all("img")) == len(FIGURES) - 4  # overlap, best volumes, lags, comparison


def test_unknown_participants_and_impossible_labels(dataset, tmp_path):
    with pytest.raises(InputError, match="holds no outputs of participant 99; run the participant level first"):
        participant_report(dataset, "99", tmp_path / "r.html")
    for label in ("../01", "", "0*", "01_task-rest"):
        with pytest.raises(UsageError, match="cannot be a participant label"):
            participant_report(dataset, label, tmp_path / "r.html")
    assert not list(tmp_path.iterdir())


def test_the_same_dataset_gives_the_same_file_and_nothing_else_is_written(make_dataset, tmp_path):
    root = without(make_dataset(n=8), "overlap", "fbn1", "template_iou", "code", "gradual_change")
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    out = participant_report(root, "sub-01", tmp_path / "r.html")
    assert before == {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert participant_report(root, "01") == root / "sub-01.html"
    assert out.read_bytes() == (root / "sub-01.html").read_bytes()
    shutil.copytree(root, tmp_path / "moved")
    assert out.read_bytes() == participant_report(tmp_path / "moved", "01").read_bytes()
