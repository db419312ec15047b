"""The configuration of LiteLLM's proxy (`config.yaml`): its models and its settings, each with its
file and line.

Documented at docs.litellm.ai/docs/proxy/configs: `model_list` with `litellm_params` and
`model_info`, `litellm_settings`, `router_settings`, `general_settings`, `environment_variables`,
`credential_list`, and `include`, whose files are merged. Nothing is dropped here: an unknown
section is returned as a setting.
"""

from collections.abc import Callable, Mapping
from posixpath import dirname, join, normpath
from typing import Any

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionStartEvent

from clauseway.values import Problem, cause_of, refuse_any

# A bound on included files.
_FILES_MAX = 100
_DEPTH_MAX = 32
_TOO_DEEP = f"it nests more than {_DEPTH_MAX} levels deep"
_FIX = "Give a config.yaml that `litellm --config` takes."
# Sections that are reported key by key; any other top-level key is one setting.
_SECTIONS = ("litellm_settings", "router_settings", "general_settings", "environment_variables")


class LitellmModel(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of `model_list`. Entries of one name are alternatives for the same requests."""

    name: str
    file: str
    line: int
    params: Mapping[str, Any]
    info: Mapping[str, Any]
    # Keys of the entry beyond LiteLLM's three.
    others: tuple[str, ...] = ()


class LitellmSetting(msgspec.Struct, frozen=True, kw_only=True):
    """A setting outside of `model_list`; the section of a top-level key is empty."""

    section: str
    key: str
    value: Any
    file: str
    line: int

    @property
    def named(self) -> str:
        return f"{self.section}.{self.key}" if self.section else self.key


class LitellmFile(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration, with included files."""

    models: tuple[LitellmModel, ...]
    settings: tuple[LitellmSetting, ...]
    credentials: Mapping[str, Mapping[str, Any]]


class _Reading:
    """Reads a configuration and the files that it includes, and collects their problems."""

    def __init__(self, text_of: Callable[[str], str]) -> None:
        self._text_of = text_of
        self._waiting: list[str] = []
        self._seen: set[str] = set()
        self.models: list[LitellmModel] = []
        self.settings: list[LitellmSetting] = []
        self.credentials: dict[str, Mapping[str, Any]] = {}
        self.problems: list[Problem] = []

    def read(self, name: str) -> None:
        """Read a file and everything that it includes."""
        self._waiting = [name]
        folder = dirname(name)
        while self._waiting:
            file = self._waiting.pop(0)
            # Files may include each other, by whatever names; each is read once.
            place = normpath(file if file == name else join(folder, file))
            if place in self._seen:
                continue
            self._seen.add(place)
            if len(self._seen) > _FILES_MAX:
                self.problem(file, 0, "too many included files", f"more than {_FILES_MAX}", _FIX)
                return
            content = self._content(file)
            for key, value in content.items():
                self._take(file, content, str(key), value)

    def problem(self, file: str, line: int, problem: str, why: str, remedy: str) -> None:
        self.problems.append(Problem(what=problem, why=why, where=file, line=line, remedy=remedy))

    def _content(self, file: str) -> CommentedMap:
        try:
            content = _parsed(self._text_of(file))
        except (OSError, UnicodeDecodeError) as error:
            self.problem(
                file, 0, "the file cannot be read", cause_of(error), "Give a readable file."
            )
        except MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 0
            self.problem(file, line, "not valid YAML", str(error.problem), "Fix the line.")
        except (YAMLError, RecursionError, ValueError) as error:
            self.problem(file, 0, "not valid YAML", str(error), _FIX)
        else:
            if isinstance(content, CommentedMap):
                return content
            problem = "not a table of settings" if content is not None else "it is empty"
            self.problem(file, 1, problem, "a configuration has keys such as model_list", _FIX)
        return CommentedMap()

    def _take(self, file: str, content: CommentedMap, key: str, value: Any) -> None:
        line = _line(content, key)
        if key == "include":
            for name in value if isinstance(value, list) else [value]:
                self._waiting.append(str(name))
        elif key == "model_list":
            self._take_models(file, line, value)
        elif key == "credential_list" and isinstance(value, list):
            for item in value:
                if isinstance(item, Mapping):
                    values = item.get("credential_values")
                    name = str(item.get("credential_name", ""))
                    self.credentials[name] = values if isinstance(values, Mapping) else {}
        elif key in _SECTIONS and isinstance(value, CommentedMap):
            for name, inner in value.items():
                self.settings.append(
                    LitellmSetting(
                        section=key,
                        key=str(name),
                        value=inner,
                        file=file,
                        line=_line(value, name),
                    )
                )
        # A section of another shape is kept as one setting, so that it is reported and not lost.
        elif value is not None:
            self.settings.append(
                LitellmSetting(section="", key=key, value=value, file=file, line=line)
            )

    def _take_models(self, file: str, line: int, listed: Any) -> None:
        if not isinstance(listed, CommentedSeq):
            why = "each model is an item with model_name and litellm_params"
            self.problem(file, line, "model_list is not a list", why, _FIX)
            return
        for place, item in enumerate(listed):
            # ruamel.yaml counts lines from 0.
            at = listed.lc.item(place)[0] + 1
            params = item.get("litellm_params") if isinstance(item, Mapping) else None
            name = item.get("model_name") if isinstance(item, Mapping) else None
            if not isinstance(params, Mapping) or not params.get("model") or not name:
                why = "model_name says how clients ask, litellm_params.model who is asked"
                self.problem(file, at, "an entry without a model", why, "Write both, or delete it.")
                continue
            info = item.get("model_info") or {}
            # Keep further keys by name, to report that nothing reads them.
            own = ("model_name", "litellm_params", "model_info")
            self.models.append(
                LitellmModel(
                    name=str(name),
                    file=file,
                    line=at,
                    params=dict(params),
                    info=dict(info) if isinstance(info, Mapping) else {},
                    others=tuple(str(key) for key in item if key not in own),
                )
            )


def read_litellm(name: str, text_of: Callable[[str], str]) -> LitellmFile:
    """Read a configuration; `text_of` gives the text of a file by its name.

    Raise InvalidInput with every problem that LiteLLM would refuse too.
    """
    reading = _Reading(text_of)
    reading.read(name)
    if not reading.models and not reading.problems:
        why = "there is nothing to serve"
        reading.problem(name, 0, "no model_list", why, "Give the file that lists the models.")
    refuse_any(reading.problems)
    return LitellmFile(
        models=tuple(reading.models),
        settings=tuple(reading.settings),
        credentials=reading.credentials,
    )


class _BoundedComposer(Composer):
    """Composes tables and lists up to a depth, because the cost grows with its square."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader=loader)
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        opens = self.parser.check_event(CollectionStartEvent)
        self._depth += opens
        if self._depth > _DEPTH_MAX:
            raise ValueError(_TOO_DEEP)
        node = super().compose_node(parent, index)
        self._depth -= opens
        return node


def _parsed(text: str) -> Any:
    """Return the content with its lines. Tags create no objects.

    Raise ValueError if it nests too deeply, if a key is a table or a list, or if a number has no
    digits.
    """
    reader = YAML(typ="rt")
    reader.Composer = _BoundedComposer
    try:
        content = reader.load(text)
    except TypeError as error:
        raise ValueError("a key is itself a table or a list") from error
    except IndexError as error:
        # The library takes `-__` for a number.
        raise ValueError("a number has no digits: put it in quotes if it is a name") from error
    # The composer counts no level that an alias adds.
    if _depth(content) > _DEPTH_MAX:
        raise ValueError(_TOO_DEEP)
    return content


def _line(content: CommentedMap, key: Any) -> int:
    """Return the line of a key; 0 for a key from a merge."""
    try:
        return int(content.lc.key(key)[0]) + 1
    except (KeyError, AttributeError, TypeError):
        return 0


def _depth(content: object) -> int:
    """Return the depth of nested tables and lists, up to one more than is allowed."""
    depth, layer = 0, [content]
    while layer := [value for value in layer if isinstance(value, dict | list)]:
        depth += 1
        if depth > _DEPTH_MAX:
            break
        # Visit each value once in each layer: a few lines of YAML aliases can repeat a value endlessly.
        distinct = {id(value): value for value in layer}
        inner: list[object] = []
        for value in distinct.values():
            inner += value.values() if isinstance(value, dict) else value
        layer = inner
    return depth
