"""The meaning of a cloud's refusal: is it about the request, the deployment or our account there,
and when can the deployment be asked again? Pure.

    the request     its values, its size, an item that it names: the client gets the cloud's own words
    the deployment  busy, broken, without that model: the refusal counts against the deployment, and
                    another deployment is asked
    our account     its key, its rights, its quota: the same, and the client gets our words

The status alone does not decide: 404 is a model that is not deployed or an item that expired, 429 a
busy deployment or a request beyond any limit, 400 a bad value or, at some servers, a bad key.

An error inside a stream has no status. Its words tell the status that an answer would have had, and
the error is judged by that status.
"""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

import msgspec

from clauseway.gateway.wire.error_bodies import members_in

# Money or quota is exhausted: waiting does not help, but an administrator may change it.
# "blocked_api_access" is Groq's code for a limit of spending; the two after it are Anthropic's, the
# last two Oracle's, for its own limit of a tenancy and an administrator's of a compartment.
_SPENT: Final = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "project_spend_limit_exceeded",
        "billing_hard_limit_reached",
        "billing_not_active",
        "blocked_api_access",
        "contract_spend_limit_reached",
        "enforced_spend_limit_reached",
        "LimitExceeded",
        "QuotaExceeded",
    }
)
_SPENT_S: Final = 60.0
# Our key or our rights, whatever the status. "claude_code_key_…", "cmek_…" (the account's own
# encryption key) and "organization_on_hold" are Anthropic's, under 400.
_KEY: Final = frozenset(
    {
        "account_deactivated",
        "authentication_error",
        "claude_code_key_creator_not_member",
        "cmek_key_disabled",
        "cmek_key_network_blocked",
        "invalid_api_key",
        "invalid_authentication",
        "invalid_organization",
        "invalid_project",
        "mismatched_organization",
        "mismatched_project",
        "organization_on_hold",
        "organization_restricted",
        "permission_error",
    }
)
# Sentences about our key, our rights or our quota, or a model that the deployment lacks. Google's
# are "API key not valid", "API key expired", "API Key not found", "This API method requires billing
# to be enabled", "User location is not supported for the API use"; OpenAI's "Your organization must
# be verified to …"; Amazon's those about a model identifier, throughput, a quota and an account,
# "Operation not allowed" and "Access to Anthropic models is not allowed from unsupported countries";
# Vertex's "Project … is not allowed to use Publisher Model …" and "Publisher Model … is not servable
# in region …"; Anthropic's "This organization has been disabled."; Azure's "API version not
# supported", of the version that the deployment's own configuration names.
_ELSEWHERE_WORDS: Final = re.compile(
    r"incorrect api key|invalid (api|subscription) key"
    r"|\bapi key (not valid|not found|expired)|\borganization must be verified\b"
    r"|\brequires billing to be enabled\b|\buser location is not supported\b"
    r"|\bmodel identifier is invalid|\bon-demand throughput isn.t supported\b"
    r"|\bexceeds the service quota for your account\b|\bnot been submitted for this account\b"
    r"|\Aoperation not allowed\.?\Z|\byour account is not authorized to invoke\b"
    r"|\bnot allowed from unsupported countries\b"
    r"|\bnot allowed to use publisher model\b|\bis not servable in region\b"
    r"|\borganization has been disabled\b|\Aapi version not supported\b",
    re.IGNORECASE,
)
# Google's reasons (`ErrorReason` of google.api) about our key or account, some of them under 400.
_ELSEWHERE_REASON: Final = re.compile(
    r'"reason"\s*:\s*"(API_KEY_|BILLING_DISABLED|SERVICE_DISABLED|CONSUMER_)'
)
# The deployment has no such model.
_NO_MODEL: Final = frozenset(
    {
        "model_not_found",
        "DeploymentNotFound",
        "unknown_model",
        "unavailable_model",
        "model_decommissioned",
    }
)
# Of 404 and 410. Amazon's are "This model version has reached the end of its life", "Could not
# resolve the foundation model from …", "This Model is marked by provider as Legacy and you …".
# Then come two of Google's, the second of a model or a project that it does not show us; the last
# is Oracle's, whose models have a point in their names. A text that says "model" often is read
# once, from the first.
_NO_MODEL_WORDS: Final = re.compile(
    r"\A(?>.*?\bmodel\b).*\b(does not exist|not found|deprecated|retired|no longer|end of its life"
    r"|marked by provider as legacy)\b|\Amodel: |\bcould not resolve the foundation model\b"
    r"|\Amodels/\S+ is not found\b|\Arequested entity was not found\.?\Z"
    r"|\Aentity with key [\w-]+\.\S+ not found\b",
    re.IGNORECASE | re.DOTALL,
)
# Of any status: nothing but that. The last is Mistral's.
_NO_MODEL_SENTENCE: Final = re.compile(
    r"(the|this) (requested )?model( version)?( [`'\"]?[\w./:@-]+[`'\"]?)? "
    r"(does not exist|(is |was )?not found|is deprecated|has been (deprecated|decommissioned|retired)"
    r"|has reached the end of its life)\b"
    r"|invalid model: ",
    re.IGNORECASE,
)
# Oracle's, under 404: we lack the right, or the model is not there; it does not tell which.
_HIDDEN: Final = "NotAuthorizedOrNotFound"
_HIDDEN_WORDS: Final = re.compile(r"authorization failed or requested resource not found", re.I)
# The model that is deployed there does not do what the path asks for, in Azure's words.
_NO_OPERATION: Final = "OperationNotSupported"
# The server does not have the path, in the words of OpenAI and Groq.
_NO_PATH: Final = "unknown_url"
_NO_PATH_WORDS: Final = "Invalid URL ("  # and the method and the path
# The status in words, or no words: the refusal names nothing that is not there. "Not Found" is of
# FastAPI and of Amazon's gateways, "Resource not found" of Azure, "File Not Found" of llama.cpp,
# "Method not found." of Google, the sentence about routes of Kong.
_NOTHING_NAMED: Final = re.compile(
    r"((the )?(requested )?(resource|url|path|page|method|file|route|endpoint) )?"
    r"(was |could )?not (be )?found\.?|gone\.?|no route matched with those values|",
    re.IGNORECASE,
)
# A code that says no more than that.
_CODE_OF_NOTHING: Final = re.compile(r"404|410|(resource)?_?not_?found|", re.IGNORECASE)
# The failure of a tool of the client, which the cloud called for it.
_TOOL_FAILED: Final = "external_connector_error"
# Anthropic's sentences for money that is exhausted, the second for a limit that an administrator
# set: status 400, without a code.
_SPENT_WORDS: Final = re.compile(
    r"credit balance is too low|\breached your specified (workspace )?api usage limits",
    re.IGNORECASE,
)
# The content of the request, whatever the status. The last three are OpenAI's of its safety checks,
# one under 403; its clients go by these codes, and are not to ask again by themselves.
_CONTENT: Final = frozenset(
    {
        "content_filter",
        "content_policy_violation",
        "moderation_blocked",
        "context_length_exceeded",
        "bio_policy",
        "cyber_policy",
        "misalignment_policy_violation",
    }
)
# xAI's sentence for content that it refuses: status 403, as for a right that we lack.
_CONTENT_WORDS: Final = re.compile(r"content violates usage guidelines\b", re.IGNORECASE)
# OpenAI's sentences for a parameter or an operation that a model does not take: status 403 too.
_UNFIT_WORDS: Final = re.compile(
    r"you are not allowed to (request logprobs|generate embeddings) from this model\b",
    re.IGNORECASE,
)
# OpenAI's 429 to requests of the flex tier, which has no capacity at present.
_NO_CAPACITY: Final = frozenset({"resource_unavailable", "flex_unavailable"})
# Statuses that errors inside streams would have had as answers. OpenAI's codes are those of
# `ResponseErrorCode` in its OpenAPI document; Anthropic's types stand in its list of HTTP errors;
# the names of classes are those that vLLM sends as `type`; Oracle's codes stand in its list of the
# errors that all its services have.
_STATUS_BY_WORD: Final = {
    **dict.fromkeys(
        (
            "invalid_prompt",
            "invalid_image",
            "invalid_image_format",
            "invalid_base64_image",
            "invalid_image_url",
            "image_too_large",
            "image_too_small",
            "image_parse_error",
            "image_content_policy_violation",
            "invalid_image_mode",
            "image_file_too_large",
            "unsupported_image_media_type",
            "empty_image_file",
            "failed_to_download_image",
            "image_file_not_found",
            "invalid_request_error",
            "BadRequestError",
            "CannotParseRequest",
            "InvalidParameter",
            "MissingParameter",
        ),
        400,
    ),
    "authentication_error": 401,
    "NotAuthenticated": 401,
    "billing_error": 402,
    "permission_error": 403,
    "NotAuthorized": 403,
    "not_found_error": 404,
    "NotFoundError": 404,
    _HIDDEN: 404,
    "request_too_large": 413,
    _TOOL_FAILED: 424,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "too_many_requests": 429,
    "TooManyRequests": 429,
    "slow_down": 429,
    **dict.fromkeys(_NO_CAPACITY, 429),
    "server_error": 500,
    "server_is_overloaded": 503,
    "service_unavailable_error": 503,
    "ServiceUnavailable": 503,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_STATUS_IN_WORDS: Final = re.compile(r"[45][0-9][0-9]")
_BUSY_WORDS: Final = re.compile(r"\brate limit|\btoo many requests\b|\bthrottl", re.IGNORECASE)
_TOO_LARGE_WORDS: Final = re.compile(r"request too large", re.IGNORECASE)
_BAD_REQUEST: Final = 400
_PAYMENT_REQUIRED: Final = 402
_NOT_FOUND: Final = 404
_METHOD_NOT_ALLOWED: Final = 405
_PROXY_REFUSES: Final = 407
_TIMED_OUT: Final = 408
_GONE: Final = 410
_TOO_LARGE: Final = 413
_MISDIRECTED: Final = 421
# A tool of the client failed, at OpenAI; the model itself, at Bedrock and servers of open models.
_FAILED_DEPENDENCY: Final = 424
_UPGRADE_REQUIRED: Final = 426
_BUSY: Final = 429
# The deployment has more to do than it can; Anthropic says so with 529.
OVERLOADED: Final = frozenset((503, 529))
# Groq's 429 to requests of the flex tier, which has no capacity at present.
_FLEX_FULL: Final = 498
# The server called the request off: Google's "CANCELLED", or a proxy that took us for gone.
_CALLED_OFF: Final = 499
# Statuses that are about the deployment, the account or the way there, whatever the words.
_CERTAIN: Final = frozenset(
    (
        401,
        _PAYMENT_REQUIRED,
        403,
        _PROXY_REFUSES,
        _TIMED_OUT,
        _MISDIRECTED,
        _UPGRADE_REQUIRED,
        _BUSY,
        _FLEX_FULL,
        _CALLED_OFF,
    )
)
# Statuses that are mostly so: the gateway waits less long for the rest of such an answer.
_SUSPECT: Final = _CERTAIN | {_NOT_FOUND}
_NUMBER: Final = re.compile(
    r"[0-9]{1,9}(\.[0-9]{0,9})?"
)  # not all that `float` reads: no infinity, nothing negative
_BUSY_S: Final = 1.0  # where a 429 does not say when to ask again
_SHOULD_RETRY: Final = b"x-should-retry"
# A code is one word. A sentence in its place may name our account, so no client reads it.
_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


class Failure(NamedTuple):
    """Why an attempt failed. The deployment is not asked for `wait_s`; `named_duration`: the
    deployment itself named that time. `lacks_flex`: if the request asked for the flex tier, that
    tier alone has no capacity. `is_spent`: our money or quota there is exhausted. `meant` is
    the status that an error inside a stream would have had as an answer; 0 for any other
    failure."""

    outcome: str
    status: int = 0
    wait_s: float = 0.0
    named_duration: bool = False
    lacks_flex: bool = False
    meant: int = 0
    is_spent: bool = False


class _Words(NamedTuple):
    """The words of an error; all empty where it has none that can be read."""

    code: str = ""
    type: str = ""
    message: str = ""
    names_model: bool = True  # no member is at fault, or `model`
    flagged: bool = False
    of_account: bool = False  # a reason beside the words is about our account
    is_page: bool = False  # of a proxy, for people to read


def is_passing(failure: Failure, head: bytes) -> bool:
    """Return whether the deployment may answer the same request a moment later: it was busy or
    broken, or the connection was. A refusal of our account, and a lack of the model or the path,
    stays; so does what the header lines `head` say is not to be tried again."""
    status = failure.meant or failure.status
    is_transient = status < 300 or status in (_TIMED_OUT, _BUSY) or status >= 500
    return is_transient and failure.wait_s < _SPENT_S and not _forbids_retry(head)


def _forbids_retry(head: bytes) -> bool:
    return any(
        name.lower() == _SHOULD_RETRY and value == b"false" for name, value in headers_in(head)
    )


def is_suspect(status: int) -> bool:
    """Return whether a status is mostly about the deployment or our account there."""
    return status >= 500 or 300 <= status < 400 or status in _SUSPECT


def failure_of(
    status: int, head: bytes, body: bytes, now_s: float, *, names_resource: bool = False
) -> Failure | None:
    """Return why a refusal counts against the deployment; None if it is about the request.

    `head` are the header lines; `now_s` is seconds since 1970.
    `names_resource`: the request names a resource on that account, so not found is an answer.
    """
    words = _words_in(body)
    # From 500 on the server failed, whatever its words say about the request.
    if status < 500 and _of_request(status, words, names_resource):
        return None
    outcome = f"answered {status}{_code_in(words)}"
    if _is_spent(status, words):
        return Failure(outcome, status, _SPENT_S, is_spent=True)
    wait_s = retry_after_s(head, now_s)
    if status in (_BUSY, _FLEX_FULL):
        lacks_flex = status == _FLEX_FULL or _lacks_flex(words)
        return Failure(outcome, status, wait_s or _BUSY_S, wait_s > 0, lacks_flex)
    if status in OVERLOADED and wait_s:
        return Failure(outcome, status, wait_s, named_duration=True)
    return Failure(outcome, status)


def failure_of_event(data: bytes, status: int) -> Failure | None:
    """Return why an error inside a stream, before its content, counts against the deployment; None
    if it is about the request. `data` is the event's, `status` the stream's."""
    words = _words_in_event(data)
    meant = _status_meant(words)
    if meant < 500 and _of_request(meant, words, names_resource=False):
        return None
    outcome = f"reported an error before any content{_code_in(words)}"
    if _is_spent(meant, words):
        return Failure(outcome, status, _SPENT_S, is_spent=True)
    if meant == _BUSY:
        return Failure(outcome, status, _BUSY_S, lacks_flex=_lacks_flex(words), meant=meant)
    return Failure(outcome, status, meant=meant)


def status_of_refusal(body: bytes) -> int:
    """Return the status that an error about the request itself should have had, which came under a
    status of success; 0 if it is about the deployment or our account there."""
    words = _words_in(body)
    meant = _status_meant(words)
    return meant if meant < 500 and _of_request(meant, words, names_resource=False) else 0


def _status_meant(words: _Words) -> int:
    """Return the status that an error inside a stream, or under a status of success, would have had as
    an answer: 500 if its words do not tell."""
    for word in (words.code, words.type):
        if _STATUS_IN_WORDS.fullmatch(word):
            return int(word)
        if word in _CONTENT:
            return 400
        if word in _STATUS_BY_WORD:
            return _STATUS_BY_WORD[word]
    if _is_of_content(words):
        return 403
    return _BUSY if _BUSY_WORDS.search(words.message) else 500


def _lacks_flex(words: _Words) -> bool:
    return words.code in _NO_CAPACITY or words.type in _NO_CAPACITY


def _code_in(words: _Words) -> str:
    """Return the error's code in brackets, if it is a word that a client may read."""
    code = words.type if words.type in _SPENT else words.code
    return f" ({code})" if _CODE.fullmatch(code) else ""


def _is_spent(status: int, words: _Words) -> bool:
    """Return whether money or quota is exhausted."""
    is_spent = {words.code, words.type} & _SPENT or _SPENT_WORDS.search(words.message)
    return status == _PAYMENT_REQUIRED or bool(is_spent)


def _of_request(status: int, words: _Words, names_resource: bool) -> bool:
    """Return whether a refusal (a status below 500) is about the request itself, not about the
    deployment or our account there."""
    if status < 400:
        return False  # a redirect: the request is signed for this address only
    if _is_of_content(words) or _UNFIT_WORDS.match(words.message):
        return True
    if status == _BUSY:
        return bool(_TOO_LARGE_WORDS.match(words.message))
    if status in _CERTAIN or {words.code, words.type} & (_SPENT | _KEY) or words.of_account:
        return False
    if _is_of_model(words):
        return False
    if _ELSEWHERE_WORDS.search(words.message) or _SPENT_WORDS.search(words.message):
        return False
    if status == _FAILED_DEPENDENCY:
        return words.type == _TOOL_FAILED
    if status not in (_NOT_FOUND, _GONE):
        # A proxy between us and the server judges the size of a request, and nothing else about it.
        return not words.is_page or status == _TOO_LARGE
    if names_resource:
        return True
    # A refusal about an item names it.
    if not words.message or _names_nothing(words):
        return False
    is_hidden = words.code == _HIDDEN or _HIDDEN_WORDS.match(words.message)
    return not is_hidden and not _NO_MODEL_WORDS.search(words.message)


def _is_of_content(words: _Words) -> bool:
    """Return whether the content of the request is refused."""
    is_coded = words.code in _CONTENT or words.flagged
    return is_coded or _CONTENT_WORDS.match(words.message) is not None


def _is_of_model(words: _Words) -> bool:
    """Return whether the deployment lacks the model that the request itself asks for, not one that
    is named within it, as for a tool."""
    if not words.names_model:
        return False
    return words.code in _NO_MODEL or bool(_NO_MODEL_SENTENCE.match(words.message))


def _names_nothing(words: _Words) -> bool:
    """Return whether a refusal (404 or 410) has no words beyond those of its status."""
    return bool(_NOTHING_NAMED.fullmatch(words.message) and _CODE_OF_NOTHING.fullmatch(words.code))


def lacks_path(status: int, body: bytes) -> bool:
    """Return whether a refusal says only that the server does not have the path that was asked for.

    Servers that speak a vendor's format have some of its operations and lack others. They answer a
    missing one with 404 or 410 that names no item and no model, with 405, or in OpenAI's words for
    it; Azure with 400 and a code where a model lacks it. The deployment stays healthy for the
    operations that it has.
    """
    if status == _METHOD_NOT_ALLOWED:
        return True
    if status not in (_BAD_REQUEST, _NOT_FOUND, _GONE):
        return False
    words = _words_in(body)
    if status == _BAD_REQUEST:
        return words.code == _NO_OPERATION
    if words.code == _NO_PATH or words.message.startswith(_NO_PATH_WORDS):
        return True
    # A page or sentence without a format names at most a model.
    return _names_nothing(words) and b"model" not in body.lower()


def headers_in(head: bytes) -> list[tuple[bytes, bytes]]:
    """Return name and value of each header line."""
    headers = []
    for line in head.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b": ")
        headers.append((name, value))
    return headers


