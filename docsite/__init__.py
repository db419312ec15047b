"""The documentation site: the pages of `docs`, and a reference made from the code, for MkDocs.

__main__       `python -m docsite LIBRARIES SITE` builds the site
building       pages written, and MkDocs run over them
staging        pages of the repository, with links that hold within the site
commands       every command, from the tree that `--help` shows
answers        members of the JSON that commands print, by running them in demo homes
configuration  every setting of the gateway, from the records that read it
endpoints      paths and codes of gateway and pages, from their OpenAPI documents
blocks         every block of an agreement's text, from its JSON Schema
tables         Markdown tables
"""
