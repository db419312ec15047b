"""Five clients at once, the keys of one organisation, over two scripted clouds of which the first misbehaves in every
way of a list: each gets its answer or its own error. A neighbour of another organisation, at the same deployments, is
answered there and by one attempt throughout; clients that are broken or hostile hear what they did; the usage equals
what the clouds wrote down, and the process stops growing when all of it happens again.

Each way of misbehaving is a model of its own: what one has done to a deployment's health does not keep the next from
being asked.
"""

import gzip
import socket
import ssl
import struct
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
import trustme
from clients_at_once import AI_SDK, OPENAI_PYTHON, Ask, clients_at_once
from gateway_rig import (
    DONE_EVENT,
    GROWTH_IN_ALL_MAX_MB,
    GROWTH_MAX_MB,
    PATIENCE_S,
    Behaviour,
    Cloud,
    Connection,
    Received,
    Rig,
    chunk_event,
    compact,
    key,
    read_all,
    stall,
    status,
)
from gateway_stage import PATIENT, error_event_of, events_of, failing_after, typed
from misbehaviours import (
    HEAD_WITHOUT_END,
    PACKED_TRANSFER,
    cut_without_length,
    ok,
    told,
    two_answers,
    written,
    zstd_frames,
)

from awaiting import eventually
from clauseway.gateway.plan import Epoch, Plan, Route, Target
from clauseway.gateway.plan.settings import TlsSettings
from clauseway.metering import Deployment, Status, Unit, UsageRecord

CLIENTS = (OPENAI_PYTHON, "LangChain", "pydantic-ai", "the Agents SDK", AI_SDK)
OURS, NEIGHBOUR, RUDE = "acme", "the neighbour", "the rude"
LEAVING = "I shall not hear the end."
FIRST, SECOND = "first", "second"
# Of each model at the first cloud, one that the fault is not about.
SIBLING = "sibling of "
WAITS_S = 6.0  # a cloud that answers does so by then, on a busy machine too
PLAYS_AGAIN_MAX = 6
AT_ONCE = 10  # faults
ITEM = "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false."


class Answers:
    """The answers of one cloud. Each reports another usage, and is written down: for which model, and its tokens."""

    def __init__(self, cloud: str) -> None:
        self.cloud = cloud
        self.text = f"This is the {cloud} cloud."
        self.written_down: list[tuple[str, tuple[int, int]]] = []

    def _next_tokens(self, request: Received) -> tuple[int, int]:
        tokens = 1000 + len(self.written_down), 5
        self.written_down.append((request.json["model"], tokens))
        return tokens

    async def answer(self, connection: Connection, request: Received) -> None:
        await self.write(connection, request)

    async def write(self, connection: Connection, request: Received, *, with_done: bool = True) -> None:
        """A whole answer or a stream, of chat or of responses."""
        of_responses = b"/responses" in request.head.partition(b"\r\n")[0]
        tokens = self._next_tokens(request)
        if not request.json.get("stream"):
            connection.answer(200, compact((self._response if of_responses else self._completion)(tokens)))
            return
        connection.begin_stream()
        for event in self._typed_events(tokens) if of_responses else self._chunks(tokens, with_done):
            connection.piece(event)
        connection.end_stream()

    def _completion(self, tokens: tuple[int, int]) -> dict[str, object]:
        message = {"role": "assistant", "content": self.text}
        return {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "usage": usage_of_chat(tokens),
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        }

    def _chunks(self, tokens: tuple[int, int], with_done: bool) -> Iterator[bytes]:
        for delta, finish in (({"role": "assistant", "content": self.text}, None), ({}, "stop")):
            yield chunk([{"index": 0, "delta": delta, "finish_reason": finish}])
        yield chunk([], usage=usage_of_chat(tokens))
        if with_done:
            yield DONE_EVENT

    def _response(self, tokens: tuple[int, int]) -> dict[str, object]:
        content = [{"type": "output_text", "text": self.text, "annotations": []}]
        message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}
        usage = {
            "input_tokens": tokens[0],
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": tokens[1],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": sum(tokens),
        }
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "model": "m",
            "status": "completed",
            "output": [message],
            "usage": usage,
            "parallel_tool_calls": False,
            "tools": [],
            "tool_choice": "auto",
        }

    def _typed_events(self, tokens: tuple[int, int]) -> Iterator[bytes]:
        whole = self._response(tokens)
        yield typed("response.created", 0, response={**whole, "status": "in_progress", "output": [], "usage": None})
        where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        yield typed("response.output_text.delta", 1, delta=self.text, logprobs=[], **where)
        yield typed("response.completed", 2, response=whole)


