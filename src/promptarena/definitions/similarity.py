"""How like its reference an output is: by vectors, by tokens' vectors, or by the words alone.

    similarity:
      - {embedding: {min: 0.8}}                                    # the `minilm` extra, on this machine
      - {embedding: {provider: openai, model: text-embedding-3-small, reference: expected}}
      - {bertscore: {}}                                            # also on this machine
      - {lexical: {measure: rouge-l}}                              # letters and words, no meaning

Each is a score a case, from 0 (or -1, of an embedding) to 1. With `min` it is a check too, under its name.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from promptarena.definitions.frozen import Frozen, mistake
from promptarena.definitions.names import Name, Text
from promptarena.definitions.quantities import Number

__all__ = ["BertScoreRule", "EmbeddingRule", "LexicalMeasure", "LexicalRule", "Similarity", "SimilarityRule"]


class LexicalMeasure(StrEnum):
    ROUGE_L = "rouge-l"
    """The longest common subsequence of words (Lin 2004)."""
    TOKEN_F1 = "token-f1"
    """Words in common, their order left aside (Rajpurkar et al. 2016)."""
    CHRF = "chrf"
    """Character n-grams in common (Popović 2015)."""


class SimilarityRule(Frozen):
    """What every measure may be told."""

    reference: Annotated[str, Field(min_length=1)] | None = None
    """The column of the text to compare with; by default the dataset's `reference`."""
    min: Annotated[Number, Field(ge=-1, le=1)] | None = None
    """The score from which an output passes."""

    @property
    def low(self) -> float:
        """The lowest score that there can be; 1 is the highest."""
        return -1.0


class EmbeddingRule(SimilarityRule):
    """The cosine between the vectors of two texts."""

    provider: Name | None = None
    """Whose endpoint; together with `model`. Without both: all-MiniLM-L6-v2, on this machine."""
    model: Text | None = None

    @model_validator(mode="after")
    def _names_both(self) -> EmbeddingRule:
        if (self.provider is None) != (self.model is None):
            raise mistake(
                "An endpoint has a `provider` and a `model`; without both the local encoder is meant.",
                involving=("provider", "model"),
            )
        return self


class BertScoreRule(SimilarityRule):
    """How well the tokens of two texts find each other (Zhang et al. 2020), on the local encoder."""


class LexicalRule(SimilarityRule):
    """Letters and words in common: a fallback that knows nothing of meaning."""

    measure: LexicalMeasure = LexicalMeasure.ROUGE_L

    @property
    def low(self) -> float:
        return 0.0


class Similarity(Frozen):
    """One measure."""

    name: Annotated[str, Field(min_length=1)] | None = None
    """What reports and the gate call it; made from the measure where absent."""
    embedding: EmbeddingRule | None = None
    bertscore: BertScoreRule | None = None
    lexical: LexicalRule | None = None

    @model_validator(mode="after")
    def _is_one_measure(self) -> Similarity:
        if sum(rule is not None for rule in (self.embedding, self.bertscore, self.lexical)) != 1:
            raise mistake("A similarity is one of `embedding`, `bertscore` and `lexical`.")
        return self

    @property
    def rule(self) -> EmbeddingRule | BertScoreRule | LexicalRule:
        """What is written beside the measure's name."""
        rule = self.embedding or self.bertscore or self.lexical
        assert rule is not None
        return rule

    @property
    def title(self) -> str:
        """Its name, or one made of what it says.

        >>> Similarity.model_validate({"lexical": {}}).title
        'lexical similarity (rouge-l)'
        """
        if self.name:
            return self.name
        match self.rule:
            case EmbeddingRule(model=model):
                said = f"embedding similarity ({model or 'minilm'})"
            case BertScoreRule():
                said = "bertscore (minilm)"
            case LexicalRule(measure=measure):
                said = f"lexical similarity ({measure})"
        return f"{said} to {self.rule.reference}" if self.rule.reference else said
