#!/usr/bin/env python3
"""Writes src/codec/ebcdic_tables.c from tests/data/codepages.json (256 Unicode code points a page, as glibc's iconv
gives them) and from the Unicode character database of this Python.

    scripts/make-ebcdic-tables.py tests/data/codepages.json > src/codec/ebcdic_tables.c
"""
import json
import sys
import unicodedata

UNDEFINED = 0xFFFD

# What no decomposition gives. The mark for euro and the like is what a reader of mail expects, three letters at most.
BY_HAND = {
    0x00A1: "!", 0x00A2: "c", 0x00A3: "GBP", 0x00A4: "*", 0x00A5: "JPY", 0x00A6: "|", 0x00A7: "S", 0x00A9: "(c)",
    0x00AB: '"', 0x00AC: "^", 0x00AD: "-", 0x00AE: "(R)", 0x00B0: "o", 0x00B1: "+/-", 0x00B5: "u", 0x00B6: "P",
    0x00B7: ".", 0x00BB: '"', 0x00BF: "?", 0x00C6: "AE", 0x00D0: "D", 0x00D7: "x", 0x00D8: "O", 0x00DE: "TH",
    0x00DF: "ss", 0x00E6: "ae", 0x00F0: "d", 0x00F7: "/", 0x00F8: "o", 0x00FE: "th", 0x0110: "D", 0x0111: "d",
    0x0126: "H", 0x0127: "h", 0x0131: "i", 0x0138: "k", 0x0141: "L", 0x0142: "l", 0x0149: "'n", 0x014A: "N",
    0x014B: "n", 0x0152: "OE", 0x0153: "oe", 0x0166: "T", 0x0167: "t", 0x0192: "f", 0x02BC: "'", 0x02C6: "^",
    0x02DA: "o", 0x02DC: "~", 0x1E9E: "SS",
    0x2010: "-", 0x2011: "-", 0x2012: "-", 0x2013: "-", 0x2014: "--", 0x2015: "--", 0x2016: "||", 0x2017: "_",
    0x2018: "'", 0x2019: "'", 0x201A: ",", 0x201B: "'", 0x201C: '"', 0x201D: '"', 0x201E: '"', 0x201F: '"',
    0x2020: "+", 0x2021: "++", 0x2022: "*", 0x2023: ">", 0x2024: ".", 0x2025: "..", 0x2026: "...", 0x2028: "\n",
    0x2029: "\n", 0x2030: "o/o", 0x2032: "'", 0x2033: '"', 0x2034: "'''", 0x2039: "<", 0x203A: ">", 0x203C: "!!",
    0x203E: "-", 0x2043: "-", 0x2044: "/", 0x2052: "%", 0x20A3: "FRF", 0x20A4: "GBP", 0x20A7: "Pts", 0x20A8: "Rs",
    0x20A9: "KRW", 0x20AA: "ILS", 0x20AB: "VND", 0x20AC: "EUR", 0x20B9: "INR", 0x20BD: "RUB", 0x2116: "No",
    0x2117: "(P)", 0x2120: "SM", 0x2122: "TM", 0x2126: "Ohm", 0x212E: "e", 0x2190: "<-", 0x2191: "^", 0x2192: "->",
    0x2193: "v", 0x2194: "<->", 0x21D0: "<=", 0x21D2: "=>", 0x21D4: "<=>", 0x2212: "-", 0x2215: "/", 0x2216: "\\",
    0x2217: "*", 0x2219: ".", 0x221E: "inf", 0x2223: "|", 0x2236: ":", 0x223C: "~", 0x2248: "~=", 0x2260: "/=",
    0x2261: "==", 0x2264: "<=", 0x2265: ">=", 0x22C5: ".", 0x25A0: "*", 0x25AA: "*", 0x25B6: ">", 0x25BA: ">",
    0x25C0: "<", 0x25CF: "*", 0x25E6: "o", 0x2605: "*", 0x2606: "*", 0x2610: "[ ]", 0x2611: "[x]", 0x2612: "[x]",
    0x2713: "x", 0x2714: "x", 0x2717: "x", 0x2718: "x", 0x2756: "*", 0x276F: ">", 0x2794: "->", 0x3000: " ",
    0x3001: ",", 0x3002: ".", 0xFF0C: ",", 0xFFE5: "JPY",
    # 290 has neither these nor lower case
    0x005B: "(", 0x005C: "/", 0x005D: ")", 0x005E: "'", 0x007B: "(", 0x007D: ")", 0x007E: "-",
}
SPACES = [0x00A0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F]
BOXES = {0x2500: "-", 0x2501: "-", 0x2502: "|", 0x2503: "|", 0x2550: "=", 0x2551: "|"}
RANGES = [(0x00A0, 0x024F), (0x1E00, 0x1EFF), (0x2000, 0x214F), (0x2460, 0x2473), (0xFB00, 0xFB06), (0xFF01, 0xFF5E)]