def usage_of_chat(tokens: tuple[int, int]) -> dict[str, int]:
    return {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}


def chunk(choices: list[object], **members: object) -> bytes:
    return chunk_event(choices, created=1, model="m", **members)


# -- what the first cloud does wrong

Misbehaviour = Callable[[Answers, Connection, Received], Coroutine[Any, Any, None]]


class Fault(NamedTuple):
    """`ends`: `answered` by the second cloud; `told`: the request's fault, in the first cloud's words; `broken`: as
    `answered`, but a stream breaks, unless the clients' failures have ejected that deployment for them; `odd`: an
    answer all the same; `either` cloud answers. `rests`: the model is left alone there by everybody."""

    misbehave: Misbehaviour
    ends: str = "answered"
    rests: bool = False


def alone(behaviour: Behaviour, ends: str = "answered", *, rests: bool = False) -> Fault:
    """A fault that takes no answer."""
    return Fault(lambda _, connection, request: behaviour(connection, request), ends, rests)


def refusing(code: int, name: str, message: str = "as told") -> Fault:
    """A refusal that speaks of the request."""
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": name}}

    async def behave(connection: Connection, _: Received) -> None:
        connection.answer(code, compact(body))

    return alone(behave, "told")


async def filtered_in_a_stream(connection: Connection, request: Received) -> None:
    error = {"message": "as told", "type": "invalid_request_error", "param": None, "code": "content_filter"}
    if not request.json.get("stream"):
        connection.answer(400, compact({"error": error}))
        return
    connection.begin_stream()
    if b"/responses" in request.head.partition(b"\r\n")[0]:
        fields = {name: value for name, value in error.items() if name != "type"}
        connection.piece(events_of(request)[0] + typed("error", 1, **fields))
    else:
        connection.piece(events_of(request)[0] + b"data: %b\n\n" % compact({"error": error}))
    connection.end_stream()


async def busy_in_a_stream(connection: Connection, request: Received) -> None:
    if not request.json.get("stream"):
        connection.answer(429, b'{"error":{"message":"slow down"}}', ["retry-after: 20"])
        return
    connection.begin_stream()
    connection.piece(events_of(request)[0] + error_event_of(request))
    connection.end_stream()


async def no_content(connection: Connection, _: Received) -> None:
    connection.writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")


async def reset(connection: Connection, _: Received) -> None:
    """Closed without a word, and without an end."""
    connection.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.drop()


async def cut_after_finish(answers: Answers, connection: Connection, request: Received) -> None:
    """Neither usage nor `[DONE]` follow on the finish reason, nor the last chunk on what came."""
    if not request.json.get("stream") or b"/responses" in request.head.partition(b"\r\n")[0]:
        await failing_after(2, "cut")(connection, request)
        return
    connection.begin_stream()
    for delta, finish in (({"role": "assistant", "content": answers.text}, None), ({}, "stop")):
        connection.piece(chunk([{"index": 0, "delta": delta, "finish_reason": finish}]))
    await connection.apart()
    connection.drop()


async def without_done(answers: Answers, connection: Connection, request: Received) -> None:
    await answers.write(connection, request, with_done=False)


async def cut_in_tls(connection: Connection, request: Received) -> None:
    """An answer until the close, and no close: whoever stands between has cut it."""
    if request.json.get("stream"):
        head, body = b"content-type: text/event-stream", b"".join(events_of(request)[1])
    else:
        head, body = b"content-type: application/json", b'{"choices":[]}'
    connection.writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body)
    await connection.apart()
    connection.writer.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


