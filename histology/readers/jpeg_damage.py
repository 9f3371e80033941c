"""Tell a JPEG with damaged pixels, which decoders draw without an error.

After damage the code mostly falls into step again, some blocks too early or too late: the rest of
the picture is displaced and off in colour. libjpeg then prints a warning that none of its Python
callers passes on. libjxl, which repacks a JPEG without loss, refuses one whose code ends too early;
and one whose code is too long is still whole for it with its last bytes cut off.
"""

from __future__ import annotations

import imagecodecs

_START, _END = b"\xff\xd8", b"\xff\xd9"
_SCAN, _FRAMES, _TABLES = 0xDA, (0xC0, 0xC1, 0xC2), (0xC4, 0xDB, 0xDD)
_PROGRESSIVE = b"\xff\xc2"
#: Markers of a frame: 0xC0 to 0xCF, but for those of tables and of arithmetic coding.
_OTHER_FRAMES = frozenset(range(0xC3, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: What may follow 0xFF among coded pixels: nothing, or the number of a restart.
_STUFFED = (0x00, *range(0xD0, 0xD8))
_TOO_SHORT = "its coded pixels end before the picture does"
_CUT_BYTES = 2  # the code of an unharmed picture ends within its last byte
_MOST_PX = 32_000_000  # libjxl takes about 25 bytes a pixel: 0.8 GB


def find_damage(data: bytes) -> str | None:
    """What is wrong with a JPEG's coded pixels, in words; None if nothing is seen.

    Looked at are pictures in colour of up to 32 million pixels: baseline of one scan (what cameras
    and exports write), and progressive, where only code that is too short is seen. Damage after
    which the number of blocks is right again cannot be seen; nor can any where imagecodecs was
    built without libjxl (its wheels have it).
    """
    parts = _take_apart(data) if imagecodecs.JPEGXL.available else None
    if parts is None:
        return None
    head, code, frame = parts
    if frame == _PROGRESSIVE:
        return None if _repacks(head + code) else _TOO_SHORT
    return _damage_of_scan(head, code)


def _damage_of_scan(head: bytes, code: bytes) -> str | None:
    end = _code_end(code)
    if end is None:
        return "its coded pixels have no end"
    marker = code[end + 1]
    if marker == _SCAN:  # colours one after another
        return None
    if marker != _END[1]:
        return f"a foreign marker 0x{marker:02x} among its coded pixels"
    code = code[:end].rstrip(b"\xff")
    if not _repacks(head + code + _END):
        return _TOO_SHORT
    code = code.rstrip(b"\xff\x00")[:-_CUT_BYTES]  # zeros are what cameras fill up with
    too_long = _repacks(head + code.rstrip(b"\xff") + _END)
    return "its coded pixels go on after the end of the picture" if too_long else None


def _take_apart(data: bytes) -> tuple[bytes, bytes, bytes] | None:
    """A JPEG's tables and frame as libjxl needs them, all after its first scan's header, its kind.

    None if it is of a kind that is not looked at, or if its head is damaged, which decoders tell.
    """
    head, place, frame = [_START], len(_START), b""
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        after = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if marker in _OTHER_FRAMES or (marker in _FRAMES and not _is_common(data[place:after])):
            return None
        if marker in (*_FRAMES, *_TABLES, _SCAN):  # no texts, profiles or previews
            head.append(data[place:after])
        if marker in _FRAMES:
            frame = data[place : place + 2]
        if marker == _SCAN:
            return b"".join(head), data[after:], frame
        place = after
    return None


def _is_common(frame: bytes) -> bool:
    """Whether a frame has 8 bits, three channels, the usual halves of colour, and is not huge."""
    bits, channels, sampling = frame[4], frame[9], frame[11::3]
    px = int.from_bytes(frame[5:7], "big") * int.from_bytes(frame[7:9], "big")
    usual = sampling[:1] in (b"\x11", b"\x21", b"\x12", b"\x22") and sampling[1:] == b"\x11\x11"
    return bits == 8 and channels == 3 and usual and 0 < px <= _MOST_PX


def _code_end(code: bytes) -> int | None:
    """Where the first marker stands that ends coded pixels."""
    place = code.find(b"\xff")
    while 0 <= place < len(code) - 1:
        if code[place + 1] not in (*_STUFFED, 0xFF):
            return place
        place = code.find(b"\xff", place + (1 if code[place + 1] == 0xFF else 2))
    return None


def _repacks(data: bytes) -> bool:
    try:
        imagecodecs.jpegxl_encode_jpeg(data, numthreads=1)
    except imagecodecs.JpegxlError:
        return False
    return True
