"""The configuration: every problem at once with its line, secrets from outside, and an example that is true."""

import re
from pathlib import Path

import msgspec
import pytest
from opentelemetry.util.re import parse_env_headers

from clauseway.app.opening import configuration
from clauseway.app.opening.configuration import (
    Configuration,
    GatewayWritten,
    named_auth,
    read_configuration,
    resolve_auth,
    settings_of,
)
from clauseway.app.opening.library import open_agreement
from clauseway.app.opening.toml_file import description_of, read_file
from clauseway.app.running.configuring import DEFAULT, show_configuration
from clauseway.app.running.simulation import SIMULATED, FakeCloudAddress, RunningSandbox, write_configuration
from clauseway.gateway.clouds import DIALECTS
from clauseway.gateway.credentials import KINDS, settings_read
from clauseway.gateway.credentials.outside import with_secrets
from clauseway.gateway.plan import Auth
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Log, Settings, Telemetry, TlsSettings
from clauseway.gateway.transport.listener import USUAL_PORT
from clauseway.values import InvalidInput

CATALOG = open_agreement().catalog
EXAMPLE = Path(configuration.__file__).with_name("clauseway.example.toml")
CLOUDS = Path(__file__).parents[2] / "docs" / "clouds.md"
DEPLOYMENT = """
[[deployment]]
name = "direct"
dialect = "openai"
url = "https://api.openai.com/v1"
cloud = "azure"
seller = "openai"
region = "global"
auth = {kind = "bearer", secret_env = "KEY"}
models = {"gpt-5.5" = "gpt-5.5"}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "clauseway.toml"
    path.write_text(text)
    return path


def problems(folder: Path, text: str) -> list[tuple[int, str]]:
    """(line, what) of each."""
    with pytest.raises(InvalidInput) as refused:
        read_configuration(write(folder, text), CATALOG)
    return [(problem.line, problem.what) for problem in refused.value.problems]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "sk-secret")


def test_every_problem_is_found_at_once_and_has_its_line(tmp_path: Path) -> None:
    text = """\
[gateway]
port = 84000
hed_s = 3
attempt_timeout_s = "long"

[tls]
certificate = "nowhere.pem"

[loging]
form = "json"

[[deployment]]
name = "one"
dialect = "openia"
url = "api.openai.com"
cloud = "moon"
seller = "openai"
region = "global"
auth = {kind = "bearer", secret_env = "MISSING_HERE"}
models = {"gpt-5.5" = "gpt-5.5", "gpt-9" = "x"}

[[deployment]]
name = "two"
dialect = "openai"
url = "https://api.openai.com/v1"
cloud = "azure"
region = "global"
auth = {kind = "sigv4", secret_env = "KEY"}
models = {"gpt-5.5" = "gpt-5.5"}

