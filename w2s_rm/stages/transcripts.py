"""Let a model argue for the candidates of examples.

python -m w2s_rm.stages.transcripts --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.stages._base import Examples, Model, Stage, extra


@dataclass(frozen=True, kw_only=True, eq=False)
class Transcripts(Stage):
    """Debates about examples. It makes `transcripts.jsonl`, an example a line, and `examples.parquet`, the examples
    with the arguments at the end of their prompts.

    Args:
        examples ([`Examples`]): What is argued about.
        model_name_or_path ([`Model`], *optional*): The language model that argues, for each side.
        endpoint (`Mapping`, *optional*): In its place a chat endpoint: fields of
            [`~w2s_rm.data.endpoints.Endpoint`].
        form (`str`): One of [`~w2s_rm.data.transcripts.FORMS`].
        turns (`int`): How often each side speaks.
        ask (`str`): What a debater reads, see [`~w2s_rm.data.transcripts.request`].
        show (`str`): How an argument is written, see [`~w2s_rm.data.transcripts.transcript`].
        max_new_tokens (`int`): Most tokens of an argument.
        temperature (`float`): 0 writes the most likely one.
        number (`int`): Which of several transcripts.
        seed (`int`): Of what is left to chance.
        head (`str`, *optional*, defaults to `"lm"`): How the model is loaded: as a causal language model.
        options (`Mapping`, *optional*): What else the recipe says of the model: revision, type, attention, and whether
            code that comes with it is run.
    """

    version: ClassVar[int] = 1
    rewrites: ClassVar[bool] = True

    examples: Examples
    model_name_or_path: Model | None = None
    endpoint: Mapping[str, Any] | None = None
    form: str
    turns: int
    ask: str
    show: str
    max_new_tokens: int
    temperature: float
    number: int
    seed: int
    head: str = "lm"
    options: Mapping[str, Any] | None = extra(None)

    @property
    def loads_model(self) -> bool:
        """Where no endpoint argues."""
        return self.endpoint is None

    def content(self) -> dict[str, Any]:
        """What the result depends on: of an endpoint which model it asks, and not how patiently."""
        content = super().content()
        asked = None if self.endpoint is None else {name: self.endpoint[name] for name in ("url", "model")}
        return {**content, "endpoint": asked}

    def config(self) -> dict[str, Any]:
        """The config: options on their own, as in those of other stages that load a model."""
        config = super().config()
        return {**(config.pop("options", None) or {}), **config}

    @property
    def argued(self) -> Examples:
        """The examples as a judge reads them."""
        return self.made(Examples, "examples.parquet")

    @classmethod
    def describe(cls, config: Mapping[str, Any], words: Callable[[str], str], folder: str) -> str:
        """Describe the transcripts, for a card."""
        who = config["endpoint"]["model"] if "endpoint" in config else words(str(config["model_name_or_path"]))
        return f"{config['form']} by {who}"

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.programs.transcripts import transcripts

        transcripts(argv)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Transcripts.run)
