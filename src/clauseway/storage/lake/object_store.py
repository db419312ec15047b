"""Object storage as a place of the lake's files: S3 and whatever speaks its protocol.

A put is conditional (`If-None-Match: *`): an object appears whole, and never takes the place of
another one. A call that the network or the service fails is repeated within a bound, then reported.
The module needs the extra `object-storage`. The same library speaks to Azure Blob Storage and
Google Cloud Storage; those are not tested.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import from_url

from clauseway.files import written_whole
from clauseway.storage.lake.stores import Stored, StoreFailed
from clauseway.values import Problem

SCHEMES = ("s3", "gs", "az")
_RETRIES_MAX = 8
_RETRY_S_MAX = 60.0
_TIMEOUT_S = 120.0  # of one request: a file of the lake has some megabytes
_CHUNK_BYTES = 8 << 20
# A put beside a deletion of the same name may be refused (409), and succeeds when it is repeated.
_PUTS_MAX = 3


class ObjectStorage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where objects are, and by which credentials: those named here, else the machine's own.

    `url` is s3://BUCKET/PREFIX; `endpoint` the address of a service that is not the cloud's own.
    With `plain_http` the endpoint may be http:// at another machine. `access_key_env` and
    `secret_env` name variables of the environment, `secret_file` a file.
    `copies_mb` is how much of the lake the home keeps as copies.
    """

    url: str
    endpoint: str = ""
    plain_http: bool = False
    region: str = ""
    access_key_env: str = ""
    secret_env: str = ""
    secret_file: str = ""
    session_token_env: str = ""
    copies_mb: int = 20_000


class _Cause(msgspec.Struct, frozen=True):
    """A way in which object storage fails: words of the library's message, and ours."""

    words: tuple[str, ...]
    what: str
    remedy: str


_NO_BUCKET = _Cause(
    ("NoSuchBucket", "ContainerNotFound"),
    "there is no such bucket",
    "Make it, or fix its name.",
)
# The first cause that fits holds. The library reports most of them in the words of the service's
# answer alone.
_CAUSES = (
    # The addresses at which a cloud gives its machines credentials.
    _Cause(
        ("169.254.169.254", "169.254.170.2"),
        "there are no credentials for object storage",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, give the machine a role, or name "
        "variables or a file in lake.toml of the home.",
    ),
    _Cause(
        (
            "PermanentRedirect",
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraint",
            "301 Moved",
            "incorrectly configured region",
        ),
        "the bucket is in another region",
        'Name its region: region = "…" in lake.toml of the home, or --region.',
    ),
    _NO_BUCKET,
    _Cause(
        ("RequestTimeTooSkewed",),
        "the clock of this machine is wrong",
        "Set it (chronyc makestep), and repeat the command: object storage refuses signatures of "
        "another time.",
    ),
    _Cause(
        (
            "SignatureDoesNotMatch",
            "InvalidAccessKeyId",
            "ExpiredToken",
            "AccessDenied",
            "403 Forbidden",
            "401 Unauthorized",
            "PermissionDeniedError",
            "UnauthenticatedError",
        ),
        "object storage refuses the credentials",
        "Give them the right to list, read, write and delete below that address, or name others "
        "(lake.toml of the home).",
    ),
    _Cause(
        ("NotImplemented", "NotSupportedError"),
        "object storage lacks conditional writes",
        "Use a service that knows If-None-Match: without it nothing keeps two writers apart.",
    ),
)
_AWAY = _Cause(
    (),
    "object storage cannot be reached",
    "Repeat the command once it can: nothing was changed, and usage waits in the journals.",
)