def plain(code):
    """The ASCII text for a code point by compatibility decomposition, marks dropped; None where there is none."""
    text = "".join(c for c in unicodedata.normalize("NFKD", chr(code)) if not unicodedata.combining(c))
    text = "".join(BY_HAND.get(ord(c), c) if ord(c) > 0x7F else c for c in text)
    return text if text and all(0x20 <= ord(c) < 0x7F for c in text) and len(text) <= 3 else None


def substitutes():
    table = {}
    for low, high in RANGES:
        for code in range(low, high + 1):
            text = plain(code)
            if text is not None and text != chr(code):
                table[code] = text
    for code in range(0x2500, 0x2580):
        table[code] = "+"
    for code in range(0x61, 0x7B):
        table[code] = chr(code - 0x20)
    table.update(BOXES)
    table.update(BY_HAND)
    for code in SPACES:
        table[code] = " "
    return sorted(table.items())


def compositions():
    """Letter and mark -> the one Latin-1 character they make."""
    pairs = []
    for code in range(0xC0, 0x100):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2:
            pairs.append((int(parts[0], 16), int(parts[1], 16), code))
    return sorted(pairs)


def marks():
    """Ranges of code points that take no column of their own: combining marks, joiners, selectors, direction marks."""
    ranges = []
    for code in range(0x80, 0x10000):
        if 0xD800 <= code < 0xE000 or code == 0xAD:
            continue
        if unicodedata.category(chr(code)) in ("Mn", "Me", "Cf"):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return ranges


def c_text(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def rows(items, width=115):
    line = "   "
    for item in items:
        if len(line) + len(item) + 2 > width:
            yield line
            line = "   "
        line += " " + item + ","
    yield line


def table(out, head, items):
    out.append(head + " = {")
    out.extend(rows(items))
    out.append("};")
    out.append("")


def page(out, identifier, name, to_unicode):
    from_unicode = {}
    for byte, code in enumerate(to_unicode):
        if code != UNDEFINED:
            from_unicode.setdefault(code, byte)
    out.append(f"const struct ebcdic_page {identifier} = {{")
    out.append(f'    .name = "{name}",')
    out.append("    .to_unicode = {")
    out.extend("    " + row for row in rows([f"0x{code:04X}" for code in to_unicode], 111))
    out.append("    },")
    out.append("    .from_unicode = {")
    out.extend("    " + row for row in rows([f"{{ 0x{c:04X}, 0x{b:02X} }}" for c, b in sorted(from_unicode.items())], 111))
    out.append("    },")
    out.append(f"    .codes = {len(from_unicode)},")
    out.append("};")
    out.append("")


def main():
    with open(sys.argv[1], encoding="ascii") as file:
        pages = json.load(file)
    tables = {}
    for name, codes in sorted(pages.items(), key=lambda item: int(item[0][3:])):
        tables[name[3:]] = [UNDEFINED if code is None else int(code, 16) for code in codes]
    out = ["/* Written by scripts/make-ebcdic-tables.py from tests/data/codepages.json: change those, not this. */",
           "/* clang-format off */", '#include "codec/ebcdic_tables.h"', ""]
    for name, codes in tables.items():
        page(out, f"ebcdic_page_{name}", name, codes)
    table(out, "const struct ebcdic_page *const ebcdic_pages[EBCDIC_PAGES]", [f"&ebcdic_page_{name}" for name in tables])
    to_latin1 = tables["037"]
    to_ebcdic = [to_latin1.index(code) for code in range(256)]
    table(out, "const uint8_t ebcdic_037_to_latin1[256]", [f"0x{code:02X}" for code in to_latin1])
    table(out, "const uint8_t latin1_to_ebcdic_037[256]", [f"0x{byte:02X}" for byte in to_ebcdic])
    for codec in ("cp1252", "cp850"):
        codes = [ord(bytes([byte]).decode(codec, "replace")) for byte in range(256)]
        table(out, f"const uint16_t ebcdic_{codec}_to_unicode[256]", [f"0x{code:04X}" for code in codes])
    chosen = substitutes()
    table(out, "const struct ebcdic_substitute ebcdic_substitutes[]",
          [f"{{ 0x{code:04X}, {c_text(text)} }}" for code, text in chosen])
    out.append(f"const size_t ebcdic_substitute_count = {len(chosen)};")
    out.append("")
    pairs = compositions()
    table(out, "const struct ebcdic_composition ebcdic_compositions[]",
          [f"{{ 0x{letter:04X}, 0x{mark:04X}, 0x{code:04X} }}" for letter, mark, code in pairs])
    out.append(f"const size_t ebcdic_composition_count = {len(pairs)};")
    out.append("")
    invisible = marks()
    table(out, "const struct ebcdic_range ebcdic_marks[]", [f"{{ 0x{low:04X}, 0x{high:04X} }}" for low, high in invisible])
    out.append(f"const size_t ebcdic_mark_count = {len(invisible)};")
    print("\n".join(out))
    print(f"pages: {len(tables)}", file=sys.stderr)


main()
