"""The upload of a file for batches: its requests are decided before it goes anywhere.

    file → lines → each decided like a request of its own → the deployments that may serve all → what it may cost there

A batch runs one model at one deployment: OpenAI takes one model in a file, Azure one deployment. So
the file goes to a deployment that may serve every line, with one model; where none may, nothing is
uploaded and the first lines at fault are named. A file is read in short steps between other
requests, so that a large one stops nobody. The needs of its lines are remembered with the file, for
the batch that is made of it.
"""

from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple

import msgspec

from clauseway.catalog import BITS, Capability
from clauseway.gateway.plan.steps import between_requests
from clauseway.gateway.request.batch_contents import Contents, LineGroup, batch_scale
from clauseway.gateway.request.lifecycle import PreparedRequest
from clauseway.gateway.request.refusals import Refused, refused_body
from clauseway.gateway.request.selection import (
    MadeElsewhere,
    Selector,
    check_not_stored,
    not_made_here,
)
from clauseway.gateway.routing.choices import Candidate, CandidateSelection, SkippedDeployment
from clauseway.gateway.routing.routing_tables import Customer
from clauseway.gateway.routing.targets import CallTarget
from clauseway.gateway.routing.unit_rates import RateScale
from clauseway.gateway.wire.batch_files import (
    BatchLine,
    LineSpan,
    ModelPlaces,
    Upload,
    read_line,
    spans,
)
from clauseway.gateway.wire.bodies.body_contents import BodyContents
from clauseway.gateway.wire.bodies.body_errors import BadBody
from clauseway.gateway.wire.bodies.identifiers import identifiers_in, identifiers_in_lines
from clauseway.gateway.wire.bodies.needs import Needs
from clauseway.gateway.wire.errors import MALFORMED_BODY, UNSUPPORTED
from clauseway.gateway.wire.operations import BY_NAME, UnderstoodRequest

_BATCH = BITS[Capability.BATCH]
_NEEDED = ("files.create", "batches.create")
_FAULTS_MAX = 5  # a user who reads of five lines mends the program that writes them
_WORTH_MAX = 1 << 62  # what the journal can hold


class _Place:
    """A deployment that may serve every line read so far, and the worst case of those lines
    there."""

    def __init__(self, candidate: Candidate, scale: RateScale) -> None:
        self.candidate = candidate
        self.scale = scale
        self.picodollars = self.input_tokens = self.output_tokens = 0

    def add(self, line: BatchLine, needs: Needs) -> None:
        most = self.candidate.target.worst_case(line.properties, line.text_bytes, needs, self.scale)
        self.picodollars += most.picodollars
        self.output_tokens += most.output_tokens
        self.input_tokens += most.tokens - most.output_tokens


class _Fault(NamedTuple):
    line: int
    model: str
    refused: Refused


class BatchUpload:
    """The upload of one file for batches, as a preparation of its request: it says where the file
    may go."""

    def __init__(
        self,
        selector: Selector,
        customer: Customer,
        request: UnderstoodRequest,
        upload: Upload,
        event_ns: int,
    ) -> None:
        self._selector = selector
        self._customer = customer
        self._request = request
        self._upload = upload
        self._event_ns = event_ns

    async def prepare(self, is_over: Callable[[], bool]) -> PreparedRequest | None:
        """Return the deployments that may serve every line, and the file as it goes to the first;
        None once the request is over. Raises Refused."""
        reading, selection = await self._read(is_over)
        if selection is None:
            return None
        request = self._request.of_model(self._upload.model or "", reading.body)
        return PreparedRequest(selection, request)

    async def _read(
        self, is_over: Callable[[], bool]
    ) -> "tuple[_Reading, CandidateSelection | None]":
        """Read the file. Raises Refused."""
        body = self._request.body
        reading = _Reading(self._upload, body, self._select, self._scale)
        try:
            return reading, await between_requests(reading.work(), is_over)
        except MadeElsewhere as unknown:
            # All that the file names is asked for at once, and the file is read again.
            await self._selector.look_up([*unknown.identifiers, *identifiers_in_lines(body)])
        reading = _Reading(self._upload, body, self._select, self._scale)
        try:
            return reading, await between_requests(reading.work(), is_over)
        except MadeElsewhere as unknown:  # needless escapes hid it from `identifiers_in_lines`
            raise not_made_here(unknown.identifiers[0]) from None

    def _select(self, line: BatchLine, needs: Needs) -> CandidateSelection:
        """Select for a line as if it had come by itself. Raises Refused."""
        properties, body = line.properties, line.body
        named_ids = (*properties.named_ids, *identifiers_in(body))
        contents = BodyContents(properties, needs, line.text_bytes, named_ids)
        operation = BY_NAME[line.operation]
        return self._selector.by_model(operation, properties.model or "", contents).selection

    def _scale(self, target: CallTarget) -> RateScale:
        return batch_scale(target, self._customer.buyer, self._event_ns)


