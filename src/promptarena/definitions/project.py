"""arena.yaml and metrics.yaml: what all experiments of a project share.

providers: {openai: {base_url: https://api.example/v1, key_env: OPENAI_API_KEY}}
features:
  support-bot: {provider: openai, model: gpt-4o-mini, temperature: 0.3, system: Be helpful.}
content: {sample: 10%, retention: 30d, redact: [email, phone, card]}
hosts: [hooks.example.org]            # outbound hosts besides the providers' own
hooks: [support_checks:is_polite]     # the only Python functions that definitions may name
registry: postgresql://arena@db/arena # .arena/registry.db where nothing is said
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from promptarena.definitions.document import Document, FieldPath, read_document
from promptarena.definitions.file_reference import with_file_texts
from promptarena.definitions.frozen import Frozen
from promptarena.definitions.metric_file import MetricEntry, MetricsFile
from promptarena.definitions.names import Name
from promptarena.definitions.provider import Hook, Provider, PythonProvider
from promptarena.definitions.quantities import Duration, Share
from promptarena.definitions.registry_setting import RegistrySetting
from promptarena.definitions.secret_guard import looks_secret
from promptarena.definitions.validation import Mistakes, examine
from promptarena.definitions.variant import FeatureEntry, Settings
from promptarena.errors import DefinitionError, Location

__all__ = [
    "Content",
    "Project",
    "ProjectFile",
    "Redaction",
    "find_project",
    "load_project",
    "registry_setting",
]

PROJECT_FILE: Final = "arena.yaml"
METRICS_FILE: Final = "metrics.yaml"


def _host(written: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?", written):
        raise ValueError(
            f"{written!r} is not a host: write it without scheme and path, such as hooks.example.org"
        )
    return written.lower()


class Redaction(StrEnum):
    """What is taken out of content before it is written."""

    EMAIL = "email"
    PHONE = "phone"
    CARD = "card"
    IBAN = "iban"
    IP = "ip"


class Content(Frozen):
    """What is kept of questions and answers themselves; nothing, unless it is said."""

    sample: Share = 1.0
    retention: Duration | None = None
    """`None`: until somebody erases it."""
    redact: tuple[Redaction, ...] = ()


class ProjectFile(Frozen):
    """arena.yaml as written."""

    providers: Annotated[dict[Name, Provider], Field(min_length=1)]
    features: Annotated[dict[Name, FeatureEntry], Field(min_length=1)]
    content: Content | None = None
    hosts: tuple[Annotated[str, AfterValidator(_host)], ...] = ()
    """Outbound hosts besides the providers' own."""
    hooks: tuple[Hook, ...] = ()
    """Python functions that definitions may name, as `module:function`."""
    registry: RegistrySetting | None = None
    """Where experiments and transitions are kept; `.arena/registry.db` beside arena.yaml where not said."""


class Project(Frozen):
    """A project as resolved: files read, shared metrics beside."""

    file: Path
    providers: dict[str, Provider]
    features: dict[str, Settings]
    """The baselines."""
    metrics: dict[str, MetricEntry] = Field(default_factory=dict)
    """Of metrics.yaml; their windows depend on an experiment's unit."""
    content: Content | None = None
    hosts: tuple[str, ...] = ()
    """Every outbound host that is allowed, the providers' included."""
    hooks: tuple[str, ...] = ()
    registry: RegistrySetting | None = None

    @property
    def root(self) -> Path:
        """The folder that holds everything; nothing outside it is read."""
        return self.file.parent


def find_project(start: Path) -> Path:
    """The nearest arena.yaml in a folder or above it.

    Raises:
        DefinitionError: there is none.
    """
    folder = start.resolve()
    for candidate in (folder, *folder.parents):
        if (candidate / PROJECT_FILE).is_file():
            return candidate / PROJECT_FILE
    raise DefinitionError(
        f"There is no {PROJECT_FILE} in this folder or above it.",
        where=Location(start),
        hint="Write one, or let `arena init` do it.",
    )