class ClosedWhenIdle:
    """Answers once on each connection that is new, and closes it as the next request comes."""

    def __init__(self) -> None:
        self._used: set[tuple[str, int]] = set()

    async def __call__(self, answers: Answers, connection: Connection, request: Received) -> None:
        peer = connection.writer.get_extra_info("peername")
        if peer in self._used:
            self._used.discard(peer)
            connection.drop()
        else:
            self._used.add(peer)
            await answers.answer(connection, request)


async def answered(answers: Answers, connection: Connection, request: Received) -> None:
    await answers.answer(connection, request)


TOO_LARGE = "Request too large for gpt-5.4 on tokens per min (TPM): Limit 30000, Requested 61111."
HTML = b"<html><body>Welcome</body></html>"
OVER_TLS = "TLS cut without its close"
FAULTS: dict[str, Fault] = {
    "nothing": Fault(answered, "odd"),
    # busy
    "429 for one model": alone(status(429, "retry-after: 20"), rests=True),
    "429 without a time": alone(status(429), rests=True),
    "busy, in a stream": alone(busy_in_a_stream, rests=True),
    # the request
    "429 request too large": refusing(429, "rate_limit_exceeded", TOO_LARGE),
    "404 item not found": refusing(404, "", ITEM),
    "400 invalid prompt": refusing(400, "invalid_prompt"),
    "400 context too long": refusing(400, "context_length_exceeded"),
    "content filter in a 200": alone(filtered_in_a_stream, "told"),
    "409": refusing(409, "conflict"),
    "413": refusing(413, "request_too_large"),
    "422": refusing(422, "unprocessable"),
    # our account
    "401": alone(told(401, "invalid_api_key")),
    "403": alone(told(403, "permission_error")),
    "quota": alone(told(429, "insufficient_quota", kind="insufficient_quota"), rests=True),
    # servers
    "500": alone(status(500)),
    "503": alone(status(503)),
    "503 with retry-after": alone(status(503, "retry-after: 20"), rests=True),
    "529": alone(status(529)),
    # a status of success, and no answer
    "2xx with an error": alone(ok(b'{"error":{"message":"overloaded","code":502}}')),
    "2xx and nothing": alone(ok(b"")),
    "204": alone(no_content),
    "HTML": alone(ok(HTML, "text/html")),
    "cut body without a length": alone(cut_without_length),
    "two answers in one read": alone(two_answers),
    "101 unasked": alone(written(b"HTTP/1.1 101 Switching\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\nx")),
    "head without end": alone(written(HEAD_WITHOUT_END)),
    "gzip as a transfer coding": alone(written(PACKED_TRANSFER)),
    "zstd that nobody asked for": alone(zstd_frames),
    # streams
    "cut before content": alone(failing_after(0, "cut")),
    "cut before a finish reason": alone(failing_after(2, "cut"), "broken"),
    "cut after a finish reason": Fault(cut_after_finish, "broken"),
    "error after content": alone(failing_after(2, "error"), "broken"),
    "no [DONE]": Fault(without_done, "odd"),
    # connections
    OVER_TLS: alone(cut_in_tls, "broken"),
    "stall before the head": alone(stall),
    "stall within the answer": alone(failing_after(2, "stall"), "broken"),
    "connection reset": alone(reset),
    "idle connection closed": Fault(ClosedWhenIdle(), "either"),
}
# The same attempt is sent again on a fresh connection, where a kept one is lost before a byte of an answer.
SENT_AGAIN = ("connection reset", "idle connection closed")
WAVES = [list(FAULTS)[at : at + AT_ONCE] for at in range(0, len(FAULTS), AT_ONCE)]


# -- the gateway between