class _Reading:
    """Reads one file, which lies in `body`; at the end `body` is the file as it goes to the first
    deployment."""

    def __init__(
        self,
        upload: Upload,
        body: bytes,
        select: Callable[[BatchLine, Needs], CandidateSelection],
        scale: Callable[[CallTarget], RateScale],
    ) -> None:
        self._upload = upload
        self.body = body
        self._select = select
        self._scale = scale
        self._places: list[_Place] = []
        self._skipped: tuple[SkippedDeployment, ...] = ()
        self._kinds: dict[tuple[str, str], LineGroup] = {}
        self._faults: list[_Fault] = []
        self._count = self._body_bytes = 0
        self._selection: CandidateSelection | None = None
        self._model_places = ModelPlaces()

    def work(self) -> Generator[None, None, CandidateSelection]:
        """Read the whole file, in steps. Return the deployments that it may go to. Raises
        Refused."""
        upload = self._upload
        for span in spans(self.body, upload.begin, upload.end):
            self._read(span)
            if len(self._faults) == _FAULTS_MAX:
                break
            yield
        if self._faults:
            raise self._refused()
        if not self._places:
            message = "The file for batches holds no request; nothing was uploaded."
            raise Refused(MALFORMED_BODY, message, param="file")
        kinds = tuple(self._kinds.values())
        for place in self._places:
            worth = min(place.picodollars, _WORTH_MAX)
            contents = Contents(
                lines=self._count,
                picodollars=worth,
                input_tokens=place.input_tokens,
                output_tokens=place.output_tokens,
                kinds=kinds,
                body_bytes=self._body_bytes,
            )
            upload.contents[place.candidate.target.name] = msgspec.json.encode(contents)
        first = self._places[0].candidate.target.destination
        # This body replaces the one that came: a file may be large, and nobody needs both.
        self.body, upload.places = yield from self._model_places.written_for(
            self.body, first.model, first.quoted_model
        )
        upload.named = first.model
        return CandidateSelection(tuple([place.candidate for place in self._places]), self._skipped)

    def _read(self, span: LineSpan) -> None:
        model = ""
        try:
            written = self.body[span.begin : span.end]
            line = read_line(written)
            model = line.properties.model or ""
            needs = line.properties.needs(line.body)
            check_not_stored(line.properties)
            in_batch = needs._replace(bits=needs.bits | _BATCH)
            self._meet(line, self._select(line, in_batch))
        except BadBody as error:
            self._faults.append(_Fault(span.number, model, refused_body(error)))
            return
        except Refused as refused:
            self._faults.append(_Fault(span.number, model, refused))
            return
        if self._faults:
            return  # nothing is uploaded any more: only further faults count
        self._count += 1
        self._body_bytes += line.text_bytes
        for place in self._places:
            place.add(line, needs)
        # Most deployments call their model as the file does.
        if any(place.candidate.target.destination.model != model for place in self._places):
            self._model_places.add(span, written, line)
        self._note(span.number, line, in_batch)

    def _meet(self, line: BatchLine, selection: CandidateSelection) -> None:
        """Keep only the deployments that may serve this line too. Raises Refused where none is
        left."""
        if selection is self._selection:
            return
        model = line.properties.model or ""
        able = [
            candidate
            for candidate in selection.candidates
            if candidate.target.lacks.isdisjoint(_NEEDED)
        ]
        if not able:
            named = "; ".join(
                f"{candidate.target.cloud} {candidate.target.name}"
                for candidate in selection.candidates
            )
            message = f"No deployment that may serve {model} here has batches: {named}."
            raise Refused(UNSUPPORTED, message, param="model")
        # The first line decides where a file may go; each further one narrows that.
        if self._selection is None:
            self._upload.model = model
            self._skipped = selection.skipped
            self._places = [_Place(candidate, self._scale(candidate.target)) for candidate in able]
        else:
            targets = [candidate.target for candidate in able]
            left = [place for place in self._places if place.candidate.target in targets]
            if not left:
                message = (
                    f"{model} is served by {_named(targets)}, the lines before it by "
                    f"{_named([place.candidate.target for place in self._places])}. A batch runs one model at one "
                    "deployment: put what different ones serve into files of their own."
                )
                raise Refused(UNSUPPORTED, message, param="model")
            self._places = left
        self._selection = selection

    def _note(self, number: int, line: BatchLine, needs: Needs) -> None:
        """Add a line to the group of its operation and model: its needs, and its lengths where they
        are the greatest so far."""
        key = (line.operation, line.properties.model or "")
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = LineGroup(number, *key, 0, 0, 0)
        bounded = not (needs.images or needs.audio or needs.unbounded)
        bits = kind.bits | needs.bits
        size = max(kind.body_bytes, line.text_bytes) if bounded else kind.body_bytes
        output = max(kind.output_tokens, line.properties.output_tokens)
        if (bits, size, output) != (kind.bits, kind.body_bytes, kind.output_tokens):
            self._kinds[key] = LineGroup(kind.line, *key, bits, size, output)

    def _refused(self) -> Refused:
        """Return one refusal for all faults, of the kind of the first."""
        faults = " ".join(
            f"Line {line}{f' (model {model!r})' if model else ''}: {refused}"
            for line, model, refused in self._faults
        )
        rest = " Later lines were not read." if len(self._faults) == _FAULTS_MAX else ""
        message = f"The file was not uploaded. {faults}{rest}"
        return self._faults[0].refused.reworded(message, "file")


def _named(targets: Sequence[CallTarget]) -> str:
    return ", ".join(sorted(f"{target.name} ({target.product})" for target in targets))
