"""Boolean combination of a gate's inputs: ``cos``, ``squelch & vad``, ``(cos & squelch) | vad``, ``!cos``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tongpin.codecs.errors import ExpressionError

_TOKEN = re.compile(r"\s*(?:(?P<name>[a-z][a-z0-9_]*)|(?P<sign>[&|!()]))")
_MAX_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression. ``names`` are the inputs it asks for."""

    program: tuple[str, ...]
    names: frozenset[str]

    def evaluate(self, inputs: Mapping[str, bool]) -> bool:
        """The value for these inputs. Raises KeyError when an input is missing."""
        stack: list[bool] = []
        for step in self.program:
            if step == "!":
                stack.append(not stack.pop())
            elif step in "&|":
                right, left = stack.pop(), stack.pop()
                stack.append((left and right) if step == "&" else (left or right))
            else:
                stack.append(inputs[step])
        return stack.pop()


def compile_expression(text: str, known: frozenset[str]) -> Expression:
    """Read an expression. ``!`` binds tightest, then ``&``, then ``|``.

    Raises:
        ExpressionError: says what was expected and the column.
    """
    if len(text) > _MAX_LENGTH:
        raise ExpressionError(f"longer than {_MAX_LENGTH} characters", _MAX_LENGTH + 1)
    parser = _Parser(_tokens(text), known, len(text) + 1)
    program = parser.either()
    parser.end()
    return Expression(tuple(program), frozenset(step for step in program if step not in ("&", "|", "!")))


def _tokens(text: str) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    at = 0
    while text[at:].strip():
        token = _TOKEN.match(text, at)
        if token is None:
            column = at + len(text[at:]) - len(text[at:].lstrip()) + 1
            raise ExpressionError(f"{text[column - 1]!r} means nothing here", column)
        found.append((token.group().strip(), token.end() - len(token.group().strip()) + 1))
        at = token.end()
    return found


class _Parser:
    """Recursive descent; each rule answers its part of the program in reverse Polish order."""

    def __init__(self, tokens: list[tuple[str, int]], known: frozenset[str], end_column: int) -> None:
        self._tokens = tokens
        self._known = known
        self._end_column = end_column
        self._at = 0

    def either(self) -> list[str]:
        program = self._both()
        while self._take("|"):
            program += [*self._both(), "|"]
        return program

    def end(self) -> None:
        if self._at < len(self._tokens):
            token, column = self._tokens[self._at]
            raise ExpressionError(f"{token!r} was not expected", column)

    def _both(self) -> list[str]:
        program = self._single()
        while self._take("&"):
            program += [*self._single(), "&"]
        return program

    def _single(self) -> list[str]:
        if self._take("!"):
            return [*self._single(), "!"]
        if self._take("("):
            program = self.either()
            if not self._take(")"):
                raise ExpressionError("a closing parenthesis is missing", self._column())
            return program
        if self._at == len(self._tokens) or self._tokens[self._at][0] in "&|)":
            raise ExpressionError("an input's name was expected", self._column())
        name, column = self._tokens[self._at]
        if name not in self._known:
            raise ExpressionError(f"no input is called {name!r}; there are {', '.join(sorted(self._known))}", column)
        self._at += 1
        return [name]

    def _take(self, sign: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at][0] == sign:
            self._at += 1
            return True
        return False

    def _column(self) -> int:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else self._end_column