[[deployment]]
name = "one"
dialect = "openai"
url = "https://api.openai.com/v1"
cloud = "azure"
seller = "openai"
region = "global"
auth = {kind = "sigv4", secret = "in-the-file"}
models = {}
"""
    assert problems(tmp_path, text) == [
        (2, "gateway.port = 84000 cannot be"),
        (3, "unknown key gateway.hed_s"),
        (4, "gateway.attempt_timeout_s = 'long' cannot be"),
        (6, "tls.key is missing"),
        (7, "nowhere.pem cannot be read"),
        (9, "unknown key loging"),
        (14, "one: unknown dialect 'openia'"),
        (15, "one: 'api.openai.com' is not an address"),
        (16, "one: unknown cloud 'moon'"),
        (19, "one: MISSING_HERE is not set"),
        (20, "one: unknown product 'gpt-9'"),
        (22, "deployment[2].seller is missing"),
        (32, "two deployments 'one'"),
        (38, "one: a secret in the file"),
        (38, "one: openai takes no credential of kind 'sigv4'"),
        (39, "one: it has no model"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("[gateway\n" + DEPLOYMENT, 1, "not valid TOML"),
        ("", 0, "no deployment"),
        ("gateway = 5\n" + DEPLOYMENT, 1, "gateway is not a table"),
        ("[deployment]\nname = 'x'\n", 1, "deployment is not a list of tables"),
        # No editor ends a line with these.
        ("# a\u2028b\x85c\n[log]\naccess = 2\n" + DEPLOYMENT, 3, "log.access = 2 cannot be"),
        ("\n[[deployments]]\n" + DEPLOYMENT, 2, "unknown key deployments"),
        (
            DEPLOYMENT + '[[commitment]]\nname = "m"\nkind = "macc"\namount = 5\nfrom = 2026-01-01T00:00:00Z\n',
            15,
            "commitment[1].from = 2026-01-01T00:00:00+00:00 cannot be",
        ),
        (
            '[telemetry]\notlp_endpoint = ""\nservice_name = """\\\nport = 1\\\n"""\n[log]\naccess = 2\n' + DEPLOYMENT,
            7,
            "log.access = 2 cannot be",
        ),
    ],
)
def test_a_problem_and_its_line(tmp_path: Path, text: str, line: int, what: str) -> None:
    assert problems(tmp_path, text) == [(line, what)]


@pytest.mark.parametrize(
    "url",
    [
        "https://[::1/v1",  # no end
        "https://[v1.x]/v1",
        "https://host.example:99999/v1",
        "https://host.example:0/v1",
        "https://host..example/v1",
        "https://.example/v1",
        f"https://{'x' * 64}.example/v1",
        "https://b\u00fccher.example/v1",  # what is sent as its name would be xn--bcher-kva.example
        "https://host .example/v1",
        "https://host.example/v1 ",  # it would stand in the line of each request
        "https://host.example/v1\\t",
        "https://host.example/\u00e9/v1",
        "https://user:pw@host.example/v1",
        "https://host.example/v1?api-version=1",
        "https:///v1",
        "https://[fd00::1].example/v1",  # Python's urlsplit takes it for fd00::1
        "https://cloud[fd00::1]/v1",
        "https://[fd00::1]]/v1",
        "https://[fd00::1%25eth0]/v1",  # an interface of this machine, which no resolver reads in this form
    ],
)
def test_an_address_at_which_nothing_can_be_called_is_refused(tmp_path: Path, url: str) -> None:
    """The gateway could not use it: it would refuse the plan, or fail at every request."""
    text = DEPLOYMENT.replace("https://api.openai.com/v1", url)
    assert text != DEPLOYMENT
    ((line, what),) = problems(tmp_path, text)
    assert (line, what.startswith("direct: ")) == (5, True)
    assert what.endswith("is not an address")
    assert "pw" not in what


@pytest.mark.parametrize(
    "url", ["ftp://host.example", "localhost:4318", "http://[::1", "http://host.example:99999", "http://u:pw@a..b"]
)
def test_an_address_of_a_collector_that_cannot_be_called_is_refused(tmp_path: Path, url: str) -> None:
    """Spans would be lost from the first on."""
    text = f'[telemetry]\notlp_endpoint = "{url}"\n{DEPLOYMENT}'
    ((line, what),) = problems(tmp_path, text)
    assert (line, what.endswith("is not an address")) == (2, True)
    assert "pw" not in what


@pytest.mark.parametrize(
    "host", ["host.example.", "xn--bcher-kva.example", "my_host", "[::1]:8443", "127.0.0.1:1", "host.example:"]
)
def test_an_address_that_can_be_called_is_taken(tmp_path: Path, host: str) -> None:
    text = DEPLOYMENT.replace("https://api.openai.com/v1", f"https://{host}/v1")
    assert read_configuration(write(tmp_path, text), CATALOG).deployment


def test_a_misspelt_key_is_told_the_one_that_was_meant(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"Did you mean 'drain_s'\?"):
        read_configuration(write(tmp_path, "[gateway]\ndrains = 3\n" + DEPLOYMENT), CATALOG)
    with pytest.raises(InvalidInput, match="A client that takes longer to send a head"):
        read_configuration(write(tmp_path, "[gateway]\nhead_s = 0\n" + DEPLOYMENT), CATALOG)


def test_where_there_is_no_configuration_the_commands_that_write_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"clauseway init.*clauseway gateway sandbox --config") as refused:
        read_file(tmp_path / "clauseway.toml")
    assert refused.value.problems[0].what == "there is no configuration"


def test_the_deployments_of_the_sandbox_answer_as_long_as_the_catalog_says(tmp_path: Path) -> None:
    addresses = tuple(FakeCloudAddress(cloud, "http://127.0.0.1:1/v1", "") for cloud in SIMULATED)
    write_configuration(RunningSandbox(None, addresses), tmp_path / "clouds.toml")  # type: ignore[arg-type]
    written = read_configuration(tmp_path / "clouds.toml", CATALOG)
    assert [deployment.output_tokens_max for deployment in written.deployment] == [0, 0, 0]


def test_a_folder_in_the_place_of_the_sandboxs_file_is_refused(tmp_path: Path) -> None:
    addresses = tuple(FakeCloudAddress(cloud, "http://127.0.0.1:1", "key") for cloud in SIMULATED)
    with pytest.raises(InvalidInput, match="cannot be written: Is a directory"):
        write_configuration(RunningSandbox(None, addresses), tmp_path)  # type: ignore[arg-type]


def test_every_setting_has_bounds_and_a_reason() -> None:
    for kind in (GatewayWritten, TlsSettings, Log, Telemetry):
        for field in msgspec.structs.fields(kind):
            assert len(description_of(field.type)) > 20, field.name
    bounds = [field.type for field in msgspec.structs.fields(Limits)]
    assert all(kind.__metadata__[0].ge is not None and kind.__metadata__[0].le is not None for kind in bounds)


# what is written | line | what is told; each passed the check, and could not be served
UNSERVED = [
    *(
        (f'[gateway]\nhost = "{host}"\n', 2, f"gateway.host = {host!r} cannot be listened at")
        for host in ("[::1]", "http://127.0.0.1", "127.0.0.1:8400", " ::1", "foo bar", "a..b", "*", "/run/x.sock")
    ),
    ('[gateway]\nhost = "x\\u0000"\n', 2, "gateway.host = 'x\\x00' cannot be listened at"),
    # It was every address of the machine.
    ('[telemetry]\nmetrics = true\nmetrics_host = ""\n', 3, "telemetry.metrics_host = '' cannot be listened at"),
    (
        "[gateway]\nport = 9464\n[telemetry]\nmetrics = true\nmetrics_port = 9464\n",
        5,
        "telemetry.metrics_port = 9464 is the gateway's port",
    ),
    ('[log]\nfile = "nowhere/x.log"\n', 2, "nowhere/x.log cannot be written"),
    ('[log]\nfile = "."\n', 2, ". cannot be written"),
    ('[log]\nfile = "a\\u0000b"\n', 2, "log.file = 'a\\x00b' is not a path"),
    ('[log]\nfile = " "\n', 2, "log.file = ' ' is not a path"),
    ('[log]\nfile = "~nobody-here/x.log"\n', 2, "log.file = '~nobody-here/x.log' is not a path"),
    (f'[log]\nfile = "{"a" * 300}"\n', 2, f"log.file = '{'a' * 56}… is not a path"),
    ('[tls]\nupstream_ca = "a\\u0000b"\n', 2, "tls.upstream_ca = 'a\\x00b' is not a path"),
    ('[tls]\nupstream_ca = "/"\n', 2, "/ cannot be read"),
    ('[journal]\ncopies = 1\nfollower = "10.0.0.7:1"\n', 1, "journal.secret_file is missing"),
    (
        '[journal]\ncopies = 1\nfollower = "10.0.0.7:1"\nsecret_file = "~nobody-here/s"\n',
        4,
        "journal.secret_file = '~nobody-here/s' is not a path",
    ),
    # A part that is more than the whole never counts.
    (
        "[gateway]\nconnections = 5\nconnections_per_key = 6\n",
        3,
        "gateway.connections_per_key = 6 is more than gateway.connections = 5",
    ),
    (
        "[gateway]\nanswer_timeout_s = 90\ndeadline_s = 60\n",
        2,
        "gateway.answer_timeout_s = 90.0 is more than gateway.deadline_s = 60.0",
    ),
    (
        "[gateway]\nattempt_timeout_s = 9\nanswer_timeout_s = 10\nconnect_s = 11\n",
        4,
        "gateway.connect_s = 11.0 is more than gateway.attempt_timeout_s = 9.0 and gateway.answer_timeout_s = 10.0",
    ),
    # Of what is not switched on.
    ("[telemetry]\nmetrics_port = 9500\n", 2, "telemetry.metrics_port without telemetry.metrics"),
    ("[telemetry]\nspans = 0.1\n", 2, "telemetry.spans without telemetry.otlp_endpoint"),
    ("[telemetry]\nformer_names = false\n", 2, "telemetry.former_names without telemetry.otlp_endpoint"),
    ('[telemetry]\nservice_name = "edge"\n', 2, "telemetry.service_name without telemetry.otlp_endpoint"),
    ('[journal]\nwhen_away = "alone"\n', 2, "journal.when_away without journal.copies"),
    # Collectors group by it.
    ('[telemetry]\notlp_endpoint = ""\nservice_name = " "\n', 3, "telemetry.service_name = ' ' is not a name"),
    ('[telemetry]\notlp_endpoint = ""\nservice_name = "a\\nb"\n', 3, "telemetry.service_name = 'a\\nb' is not a name"),
]


@pytest.mark.parametrize(("text", "line", "what"), UNSERVED)
def test_what_cannot_be_served_does_not_pass(tmp_path: Path, text: str, line: int, what: str) -> None:
    assert problems(tmp_path, text + DEPLOYMENT) == [(line, what)]


# Settings that are switched off by name, and a limit whose whole stands at its default.
AT_REST = [
    "[telemetry]\nmetrics = false\nmetrics_port = 9500\n",
    '[journal]\ncopies = 0\nwhen_away = "alone"\n',
    "[gateway]\nconnections = 100\n",
    "[gateway]\ndeadline_s = 60\n",
]


@pytest.mark.parametrize("text", AT_REST)
def test_what_is_switched_off_by_name_may_rest(tmp_path: Path, text: str) -> None:
    read_configuration(write(tmp_path, text + DEPLOYMENT), CATALOG)


@pytest.mark.parametrize("host", ["::1", "0.0.0.0", "localhost", "Gateway.Example", "fe80::1%eth0"])
def test_where_it_can_be_listened(tmp_path: Path, host: str) -> None:
    read_configuration(write(tmp_path, f'[gateway]\nhost = "{host}"\n' + DEPLOYMENT), CATALOG)


# what stands in the place of the deployment's line | line | what is told
UNCALLED = [
    ('models = {"gpt-5.5" = ""}', 10, "direct: '' is not a model's name"),
    ('models = {"gpt-5.5" = "a\\nb"}', 10, "direct: 'a\\nb' is not a model's name"),
    ("models = {}", 10, "direct: it has no model"),
    ('region = "a\\u202eb"', 8, "direct: 'a\\u202eb' is not a region"),
    ('region = " eastus2"', 8, "direct: ' eastus2' is not a region"),
    (
        'auth = {kind = "bearer", secret_file = "~nobody-here/s"}',
        9,
        "deployment[1].auth.secret_file = '~nobody-here/s' is not a path",
    ),
    ('auth = {kind = "bearer"}', 9, "direct has no secret"),
    ('auth = {kind = "bearer", secret_env = "EMPTY"}', 9, "direct: EMPTY is empty"),
    ('auth = {kind = "bearer", secret_file = "empty"}', 9, "direct: empty is empty"),
]


@pytest.mark.parametrize(("text", "line", "what"), UNCALLED)
def test_a_deployment_that_could_not_be_called_does_not_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, line: int, what: str
) -> None:
    monkeypatch.setenv("EMPTY", "")
    (tmp_path / "empty").write_text("\n")
    key = text.partition(" =")[0]
    changed = re.sub(f"^{key} = .*$", lambda _: text, DEPLOYMENT, flags=re.MULTILINE)
    assert problems(tmp_path, changed) == [(line, what)]


def test_what_is_set_reaches_the_gateway_and_paths_lie_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    text = "[gateway]\nhead_s = 3\nconnections = 7\n[tls]\nupstream_ca = 'ca.pem'\n[log]\nfile = 'gateway.log'\n"
    path = write(tmp_path, text + DEPLOYMENT)
    settings = settings_of(read_configuration(path, CATALOG), path)
    assert settings.limits == Limits(head_s=3.0, connections=7)
    assert settings.tls.upstream_ca == str(tmp_path / "ca.pem")
    assert settings.log.file == str(tmp_path / "gateway.log")
    assert settings_of(Configuration(), path) == Settings()


def test_secrets_come_from_the_environment_or_from_files_that_are_read_again(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-file\n")
    from_file = DEPLOYMENT.replace('secret_env = "KEY"', 'secret_file = "key"')
    path = write(tmp_path, from_file)
    auth = resolve_auth(read_configuration(path, CATALOG).deployment[0], path)
    assert (auth.kind, auth.secret) == ("file", "")
    assert auth.settings == {"path": str(tmp_path / "key"), "sends": "bearer"}
    path = write(tmp_path, DEPLOYMENT)
    assert resolve_auth(read_configuration(path, CATALOG).deployment[0], path).secret == "sk-secret"


def test_a_secret_in_the_file_is_for_this_machine_only(tmp_path: Path) -> None:
    inside = DEPLOYMENT.replace('secret_env = "KEY"', 'secret = "sk-inside"')
    assert problems(tmp_path, inside) == [(9, "direct: a secret in the file")]
    here = inside.replace("https://api.openai.com", "http://127.0.0.1:8410")
    path = write(tmp_path, here)
    read_configuration(path, CATALOG)
    shown = {setting.key: setting for setting in show_configuration(path, CATALOG)}
    assert shown["deployment[1].auth.secret"].value == "(masked)"
    assert "sk-inside" not in msgspec.json.encode(list(shown.values())).decode()
    assert (shown["deployment[1].region"].source, shown["gateway.head_s"].source) == ("line 8", DEFAULT)


# An address · what else its deployment says · the problem, empty where there is none
ADDRESSES = [
    ("https://10.0.0.5/v1", "", ""),
    ("http://127.0.0.1:8000/v1", "", ""),
    ("http://2130706433/v1", "", ""),
    ("http://[::1]/v1", "", ""),
    ("http://10.0.0.5/v1", "", "direct: a credential is sent to '10.0.0.5' without TLS"),
    ("http://10.0.0.5/v1", "plain_http = true", ""),
    ("http://cloud.example/v1", "", "direct: a credential is sent to 'cloud.example' without TLS"),
    ("http://169.254.169.254/v1", "", "direct: '169.254.169.254' is never called"),
    ("https://169.254.169.254/v1", "plain_http = true", "direct: '169.254.169.254' is never called"),
    ("http://0xa9fea9fe/v1", "plain_http = true", "direct: '0xa9fea9fe' is never called"),
    ("https://[fd00:ec2::254]/v1", "", "direct: 'fd00:ec2::254' is never called"),
    ("https://metadata.google.internal/v1", "", "direct: 'metadata.google.internal' is never called"),
]


@pytest.mark.parametrize(("url", "more", "what"), ADDRESSES)
def test_an_address_that_is_called(tmp_path: Path, url: str, more: str, what: str) -> None:
    text = DEPLOYMENT.replace("https://api.openai.com/v1", url) + more
    if not what:
        assert read_configuration(write(tmp_path, text), CATALOG).deployment[0].url == url
        return
    assert problems(tmp_path, text) == [(5, what)]


def test_without_a_credential_an_address_may_be_plain(tmp_path: Path) -> None:
    text = DEPLOYMENT.replace("https://api.openai.com", "http://10.0.0.5")
    text = re.sub(r"auth = .*", 'auth = {kind = "none"}', text)
    assert read_configuration(write(tmp_path, text), CATALOG).deployment[0].auth.kind == "none"


HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
# A collector's address · the variable with its headers · what else is set · the problem, empty where there is none
COLLECTORS = [
    ("http://127.0.0.1:4318", HEADERS, "", ""),
    ("http://10.0.0.5:4318", "", "", ""),
    ("https://collector.example", HEADERS, "", ""),
    ("http://10.0.0.5:4318", HEADERS, "", "headers are sent to '10.0.0.5' without TLS"),
    (
        "http://10.0.0.5:4318",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "",
        "headers are sent to '10.0.0.5' without TLS",
    ),
    ("http://10.0.0.5:4318", HEADERS, "plain_http = true", ""),
    ("http://user:pass@10.0.0.5:4318", "", "", "a credential is sent to '10.0.0.5' without TLS"),
    ("http://169.254.169.254:4318", "", "plain_http = true", "'169.254.169.254' is never called"),
    ("https://metadata.google.internal", "", "", "'metadata.google.internal' is never called"),
]


@pytest.mark.parametrize(("url", "variable", "more", "what"), COLLECTORS)
def test_a_collector_that_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, variable: str, more: str, what: str
) -> None:
    if variable:
        monkeypatch.setenv(variable, "api-key=secret")
    text = f'[telemetry]\notlp_endpoint = "{url}"\n{more}\n{DEPLOYMENT}'
    if not what:
        assert read_configuration(write(tmp_path, text), CATALOG).telemetry.otlp_endpoint == url
        return
    assert problems(tmp_path, text) == [(2, what)]


# It would switch half of what is exported off, or name a protocol in which nothing is sent.
@pytest.mark.parametrize(
    ("variable", "value", "is_problem"),
    [
        ("OTEL_SDK_DISABLED", "True", True),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", True),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", True),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf", False),
    ],
)
def test_a_variable_that_changes_what_is_exported_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, is_problem: bool
) -> None:
    monkeypatch.setenv(variable, value)
    text = f'[telemetry]\notlp_endpoint = "http://127.0.0.1:4318"\n{DEPLOYMENT}'
    if not is_problem:
        assert read_configuration(write(tmp_path, text), CATALOG).telemetry.otlp_endpoint
        return
    assert problems(tmp_path, text) == [(2, f"telemetry.otlp_endpoint with {variable}={value}")]


# A variable's value · the number of the header that the exporter's library would leave out; 0: of none
COLLECTOR_HEADERS = [
    ("api-key=s3cret", 0),
    ("Authorization=Bearer s3cret, x-scope=a%20b,", 0),
    ("s3cret", 1),
    ("api-key=a,Authorization: Bearer s3cret", 2),
    ('api-key="s3cret"', 1),
    ("=s3cret", 1),
]


@pytest.mark.parametrize(("value", "number"), COLLECTOR_HEADERS)
def test_headers_of_a_collector_are_headers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, number: int
) -> None:
    monkeypatch.setenv(HEADERS, value)
    text = f'[telemetry]\notlp_endpoint = "http://127.0.0.1:4318"\n{DEPLOYMENT}'
    kept = parse_env_headers(value, liberal=True)
    assert (len(kept) < len(list(filter(None, value.split(","))))) is bool(number), "as the library reads them"
    if not number:
        read_configuration(write(tmp_path, text), CATALOG)
        return
    with pytest.raises(InvalidInput) as refused:
        read_configuration(write(tmp_path, text), CATALOG)
    assert f"{HEADERS}: header {number} is not NAME=VALUE" in str(refused.value)
    assert "s3cret" not in str(refused.value)


# Each would be nobody's: no store has that identifier, no key that project.
@pytest.mark.parametrize("stores", ['"" = ["acme/search"]', '"vs 1 " = ["acme/search"]', 'vs_1 = [" acme/search"]'])
def test_a_vector_store_and_its_projects_have_names(tmp_path: Path, stores: str) -> None:
    ((line, _),) = problems(tmp_path, f"{DEPLOYMENT}vector_stores = {{{stores}}}\n")
    assert line == 11


@pytest.mark.parametrize("address", ["10.0.0.7", "10.0.0.7:0", "http://10.0.0.7:8410", ":8410"])
def test_a_follower_has_a_host_and_a_port(tmp_path: Path, address: str) -> None:
    (tmp_path / "follower.secret").write_text("s" * 32)
    text = f'[journal]\ncopies = 1\nfollower = "{address}"\nsecret_file = "follower.secret"\n{DEPLOYMENT}'
    assert problems(tmp_path, text) == [(3, f"{address!r} is no address of a follower")]


@pytest.mark.parametrize("host", ["169.254.169.254", "0xa9fea9fe", "[fd00:ec2::254]", "metadata.google.internal"])
def test_a_follower_is_no_metadata_service(tmp_path: Path, host: str) -> None:
    (tmp_path / "follower.secret").write_text("s" * 32)
    text = f'[journal]\ncopies = 1\nfollower = "{host}:8410"\nsecret_file = "follower.secret"\n{DEPLOYMENT}'
    assert problems(tmp_path, text) == [(3, f"{host.strip('[]')!r} is never called")]


def test_the_example_is_sound_and_shows_every_setting_at_its_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    text = EXAMPLE.read_text()
    as_shipped = read_configuration(write(tmp_path, text), CATALOG)
    assert msgspec.structs.replace(as_shipped, deployment=()) == Configuration()
    uncommented = re.sub(r"(?m)^#([a-z_]+ = )", r"\1", text)
    path = write(tmp_path, uncommented)
    # A port that is named is that one; named nowhere, it may give way to the next.
    named = msgspec.structs.replace(as_shipped.gateway, port=USUAL_PORT)
    assert read_configuration(path, CATALOG) == msgspec.structs.replace(as_shipped, gateway=named)
    settings = {setting.key: setting for setting in show_configuration(path, CATALOG)}
    assert {setting.source for setting in settings.values()} & {DEFAULT} == set()
    prose = " ".join(line.removeprefix("# ") for line in text.splitlines())
    assert [key for key, setting in settings.items() if setting.reason not in prose] == []


def test_a_name_can_be_seen(tmp_path: Path) -> None:
    hidden = DEPLOYMENT.replace('name = "direct"', 'name = "dir\\u200bect"')
    assert problems(tmp_path, hidden) == [(3, "'dir\\u200bect' is not a name")]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = " + "[" * 5000 + "]" * 5000, 0),
        ("a = " + "{b = " * 5000 + "1" + "}" * 5000, 0),
        ("a" + ".a" * 50_000 + " = 1", 1),
        ("[a" + ".a" * 50_000 + "]", 1),
        ("a = {" + '"a" . ' * 50_000 + "a = 1}", 1),
        ("gateway = " + "[" * 100 + "]" * 100, 0),
        ("[gateway]\nport = " + "[" * 100 + "]" * 100, 0),
    ],
    ids=[
        "lists",
        "tables",
        "a dotted key",
        "a dotted head",
        "a dotted key in a table",
        "in the place of a section",
        "in the place of a number",
    ],
)
def test_tables_without_end_are_a_problem_of_the_file(tmp_path: Path, text: str, line: int) -> None:
    whole = text + DEPLOYMENT if text.startswith("a") else text
    assert problems(tmp_path, whole) == [(line, "tables nested too deeply")]


NINES, FS = "9" * 5000, "0x" + "F" * 5000


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"[gateway]\nport = {NINES}", 2),
        (f"gateway = [\n{NINES}]", 2),
        (f"[gateway]\nport = {FS}", 2),
        (f"gateway = [{FS}]", 1),
        (f"deployment = {FS}", 1),
    ],
    ids=["a port", "in the place of a section", "hexadecimal", "hexadecimal in a list", "in the place of a list"],
)
def test_a_number_without_end_is_a_problem_of_its_line(tmp_path: Path, text: str, line: int) -> None:
    assert problems(tmp_path, text) == [(line, "a number of thousands of digits")]


def test_a_number_in_the_place_of_deployments_is_a_problem(tmp_path: Path) -> None:
    assert problems(tmp_path, "deployment = 5") == [(1, "deployment is not a list of tables")]


# Dialect, keys of auth, settings of the deployment → what nothing reads, and the way out.
UNREAD = [
    ("openai", 'kind = "bearer", secret_env = "KEY"', "", []),
    ("openai", 'kind = "bearer", secret_env = "KEY"', 'project = "p", organization = "o"', []),
    (
        "openai",
        'kind = "bearer", secret_env = "KEY"',
        'foo = "bar", organisation = "o"',
        [
            ("d: openai has no setting 'foo'", "Known: organization, project."),
            ("d: openai has no setting 'organisation'", "Did you mean 'organization'?"),
        ],
    ),
    (
        "bedrock",
        'kind = "aws", region = "us-east-1", service = "bedrock"',
        'profile = "p"',
        [("d: bedrock has no setting 'profile'", "Write it among the settings of auth.")],
    ),
    (
        "bedrock",
        'kind = "bearer", secret_env = "KEY", settings = {profile = "p"}',
        "",
        [("d: auth 'bearer' has no setting 'profile'", "It has no settings: leave it out.")],
    ),
    (
        "azure",
        'kind = "entra", settings = {tenant_id = "t", api_version = "preview"}',
        "",
        [("d: auth 'entra' has no setting 'api_version'", "Write it among the settings of the deployment.")],
    ),
    (
        "bedrock",
        'kind = "aws", secret_env = "KEY", access_key_env = "KEY", session_token_env = "KEY"',
        "",
        [
            ("d: auth 'aws' takes no secret_env", "Leave it out."),
            ("d: auth 'aws' takes no access_key_env", "Leave it out."),
            ("d: auth 'aws' takes no session_token_env", "Leave it out."),
        ],
    ),
    (
        "openai",
        'kind = "bearer", secret_env = "KEY", secret_file = "/dev/null", region = "here"',
        "",
        [
            ("d: secret_env and secret_file", "Keep one of them."),
            ("d: auth 'bearer' takes no region", "Leave it out."),
        ],
    ),
    ("openai", 'kind = "none", secret_env = "KEY"', "", [("d: auth 'none' takes no secret_env", "Leave it out.")]),
    ("bedrock", 'kind = "sigv4", secret_env = "KEY", access_key_env = "KEY", session_token_env = "KEY"', "", []),
    ("oci", 'kind = "signature", secret_env = "KEY", settings = {key_id = "t/u/f"}', 'compartment_id = "c"', []),
]


@pytest.mark.parametrize(("dialect", "auth", "settings", "expected"), UNREAD)
def test_what_nothing_reads_is_refused_with_a_way_out(
    tmp_path: Path, dialect: str, auth: str, settings: str, expected: list[tuple[str, str]]
) -> None:
    text = (
        DEPLOYMENT.replace('"direct"', '"d"')
        .replace('dialect = "openai"', f'dialect = "{dialect}"')
        .replace('kind = "bearer", secret_env = "KEY"', auth)
    )
    file = read_file(write(tmp_path, f"{text}settings = {{{settings}}}\n"))
    if not expected:
        configuration.checked(file, CATALOG, secrets=False)
        return
    with pytest.raises(InvalidInput) as refused:
        configuration.checked(file, CATALOG, secrets=False)
    assert [(problem.what, problem.remedy) for problem in refused.value.problems] == expected
    assert {problem.line for problem in refused.value.problems} <= {9, 11}


@pytest.mark.parametrize(("product", "advice"), [("gpt-55", "Did you mean 'gpt-5"), ("our-llama", "Known: ")])
@pytest.mark.parametrize("unstated", ["refuse", "serve"])
def test_a_model_that_nothing_names_is_told_where_to_name_it(
    tmp_path: Path, product: str, advice: str, unstated: str
) -> None:
    text = f'unstated = "{unstated}"\n' + DEPLOYMENT.replace('"gpt-5.5" =', f'"{product}" =')
    with pytest.raises(InvalidInput) as refused:
        read_configuration(write(tmp_path, text), CATALOG)
    [problem] = refused.value.problems
    assert problem.what == f"direct: unknown product '{product}'"
    assert problem.remedy.startswith(advice)
    assert f"clauseway fact record product --product {product} --class CLASS" in problem.remedy
    assert "in an agreement (one without terms will do)" in problem.remedy


def test_every_setting_that_the_documents_name_is_read() -> None:
    """The tables of docs/clouds.md, and what the code reads."""
    named: dict[str, set[str]] = {}
    for line in CLOUDS.read_text("utf-8").splitlines():
        cells = line.split("|")
        names = re.findall("`([a-z0-9-]+)`", cells[1]) if line.startswith("| `") and len(cells) > 4 else []
        if names:
            settings = set(re.findall(r"`([a-z_]+)(?:`| = )", cells[3]))
            named.setdefault(names[0], set()).update(settings - {"preview", "latest", "bearer"})
    assert {name: named[name] for name in DIALECTS} == {name: set(DIALECTS[name].settings) for name in DIALECTS}
    assert {name: named[name] for name in KINDS} == {name: set(settings_read(name)) for name in KINDS}


def test_a_plan_names_secrets_and_holds_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads the plan's file, a copy or a backup of it reads no secret of a cloud."""
    for name in ("ACCESS", "SESSION"):
        monkeypatch.setenv(name, f"secret-of-{name}")
    (tmp_path / "signing").write_text("secret-of-a-file\n")
    auths = {
        "bearer": 'kind = "bearer", secret_env = "KEY"',
        "signed": 'kind = "sigv4", secret_file = "signing", access_key_env = "ACCESS", session_token_env = "SESSION"',
        "entra": 'kind = "entra", secret_env = "KEY", settings = {tenant_id = "t", client_id = "c"}',
        "api-key": 'kind = "api-key", secret_file = "signing"',
    }
    text = "".join(
        DEPLOYMENT.replace('"direct"', f'"{name}"').replace('kind = "bearer", secret_env = "KEY"', auth)
        for name, auth in auths.items()
    )
    path = write(tmp_path, text)
    configuration = read_file(path).read(Configuration)
    assert configuration is not None
    named = [named_auth(deployment, path) for deployment in configuration.deployment]
    written = msgspec.json.encode(named)
    assert b"secret-of" not in written
    assert b"sk-secret" not in written
    bearer, signed, entra, _ = [with_secrets(auth, "here") for auth in msgspec.json.decode(written, type=list[Auth])]
    assert (bearer.secret, entra.secret) == ("sk-secret", "sk-secret")
    assert (signed.secret, signed.access_key, signed.session_token) == (
        "secret-of-a-file",
        "secret-of-ACCESS",
        "secret-of-SESSION",
    )
