"""EBCDIC for the tests, from Python's own cp037 table and nobody else's."""

BLANK = 0x40


def encode(text: str) -> bytes:
    """Text as code page 037. Raises UnicodeEncodeError for what 037 does not have."""
    return text.encode("cp037")


def decode(data: bytes) -> str:
    """Code page 037 as text."""
    return bytes(data).decode("cp037")


def name(text: str, width: int = 8) -> bytes:
    """A node, user or file name: upper case, blank padded, cut to its field."""
    return encode(text.upper())[:width].ljust(width, b"\x40")


def plain(data: bytes) -> str:
    """A name field as text, padding (blanks or zeros) taken off."""
    return decode(bytes(data).rstrip(b"\x00\x40"))


def card(text: str, width: int = 80) -> bytes:
    """One card of text, blank padded."""
    data = encode(text)
    if len(data) > width:
        raise ValueError(f"{len(data)} characters do not fit on a card of {width}")
    return data.ljust(width, b"\x40")