class ObjectStore:
    """A store that is a prefix of a bucket. Raise StoreFailed if the address makes no sense."""

    def __init__(
        self,
        storage: ObjectStorage,
        environment: Mapping[str, str] = os.environ,
        retries_max: int = _RETRIES_MAX,
        retry_s_max: float = _RETRY_S_MAX,
    ) -> None:
        self._location = storage.url.rstrip("/")
        parts = urlsplit(self._location)
        if parts.scheme not in SCHEMES or not parts.netloc:
            raise self._failed(
                "it is not an address of object storage",
                f"it does not begin with {', '.join(f'{scheme}://' for scheme in SCHEMES)} and a bucket",
                "Write s3://BUCKET/PREFIX.",
            )
        self._tries = f"asked {retries_max + 1} times within {retry_s_max:g} s"
        # Only an endpoint that its owner wrote as http:// is spoken to without TLS.
        is_plain = storage.endpoint.startswith("http://")
        # Also handed to engines that read the objects themselves.
        self.settings = self._settings(storage, parts.scheme, environment)
        options: dict[str, Any] = {
            "config": self.settings,
            "client_options": {
                "timeout": timedelta(seconds=_TIMEOUT_S),
                **({"allow_http": True} if is_plain else {}),
            },
            "retry_config": {
                "max_retries": retries_max,
                "retry_timeout": timedelta(seconds=retry_s_max),
            },
        }
        with self._translating():
            self._store: Any = from_url(self._location, **options)

    @property
    def is_remote(self) -> bool:
        return True

    @property
    def location(self) -> str:
        return self._location

    def put(self, name: str, content: bytes) -> bool:
        with self._translating():
            try:
                obstore.put(self._store, name, content, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
        return True

    def replace(self, name: str, content: bytes) -> None:
        with self._translating():
            obstore.put(self._store, name, content, use_multipart=False)

    def get(self, name: str) -> bytes:
        with self._translating():
            return bytes(obstore.get(self._store, name).bytes())

    def keep(self, name: str, path: Path) -> bool:
        content = path.read_bytes()
        for _ in range(_PUTS_MAX):
            if self.put(name, content):
                return True
            # A put may have reached the store although its answer did not reach us.
            with suppress(FileNotFoundError):
                return self.digest(name) == hashlib.sha256(content).hexdigest()
        raise self._failed(
            "object storage contradicts itself",
            f"it refuses {name} as one that is there, and says that it is not",
            _AWAY.remedy,
        )

    def copy(self, name: str, path: Path) -> None:
        with written_whole(path) as beside, beside.open("wb") as out:
            for chunk in self._chunks(name):
                out.write(chunk)

    def digest(self, name: str) -> str:
        hashed = hashlib.sha256()
        for chunk in self._chunks(name):
            hashed.update(chunk)
        return hashed.hexdigest()

    def under(self, folder: str) -> Iterator[Stored]:
        with self._translating():
            for some in obstore.list(self._store, prefix=folder or None):
                for listed in some:
                    changed = listed["last_modified"]
                    yield Stored(
                        name=listed["path"],
                        bytes=listed["size"],
                        changed_ns=int(changed.timestamp()) * 1_000_000_000,
                    )

    def remove(self, names: Iterable[str]) -> None:
        with self._translating():
            for name in names:
                try:
                    obstore.delete(self._store, name)
                except FileNotFoundError:
                    continue

    def _chunks(self, name: str) -> Iterator[memoryview]:
        with self._translating():
            for chunk in obstore.get(self._store, name).stream(min_chunk_size=_CHUNK_BYTES):
                yield memoryview(chunk)

    def _settings(
        self, storage: ObjectStorage, scheme: str, environment: Mapping[str, str]
    ) -> dict[str, str]:
        """Return the library's settings; secrets that are named and not there are an error."""
        if scheme != "s3":
            # The library takes their credentials from the environment.
            return {}
        wanted = {
            "endpoint": storage.endpoint,
            "region": storage.region,
            "access_key_id": self._variable(storage.access_key_env, environment),
            "secret_access_key": self._variable(storage.secret_env, environment)
            or self._from_file(storage.secret_file),
            "session_token": self._variable(storage.session_token_env, environment),
        }
        return {name: value for name, value in wanted.items() if value}

    def _variable(self, name: str, environment: Mapping[str, str]) -> str:
        if name and not environment.get(name):
            raise self._failed(
                "a secret of object storage is missing",
                f"the variable {name} is not set",
                "Set it, or name another one in lake.toml of the home.",
            )
        return environment.get(name, "") if name else ""

    def _from_file(self, path: str) -> str:
        if not path:
            return ""
        try:
            return Path(path).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise self._failed(
                "a secret of object storage is missing",
                f"{path} cannot be read: {error}",
                "Write the secret there, readable to this user alone, or name another file.",
            ) from None

    @contextmanager
    def _translating(self) -> Iterator[None]:
        """Raise StoreFailed for what the library raises, except where an object is not there."""
        try:
            yield
        except FileNotFoundError as error:
            if _causes_fit(_NO_BUCKET, str(error)):
                raise self._translated(error) from None
            raise
        except (BaseError, ValueError) as error:
            raise self._translated(error) from None

    def _translated(self, error: Exception) -> StoreFailed:
        message = f"{type(error).__name__}: {error}"
        cause = next((cause for cause in _CAUSES if _causes_fit(cause, message)), None)
        first = str(error).partition("\n")[0].partition(" - Server returned")[0].strip()
        if cause is None:
            return self._failed(_AWAY.what, f"{self._tries}: {first}", _AWAY.remedy)
        return self._failed(cause.what, first, cause.remedy)

    def _failed(self, problem: str, why: str, remedy: str) -> StoreFailed:
        return StoreFailed(Problem(what=problem, why=why, where=self._location, remedy=remedy))


def _causes_fit(cause: _Cause, message: str) -> bool:
    return any(words in message for words in cause.words)
