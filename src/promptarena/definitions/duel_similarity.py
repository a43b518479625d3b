"""What a duel says of similarities, held against its dataset, its checks and its gate."""

from __future__ import annotations

from promptarena.definitions.dataset_source import DatasetSource
from promptarena.definitions.similarity import EmbeddingRule, Similarity
from promptarena.definitions.validation import Mistakes

__all__ = ["asks_provider", "check_similarities", "compared_columns", "least_titles"]


def check_similarities(
    similarities: tuple[Similarity, ...], dataset: DatasetSource | None, mistakes: Mistakes
) -> None:
    """Note a similarity to nothing, and two of one name."""
    seen: set[str] = set()
    for index, similarity in enumerate(similarities):
        title = similarity.title
        if title in seen:
            hint = "Give one of them another `name`."
            mistakes.add(f"Two similarities are called {title!r}.", "similarity", index, hint=hint)
        seen.add(title)
        if dataset is not None and dataset.reference is None and similarity.rule.reference is None:
            mistakes.add(
                "A similarity needs a text to compare with, and the dataset names no `reference`.",
                "similarity",
                index,
                hint="Write reference: COLUMN in it, or in the dataset.",
            )


def least_titles(similarities: tuple[Similarity, ...]) -> list[str]:
    """Those with a least score: they are checks too."""
    return [similarity.title for similarity in similarities if similarity.rule.min is not None]


def compared_columns(similarities: tuple[Similarity, ...], dataset: DatasetSource) -> list[str]:
    """The columns of the dataset that outputs are compared with."""
    named = (similarity.rule.reference or dataset.reference for similarity in similarities)
    return [column for column in named if column is not None]


def asks_provider(similarities: tuple[Similarity, ...]) -> bool:
    """Whether an endpoint makes vectors for one of them."""
    rules = (similarity.rule for similarity in similarities)
    return any(isinstance(rule, EmbeddingRule) and rule.provider is not None for rule in rules)
