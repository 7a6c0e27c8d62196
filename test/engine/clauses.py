"""Checks that each normative statement about a client has a test that carries its tag, or a stated reason why not.

Usage: clauses.py TEST-FOLDER | --self-test. SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import re
import sys
import tempfile

CLAUSES = "data/mqtt_client_clauses.tsv"
ELSEWHERE = "data/clauses_elsewhere.tsv"
TAG = re.compile(r"\[((?:MQTT5|MQTT311|V5-U)-[0-9.-]+)\]")
SOURCES = {".c", ".h", ".py", ".sh"}
MATRIX = re.compile(r"engine/clauses\w*_test\.c")


def table(path):
    """The rows of a file of tab-separated values, as one dictionary each."""
    lines = path.read_text(encoding="utf-8").splitlines()
    names = lines[0].split("\t")
    return [dict(zip(names, line.split("\t"), strict=True)) for line in lines[1:]]


def tags_of(root):
    """Where each tag occurs: tag -> set of files."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.suffix not in SOURCES or path.name == "clauses.py":
            continue
        name = path.relative_to(root).as_posix()
        for tag in TAG.findall(path.read_text(encoding="utf-8")):
            found.setdefault(tag, set()).add(name)
    return found


def check_listed(row, tags, known):
    """What is wrong with an entry of the list of those that have their test elsewhere, or none."""
    clause, where = row["id"], row["where"]
    if clause not in known:
        yield f"{ELSEWHERE}: {clause} is no clause of {CLAUSES}"
    if len(row["reason"].split()) < 3:
        yield f"{ELSEWHERE}: {clause} has no reason"
    if where == "-" and clause in tags:
        yield f"{ELSEWHERE}: {clause} has a test by now: {sorted(tags[clause])[0]}"
    if where != "-" and where not in tags.get(clause, set()):
        yield f"{ELSEWHERE}: {where} does not carry [{clause}]"


def problems(root):
    """Everything that is wrong, as text."""
    clauses = table(root / CLAUSES)
    listed = table(root / ELSEWHERE)
    tags = tags_of(root)
    known = {row["id"] for row in clauses}
    names = [row["id"] for row in listed]
    found = [f"{ELSEWHERE}: {name} is there twice" for name in sorted(set(names)) if names.count(name) > 1]
    for row in listed:
        found.extend(check_listed(row, tags, known))
    for row in clauses:
        clause = row["id"]
        if clause in names:
            continue
        if clause not in tags:
            found.append(f"{clause} has no test and no reason: {row['summary']}")
        elif set(row["harness"].split(",")) & {"D", "R"} and not any(map(MATRIX.fullmatch, tags[clause])):
            found.append(f"{clause} has no row in the matrix, and no entry that says where it is tested")
    return found


def self_test():
    """Each kind of gap is found."""
    header = "id\tspec\tbinding\tharness\tpacket_or_section\tsummary\thow_to_test\n"
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name in ("data", "engine"):
            (root / name).mkdir()
        rows = [("1-1", "R"), ("1-2", "R"), ("1-3", "S"), ("1-4", "D"), ("1-5", "R"), ("1-6", "E")]
        (root / CLAUSES).write_text(
            header + "".join(f"MQTT5-{n}\t5.0\tC\t{h}\tx\tx\tx\n" for n, h in rows))
        (root / "engine/clauses_test.c").write_text('"[MQTT5-1-1]"')
        (root / "engine/other_test.c").write_text("/* [MQTT5-1-2] [MQTT5-1-5] */")
        (root / ELSEWHERE).write_text(
            "id\twhere\treason\nMQTT5-1-4\t-\ta broker's own duty\nMQTT5-1-5\tengine/missing.c\tnot really there\n"
            "MQTT5-1-6\t-\tshort\nMQTT5-9-9\t-\tno such clause exists\n")
        found = problems(root)
    expected = ["missing.c does not carry [MQTT5-1-5]", "MQTT5-1-6 has no reason", "MQTT5-9-9 is no clause",
                "MQTT5-1-2 has no row in the matrix", "MQTT5-1-3 has no test and no reason"]
    assert len(found) == len(expected), found
    for text in expected:
        assert any(text in line for line in found), (text, found)


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return 0
    found = problems(pathlib.Path(sys.argv[1]))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
