"""What to do after a run: commands that suit what its graph has made, with texts that its lake has."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from data_lake.store.home import Home
from data_lake.store.lake import Artifact, Lake

if TYPE_CHECKING:
    from flows.graph.node import Graph
    from tasks.training.sft import SftConfig

Step = tuple[str, str]
"""A command without the program's name, and what it shows."""
SHORT, LONG = 60, 72  # characters of a text that is easily typed, and of a command with its meaning beside it
CLASSIFIED = "classified.parquet"
LEARNED = {
    "dpo": "the same after it learned which answers are preferred",
    "grpo": "the same after it learned from rewards (grpo)",
    "ppo": "the same after it learned from rewards (ppo)",
}
SHOWN = {
    "evaluate": "how good the model is",
    "evaluate_encoder": "how well the encoder names hidden tokens",
    "seq2seq": "how good its texts are, with a few of them",
}


def next_steps(recipe: str, graph: Graph, until: Collection[str] = ()) -> list[Step]:
    """Return the commands; `recipe` is what it is called on the command line."""
    from flows.graph.node import Node
    from tasks.training.pretrain import PretrainConfig
    from tasks.training.sft import SftConfig

    made = {node.stage.name: node.config for node in graph.scope(until) if isinstance(node, Node)}
    encoders = any(isinstance(one, PretrainConfig) and one.model.network == "encoder" for one in made.values())
    writers = [stage for stage in ("pretrain", "import_model") if stage in made and not encoders]
    corpus = _newest("Corpus")
    served = "Prefect, MLflow and a page to chat on" if writers else "Prefect and MLflow"
    steps = [("up", f"{served}, in the browser")]
    if "index" in made and corpus is not None and (asked := next(_questions(corpus), None)):
        steps.append((f"ask {shlex.quote(asked[0])}", "an answer from the pages, with their addresses"))
    if isinstance(config := made.get("sft"), SftConfig):
        steps.append(("chat", "talk to the fine-tuned model"))
        steps += [(f"chat {stage}", meaning) for stage, meaning in LEARNED.items() if stage in made]
        steps += _answers(config, corpus)
    if writers and corpus is not None and (beginning := next(_beginnings(corpus), None)):
        steps.append((f"generate {writers[0]} {shlex.quote(beginning)}", "let it continue a line of the corpus"))
    if "classify" in made and (text := _classified()):
        steps.append((f"classify {shlex.quote(text)}", "the label of a text that was held out"))
    steps += [(f"show {stage}", meaning) for stage, meaning in SHOWN.items() if stage in made]
    return [*steps, ("artifacts", "what is in the lake now"), (f"plan {recipe}", "what a second run would do, and why")]


def listed(steps: Iterable[Step], program: str) -> Iterator[str]:
    """Yield the commands as lines, each with what it shows beside it, or above it if it is long."""
    commands = [(f"{program} {verb}", meaning) for verb, meaning in steps]
    width = max((len(command) for command, _ in commands if len(command) <= LONG), default=0)
    for command, meaning in commands:
        if len(command) <= LONG:
            yield f"  {command:<{width}}  {meaning}"
        else:
            yield from (f"  {meaning}:", f"    {command}")


def _answers(config: SftConfig, corpus: Artifact | None) -> Iterator[Step]:
    """Yield how to ask the fine-tuned model something, of the pages if they document names."""
    asked = None if config.files() or corpus is None else next(_questions(corpus), None)
    if asked is not None:
        question, text = asked
        if config.quotations.count:
            yield f"generate sft {shlex.quote(question)} --input {_on_one_line(text)}", "let it answer from a text"
        else:
            yield f"generate sft {shlex.quote(question)}", "ask it something; it says how sure it is"


def _on_one_line(text: str) -> str:
    """Return a text as one word for bash and zsh, without a line break in it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"$'{escaped}'"


def _newest(kind: str) -> Artifact | None:
    """Return the newest artifact of a kind."""
    return next((one for one in Lake(Home.from_env().lake).artifacts() if one.manifest.kind == kind), None)


def _beginnings(corpus: Artifact) -> Iterator[str]:
    """Yield the first words of lines that can be typed literally."""
    from data_lake.tables.documents import read_documents

    for batch in itertools.islice(read_documents(corpus.path, ["text"]), 1):
        for text in batch.column("text").to_pylist():
            for line in text[:5000].splitlines():
                words = line.split()[:6]
                if len(words) == 6 and all(word.strip(",;:").isalnum() for word in words):
                    yield " ".join(words)


def _questions(corpus: Artifact) -> Iterator[tuple[str, str]]:
    """Yield questions about names that held-out pages document, each with the entry that answers it: public ones,
    which people know, before those that begin with an underscore."""
    from tasks.corpus.splits import documents_of
    from tasks.synthetic.pydoc import entries, module_of
    from tasks.synthetic.quotations import quotations_of

    hidden = []
    for document in documents_of(corpus.path, {"test"}):
        if module := module_of(document.url, document.title):
            for pair in quotations_of(entries(document.text, module), SHORT, 1):
                asked = pair["instruction"].replace("`", ""), pair["input"]
                if any(part.startswith("_") for part in re.split(r"[\s.]", asked[0])):
                    hidden.append(asked)
                else:
                    yield asked
    yield from hidden


def _classified() -> str | None:
    """Return a short text that the newest classifier was tested on."""
    import pyarrow.parquet as pq

    found = _newest("Classifier")
    if found is None or not (found.path / CLASSIFIED).is_file():
        return None
    texts = (" ".join(text.split()) for text in pq.read_table(found.path / CLASSIFIED)["text"].to_pylist())
    return next((text for text in texts if SHORT // 2 <= len(text) <= 2 * SHORT and text.isprintable()), None)
