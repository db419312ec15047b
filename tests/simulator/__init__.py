"""The simulator: gateways, journals, leases and sealing in a virtual world whose every order one seed decides.

The classes of production run as they are. Under them are virtual machines: clocks that drift and jump, a network
that is late, cut in two or silent, disks that lose and tear what was not forced, that are full, slow or broken, and
processes that end at any moment at which they wait for one of these. Around them are clouds that fail and clients that
leave. Afterwards what clouds answered and what clients got is held against what was recorded, by laws.

    python -m tests.simulator --seeds 1000 --from 0     so many seeds
    python -m tests.simulator --seed 17 --history       one of them again, with all that happened
    python -m tests.simulator --planted                 bugs planted one by one, and which seed finds each
    … --json FILE                                       a summary to be kept

The suite runs 120 seeds, `make soak` 1,000; `bench/evidence/simulator.json` is the record of the last thousand, and
`simulator-once.json` that of the longest run.

    stories     what a seed makes of actors and faults, from begin to judgement
    laws        what holds in every story
    actors      homes with their gateways, clouds, clients
    registering facts that are recorded in a story, and answers as of earlier instants
    bookkeeping a story's month, settled at its end by production code
    planted     bugs that the laws have to see, and one that they cannot
    hunting     many seeds, and the search for a planted bug
    seams       the table of what is virtual below production code
    disks       a real folder in memory, and what of it a loss of power leaves
    network     streams of bytes between machines
    loops       asyncio on virtual time
    threads     threads, locks and queues as greenlets
    world       time, machines, processes

What is not simulated: SQLite stands in for the database's server, with transactions that are whole or not at all; the
kills of `tests/storage` and `tests/app` find its real faults. Within a process nothing happens but where it waits, so
races of real threads are not found here. Bytes that a disk has forced stay as they are; `tests/spool` damages them.
Settling takes longer than a story: every fifth one's month is settled, closed and settled again. In another fifth a
key is revoked, and facts are recorded; in another fifth an amendment takes a cloud away; in a tenth journals are copied
to a follower, and a home loses its disk. Plans are made of the keys in the database and of these amendments, and not of
an agreement and a configuration. The choice is docs/choices/0142.
"""

import sys
from pathlib import Path

# The simulator is a program too (`python -m tests.simulator`), which finds what tests share beside this folder.
sys.path.append(str(Path(__file__).parents[1]))
