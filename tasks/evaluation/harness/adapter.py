"""A model of ours as lm-evaluation-harness sees one: its log-likelihoods and generated texts, without transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.evaluation.evaluate.asking import MAX_NEW_TOKENS, Write

if TYPE_CHECKING:
    from model.scoring import Scorer


def adapter_of(scorer: Scorer, write: Write) -> Any:
    """Return an instance of lm-eval's `LM`, to be given to `simple_evaluate(model=...)`.

    Raises ImportError if lm-eval is not installed.
    """
    from lm_eval.api.model import TemplateLM

    class Textmill(TemplateLM):
        """One request after the other is what lm-eval asks for; `scorer` makes batches of them."""

        @property
        def eot_token_id(self) -> int:
            return scorer.prefix

        def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
            return scorer.encode(string)

        def _loglikelihood_tokens(self, requests: Sequence[Any], **_: Any) -> list[tuple[float, bool]]:
            pairs = [(list(context), list(continuation)) for _, context, continuation in requests]
            return [(score.log_likelihood, score.is_greedy) for score in scorer.score_ids(pairs)]

        def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
            return [value for value, _ in scorer.rolling([request.args[0] for request in requests])]

        def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
            together: dict[tuple[tuple[str, ...], int], list[int]] = {}
            for number, request in enumerate(requests):
                given = request.args[1]
                if given.get("do_sample") and given.get("temperature", 0.0) > 0:
                    raise ValueError("textmill answers lm-eval's tasks greedily; this one wants samples (do_sample).")
                until = [given["until"]] if isinstance(given.get("until"), str) else given.get("until") or []
                most = int(given.get("max_gen_toks") or MAX_NEW_TOKENS)
                together.setdefault((tuple(until), most), []).append(number)
            texts: dict[int, str] = {}
            for (until, most), numbers in together.items():
                written = write([requests[number].args[0] for number in numbers], until, most)
                texts |= {number: one.text for number, one in zip(numbers, written, strict=True)}
            return [texts[number] for number in range(len(requests))]

    return Textmill()