def load_project(path: Path) -> Project:
    """Read a project.

    Args:
        path: its arena.yaml, or a folder at or below it.

    Raises:
        DefinitionError: with every mistake of arena.yaml and metrics.yaml.
    """
    file = find_project(path) if path.is_dir() else path
    written, mistakes = examine(ProjectFile, read_document(file))
    check_secrets(mistakes.document, mistakes)
    features: dict[str, Settings] = {}
    if written is not None and written.features is not None:
        features = _features(written, file.parent, mistakes)
    if written is not None and written.providers is not None:
        _check_hooks(written, mistakes)
    shared = _shared_metrics(file.parent / METRICS_FILE, mistakes)
    mistakes.raise_any()
    assert written is not None
    own_hosts = tuple(provider.host for provider in written.providers.values() if provider.host is not None)
    return Project(
        file=file,
        providers=written.providers,
        features=features,
        metrics=shared,
        content=written.content,
        hosts=tuple(dict.fromkeys((*own_hosts, *written.hosts))),
        hooks=written.hooks,
        registry=written.registry,
    )


def registry_setting(file: Path) -> RegistrySetting | None:
    """Where arena.yaml says that the registry is, whatever else may be wrong in it: a mistake elsewhere must
    not keep anybody from rolling back.

    Raises:
        DefinitionError: the file cannot be read, or what it says of the registry is wrong.
    """
    document = read_document(file)
    written, mistakes = examine(ProjectFile, document)
    if document.holds(("registry",)) and (written is None or mistakes.broken("registry")):
        mistakes.raise_any()
    return written.registry if written is not None else None


def check_secrets(document: Document, mistakes: Mistakes) -> None:
    """Note every text of a file that is shaped like an API key."""

    def look(value: object, at: FieldPath) -> None:
        if isinstance(value, str) and looks_secret(value):
            hint = (
                "Put it into an environment variable and name that by `key_env`; and have this key replaced."
            )
            mistakes.add("This looks like a secret; definitions hold none.", *at, hint=hint)
        elif isinstance(value, dict):
            for key, item in value.items():
                look(item, (*at, key))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                look(item, (*at, index))

    look(document.data, ())


def resolve_files(settings: Settings, root: Path, mistakes: Mistakes, at: FieldPath) -> dict[str, object]:
    """The settings that are said, with `file://` texts read."""
    return {
        name: with_file_texts(getattr(settings, name), root, mistakes, (*at, name))
        for name in settings.model_fields_set & Settings.model_fields.keys()
    }


def _check_hooks(written: ProjectFile, mistakes: Mistakes) -> None:
    for name, provider in written.providers.items():
        if isinstance(provider, PythonProvider) and provider.function not in written.hooks:
            mistakes.add(
                f"{provider.function!r} is not allow-listed.",
                "providers",
                name,
                "function",
                hint=f"Add it under `hooks`: hooks: [{provider.function}]",
            )


def _features(written: ProjectFile, root: Path, mistakes: Mistakes) -> dict[str, Settings]:
    features = {}
    for name, entry in written.features.items():
        at = ("features", name)
        if not mistakes.broken("providers") and entry.provider not in written.providers:
            mistakes.unknown("provider", entry.provider, written.providers, *at, "provider")
        features[name] = Settings().model_copy(update=resolve_files(entry, root, mistakes, at))
    return features


def _shared_metrics(file: Path, mistakes: Mistakes) -> dict[str, MetricEntry]:
    if not file.exists():
        return {}
    try:
        written, found = examine(MetricsFile, read_document(file))
    except DefinitionError as error:
        mistakes.extend(error.problems)
        return {}
    check_secrets(found.document, found)
    mistakes.extend(found.problems)
    return written.metrics if written is not None and written.metrics is not None else {}
