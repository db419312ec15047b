"""A benchmark that compares must still compare: both sides of a settlement come to the same sum."""

from pathlib import Path

from bench import settlement

ROWS = 12_000


def test_ours_and_bare_sql_settle_the_same_rows_alike(tmp_path: Path) -> None:
    settlement.generate(tmp_path / "lake", ROWS)
    ours = settlement.run_ours(tmp_path / "lake")
    bare = settlement.run_bare(tmp_path / "lake")
    assert ours.revenue == bare.revenue
    assert bare.groups > 0
