#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Finds barriers of OpenCL C that are not reached by every work-item on one straight way.

PoCL 3.1 compiles some legal kernels wrongly in which a barrier lies under a condition, or in a loop that is left or
continued early, and takes exponential time for others; work-items that return before a barrier are undefined
everywhere. So a barrier, or a call of a function with one, may lie in blocks and loops only; such a loop has no break
and no continue, such a function no return before its last barrier. Each barrier() names the hazard that it stands for.

All branches of the preprocessor are read, one after another. Not a parser of C: it knows statements, and nothing of
what they mean.

usage: barriers.py FILE...    the files of one program; prints complaints, and fails if there are any
"""
import collections
import re
import sys

TOKEN = re.compile(r"[A-Za-z_]\w*|\d[\w.]*|&&|\|\||\S")
HAZARD = re.compile(r"barrier\s*\([^;]*\);\s*/\*.*\b(RAW|WAR|WAW)\b")

Token = collections.namedtuple("Token", "text line")
Statement = collections.namedtuple("Statement", "kind line tokens parts")
Function = collections.namedtuple("Function", "name path body")


def read_tokens(text):
    """The tokens besides comments, literals and preprocessor lines; and the numbers of lines that define a barrier."""
    keep_lines = lambda match: "\n" * match.group().count("\n")
    text = re.sub(r"/\*.*?\*/|//[^\n]*", keep_lines, text, flags=re.DOTALL)
    defining = []

    def drop_directive(match):
        if re.search(r"\bbarrier\b", match.group()):
            defining.append(text.count("\n", 0, match.start()) + 1)
        return keep_lines(match)

    text = re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", drop_directive, text, flags=re.MULTILINE)
    text = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)
    tokens = [Token(match.group(), number) for number, line in enumerate(text.split("\n"), 1)
              for match in TOKEN.finditer(line)]
    return tokens, defining


class Reader:
    """Statements out of tokens."""

    def __init__(self, tokens):
        self.tokens = tokens
        self.at = 0

    def next_is(self, *texts):
        return self.at < len(self.tokens) and self.tokens[self.at].text in texts

    def take(self):
        self.at += 1
        return self.tokens[self.at - 1]

    def take_enclosed(self):
        """From an opening bracket to its closing one."""
        first, depth = self.at, 0
        while True:
            depth += {"(": 1, "{": 1, "[": 1, ")": -1, "}": -1, "]": -1}.get(self.take().text, 0)
            if depth == 0:
                return self.tokens[first:self.at]

    def read_block(self):
        line, parts = self.take().line, []
        while not self.next_is("}"):
            parts.append(self.read_statement())
        self.take()
        return Statement("block", line, [], parts)

    def read_statement(self):
        if self.next_is("{"):
            return self.read_block()
        line = self.tokens[self.at].line
        if self.next_is("if", "for", "while", "switch"):
            kind, head = self.take().text, self.take_enclosed()
            parts = [self.read_statement()]
            if kind == "if" and self.next_is("else"):
                self.take()
                parts.append(self.read_statement())
            return Statement(kind, line, head, parts)
        if self.next_is("do"):
            self.take()
            parts = [self.read_statement()]
            self.take()
            return Statement("do", line, self.take_enclosed() + [self.take()], parts)
        tokens = []
        while not self.next_is(";") and not (self.next_is(":") and tokens and tokens[0].text in ("case", "default")):
            tokens += self.take_enclosed() if self.next_is("(", "{", "[") else [self.take()]
        self.take()
        kind = tokens[0].text if tokens and tokens[0].text in ("return", "break", "continue", "goto") else "expression"
        return Statement(kind, line, tokens, [])


def read_functions(path, tokens):
    """A body is what stands in braces behind the parentheses behind a name."""
    reader, name = Reader(tokens), None
    while reader.at < len(tokens):
        if reader.next_is("("):
            name = tokens[reader.at - 1].text
            reader.take_enclosed()
        elif reader.next_is("{") and tokens[reader.at - 1].text == ")":
            yield Function(name, path, reader.read_block())
        elif reader.next_is("{"):
            reader.take_enclosed()
        else:
            reader.take()


def called_names(tokens):
    return {tokens[i].text for i in range(len(tokens) - 1) if tokens[i + 1].text == "("}


def walk(statement):
    yield statement
    for part in statement.parts:
        yield from walk(part)


class Checker:
    def __init__(self, functions):
        self.complaints = []
        self.waiting = {"barrier", "work_group_barrier"}  # names of functions that wait for the others
        grown = True
        while grown:
            grown = {function.name for function in functions
                     if self.waits_within(function.body)} - self.waiting
            self.waiting |= grown
        for function in functions:
            self.path = function.path
            self.check(function.body, None)
            self.check_returns(function)

    def waits(self, statement):
        return bool(called_names(statement.tokens) & self.waiting)

    def waits_within(self, statement):
        return any(self.waits(part) for part in walk(statement))

    def complain(self, line, sentence):
        self.complaints.append(f"{self.path}:{line}: {sentence}")

    def check(self, statement, loop):
        """loop: the innermost one around the statement, if it has a barrier."""
        is_loop = statement.kind in ("for", "while", "do")
        if statement.kind in ("if", "switch") and self.waits_within(statement):
            self.complain(statement.line, f"a barrier under `{statement.kind}`")
        if self.waits(statement) and {"?", "&&", "||"} & {token.text for token in statement.tokens}:
            self.complain(statement.line, "a barrier in an expression with a condition")
        if is_loop and self.waits(statement):
            self.complain(statement.line, "a barrier in the head of a loop")
        if loop and statement.kind in ("break", "continue"):
            self.complain(statement.line, f"`{statement.kind}` in the loop of line {loop.line}, which has a barrier")
        if statement.kind == "goto":
            self.complain(statement.line, "`goto`")
        if is_loop:
            loop = statement if self.waits_within(statement) else None
        for part in statement.parts:
            self.check(part, loop)

    def check_returns(self, function):
        statements = list(walk(function.body))
        lasts = [i for i, statement in enumerate(statements) if self.waits(statement)]
        for statement in statements[:lasts[-1] if lasts else 0]:
            if statement.kind == "return":
                self.complain(statement.line, f"`return` before a barrier of {function.name}()")


def check_files(paths):
    functions, complaints = [], []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        tokens, defining = read_tokens(text)
        functions += read_functions(path, tokens)
        complaints += [f"{path}:{line}: a barrier in a macro" for line in defining]
        complaints += [f"{path}:{number}: a barrier without its hazard: RAW, WAR or WAW"
                       for number, line in enumerate(text.split("\n"), 1)
                       if re.match(r"\s*barrier\s*\(", line) and not HAZARD.search(line)]
    return complaints + Checker(functions).complaints


def main():
    complaints = check_files(sys.argv[1:])
    print("\n".join(complaints), end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
