"""A gateway's configuration made from LiteLLM's: the deployments, the names that clients use, the
prices that are stated, and what became of every model and setting.

A model is named by an agreement, or unstated and served so, or left out with the way to serve it.
A vendor, cloud or model that the agreements in force do not know comes into an agreement of its
own, which states nothing about it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from shlex import quote

import msgspec

from clauseway.agreement.language.actions import SELL
from clauseway.app.drafting.drafts import (
    NAMES_FOLDER,
    PRICES_FILE,
    DraftedConfiguration,
    DraftedDeployment,
    LeftOut,
    names_agreement,
    unnamed,
    write_new,
)
from clauseway.app.drafting.litellm_models import ModelEntry, NotCarried, VendorAccount, account_of
from clauseway.app.drafting.litellm_settings import CarriedSettings, carried_settings
from clauseway.app.drafting.vendors import OPENAI
from clauseway.app.opening.configuration import checked
from clauseway.app.opening.home import Home, home_flag
from clauseway.app.opening.library import BUILT_IN, SHIPPED, documents_of
from clauseway.app.opening.list_prices import listed_now
from clauseway.app.opening.offerings import shipped_models, shipped_products, surface_of
from clauseway.app.opening.plan_prices import NEEDS_PRICE
from clauseway.app.opening.products import Meant, ProductNames, name_of_own
from clauseway.app.opening.several import Opened, agreements_of, with_recorded
from clauseway.app.opening.toml_file import TomlFile
from clauseway.catalog import Catalog
from clauseway.decisions import Outcome
from clauseway.exchange.litellm import LitellmFile, LitellmModel, read_litellm
from clauseway.files.presence import is_there
from clauseway.gateway.credentials.source import missing_extra
from clauseway.gateway.transport.called_addresses import is_readable
from clauseway.metering import Unit
from clauseway.pricing import PriceEntry, PriceTable, Sale
from clauseway.values import InvalidInput, KnownAt, Problem
from clauseway.wording.decided import RECORD_PRODUCT

_HEADER = "product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source,tier,above"
# LiteLLM's keys for the price of a token, and the unit that each of them prices.
_COSTS: Mapping[str, Unit] = {
    "input_cost_per_token": Unit.INPUT_TOKENS,
    "output_cost_per_token": Unit.OUTPUT_TOKENS,
    "cache_read_input_token_cost": Unit.CACHED_INPUT_TOKENS,
    "cache_creation_input_token_cost": Unit.CACHE_WRITE_TOKENS,
    "cache_creation_input_token_cost_above_1hr": Unit.CACHE_WRITE_1H_TOKENS,
}
_NEITHER = "no agreement, recorded fact or catalogue knows it, so it may be a slip in one they know"
_TAKEN_OVER = (
    "`clauseway config check` finds every mistake in it, `clauseway config show` prints what is in "
    "force; a running gateway reloads a changed file by itself."
)
# Where no agreement is in force.
_NOTHING_NAMED = Catalog(
    parties=frozenset(),
    clouds=frozenset(),
    operators={},
    segments=frozenset(),
    classes={},
    products={},
)
LEFT_OUT = "left out"


class ImportedModel(msgspec.Struct, frozen=True, kw_only=True):
    """An entry after the import: its product, the deployments that serve it, and how its sale
    stands today (an outcome, or left out), with the reason and the remedy."""

    asked_as: str
    written: str
    place: str
    product: str
    deployments: tuple[str, ...]
    standing: str
    why: str
    remedy: str = ""


class ImportedSetting(msgspec.Struct, frozen=True, kw_only=True):
    """A setting, or a parameter of a model, after the import: whether it was carried over, and the
    sentence that says how, or what stands in its place."""

    key: str
    place: str
    carried: bool
    says: str


class ImportedConfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an import: the files, each part of the input with its fate, the secrets that
    the environment has to hold, and the next steps."""

    files: tuple[str, ...]
    models: tuple[ImportedModel, ...]
    settings: tuple[ImportedSetting, ...]
    secrets: tuple[str, ...]
    next: tuple[str, ...]


class ImportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The file to import, and under which agreements. `seller` sells everything where it is
    given."""

    file: Path
    out: Path
    home: Home
    # None: no agreement at all, and nothing but names.
    agreements: tuple[Path, ...] | None = ()
    seller: str = ""
    prices: PriceTable
    known_at: KnownAt
    environment: Mapping[str, str]
    # Where models come from something else than a file, nothing can be written "there".
    remedy_without_price: str = (
        "Write input_cost_per_token and output_cost_per_token there and import again."
    )


class _PriceRow(msgspec.Struct, frozen=True):
    """A line of the price book that is written beside the configuration."""

    product: str
    cloud: str
    unit: Unit
    usd_per_million: Decimal
    source: str
    above: int = 0

    def text(self, day: date) -> str:
        price = format(self.usd_per_million.normalize(), "f")
        above = str(self.above) if self.above else ""
        cells = (self.product, self.cloud, "", "", self.unit.column, day, "", day, price)
        source = self.source.replace('"', "'")
        return ",".join(map(str, cells)) + f',"{source}",,{above}'


class _Draft(msgspec.Struct, kw_only=True):
    """An entry that is being imported: its product, and its deployments or why it is left out."""

    entry: LitellmModel
    product: str = ""
    deployments: list[DraftedDeployment] = []
    left: LeftOut | None = None

    @property
    def place(self) -> str:
        return f"{self.entry.file}:{self.entry.line}"


class _Served(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that can be served: its account, and the known product that it asks for, if any."""

    draft: _Draft
    entry: ModelEntry
    account: VendorAccount
    meant: Meant | None


def import_litellm(options: ImportOptions) -> ImportedConfiguration:
    """Write a configuration from LiteLLM's, and return the fate of every part of it.

    Raise InvalidInput for a file that cannot be read, and where something is there already; then
    nothing is written.
    """
    read = read_litellm(
        str(options.file),
        lambda name: (
            (options.file.parent / name if name != str(options.file) else options.file)
            .resolve()
            .read_text("utf-8")
        ),
    )
    head = (
        f"Made from {options.file.name}, a configuration of LiteLLM, on {options.known_at.day}. "
        f"{_TAKEN_OVER}"
    )
    return Drafting(options, read, head).done()