def plan(rig: Rig, ports: dict[str, int], tls: TlsSettings) -> Plan:
    """For each fault two models at the first cloud, the second cloud behind each; the clients' keys, and two more."""
    targets: list[Target] = []
    routes: dict[str, Route] = {}
    for fault in FAULTS:
        first = f"https://localhost:{ports['tls']}" if fault == OVER_TLS else f"http://127.0.0.1:{ports[FIRST]}"
        for model in (fault, SIBLING + fault):
            candidates = []
            for cloud, url in ((FIRST, first), (SECOND, f"http://127.0.0.1:{ports[SECOND]}")):
                label = Deployment(f"{cloud} {fault}", cloud, "openai", "eastus", model, model)
                candidates.append((len(targets), 0))
                targets.append(rig.target(cloud, 0, url=f"{url}/v1", label=label))
            routes[f"openai|{model}|direct"] = Route(candidates=tuple(candidates))
    models = {product.split("|")[1]: product.split("|")[1] for product in routes}
    owners = {**dict.fromkeys(CLIENTS, OURS), NEIGHBOUR: NEIGHBOUR, RUDE: RUDE}
    keys = tuple(
        msgspec.structs.replace(key(secret(name), "openai"), organisation=organisation, project=name, key_id=name)
        for name, organisation in owners.items()
    )
    limits = msgspec.structs.replace(PATIENT.limits, upstream_idle_s=1)
    settings = msgspec.structs.replace(PATIENT, tls=tls, limits=limits)
    return rig.plan(
        targets,
        models=models,
        epochs=(Epoch(begin_ns=0, routes=routes),),
        keys=keys,
        attempt_timeout_s=WAITS_S,
        settings=settings,
    )


def secret(name: str) -> str:
    return f"sk-{name.replace(' ', '-')}"


class Neighbour:
    """Another organisation's client. It asks for the model of a fault, whose deployment answers it well; where that
    deployment is to be left alone, for another model there."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v1/chat/completions"
        self._http = httpx.Client(timeout=PATIENCE_S, headers={"authorization": f"Bearer {secret(NEIGHBOUR)}"})

    def ask(self, faults: Sequence[str]) -> dict[str, str]:
        """Return the answers of a neighbour that differ from one attempt at the first cloud."""
        wrong = {}
        for fault in faults:
            model = SIBLING + fault if FAULTS[fault].rests else fault
            for stream in (False, True):
                body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": NEIGHBOUR}]}
                answer = self._http.post(self._url, json=body)
                where = answer.status_code, *(answer.headers.get(f"x-clauseway-{of}") for of in ("cloud", "attempts"))
                if where != (200, FIRST, "1") or f"This is the {FIRST} cloud." not in answer.text:
                    wrong[fault] = f"{where}: {answer.text[:300]}"
        return wrong


# -- clients that are broken, or hostile


def sent(body: bytes, *headers: str, name: str = RUDE) -> bytes:
    """A request as bytes. Of two headers of a name both are sent."""
    lines = ["POST /v1/chat/completions HTTP/1.1", "host: gateway", f"authorization: Bearer {secret(name)}", *headers]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


WELL = compact({"model": "nothing", "messages": [{"role": "user", "content": "Hello."}]})
STREAMED = compact({"model": "nothing", "messages": [{"role": "user", "content": "Hello."}], "stream": True})
LEFT = compact({"model": "nothing", "messages": [{"role": "user", "content": LEAVING}], "stream": True})
UNKNOWN_MODEL = compact({"model": "gpt-9", "messages": []})
BOMB = gzip.compress(b'{"model":"nothing","messages":[' + b" " * (32 << 20) + b"]}")
# The bytes that a client sends before it closes its half → the status that it reads
RUDENESS: dict[str, tuple[bytes, int]] = {
    "half-close": (sent(WELL), 200),
    "half-close, a stream": (sent(STREAMED), 200),
    "a wrong key": (sent(WELL, name="nobody"), 401),
    "malformed JSON": (sent(WELL[:-1] + b"}}"), 400),
    "an unknown model": (sent(UNKNOWN_MODEL), 404),
    "a gzip bomb": (sent(BOMB, "content-encoding: gzip"), 400),
    "two Hosts": (sent(WELL, "host: elsewhere"), 400),
    "half a request": (sent(WELL)[:-9], 0),
}


def exchange(rig: Rig, data: bytes) -> int:
    with rig.socket() as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = read_all(connection)
    return int(answer.split(b" ")[1]) if answer else 0


def be_rude(rig: Rig) -> dict[str, int]:
    """Do all of it while a slow client's head comes in pieces; return what each reads."""
    heard = {}
    slow = sent(WELL, "connection: close")
    with rig.socket() as connection:
        for name, (data, _) in RUDENESS.items():
            connection.sendall(slow[:12])
            slow = slow[12:]
            heard[name] = exchange(rig, data)
            # Another one leaves in the middle of a stream.
            with rig.socket() as leaving:
                leaving.sendall(sent(LEFT))
                leaving.recv(1)
        connection.sendall(slow)
        heard["a slow head"] = int(read_all(connection).split(b" ")[1])
    return heard


