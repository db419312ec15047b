"""`clauseway gateway replay`: recorded traffic through a gateway."""

from pathlib import Path
from typing import Annotated

import typer

from clauseway.app.running.replaying import keys_by_buyer, planned_requests, replay_now
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console
from clauseway.cli.gateway.replay_progress import ReplayDisplay
from clauseway.cli.output import print_text


def command(
    url: Annotated[
        str, typer.Option(help="The gateway, with its /v1.")
    ] = "http://127.0.0.1:8400/v1",
    keys: Annotated[
        typer.FileText | None,
        typer.Option(
            help="A file with a line SELLER=SECRET for each seller; - reads standard input.",
            metavar="FILE",
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            "--traffic", help="Traffic to replay (CSV); by default the sample that ships."
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(
            parser=options.whole("--limit"),
            help="Send at most so many requests; 0 for all.",
            metavar="NUMBER",
        ),
    ] = 0,
    certificate: Annotated[
        Path | None,
        typer.Option(
            help="A PEM file with the certificate, and its private key, to show to a gateway that "
            "asks for one.",
            metavar="FILE",
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> int:
    """Send recorded traffic through a gateway, as fast as it answers, and show what was served,
    refused and failed.

    The traffic is a sample of a production chat service (Azure LLM inference trace 2023,
    CC-BY-4.0): the same sizes of prompts and answers, in the same order. Four in ten requests buy
    from OpenAI, three in ten from Microsoft, and three in ten buy from OpenAI and ask for AWS. Time
    is not simulated here; `clauseway up` does that. Keys are read from a file, because a command
    line can be read by every user of the machine. Where an authority of your own signed the
    gateway's certificate, name it in the environment: SSL_CERT_FILE=ca.pem.

    \b
    Make the two keys, write a line openai=cw-… and a line microsoft=cw-… into a file, then replay:
      clauseway key create --organisation acme --seller openai
      clauseway key create --organisation contoso --seller microsoft
      clauseway gateway replay --keys keys.txt
    """
    secrets = keys_by_buyer(list(keys or []))
    planned = planned_requests(trace, limit)
    with ReplayDisplay(console(), len(planned), quiet=as_json) as display:
        report = replay_now(url, secrets, planned, display.show, certificate=certificate)
    failures = report.failures
    result = {
        "progress": report.progress,
        "seconds": f"{report.seconds:.3f}",
        "failures": failures,
    }

    def print_failures() -> None:
        """Print why requests failed: people have seen the counts."""
        for code, why in failures.items():
            print_text(f"{code}: {why}")

    answer(as_json, result, print_failures)
    return 0 if not report.progress.failed else 1