def retry_after_s(head: bytes, now_s: float) -> float:
    """Return in how many seconds to ask again, by `retry-after-ms`, else by `retry-after` (seconds
    or a date); 0 if neither is there."""
    headers = {name.lower(): value for name, value in headers_in(head)}
    for name, unit_s in ((b"retry-after-ms", 0.001), (b"retry-after", 1.0)):
        value = headers.get(name, b"").decode("latin-1")
        if _NUMBER.fullmatch(value):
            return float(value) * unit_s
    # A date is allowed too (RFC 9110, 10.2.3): the server's, so its own `Date` is now.
    until_s = _instant_s(headers.get(b"retry-after", b""))
    return max(until_s - (_instant_s(headers.get(b"date", b"")) or now_s), 0.0)


def date_s(head: bytes) -> float:
    """Return the `Date` of an answer in seconds since 1970; 0 where it has none."""
    headers = {name.lower(): value for name, value in headers_in(head)}
    return _instant_s(headers.get(b"date", b""))


def _instant_s(value: bytes) -> float:
    """Return a date of HTTP in seconds since 1970; 0 where it is none."""
    try:
        date = parsedate_to_datetime(value.decode("latin-1"))
        # Without a zone it is in UTC (RFC 9110, 5.6.7), not in this machine's.
        return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return 0.0


