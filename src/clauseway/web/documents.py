"""A statement as one HTML file to keep and print. Equal statements give equal bytes."""

from clauseway.web.contexts import StatementContext
from clauseway.web.drawing import environment


def statement_html(statement: StatementContext) -> str:
    """Return the page for print as a file that needs neither a server nor a network."""
    return (
        environment()
        .get_template("statement.html.j2")
        .render(nonce="", statement=statement, standalone=True)
    )