RUDE_HEAR = {**{name: heard for name, (_, heard) in RUDENESS.items()}, "a slow head": 200}


# -- all of them together


class Company:
    """The gateway, its clouds and the clients before it."""

    def __init__(self, rig: Rig, clouds: dict[str, Cloud], answers: dict[str, Answers], asking: list[Ask]) -> None:
        self.rig = rig
        self.clouds = clouds
        self.answers = answers
        self._asking = asking
        self._neighbour = Neighbour(rig.url)
        self.descriptors_at_first = self.descriptors()
        # By fault: client → outcomes. And what went wrong for the neighbour, and what the rude ones heard.
        self.outcomes: dict[str, dict[str, dict[str, Any]]] = {fault: {} for fault in FAULTS}
        self.disturbed: dict[str, str] = {}
        self.rude_heard: list[dict[str, int]] = []
        # Of the process, in megabytes, by each play after the first.
        self.growths: list[float] = []

    def play(self) -> None:
        """All that is on the list, some faults at a time, by every client at once."""
        for wave in WAVES:
            with ThreadPoolExecutor(len(self._asking) + 2) as pool:
                neighbour = pool.submit(self._neighbour.ask, wave)
                rude = pool.submit(be_rude, self.rig)
                parts = list(pool.map(lambda ask, asked=tuple(wave): ask(asked), self._asking))
            for part in parts:
                for client, answers in part.items():
                    for fault, outcome in answers.items():
                        self.outcomes[fault][client] = outcome
            # Once more, when the others' failures have all been counted.
            self.disturbed |= neighbour.result() | self._neighbour.ask(wave)
            self.rude_heard.append(rude.result())
        eventually(lambda: self.rig.counts()["open"] == 0)

    def descriptors(self) -> int:
        """Those of the process, beside the connections that clients hold."""
        assert self.rig.process is not None
        connections: int = self.rig.counts()["connections"]
        return len(list(Path(f"/proc/{self.rig.process.pid}/fd").iterdir())) - connections

    def asked(self, cloud: str, fault: str) -> list[Received]:
        """The requests that reached a cloud for a fault's models."""
        there = [self.clouds[cloud]] if cloud == SECOND else [self.clouds[FIRST], self.clouds["tls"]]
        models = (fault, SIBLING + fault)
        return [request for cloud in there for request in cloud.requests if request.json["model"] in models]


def behaviour_of_first(answers: Answers) -> Behaviour:
    """Whoever is of another organisation is answered well, until it leaves."""

    async def behave(connection: Connection, request: Received) -> None:
        fault = FAULTS.get(request.json["model"])
        if LEAVING.encode() in request.body:
            await failing_after(2, "stall")(connection, request)
        elif fault is None or NEIGHBOUR.encode() in request.body:
            await answers.answer(connection, request)
        else:
            await fault.misbehave(answers, connection, request)

    return behave


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    authority, home = trustme.CA(), tmp_path_factory.mktemp("gateway")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(home / "ca.pem")
    answers = {cloud: Answers(cloud) for cloud in (FIRST, SECOND)}
    with ExitStack() as stack:
        rig = stack.enter_context(Rig(home))
        clouds = {
            FIRST: rig.cloud(FIRST, behaviour_of_first(answers[FIRST])),
            SECOND: rig.cloud(SECOND, answers[SECOND].answer),
            "tls": Cloud("tls", rig._loop, tls=context),
        }
        clouds["tls"].behaviour = clouds[FIRST].behaviour
        ports = {name: cloud.port for name, cloud in clouds.items()}
        rig.start(plan(rig, ports, TlsSettings(upstream_ca=str(home / "ca.pem"))))
        where = tmp_path_factory.mktemp("clients")
        secrets = {name: secret(name) for name in CLIENTS}
        asking = stack.enter_context(clients_at_once(rig.url, where, secrets, ai_sdk_retries=0))
        yield Company(rig, clouds, answers, asking)
        assert "Traceback" not in rig.errors()