def without_retry(head: bytes) -> bytes:
    """Return header lines by which a client does not retry, whatever the cloud said of that."""
    return without_header(head, _SHOULD_RETRY) + b"%b: false\r\n" % _SHOULD_RETRY


def without_header(head: bytes, dropped: bytes) -> bytes:
    """Return header lines without those of a name, in lower case."""
    kept = [
        b"%b: %b\r\n" % (name, value) for name, value in headers_in(head) if name.lower() != dropped
    ]
    return b"".join(kept)


def _words_in(body: bytes) -> _Words:
    # A proxy's page, a sentence or nothing: only the status tells the meaning.
    return _words_of(members_in(body), is_page=body.lstrip()[:1] == b"<")


def _words_in_event(data: bytes) -> _Words:
    """Return the words of an error as an event: in the shape of a body, or within the response that
    failed."""
    event = members_in(data)
    response = event.get("response")
    if isinstance(response, dict) and response.get("error") is not None:
        return _words_of(response)
    return _words_of(event)


def _words_of(decoded: dict[str, Any], *, is_page: bool = False) -> _Words:
    error = decoded.get("error")
    if not isinstance(error, dict):
        # Not OpenAI's shape: the fields stand at the top, or `error` itself is the sentence.
        words = error or decoded.get("message") or decoded.get("detail")
        code, kind = _text_of(decoded.get("code")), _text_of(decoded.get("type"))
        return _Words(code=code, type=kind, message=_text_of(words), is_page=is_page)
    metadata, details = error.get("metadata"), error.get("details")
    code = _text_of(error.get("code"))
    # Anthropic's word for the cause: its sentences may change.
    if not code and isinstance(details, dict):
        code = _text_of(details.get("error_code"))
    return _Words(
        code=code,
        type=_text_of(error.get("type")),
        message=_text_of(error.get("message")),
        names_model=error.get("param") in (None, "", "model"),
        flagged=isinstance(metadata, dict) and metadata.get("flagged_input") is not None,
        of_account=_ELSEWHERE_REASON.search(_text_of(details)) is not None,
    )


def _text_of(value: object) -> str:
    """Return a member as text: a sentence or word itself, anything else as JSON; empty if it says
    nothing."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()
