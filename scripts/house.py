#!/usr/bin/env python3
"""The shape of crates/*/src, one line per crate: files in each folder, lines, public items, arrows between files, circles of files.

A file has an arrow to another when it names something that the other defines: in `use`, or in a path written out. Whoever takes a
name from where it is re-exported knows the file that defines it, and a re-export of a child's name is no arrow. Comments,
strings and what is compiled for tests alone are left out. tests/arrows/files.rs follows the same rules and fails on a circle.

    scripts/house.py [ROOT] [--arrows CRATE]

ROOT is a copy of the repository, of any commit (`git archive COMMIT | tar -x -C FOLDER`).
"""

import argparse
import re
from collections import Counter, defaultdict
from pathlib import Path

TOKEN = re.compile(
    r"""(?P<skip>//[^\n]*|/\*.*?\*/|\s+)|(?P<text>\b[bc]?r(?P<hash>\#*)".*?"(?P=hash)|\b[bc]?"(?:\\.|[^"\\])*"|"(?:\\.|[^"\\])*")
    |(?P<char>b?'(?:\\[^']+|\\'|[^'\\\n])')|(?P<life>'\w+)|(?P<word>(?:r\#)?[^\W\d]\w*)|(?P<path>::)|(?P<other>.)""",
    re.S | re.X,
)
PUBLIC = re.compile(r"^\s*pub (?:(?:const|unsafe|async) )*(?:fn|struct|enum|trait|type|const|static|mod|union)\b", re.M)


def tokens(text):
    """Words and signs, without comments and strings."""
    found = []
    for match in TOKEN.finditer(text):
        if match.lastgroup in ("word", "path", "other"):
            found.append(match.group().removeprefix("r#"))
    return found


def closed(code, at):
    """Behind the bracket that closes the one at `at`."""
    depth = 0
    while at < len(code):
        depth += (code[at] in "{[(") - (code[at] in "}])")
        at += 1
        if depth == 0:
            break
    return at


def without_tests(code):
    """The code without items behind `#[cfg(test)]`."""
    kept, at = [], 0
    while at < len(code):
        if code[at : at + 7] != ["#", "[", "cfg", "(", "test", ")", "]"]:
            kept.append(code[at])
            at += 1
            continue
        at += 7
        while at < len(code) and code[at] not in (";", "{"):
            at = closed(code, at) if code[at] in "([" else at + 1
        at = closed(code, at) if code[at : at + 1] == ["{"] else at + 1
    return kept


def leaves(code, at, prefix):
    """The (path, name) of every leaf of a use tree, and where it ends."""
    path, found = list(prefix), []
    while at < len(code):
        token = code[at]
        if token == "{":
            at += 1
            while at < len(code) and code[at] not in ("}", ";"):
                inner, at = leaves(code, at, path)
                found += inner
                at += code[at] == ","
            return found, at + 1
        if token == "as":
            return [(path, code[at + 1])], at + 2
        if token in (",", "}", ";"):
            break
        if token != "::" and not (token == "self" and path):
            path.append(token)
        at += 1
    return [(path, path[-1])] if path else [], at


class Module:
    """One file: what it re-exports or imports, and the paths that it writes out."""

    def __init__(self, text):
        self.names, self.imports, self.public, self.paths = {}, [], set(), []
        code, at = without_tests(tokens(text)), 0
        while at < len(code):
            if code[at] == "use" and code[at + 1] != "<":
                back = code[at - 1] if at else ""
                found, at = leaves(code, at + 1, [])
                self.imports += [path for path, _ in found]
                self.names.update({name: path for path, name in found if name not in ("*", "_")})
                self.public |= {tuple(path) for path, _ in found} if back in ("pub", ")") else set()
                continue
            if re.match(r"[^\W\d]", code[at]) and (at == 0 or code[at - 1] != "::"):
                path = [code[at]]
                while code[at + 1 : at + 2] == ["::"] and re.match(r"[^\W\d]", code[at + 2]):
                    path.append(code[at + 2])
                    at += 2
                if len(path) > 1:
                    self.paths.append(path)
            at += 1