class Drafting:
    """Turns the models that are asked for into the files of a configuration, step by step."""

    def __init__(
        self, options: ImportOptions, read: LitellmFile, head: str, *, tells_left_out: bool = True
    ) -> None:
        self._options, self._read, self._first = options, read, head
        self._tells_left_out = tells_left_out
        self._texts: list[Mapping[str, str]] = []
        self._catalog = _NOTHING_NAMED
        if options.agreements is not None:
            self._texts += [documents_of(path) for path in options.agreements or (Path(BUILT_IN),)]
            self._catalog = with_recorded(agreements_of(self._texts), options.home).catalog
        self._names = ProductNames(self._catalog)
        self._settings = carried_settings(read.settings)
        self._imported_settings: list[ImportedSetting] = []
        self._rows: dict[tuple[str, str, Unit, int], _PriceRow] = {}
        self._day = options.known_at.day
        # Variables of the environment, and what each holds: one holds one secret.
        self._secrets: dict[str, str] = {}
        # Deployments by what they have in common; a name for each.
        self._merged: dict[object, DraftedDeployment] = {}
        groups: dict[str, list[LitellmModel]] = {}
        for model in self._read.models:
            groups.setdefault(model.name, []).append(model)
        self._drafts = [draft for group in groups.values() for draft in self._group(group)]

    def unserved(self, name_of: Callable[[LitellmModel], str]) -> dict[str, str]:
        """Return the names of entries of which none is served, each with what to do about it."""
        served = {name_of(draft.entry) for draft in self._drafts if draft.left is None}
        return {
            name: draft.left.remedy
            for draft in self._drafts
            if draft.left is not None and (name := name_of(draft.entry)) not in served
        }

    def done(self) -> ImportedConfiguration:
        """Write the files, and return what became of each entry. Raise InvalidInput, and then
        nothing is written."""
        drafts = [draft for draft in self._drafts if self._tells_left_out or draft.left is None]
        deployments = tuple(self._merged.values())
        aliases = self._aliases(drafts)
        # Names that no agreement knows go into an agreement that states nothing.
        clouds, parties, products = unnamed(deployments, self._catalog, shipped_products())
        files: dict[Path, str] = {}
        texts, agreements = list(self._texts), [*self._agreement_names()]
        if clouds or parties or products:
            written = names_agreement(clouds, parties, products, self._day)
            texts.append(written)
            files |= {
                self._options.out.parent / NAMES_FOLDER / name: text
                for name, text in written.items()
            }
            first = agreements or ([] if self._options.agreements is None else [BUILT_IN])
            agreements = [*first, NAMES_FOLDER]
        opened = with_recorded(agreements_of(texts), self._options.home)
        if self._rows:
            rows = [row.text(self._day) for row in self._rows.values()]
            files[self._options.out.parent / PRICES_FILE] = "\n".join([_HEADER, *rows]) + "\n"
        drafted = DraftedConfiguration(
            head=self._head(),
            agreements=tuple(agreements),
            names=aliases,
            sections=self._settings.sections,
            deployments=deployments,
            left_out=tuple(draft.left for draft in drafts if draft.left is not None),
        )
        files[self._options.out] = drafted.text()
        if not deployments:
            raise InvalidInput(*map(self._refused, self._drafts))
        # The draft must be one that the gateway takes; its secrets need not be set yet.
        checked(TomlFile(self._options.out, drafted.text()), opened.catalog, secrets=False)
        models = tuple(self._imported(draft, opened) for draft in drafts)
        # Written last, so that a refusal above leaves no file behind.
        write_new(files)
        self._report_settings(self._settings)
        return ImportedConfiguration(
            files=tuple(str(path) for path in sorted(files)),
            models=models,
            settings=tuple(self._imported_settings),
            secrets=tuple(sorted(set(_variables(deployments)))),
            next=tuple(self._next(deployments, parties)),
        )

    def _agreement_names(self) -> list[str]:
        """Return the agreements that flags named, as the configuration names them."""
        return [
            str(path) if str(path) in SHIPPED and not is_there(path) else str(path.absolute())
            for path in self._options.agreements or ()
        ]

    def _head(self) -> tuple[str, ...]:
        return (
            self._first,
            "",
            "Secrets never stand here: they are read from the environment (…_env) or from files "
            "(…_file). cloud is the host, seller whose sale it is: a customer's key buys from one "
            "seller. models: a product = its name there.",
        )

    # -- models

    def _group(self, group: Sequence[LitellmModel]) -> list[_Draft]:
        """Draft the entries of one name, which clients take for one model."""
        drafts = [_Draft(entry=model, deployments=[]) for model in group]
        served = [served for draft in drafts if (served := self._served(draft)) is not None]
        # Alternatives of an unknown product are one product, under the name that clients use.
        name = group[0].name
        is_known = any(each.meant for each in served) or self._names.meant(name)
        for each in served:
            own = name_of_own(each.account.model.rpartition("/")[2] if is_known else name)
            try:
                self._draft(each, each.meant or Meant(own))
            except NotCarried as error:
                self._leave_out(each.draft, error)
            for key, says in each.entry.sentences():
                self._report(f"{name}: {key}", each.draft.place, says, carried=False)
        return drafts

    def _served(self, draft: _Draft) -> _Served | None:
        """Return an entry with its account and its known product; None if it cannot be served."""
        model = draft.entry
        try:
            entry = ModelEntry(
                model, self._read.credentials, self._options.environment, self._secrets
            )
            account = account_of(entry)
            return _Served(
                draft=draft, entry=entry, account=account, meant=self._meant(model, account)
            )
        except NotCarried as error:
            self._leave_out(draft, error)
            if self._tells_left_out:
                self._report(f"{model.name}: model", draft.place, error.why, carried=False)
            return None

    def _leave_out(self, draft: _Draft, error: NotCarried) -> None:
        draft.left = LeftOut(name=draft.entry.name, why=f"{error.why}.", remedy=error.remedy)
        draft.deployments = []

    def _meant(self, model: LitellmModel, account: VendorAccount) -> Meant | None:
        """Return the known product that an entry asks for. Raise NotCarried for one that may be a
        slip in a known one."""
        # LiteLLM's base_model says which model is behind a deployment's own name.
        base = str(model.info.get("base_model") or "").rpartition("/")[2]
        names = [base, account.model] if base else [account.model]
        # Azure asks by the deployment's name; the model may stand in the name that clients use.
        if account.dialect == "azure":
            names.append(model.name)
        for name in names:
            if meant := self._names.meant(name):
                return meant
        if not account.is_named:
            return None
        if account.dialect == "azure" and not base:
            raise NotCarried(
                f"nobody can tell which model is behind the deployment {account.model!r}",
                "Write it as model_info.base_model (azure/gpt-5.5) and import again.",
            )
        product = base or account.model
        raise NotCarried(
            f"{product}: {_NEITHER}",
            f"Say what it is, then give this command again: {RECORD_PRODUCT.format(product=product)}",
        )

    def _draft(self, served: _Served, meant: Meant) -> None:
        """Draft the deployments of an entry that sells a product. Raise NotCarried."""
        draft, entry, account = served.draft, served.entry, served.account
        is_embedding = draft.entry.info.get("mode") == "embedding" or "embed" in account.model
        further = {
            "quota_requests_per_minute": entry.number("rpm"),
            "quota_tokens_per_minute": entry.number("tpm"),
            "output_tokens_max": entry.number("max_output_tokens"),
        }
        # For embeddings it bounds each input; here it would bound all inputs of a request.
        if not is_embedding:
            further["context_tokens_max"] = entry.number("max_input_tokens")
        further = {key: value for key, value in further.items() if value}
        # Both were used above, so they are not reported as left out.
        entry.take("mode", "base_model")
        self._price(served, meant.product, is_embedding=is_embedding)
        snapshots = {meant.product: meant.snapshot} if meant.snapshot else {}
        seller = self._options.seller or account.vendor.party
        shapes = [(account.name, account.dialect, account.url, account.about)]
        if account.chat_url:
            about: tuple[str, ...] = ("Clients of OpenAI's format, at the same vendor.",)
            shapes.append((f"{account.name}-chat", "openai", account.chat_url, about))
        for name, dialect, url, about in shapes:
            written = DraftedDeployment(
                name=name,
                dialect=dialect,
                url=url,
                cloud=account.vendor.cloud,
                seller=seller,
                region=account.region,
                auth=account.auth,
                models={meant.product: account.model},
                settings=account.settings,
                snapshots=snapshots,
                further=further,
                plain_http=account.auth["kind"] != "none" and is_readable(url),
                comments=about,
            )
            draft.deployments.append(self._merge(written))
        draft.product = meant.product

    def _merge(self, written: DraftedDeployment) -> DraftedDeployment:
        """Return the deployment that serves it: one that has all in common but the model, else one
        of its own."""
        common = msgspec.json.encode(
            (written.dialect, written.url, written.seller, written.region, written.auth)
        )
        key: object = (common, msgspec.json.encode(written.settings))
        [(product, model)] = written.models.items()
        before = self._merged.get(key)
        if before is None or written.further or product in before.models:
            key = key if before is None and not written.further else (key, len(self._merged))
            names = {deployment.name for deployment in self._merged.values()}
            # Quotas are a deployment's: one that has any is named after its model too.
            base = f"{written.name}-{product}" if written.further else written.name
            number, name = 2, base
            while name in names:
                name, number = f"{base}-{number}", number + 1
            self._merged[key] = msgspec.structs.replace(written, name=name)
        else:
            self._merged[key] = msgspec.structs.replace(
                before,
                models={**before.models, product: model},
                snapshots={**before.snapshots, **written.snapshots},
            )
        return self._merged[key]

    def _price(self, served: _Served, product: str, *, is_embedding: bool) -> None:
        """Keep the prices of a product: those that the entry states, else those of the books, else
        those that its vendor lists. Raise NotCarried if it has none: without a price nothing is
        sold."""
        entry, account, cloud = served.entry, served.account, served.account.vendor.cloud
        surface = surface_of(account.dialect, account.url, account.auth.get("service", ""))
        needed = NEEDS_PRICE[shipped_models().of(product, surface).kind]
        in_books = self._units_in_books(served, product)
        rows = _stated_prices(entry, product, cloud)
        if not rows and any(units <= in_books for units in needed):
            return
        rows = rows or [
            _PriceRow(
                product=product,
                cloud=cloud,
                unit=listed.unit,
                usd_per_million=Decimal(listed.price) / 1_000_000,
                source=listed.source,
                above=listed.conditions.above,
            )
            for listed in self._listed(entry, account, product)
            if isinstance(listed.unit, Unit) and not listed.conditions.tier
        ]
        # A model on one's own machines, and the output of embeddings, cost nothing unless stated.
        free = [Unit.INPUT_TOKENS, Unit.OUTPUT_TOKENS] if account.is_own else []
        source = "served by ourselves"
        units = {row.unit for row in rows}
        if not free and is_embedding and units == {Unit.INPUT_TOKENS}:
            free, source = [Unit.OUTPUT_TOKENS], "it has no output"
        rows += [
            _PriceRow(
                product=product, cloud=cloud, unit=unit, usd_per_million=Decimal(0), source=source
            )
            for unit in free
            if unit not in units
        ]
        units |= {*free}
        if not any(wanted <= units | in_books for wanted in needed):
            raise NotCarried(
                "it has no price, and what has no price is not sold",
                self._options.remedy_without_price,
            )
        for row in rows:
            self._rows.setdefault((row.product, row.cloud, row.unit, row.above), row)

    def _units_in_books(self, served: _Served, product: str) -> set[Unit]:
        """Return the units of a sale that have a price in the books.

        An unknown product has a name of the user's own. The public list, whose entries have no line
        in a book, may have another model by that name.
        """
        account = served.account
        seller = self._options.seller or account.vendor.party
        sale = Sale(product, account.vendor.cloud, seller, account.region)
        return {
            unit
            for unit, price in self._options.prices.row(sale, self._day).won.items()
            if served.meant is not None or price.entry.line
        }

    def _listed(self, entry: ModelEntry, account: VendorAccount, product: str) -> list[PriceEntry]:
        """Return the prices that the vendor lists; on Azure OpenAI's, where Microsoft lists
        none."""
        listing = account.vendor.listing
        if account.dialect != "azure":
            # Vertex AI asks for Gemini with its publisher, which the list leaves out.
            return listed_now(listing, account.model.removeprefix("google/"), self._day)
        # Azure asks by the deployment's name: the list has the model's.
        listed = listed_now(listing, product, self._day)
        if listed:
            return listed
        listed = listed_now(OPENAI.listing, product, self._day)
        if listed:
            says = (
                "Microsoft's price is in no public list: OpenAI's is written until you write yours"
            )
            entry.remarks.append(("model", says))
        return listed

    # -- names

    def _aliases(self, drafts: Iterable[_Draft]) -> dict[str, str]:
        """Return the names by which clients ask for products that are called otherwise here."""
        names: dict[str, str] = {}
        # Reversed, so that of entries with one name the first decides what it means.
        served = {draft.entry.name: draft.product for draft in reversed([*drafts]) if draft.product}
        for name, product in served.items():
            # An alias of LiteLLM goes before an entry of the same name.
            if self._settings.aliases.get(name) not in served:
                self._alias(names, f"{name}: model_name", name, product)
        for name, meant in self._settings.aliases.items():
            if meant in served:
                self._alias(names, f"model_group_alias: {name}", name, served[meant])
            else:
                says = f"{meant} is not served, so {name} means nothing"
                self._report(
                    f"model_group_alias: {name}", str(self._options.file), says, carried=False
                )
        products = set(served.values())
        for draft in drafts:
            if draft.product and draft.product != served[draft.entry.name]:
                says = (
                    f"clients of {draft.entry.name} get {served[draft.entry.name]}; "
                    f"{draft.product} is asked for by its own name"
                )
                self._report(f"{draft.entry.name}: model_name", draft.place, says, carried=False)
        # A product needs no alias for its own name.
        return {name: product for name, product in names.items() if name not in products}

    def _alias(self, names: dict[str, str], key: str, name: str, product: str) -> None:
        meant = self._names.meant(name)
        if name == product or (meant and name in self._names.taken and meant.product == product):
            return
        if name in self._names.taken:
            says = f"{name} is another model's own name: clients ask for {product}"
            self._report(key, str(self._options.file), says, carried=False)
            return
        names[name] = product

    # -- the report

    def _imported(self, draft: _Draft, opened: Opened) -> ImportedModel:
        model, place = draft.entry, draft.place
        written = str(model.params["model"])
        if draft.left is not None:
            return ImportedModel(
                asked_as=model.name,
                written=written,
                place=place,
                product="",
                deployments=(),
                standing=LEFT_OUT,
                why=draft.left.why,
                remedy=draft.left.remedy,
            )
        sold = draft.deployments[0]
        # A name of an agreement is decided as the gateway will decide it, at its first deployment.
        decision = opened.decide(
            action=SELL,
            party=sold.seller,
            product=draft.product,
            cloud=sold.cloud,
            region=sold.region if opened.catalog.regions else "",
            known_at=self._options.known_at,
        )
        first = decision.reasons[0]
        why = f"{first.agreement or _opened_id(opened)} {first.term}: {first.text}"
        remedy = ""
        if decision.outcome is Outcome.UNSTATED:
            why = 'no agreement in force states anything about it; unstated = "serve" serves it'
        elif decision.outcome is not Outcome.PERMITTED:
            remedy = "The gateway refuses it. Another seller or cloud may be permitted: clauseway decide."
        return ImportedModel(
            asked_as=model.name,
            written=written,
            place=place,
            product=draft.product,
            deployments=tuple(deployment.name for deployment in draft.deployments),
            standing=decision.outcome,
            why=why,
            remedy=remedy,
        )

    def _report(self, key: str, place: str, says: str, *, carried: bool) -> None:
        self._imported_settings.append(
            ImportedSetting(key=key, place=place, carried=carried, says=says)
        )

    def _report_settings(self, settings: CarriedSettings) -> None:
        for setting, carried, says in settings.sentences:
            self._report(setting.named, f"{setting.file}:{setting.line}", says, carried=carried)

    def _refused(self, draft: _Draft) -> Problem:
        left = draft.left
        assert left is not None, "without a deployment every model was left out"
        return Problem(
            what=f"{draft.entry.name} cannot be served",
            why=left.why.rstrip("."),
            where=draft.entry.file,
            line=draft.entry.line,
            remedy=left.remedy,
        )

    def _next(
        self, deployments: Sequence[DraftedDeployment], own_parties: Sequence[str]
    ) -> Iterable[str]:
        """Yield the commands that lead from here to a gateway that serves.

        Each can be pasted as it is: it names the home and the file where they are not the default.
        """
        out, home = self._options.out, self._options.home
        is_apart = out != home.configuration
        in_home = home_flag(home)
        extras = {missing_extra(str(deployment.auth["kind"])) for deployment in deployments} - {""}
        if extras:
            yield f"pip install 'clauseway[{','.join(sorted(extras))}]'"
        if self._rows:
            book = out.parent / PRICES_FILE
            why = quote(f"prices of {self._options.file.name}")
            yield f"clauseway basis prices {quote(str(book))} --why {why}{in_home}"
        yield "clauseway config check" + (f" {quote(str(out))}" if is_apart else "") + in_home
        for seller in dict.fromkeys(deployment.seller for deployment in deployments):
            # A home's own configuration says which agreements are in force.
            under = self._naming(seller, own_parties) if is_apart else ""
            yield f"clauseway key create --organisation ours --seller {seller}{under}{in_home}"
        yield "clauseway serve" + (f" --config {quote(str(out))}" if is_apart else "") + in_home

    def _naming(self, seller: str, own_parties: Sequence[str]) -> str:
        """Return the flag with an agreement that names a seller; none is the built-in one."""
        if seller in own_parties:
            return f" --agreement {quote(str(self._options.out.parent / NAMES_FOLDER))}"
        for name, text in zip(self._agreement_names(), self._texts, strict=False):
            if seller in agreements_of([text]).catalog.parties:
                return f" --agreement {quote(name)}"
        return ""


def _stated_prices(entry: ModelEntry, product: str, cloud: str) -> list[_PriceRow]:
    """Return the prices that an entry of LiteLLM's file states."""
    stated = {unit: entry.cost(key) for key, unit in _COSTS.items()}
    return [
        _PriceRow(
            product=product,
            cloud=cloud,
            unit=unit,
            usd_per_million=Decimal(repr(cost)) * 1_000_000,
            source="LiteLLM's config.yaml",
        )
        for unit, cost in stated.items()
        if cost is not None
    ]


def _opened_id(opened: Opened) -> str:
    """Return the id of the one agreement that was asked; several say theirs in each reason."""
    agreement = getattr(opened, "agreement", None)
    return "" if agreement is None else str(agreement.id)


def _variables(deployments: Iterable[DraftedDeployment]) -> Iterable[str]:
    """Yield the variables of the environment that hold secrets."""
    for deployment in deployments:
        for key, value in deployment.auth.items():
            if key.endswith("_env") and isinstance(value, str):
                yield value
