"""606 exchanges that others recorded, played again with the gateway between: what the cloud receives, what the client
receives and what is metered equal the recording, but for what `docs/wire.md` lists."""

import itertools
import json
import random
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote

import httpx
import pytest
from gateway_rig import AUTHORIZED, PATIENCE_S, PRODUCT, Connection, Received, Rig
from recorded import IDENTIFIER, Exchange, exchanges
from test_resource_index import ACME, Index, row

from clauseway.gateway.clouds.reports import responses_report_in
from clauseway.gateway.plan import Epoch, Route
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings
from clauseway.gateway.request.resource_index import INDEX_FILE
from clauseway.gateway.wire.operations import BATCHES, BY_NAME, FILES
from clauseway.gateway.wire.streams import EventStream
from clauseway.gateway.wire.typed_streams import TypedStream
from clauseway.metering import Deployment, Unit

EXCHANGES = exchanges()
MODELS = sorted({exchange.model for exchange in EXCHANGES if exchange.model} | {"gpt-4o-mini"})
# The request that makes the object that a path names.
MADE_BY = {"files": FILES, "batches": BATCHES.code, "responses": BY_NAME["responses"].code}
# Path → why no cloud hears of it.
SENT_TO_NOBODY = {
    "/models": "the gateway tells of its own models",
    "/organization": "an account's own usage is not its tenants'",
    "/batches/[^/]+/(requests|results)": "batches in another server's format",
    r"/batches(\?|$)": "lists come from the gateway's own index, and so do the files of a batch",
}
# Status, words → told in the gateway's words: it speaks of the deployment or of our account there.
OURS = {
    (400, "Incorrect API key"): "our key",
    (400, "model_not_found"): "the deployment",
    (401, ""): "our key",
    (404, "model_not_found"): "the deployment",
    (429, ""): "the deployment is busy",
    (500, ""): "the deployment is broken",
}
# Lines of the clouds' heads, added to every recorded answer: the client gets these …
PASSED = {
    "x-request-id": "req_1",
    "request-id": "req_2",
    "apim-request-id": "3",
    "x-ms-request-id": "4",
    "X-MS-Client-Request-Id": "5",
    "x-amzn-requestid": "6",
    "openai-processing-ms": "12",
    "openai-version": "2020-10-01",
    "x-ratelimit-remaining-requests": "99",
    "anthropic-ratelimit-tokens-remaining": "98",
    "x-should-retry": "false",
    "server": "cloud",
    "date": "Tue, 24 Nov 2026 10:00:00 GMT",
}
# … and not these: they name our account, speak of the cloud's host, or are between neighbours.
DROPPED = {
    "openai-organization": "acme-internal",
    "OpenAI-Project": "proj_Secret123456",
    "anthropic-organization-id": "0b2d",
    "x-ms-region": "East US 2",
    "x-ms-deployment-name": "acme-gpt",
    "X-Ms-Azureml-Resource": "acme-prod-eastus",
    "azureml-model-session": "acme",
    "Location": "https://acme-prod.openai.azure.com/openai/files/file-1",
    "content-location": "https://acme-prod.openai.azure.com/openai/v1/responses",
    "operation-location": "https://acme-prod.openai.azure.com/openai/operations/images/1",
    "www-authenticate": 'Bearer realm="acme-prod"',
    "set-cookie": "session=1",
    "alt-svc": 'h3=":443"; ma=86400',
    "strict-transport-security": "max-age=31536000",
    "keep-alive": "timeout=5",
    "x-clauseway-cloud": "theirs",
}
HEADS = "".join(f"{name}: {value}\r\n" for name, value in (PASSED | DROPPED).items())
# The gateway's own lines, and those that frame a body.
OWN = re.compile("x-clauseway-|content-length|transfer-encoding|content-type|connection")


class Played(NamedTuple):
    """One way of playing: under other names at the cloud or the same, by which paths."""

    renamed: bool = False
    azure: bool = False


WAYS = {"as recorded": Played(), "renamed": Played(renamed=True), "through Azure's paths": Played(azure=True)}


def there(model: str, way: Played) -> str:
    return f"{model}-at-this-cloud" if way.renamed else model


