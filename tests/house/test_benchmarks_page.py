"""The page of benchmarks says what was measured, and nothing else."""

from bench.report import PAGE, recorded, with_figures


def test_the_page_shows_the_recorded_figures() -> None:
    page = PAGE.read_text()
    assert with_figures(page, recorded()) == page
    assert recorded()
