#!/usr/bin/env python3
"""What the pages and the headers say must hold: C blocks compile, names and files exist, links lead somewhere, every error
and every statistic is described, every public function says who may call it and whether it blocks.
Usage: snippets.py SOURCE, or snippets.py --self-test, which shows that each check can fail.

A C block that has a main() is a program and compiled as it is. Any other is a fragment: its #include lines go first, with
<stdio.h> and <tern/tern.h>, and the rest into a function that has the usual variables (USUAL below); where a line of it is
a lone "{" at the margin, the fragment defines functions and stays outside.
SPDX-License-Identifier: Apache-2.0"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

USUAL = """
int fragment(tern_client *client, tern_client_options *options, tern_connection_options *connection,
             tern_loop *loop, tern_message *message, const tern_message *received, tern_subscription *subscription,
             tern_token *token, const tern_event *event, const tern_delivery *delivery, void *user_data);
int fragment(tern_client *client, tern_client_options *options, tern_connection_options *connection,
             tern_loop *loop, tern_message *message, const tern_message *received, tern_subscription *subscription,
             tern_token *token, const tern_event *event, const tern_delivery *delivery, void *user_data)
{
    int rc = 0;
    (void)client, (void)options, (void)connection, (void)loop, (void)message, (void)received, (void)subscription;
    (void)token, (void)event, (void)delivery, (void)user_data;
    {
"""
FLAGS = ["-fsyntax-only", "-std=c99", "-Wall", "-Werror"]
FRAGMENT_FLAGS = ["-Wno-unused-variable", "-Wno-unused-but-set-variable", "-Wno-unused-function"]
BLOCK = re.compile(r"^```c\n(.*?)^```$", re.S | re.M)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FILE = re.compile(r"`([\w.-]+(?:/[\w.-]+)+\.(?:c|h|sh|py|md|in|txt|cmake|svg))`")


def pages_of(source):
    return [source / "README.md"] + sorted((source / "docs").glob("*.md"))


def program_of(block):
    """The text to compile, and the flags that it needs."""
    if re.search(r"\bmain\(", block):
        return block, []
    lines = block.splitlines()
    includes = [line for line in lines if line.startswith("#include")]
    rest = [line for line in lines if not line.startswith("#include")]
    head = "\n".join(includes + ["#include <stdio.h>", "#include <tern/tern.h>", ""])
    if "{" in lines:
        return head + "\n".join(rest) + "\n", FRAGMENT_FLAGS
    return head + USUAL + "\n".join(rest) + "\n    }\n    return rc;\n}\n", FRAGMENT_FLAGS


def check_blocks(source):
    wrong = []
    for page in pages_of(source):
        text = page.read_text()
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 2
            program, flags = program_of(match.group(1))
            command = [os.environ.get("CC", "cc"), *FLAGS, *flags, f"-I{source}/include", "-x", "c", "-"]
            done = subprocess.run(command, input=program, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                wrong.append(f"{page.name}:{line}: the block does not compile\n{done.stderr}")
    return wrong


def anchors_of(text):
    """GitHub's anchors of a page's headings."""
    heads = re.findall(r"^#+ +(.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def check_links(source):
    wrong = []
    for page in pages_of(source):
        for target in LINK.findall(page.read_text()):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            there = page if path == "" else (page.parent / path)
            if not there.exists():
                wrong.append(f"{page.name}: the link {target} leads nowhere")
            elif anchor and anchor not in anchors_of(there.read_text()):
                wrong.append(f"{page.name}: {there.name} has no heading for #{anchor}")
    for page in pages_of(source)[1:]:
        if f"docs/{page.name}" not in (source / "README.md").read_text():
            wrong.append(f"README.md does not lead to docs/{page.name}")
    return wrong


def check_names(source):
    """Names of the library in the pages are names that it has, and files are files."""
    wrong = []
    public = "\n".join(path.read_text() for path in (source / "include").rglob("*.h"))
    inner = "\n".join(path.read_text() for path in (source / "lib").rglob("*.[ch]"))
    settings = "\n".join(path.read_text() for path in [*source.rglob("CMakeLists.txt"), *source.rglob("*.sh")])
    symbols = (source / "test/abi/symbols.txt").read_text().split()
    errors = {f"TERN_E_{name}" for name in re.findall(r"^    X\((\w+),", public, re.M)}
    known = set(symbols) | errors | set(re.findall(r"\btern_\w+|\bTERN_\w+", public))
    known |= set(re.findall(r"\btern__\w+|\bTERN__\w+", inner)) | set(re.findall(r"\b(?:tern|TERN)_\w+", settings))
    for page in pages_of(source):
        text = page.read_text()
        own = set(re.findall(r"^static [\w ]*?\*?(tern_\w+)\(", text, re.M))
        for name in sorted(set(re.findall(r"\b(?:tern_|TERN_)\w+", text)) - known - own):
            wrong.append(f"{page.name}: there is no {name}")
        for name in sorted(set(FILE.findall(text))):
            if not any((source / folder / name).exists() for folder in ("", "lib", "include", "docs")):
                wrong.append(f"{page.name}: there is no file {name}")
    for name in sorted(errors):
        if f"`{name}`" not in (source / "docs/errors.md").read_text():
            wrong.append(f"errors.md does not describe {name}")
    for name in re.findall(r'^    \{"(\w+)", ', (source / "lib/client/stats.c").read_text(), re.M):
        if f"`{name}`" not in (source / "docs/statistics.md").read_text():
            wrong.append(f"statistics.md does not describe {name}")
    return wrong


def check_headers(source):
    """Each public function has a comment; it, or the group that it stands in, says Thread: and Blocks:."""
    wrong = []
    pieces = re.compile(r"/\*\*(?!<)(.*?)\*/\n|(^TERN_API [^;]*;)", re.S | re.M)
    for path in sorted((source / "include").rglob("*.h")):
        comment = group = ""
        for piece in pieces.finditer(path.read_text()):
            if piece.group(2) is None:
                comment = piece.group(1)
                group = comment if "@{" in comment else "" if "@}" in comment else group
                continue
            name = re.search(r"(\w+)\(", piece.group(2)).group(1)
            said = comment + group
            if comment == "" or re.search(r"@[{}]", comment):
                wrong.append(f"{path.name}: {name} has no comment")
            elif "Thread:" not in said or "Blocks:" not in said:
                wrong.append(f"{path.name}: {name} does not say Thread: and Blocks:")
            elif piece.group(2).startswith("TERN_API int ") and "_wait(" in piece.group(2) and "Errors:" not in said:
                wrong.append(f"{path.name}: {name} does not say Errors:")
            comment = ""
    return wrong


CHECKS = (check_blocks, check_links, check_names, check_headers)


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder)
        for name in ("docs", "include/tern", "lib/client", "test/abi"):
            (source / name).mkdir(parents=True)
        (source / "README.md").write_text("[a](docs/a.md) [no](docs/no.md) [b](docs/a.md#gone) `test/no.sh`\n")
        (source / "docs/a.md").write_text("# A\n\n```c\nint x = tern_no();\n```\n\n```c\nrc = 1;\n```\n\n"
                                          "```c\nstatic int f(void)\n{\n    return 1;\n}\n```\n")
        (source / "docs/errors.md").write_text("# Errors\n")
        (source / "docs/statistics.md").write_text("# Statistics\n")
        (source / "include/tern/tern.h").write_text(
            "#define TERN_API\ntypedef struct tern_client tern_client, tern_client_options, tern_connection_options,\n"
            "tern_loop, tern_message, tern_subscription, tern_token, tern_event, tern_delivery;\n"
            "TERN_API int tern_a(void);\n/** Thread: any. */\nTERN_API int tern_b(void);\n"
            "/** @name G\n * Thread: any. Blocks: no.\n * @{ */\n/** C. */\nTERN_API int tern_c(void);\n")
        (source / "include/tern/error.h").write_text("#define T(X) \\\n    X(NOMEM, -1)\n")
        (source / "lib/client/stats.c").write_text('    {"pings", 0},\n')
        (source / "test/abi/symbols.txt").write_text("tern_a\n")
        found = [len(check(source)) for check in CHECKS]
        assert found == [1, 4, 4, 2], found


def main():
    if sys.argv[1] == "--self-test":
        self_test()
        return 0
    source = pathlib.Path(sys.argv[1])
    wrong = [line for check in CHECKS for line in check(source)]
    print("\n".join(wrong))
    return 1 if wrong else 0


sys.exit(main())
