"""model/ollama/go_template.py: what Go's text/template documentation says of each construct, and nothing is guessed."""

from __future__ import annotations

from typing import Any

import pytest

from model.ollama.go_template import render

DATA: dict[str, Any] = {"System": "", "Prompt": "p", "Messages": [{"Role": "user", "Content": "a"}, {"Role": "x"}]}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ .Prompt }}!", "p!"),
        ('a {{- "b" -}} c', "abc"),  # Go's own: the hyphens take the spaces
        ('{{ "\\n<|x|> }} \\"" }}', None),
        ("{{ if .System }}s{{ else if .Prompt }}p{{ else }}n{{ end }}", "p"),
        ("{{ if .System }}s{{ end }}.", "."),
        ("{{ range $i, $m := .Messages }}{{ $i }}{{ $m.Role }} {{ end }}", "0user 1x "),
        (
            "{{ range $i, $m := .Messages }}{{ if gt (len (slice $.Messages $i)) 1 }}{{ .Role }}{{ end }}{{ end }}",
            "user",
        ),
        ('{{ if and .Prompt (not .System) }}y{{ end }}{{ if eq .Prompt "q" "p" }}y{{ end }}', "yy"),
        ('{{ if or .System .Prompt }}y{{ end }}{{ if ne .Prompt "p" }}n{{ end }}', "y"),
    ],
)
def test_it_renders_as_go_does(template: str, text: str | None) -> None:
    if text is None:  # `}}` within a text: Go reads the text first, and here it is refused
        with pytest.raises(ValueError, match="not known"):
            render(template, DATA)
    else:
        assert render(template, DATA) == text


@pytest.mark.parametrize(
    "template",
    ["{{ .Missing }}", "{{ if .Prompt }}", "{{ end }}", "{{ printf .Prompt }}", "{{ range .Messages }}{{ end }}",
     "{{ .Prompt | len }}", "{{ else with .Prompt }}{{ end }}", "{{ (len .Prompt }}", '{{ "a" "b" }}', "{{ }}"],
)  # fmt: skip
def test_what_is_not_known_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="The template"):
        render(template, DATA)
