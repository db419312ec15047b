"""The protocol, by its official SDK: the tools over standard input and output.

A refusal, or a fault of the machine, is a result of the tool: problems with remedies, so that the
assistant can ask again. An unknown tool, or an error of ours, is an error of the protocol.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import msgspec
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp_types import Tool as ToolDefinition

from clauseway.app.running.machine_faults import fault_of
from clauseway.mcp.tools import TOOLS, Asked, Tool
from clauseway.values import VERSION, InvalidInput, Problem

INSTRUCTIONS = (
    "Clauseway executes a commercial agreement between a model vendor and its cloud partners. Ask `names` first if "
    "you do not know what parties, products and clouds are called. Cite the clause that an answer cites, and do not "
    "round amounts."
)
_BY_NAME: Mapping[str, Tool[Any]] = {tool.name: tool for tool in TOOLS}


def serve(asked: Asked) -> None:
    """Answer one client over standard input and output, until it closes them."""
    anyio.run(_over_standard_streams, server_of(asked))


def server_of(asked: Asked) -> Server[Any]:
    """Return the server of a home's tools, for any transport."""

    async def call(_: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        tool = _BY_NAME.get(params.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, f"no tool {params.name!r}; {', '.join(_BY_NAME)}")
        # Read the files of the home in a thread, so that the client can ping meanwhile.
        return await anyio.to_thread.run_sync(_answered, tool, asked, params.arguments or {})

    return Server(
        "clauseway",
        title="Clauseway",
        version=VERSION,
        instructions=INSTRUCTIONS,
        on_list_tools=_listed,
        on_call_tool=call,
    )


async def _over_standard_streams(server: Server[Any]) -> None:
    async with stdio_server() as (given, answered):
        await server.run(given, answered, server.create_initialization_options())


async def _listed(
    _context: ServerRequestContext[Any], _params: PaginatedRequestParams | None
) -> ListToolsResult:
    return ListToolsResult(tools=[_defined(tool) for tool in TOOLS])


def _defined(tool: Tool[Any]) -> ToolDefinition:
    return ToolDefinition(
        name=tool.name,
        title=tool.title,
        description=tool.about,
        input_schema=schema_of(tool),
        annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
    )


def schema_of(tool: Tool[Any]) -> dict[str, Any]:
    """Return the JSON Schema of a tool's arguments, without a reference."""
    _, definitions = msgspec.json.schema_components([tool.arguments])
    [schema] = definitions.values()
    return {name: value for name, value in schema.items() if name not in ("title", "description")}


def _answered(tool: Tool[Any], asked: Asked, arguments: dict[str, Any]) -> CallToolResult:
    try:
        given = msgspec.convert(arguments, tool.arguments)
        answer = msgspec.to_builtins(tool.answer(asked, given), str_keys=True)
    except msgspec.ValidationError as error:
        remedy = f"Its arguments are {', '.join(schema_of(tool)['properties']) or 'none'}."
        wrong = Problem(what="wrong arguments", why=str(error), where=tool.name, remedy=remedy)
        return _refused([wrong])
    except InvalidInput as error:
        return _refused(error.problems)
    except Exception as error:
        fault = fault_of(error, asked.home.root)
        if fault is None:
            raise
        return _refused([fault])
    text = msgspec.json.encode(answer).decode()
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=answer)


def _refused(problems: Sequence[Problem]) -> CallToolResult:
    refusal = {"problems": msgspec.to_builtins(problems)}
    text = "\n".join(f"{each.where}: {each.what}: {each.why}. {each.remedy}" for each in problems)
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=refusal, is_error=True
    )