@pytest.fixture(scope="module")
def played(company: Company) -> Company:
    company.play()
    return company


# The gateway's, or those of the cloud's own event: in a chat, in a response.
BROKEN_WORDS = ("The stream broke", "no_capacity", "sorry")


def check_outcome(fault: str, stream: bool, outcome: dict[str, str]) -> None:
    ends, error = FAULTS[fault].ends, outcome.get("said", "")
    text = outcome.get("text", "")
    if ends == "told":
        words = {"404 item not found": ITEM, "429 request too large": "Request too large"}.get(fault, "as told")
        assert "error" in outcome, outcome
        assert words in error, outcome
    elif ends == "broken" and stream and "error" in outcome:
        assert any(words in error for words in BROKEN_WORDS), outcome
    else:
        texts = {f"This is the {cloud} cloud." for cloud in ANSWERING[ends]}
        assert text in texts, outcome


ANSWERING = {"answered": {SECOND}, "broken": {SECOND}, "odd": {FIRST}, "either": {FIRST, SECOND}}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_gets_its_answer_or_its_own_error(played: Company, fault: str) -> None:
    assert played.outcomes[fault].keys() == set(CLIENTS)
    for client, outcomes in played.outcomes[fault].items():
        for kind in ("whole", "streamed"):
            try:
                check_outcome(fault, kind == "streamed", outcomes[kind])
            except AssertionError as error:
                raise AssertionError(f"{client}, {kind}") from error


def test_the_neighbour_notices_nothing(played: Company) -> None:
    assert played.disturbed == {}


def test_the_rude_hear_what_they_did(played: Company) -> None:
    assert played.rude_heard == [RUDE_HEAR] * len(played.rude_heard)


@pytest.fixture(scope="module")
def played_again(played: Company) -> Company:
    """All of it has happened again, until the process grew no more."""
    played.growths = played.rig.growths(played.play, PLAYS_AGAIN_MAX)
    return played


def test_the_process_stops_growing(played_again: Company) -> None:
    assert min(played_again.growths) <= GROWTH_MAX_MB, played_again.growths
    assert sum(played_again.growths) <= GROWTH_IN_ALL_MAX_MB, played_again.growths
    assert played_again.disturbed == {}
    # Connections to the clouds close when they have been idle for a second.
    eventually(lambda: played_again.descriptors() <= played_again.descriptors_at_first)


def tokens_metered(record: UsageRecord) -> tuple[int, int]:
    units = dict(record.units)
    return units[Unit.INPUT_TOKENS], units[Unit.OUTPUT_TOKENS]


def was_given_up(record: UsageRecord) -> bool:
    """Return whether an attempt took all of its time: one that the cloud answered late, or never heard of."""
    return record.status is Status.FAILED and record.duration_us >= WAITS_S * 900_000


@pytest.fixture(scope="module")
def metered(played_again: Company) -> dict[str, list[UsageRecord]]:
    """The usage records of each deployment, of every play."""
    records: dict[str, list[UsageRecord]] = {}
    for record, _, where, _ in played_again.rig.entries():
        records.setdefault(where.deployment, []).append(record)
    return records


@pytest.mark.parametrize("cloud", [FIRST, SECOND])
@pytest.mark.parametrize("fault", FAULTS)
def test_usage_equals_what_the_clouds_wrote_down(
    played: Company, metered: dict[str, list[UsageRecord]], fault: str, cloud: str
) -> None:
    records = metered.get(f"{cloud} {fault}", [])
    given_up = sum(was_given_up(record) for record in records)
    unheard = len(records) - len(played.asked(cloud, fault))
    assert 0 <= unheard <= given_up or (fault in SENT_AGAIN and unheard < 0), "each attempt is recorded once"
    complete = Counter(tokens_metered(record) for record in records if record.status is Status.COMPLETE)
    models = (fault, SIBLING + fault)
    written_down = Counter(tokens for model, tokens in played.answers[cloud].written_down if model in models)
    assert complete <= written_down
    assert (written_down - complete).total() <= given_up
    for record in records:
        assert (record.charge_picodollars > 0) is (record.status is not Status.FAILED), record
