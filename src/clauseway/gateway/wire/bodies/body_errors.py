"""Reasons why a body is refused.

    BadBody            it cannot be read
      RepeatedMember   a member that is read stands more than once
      NotOffered       it asks for what nobody is offered here
        FurtherModel   it has the cloud turn to another model

This module is not compiled. Where two handlers in one function use one name for their error, mypyc
gives the name the type of the first error, and the second raises TypeError if that type is compiled.
"""


class BadBody(Exception):
    """A body that cannot be read. `param` names the member at fault, where it is one."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class RepeatedMember(BadBody):
    """A member that is read stands more than once. `path` names it, with the members around it."""

    def __init__(self, path: str) -> None:
        message = (
            f"The member {path!r} stands more than once, so a cloud could take another value than "
            "the gateway decided by. Write it once."
        )
        super().__init__(message, path)


class NotOffered(BadBody):
    """A body that asks for what the gateway does not offer, whoever serves it."""


class FurtherModel(NotOffered):
    """A body that has the cloud turn to another model than the one that the request names."""

    def __init__(self, param: str, instead: str) -> None:
        message = (
            f"{param!r} has the cloud turn to another model. A request is decided, limited and "
            f"priced for the model that it names, and for no other. {instead}"
        )
        super().__init__(message, param)
