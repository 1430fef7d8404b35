"""Malformed tables of participants, events and names: what each reader says of them, or that it reads them."""

from typing import NamedTuple

from .dataset import N_VOLUMES

N = 10**5
WIDE = "\t".join(f"c{i}" for i in range(N))


class BadTable(NamedTuple):
    """A table; without words it is read for what it is."""

    name: str
    content: str | bytes
    words: str  # regular expression


_ID, _EVENTS, _NAMES = "participant_id\tage\n", "onset\tduration\ttrial_type\n", "index\tname\n"

PARTICIPANTS = (
    BadTable("empty", "", r"is not a tab-separated table \(No columns"),
    BadTable("blank", "\n\n\n", r"is not a tab-separated table"),
    BadTable("nul", b"\0" * 100, r"no text at all"),
    BadTable("utf16", "participant_id\nsub-a\n".encode("utf-16"), r"in UTF-16"),
    BadTable("column", "name\tage\na\t1\n", r"has no column participant_id; its columns are name"),
    BadTable("quote", _ID + '"sub-a\t1\nsub-b\t2\n', r"is not a tab-separated table"),
    BadTable("cells", _ID + "sub-a\t1\t2\nsub-b\t1\t2\n", r"more cells than its header has names"),
    BadTable("equal", _ID + "0\tsub-a\t1\n1\tsub-b\t2\n", r"more cells than its header has names"),
    BadTable("ragged", "participant_id\nsub-a\nsub-b\t3\n", r"more cells|is not a tab-separated table"),
    BadTable("wide", f"participant_id\t{WIDE}\n", r"has 100001 columns"),
    BadTable("widenone", f"{WIDE}\n", r"has 100000 columns"),
    BadTable("digits", _ID + f"sub-{'9' * 5000}\t1\n", r"no row for any participant"),
    BadTable("zeros", _ID + "0" * 5000 + "\t1\n", r"no row for any participant"),
    BadTable("control", _ID + "sub-\x1b[31m\t1\n", r"no row for any participant"),
    BadTable("twice", _ID + "sub-a\t1\nsub-a\t2\n", ""),
    BadTable("columntwice", "participant_id\t participant_id\nsub-a\tsub-b\n", ""),
    BadTable("latin", (_ID + "sub-a\té\n").encode("latin-1"), ""),
    BadTable("rows", _ID + "sub-a\t1\n" + "".join(f"sub-x{i}\t1\n" for i in range(10_000)), ""),
)
"""Of which `first_table` says why it is not used."""

EVENTS = (
    BadTable("empty", "", r"is not a tab-separated table"),
    BadTable("header", _EVENTS, r"holds no event with an onset"),
    BadTable("commas", "onset,duration\n1,2\n", r"has no column 'onset'; its columns are onset,duration"),
    BadTable("words", _EVENTS + "soon\tlong\ta\n", r"holds no event with an onset"),
    BadTable("nan", _EVENTS + "nan\tnan\ta\n", r"holds no event with an onset"),
    BadTable("infinite", _EVENTS + "inf\tinf\ta\n-inf\tinf\tb\n", r"holds no event with an onset"),
    BadTable("digits", _EVENTS + "9" * 400 + "\t1\ta\n", r"holds no event with an onset"),
    BadTable("cells", _EVENTS + "1\t2\t3\ta\n4\n", r"more cells than its header has names"),
    BadTable("wide", f"onset\tduration\t{WIDE}\n", r"has 100002 columns"),
    BadTable("latin", (_EVENTS + "1\t2\té\n").encode("latin-1"), r"line 2 is not in UTF-8"),
    BadTable("utf16", _EVENTS.encode("utf-16"), r"in UTF-16"),
    BadTable("quote", _EVENTS + '"1\t2\ta\n', r"is not a tab-separated table"),
    BadTable("negative", _EVENTS + "-5\t-3\ta\n", ""),
    BadTable("huge", _EVENTS + "1e300\t1e300\ta\n-1e300\t1e301\tb\n", ""),
    BadTable("endless", _EVENTS + "5\tinf\ta\n", ""),
    BadTable("rows", _EVENTS + "".join(f"{i / 2000}\t1\ta\n" for i in range(N)), ""),
    BadTable("types", _EVENTS + "".join(f"{i / 100}\t1\tt{i}\n" for i in range(3000)), ""),
    BadTable("all", _EVENTS + "".join(f"{i / 2000}\t1\tt{i}\n" for i in range(N)), ""),
    BadTable("tabs", "onset\tduration\n5\t1\t\n6\t1\t\n", ""),
)

NAMES = (
    BadTable("empty.tsv", "", r"holds no names"),
    BadTable("nul.tsv", b"\0", r"is not a text file"),
    BadTable("digits.tsv", _NAMES + "9" * 400 + "\ta\n", r"column 'index' holds something else than whole numbers"),
    BadTable("half.tsv", _NAMES + "1.5\ta\n", r"column 'index' holds something else than whole numbers"),
    BadTable("infinite.tsv", _NAMES + "inf\ta\n", r"column 'index' holds something else than whole numbers"),
    BadTable("cell.tsv", _NAMES + "1\t\n", r"column 'name' has an empty cell"),
    BadTable("cells.tsv", _NAMES + "1\ta\tb\n", r"line 2 has 3 cells, but the header has 2"),
    BadTable("columns.tsv", "index\tcolour\n1\tred\n", r"has no column 'name'"),
    BadTable("long.tsv", _NAMES + "1\t" + "x" * 200_000 + "\n", r"field larger than field limit"),
    BadTable("wide.tsv", f"{WIDE}\n", r"is no table of names"),
    BadTable("half.xml", "<atlas>" + "<a>" * 10**5, r"is not valid XML"),
    BadTable("deep.xml", "<atlas>" + "<a>" * 10**5 + "</a>" * 10**5 + "</atlas>", r"no elements label with an index"),
    BadTable("entity.xml", '<!DOCTYPE x [<!ENTITY a "b">]><atlas>&a;</atlas>', r"defines entities of XML"),
    BadTable("digits.xml", f'<atlas><label index="{"9" * 5000}">a</label></atlas>', r"no elements label with an index"),
    BadTable("minus.xml", '<atlas><label index="-1">a</label></atlas>', r"no elements label with an index"),
    BadTable("lut.txt", "9" * 5000 + " a 1 2 3 4\n", ""),
    BadTable("control.tsv", _NAMES + "1\t\x1b[31m\n", ""),
)
"""Names of templates or of an atlas."""

OF_RUNS = {
    "types": _EVENTS + "".join(f"{i / 100}\t1\tt{i}\n" for i in range(3000)),
    "wide": f"onset\tduration\t{WIDE}\n" + "4\t1" + "\t1" * N + "\n",
    "latin": (_EVENTS + "1\t2\té\n").encode("latin-1"),
}
"""Tables of events that runs have in the job: they cost the events alone."""

WIDE_CONFOUNDS = f"csf\t{WIDE}\n" + ("0.1" + "\t1" * N + "\n") * N_VOLUMES