def modules(source):
    """Every file of a crate by its module path."""
    found = {}
    for file in sorted(source.rglob("*.rs")):
        path = file.relative_to(source).with_suffix("").parts
        if path[-1] in ("mod", "lib"):
            path = path[:-1]
        found[path] = Module(file.read_text())
    return found


def defines(files, at, path, depth=0):
    """The file in which `path`, written in the file `at`, ends; None outside of the crate."""
    if depth > 20 or not path:
        return None
    at = tuple(at)
    first, rest = path[0], list(path[1:])
    if first == "crate":
        here = ()
    elif first == "self":
        here = at
    elif first == "super":
        here = at[:-1]
        while rest[:1] == ["super"]:
            here, rest = here[:-1], rest[1:]
    elif at + (first,) in files:
        here = at + (first,)
    elif first in files[at].names and files[at].names[first] != [first]:
        return defines(files, at, files[at].names[first] + rest, depth + 1)
    else:
        return None
    while rest and here + (rest[0],) in files:
        here, rest = here + (rest[0],), rest[1:]
    if here not in files:
        return None
    if rest and rest[0] in files[here].names and files[here].names[rest[0]] != [rest[0]]:
        return defines(files, here, files[here].names[rest[0]] + rest[1:], depth + 1) or here
    return here


def is_module(files, at, path):
    """Whether an imported path is a module, which is known by the paths that begin with it."""
    found = defines(files, at, path)
    return found is not None and bool(found) and found[-1] == path[-1] and defines(files, at, path + ["?"]) == found


def arrows(files):
    """For every file, the files that define what it names."""
    found = defaultdict(set)
    for at, file in files.items():
        for path in file.imports + file.paths:
            to = defines(files, at, path)
            reexport = tuple(path) in file.public and to is not None and to[: len(at)] == at
            if to is not None and to != at and not reexport:
                found[at].add(to)
    return found


def circles(files, to):
    """Every set of files that reach one another."""
    order, low, stack, found = {}, {}, [], []

    def visit(at):
        order[at] = low[at] = len(order)
        stack.append(at)
        for next in sorted(to[at]):
            if next not in order:
                visit(next)
                low[at] = min(low[at], low[next])
            elif next in stack:
                low[at] = min(low[at], order[next])
        if low[at] == order[at]:
            circle = stack[stack.index(at) :]
            del stack[stack.index(at) :]
            if len(circle) > 1:
                found.append(sorted(circle))

    for at in sorted(files):
        if at not in order:
            visit(at)
    return found


def written(path):
    return "::".join(path) or "lib"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).parent.parent)
    parser.add_argument("--arrows", metavar="CRATE", help="the arrows and the circles of one crate")
    given = parser.parse_args()
    if given.arrows:
        files = modules(given.root / "crates" / given.arrows / "src")
        to = arrows(files)
        for at in sorted(to):
            print(written(at), "->", " ".join(written(t) for t in sorted(to[at])))
        for circle in circles(files, to):
            print("circle:", " ".join(written(at) for at in circle))
        return
    print("| crate | files | lines | public items | arrows | circles (files) | files in folders |")
    print("|---|---:|---:|---:|---:|---|---|")
    total = Counter()
    for source in sorted(given.root.glob("crates/*/src")):
        files = modules(source)
        texts = [file.read_text() for file in source.rglob("*.rs")]
        to = arrows(files)
        round_ = circles(files, to)
        folders = Counter(str(file.parent.relative_to(source)) for file in source.rglob("*.rs"))
        folders = ", ".join(f"{folder} {count}" for folder, count in sorted(folders.items()))
        numbers = {
            "files": len(texts),
            "lines": sum(text.count("\n") for text in texts),
            "public": sum(len(PUBLIC.findall(text)) for text in texts),
            "arrows": sum(len(t) for t in to.values()),
            "circles": len(round_),
            "in": sum(len(circle) for circle in round_),
        }
        total.update(numbers)
        row(source.parent.name, numbers, folders)
    row("**all**", total, "")


def row(name, n, folders):
    circles = f"{n['circles']} ({n['in']})" if n["circles"] else "0"
    print(f"| {name} | {n['files']} | {n['lines']} | {n['public']} | {n['arrows']} | {circles} | {folders} |")


if __name__ == "__main__":
    main()