class Player:
    """A gateway over one cloud that answers as recorded."""

    def __init__(self, rig: Rig, way: Played) -> None:
        self.rig, self.way = rig, way
        self.exchange = EXCHANGES[0]
        self.answered: dict[str, Exchange] = {}
        self.cloud = rig.cloud("azure", self._answer)
        self._random = random.Random(7)
        self.http = httpx.Client(timeout=PATIENCE_S)
        products = {model: f"{PRODUCT}.{at}" for at, model in enumerate(MODELS)}
        root = f"http://127.0.0.1:{self.cloud.port}{'/openai' if way.azure else ''}/v1"
        targets = [
            rig.target(
                "azure",
                self.cloud.port,
                url=root,
                dialect="azure" if way.azure else "openai",
                label=Deployment("azure-1", "azure", "openai", "eastus", products[model], there(model, way)),
            )
            for model in MODELS
        ]
        routes = {
            f"openai|{product}|direct": Route(candidates=((at, 0),)) for at, product in enumerate(products.values())
        }
        settings = Settings(limits=Limits(retries=10_000))
        rig.spool.mkdir()
        self._issue()
        rig.start(rig.plan(targets, models=products, epochs=(Epoch(begin_ns=0, routes=routes),), settings=settings))

    def _issue(self) -> None:
        """Let what the recordings follow be made here: their beginnings were not all recorded."""
        index = Index(self.rig.spool / INDEX_FILE)
        paths = {(match[2], MADE_BY[match[1]]) for exchange in EXCHANGES if (match := IDENTIFIER.match(exchange.path))}
        followed = {str(exchange.asked.get("previous_response_id") or "resp_1") for exchange in EXCHANGES}
        for identifier, endpoint in sorted(paths | {(response, MADE_BY["responses"]) for response in followed}):
            index.add(row(identifier, ACME, endpoint=endpoint))
        index.close()

    async def _answer(self, connection: Connection, _: Received) -> None:
        """The recorded answer; a stream in pieces that end anywhere."""
        exchange, writer = self.exchange, connection.writer
        head = f"HTTP/1.1 {exchange.status} Recorded\r\n{HEADS}"
        if exchange.answer_type:
            head += f"content-type: {exchange.answer_type}\r\n"
        if not exchange.streamed:
            writer.write(f"{head}content-length: {len(exchange.answer)}\r\n\r\n".encode() + exchange.answer)
            return
        writer.write(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        cuts = sorted(self._random.choices(range(1, len(exchange.answer)), k=5))
        for begin, end in zip([0, *cuts], [*cuts, len(exchange.answer)], strict=True):
            if begin < end:
                connection.piece(exchange.answer[begin:end])
                await writer.drain()
        connection.end_stream()

    def takes(self, exchange: Exchange) -> bool:
        """Return whether a cloud hears of it: Azure has no moderations in this format, and no variations."""
        absent = ("/moderations", "/images/variations") if self.way.azure else ()
        offered = not any(re.match(path, exchange.path) for path in SENT_TO_NOBODY)
        return offered and not exchange.path.startswith(absent)

    def path(self, exchange: Exchange) -> str:
        dated = ("/chat/completions", "/embeddings", "/images", "/audio", "/moderations")
        if self.way.azure and exchange.path.startswith(dated):
            return f"/openai/deployments/{quote(exchange.model, safe='')}{exchange.path}?api-version=2024-10-21"
        return ("/openai/v1" if self.way.azure else "/v1") + exchange.path

    def play(self, exchange: Exchange) -> list[str]:
        """Play one exchange; what differs from the recording."""
        self.exchange, count = exchange, len(self.cloud.requests)
        headers = {"api-key": AUTHORIZED["authorization"][7:]} if self.way.azure else dict(AUTHORIZED)
        if exchange.content_type:
            headers["content-type"] = exchange.content_type
        answer = self.http.request(
            exchange.method, self.rig.url + self.path(exchange), content=exchange.body, headers=headers
        )
        self.answered[answer.headers["x-clauseway-request-id"]] = exchange
        received = self.cloud.requests[count:]
        if not received:
            return [f"refused at the door: {answer.status_code} {answer.text[:200]}"]
        told_by_us = any(
            exchange.status == status and re.search(words, exchange.answer.decode()) for status, words in OURS
        )
        differences = []
        if told_by_us:
            if "clouds_" not in answer.text and "rate_limit" not in answer.text:
                differences.append(f"not in our words: {answer.status_code} {answer.text[:200]}")
        elif (answer.status_code, answer.content) != (exchange.status, exchange.answer):
            differences.append(
                f"the client got {answer.status_code} {answer.content[-200:]!r}, not {exchange.answer[-200:]!r}"
            )
        else:
            differences += self._differences_of_heads(answer, exchange)
        if self._expected(exchange) not in (received[0].body, _spliced(received[0].body)):
            differences.append(f"the cloud got {received[0].body[:300]!r}")
        return differences

    def _differences_of_heads(self, answer: httpx.Response, exchange: Exchange) -> list[str]:
        """Return how the head that a client got differs from the recorded one."""
        lines = sorted((name, value) for name, value in answer.headers.multi_items() if not OWN.match(name))
        wanted = sorted((name.lower(), value) for name, value in PASSED.items())
        differences = [] if lines == wanted else [f"the client got the head {lines}"]
        if answer.headers.get("content-type", "") != exchange.answer_type:
            differences.append(f"the client got {answer.headers.get('content-type')!r}, not {exchange.answer_type!r}")
        if answer.headers.get_list("x-clauseway-cloud") != ["azure"]:
            differences.append("another than the gateway says which cloud answered")
        return differences

    def _expected(self, exchange: Exchange) -> bytes:
        """The body as it should arrive: under the name that the model has there."""
        if not self.way.renamed:
            return exchange.body
        if exchange.path == "/files":  # lines of a batch
            named, suffix = rb'("model"\s*:\s*")([^"]+)"', there("", self.way).encode()
            return re.sub(named, lambda line: line[1] + line[2] + suffix + b'"', exchange.body)
        old, new = exchange.model.encode(), there(exchange.model, self.way).encode()
        if exchange.asked and "model" not in exchange.asked:  # OpenAI's default has another name there
            return exchange.body.rstrip()[:-1] + b',"model":"%b"}' % new
        if exchange.body.startswith(b"--") and b'name="model"' not in exchange.body:  # the same, in a form
            boundary = exchange.body.partition(b"\r\n")[0]
            field = b'%b\r\nContent-Disposition: form-data; name="model"\r\n\r\n%b\r\n' % (boundary, new)
            return field + exchange.body
        if not exchange.asked:
            return re.sub(rb'(name="model"\r\n(?:[^\r\n]+\r\n)*\r\n)[^\r\n]+', rb"\1" + new, exchange.body)
        return re.sub(rb'("model"\s*:\s*")' + re.escape(old) + rb'"', rb"\1" + new + rb'"', exchange.body, count=1)


def _spliced(body: bytes) -> bytes:
    """A body without the option by which the gateway asks for usage."""
    return body.replace(b',"stream_options":{"include_usage":true}', b"")


@pytest.fixture(scope="module", params=list(WAYS.values()), ids=list(WAYS))
def player(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    with Rig(tmp_path_factory.mktemp("gateway")) as rig:
        yield Player(rig, request.param)
        assert "Traceback" not in rig.errors()


def deletes(exchange: Exchange) -> bool:
    return exchange.method == "DELETE"


def test_every_exchange_is_as_it_was_recorded(player: Player) -> None:
    """And every report of usage is metered, token for token, as plain JSON reads it."""
    offered = sorted(filter(player.takes, EXCHANGES), key=deletes)
    assert len(offered) > 570
    problems = {exchange.source: differences for exchange in offered if (differences := player.play(exchange))}
    assert not problems, json.dumps(problems, indent=1)
    metered = {str(record.request): dict(record.units) for record in player.rig.records()}
    reported = {request: exchange for request, exchange in player.answered.items() if is_reported(exchange)}
    assert len(reported) > 450
    wrong = [
        (exchange.source, exchange.metered, metered[request])
        for request, exchange in reported.items()
        if exchange.metered != tokens_of(metered[request])
    ]
    assert not wrong
    searched = {exchange.source: exchange.searches for exchange in reported.values()}
    assert any(searched.values())
    searches = {reported[request].source: metered[request].get(Unit.WEB_SEARCHES, 0) for request in reported}
    assert searches == searched


def tokens_of(units: dict[Unit, int]) -> tuple[int, int]:
    return units[Unit.INPUT_TOKENS], units.get(Unit.OUTPUT_TOKENS, 0)


METERED = {"/chat/completions", "/completions", "/responses", "/embeddings"}


def is_reported(exchange: Exchange) -> bool:
    return exchange.status == 200 and exchange.path in METERED and exchange.metered is not None


@pytest.mark.parametrize("strip", [False, True], ids=["usage asked for", "usage not asked for"])
def test_streams_pass_whatever_the_reads_are(strip: bool) -> None:
    """Cut anywhere, down to single bytes, every stream comes out as it went in."""
    cut = random.Random(11)
    for exchange in EXCHANGES:
        if not exchange.streamed or (strip and "stream_options" in exchange.asked):
            continue
        for pieces in (1, 3, 40, len(exchange.answer)):
            chat = exchange.path.startswith(("/chat", "/completions"))
            stream = EventStream(strip_usage=strip) if chat else TypedStream(responses_report_in)
            size = len(exchange.answer)
            cuts = range(size + 1) if pieces == size else [0, *sorted(cut.choices(range(size), k=pieces)), size]
            out = b"".join(stream.feed(exchange.answer[at:end]) for at, end in itertools.pairwise(cuts))
            out += stream.close()
            assert stream.done, exchange.source
            assert out + stream.last == exchange.answer, exchange.source
            units = dict(stream.units or ())
            if exchange.metered is not None:
                assert (units[Unit.INPUT_TOKENS], units[Unit.OUTPUT_TOKENS]) == exchange.metered, exchange.source
