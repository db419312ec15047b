"""Points of the curve of Ed25519 (RFC 8032, section 5.1): which bytes can be a public key.

Whoever pleases can make a signature that holds for a key of small order, over whatever content, and
libraries of signatures accept such keys. Eight points have an order that divides eight; that of the
point of every private key is a large prime.
"""

from typing import TypeAlias

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_1 = pow(2, (_P - 1) // 4, _P)
_SMALL_ORDERS = (1, 2, 4, 8)

# X, Y and Z of a point: x is X / Z, y is Y / Z.
_Point: TypeAlias = tuple[int, int, int]


def point_fault(raw: bytes) -> str:
    """Return why 32 bytes are the public key of nobody; empty where they may be somebody's."""
    point = _decoded(raw)
    if point is None:
        return "it is no point of the curve"
    for order in _SMALL_ORDERS:
        x, y, z = point
        if x == 0 and y == z:
            return f"its point has the order {order}, and anybody can sign for it"
        point = _doubled(point)
    return ""


def _decoded(raw: bytes) -> _Point | None:
    """Return the point that bytes stand for (section 5.1.3); None where they stand for none."""
    number = int.from_bytes(raw, "little")
    y, sign = number % 2**255, number >> 255
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if x * x % _P != square:
        x = x * _ROOT_OF_MINUS_1 % _P
    if x * x % _P != square or (x == 0 and sign):
        return None
    return (x if x % 2 == sign else _P - x), y, 1


def _doubled(point: _Point) -> _Point:
    """Return a point added to itself (section 5.1.4)."""
    x, y, z = point
    a, b = x * x, y * y
    h = a + b
    e = h - (x + y) ** 2
    g = a - b
    f = 2 * z * z + g
    return e * f % _P, g * h % _P, f * g % _P
