"""`clauseway mcp`: what assistants may ask, over the Model Context Protocol."""

from clauseway.app.opening.home import home_at
from clauseway.cli import options
from clauseway.mcp.server import serve
from clauseway.mcp.tools import Asked


def command(agreement: options.AgreementFolders = None, home: options.HomeIfNamed = None) -> int:
    """Let assistants ask: decisions, changes, prices, usage and statements, over MCP.

    Speaks the Model Context Protocol over standard input and output: an assistant starts this
    command and asks its tools. Every tool reads and none writes. `names` lists what there is to
    ask about; `decide`, `diff`, `price`, `usage`, `statement` and `explain` answer as the commands
    of their names do with --json, and refuse with the way out.

    \b
    In the settings of an assistant (Claude, Cursor, VS Code and others read the same form):
      {"mcpServers": {"clauseway": {"command": "clauseway", "args": ["mcp", "--home", "/srv/clauseway"]}}}
    About an agreement of your own:
      clauseway mcp --agreement ours
    """
    serve(Asked(home_at(home), tuple(options.agreements_for(agreement, None, home))))
    return 0
