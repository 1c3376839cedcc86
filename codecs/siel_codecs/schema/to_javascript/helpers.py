"""The functions that generated JavaScript shares; a file has those that it calls.

Their names begin with ``siel_``: a network server runs a codec beside its own code. None calls itself, not even over
others. None throws whatever it is given.
"""

from __future__ import annotations

import re
from typing import Final

from siel_codecs.schema import words
from siel_codecs.schema.to_javascript.encode_helpers import ENCODING
from siel_codecs.schema.to_javascript.text import literal, say

BAD_BYTES: Final = "bytes must be a list of whole numbers from 0 to 255"
BAD_PORT: Final = "fPort must be a whole number from 0 to 255"
BAD_DATA: Final = "data must be an object"
"""Faults of a caller in JavaScript; other targets are not called with such things."""

_FIRST_MS: Final = -62_135_596_800_000
_LAST_MS: Final = 253_402_300_799_999
"""0001-01-01 to 9999-12-31, what RFC 3339 can write."""

_RFC_3339: Final = r"/^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d+)?([Zz]|([+-])(\d\d):(\d\d))$/"

_DECODING: Final = f"""
function siel_problem(input) {{
  // What is wrong with the input of a decoder; an empty text: nothing.
  var bytes, i, v;
  if (typeof input !== "object" || input === null) return {literal(BAD_BYTES)};
  bytes = input.bytes;
  if (typeof bytes !== "object" || bytes === null || !siel_whole(bytes.length, 9007199254740991)) {{
    return {literal(BAD_BYTES)};
  }}
  for (i = 0; i < bytes.length; i += 1) {{
    v = bytes[i];
    if (typeof v !== "number" || v !== (v & 255)) return {literal(BAD_BYTES)};
  }}
  return siel_whole(input.fPort, 255) ? "" : {literal(BAD_PORT)};
}}

function siel_whole(value, most) {{
  return typeof value === "number" && value >= 0 && value <= most && Math.floor(value) === value;
}}

function siel_data(input) {{
  // The data of an encoder's input; null where there is none.
  var data = typeof input === "object" && input !== null ? input.data : null;
  return typeof data === "object" && !Array.isArray(data) ? data : null;
}}

function siel_failed(error) {{
  return {{data: {{}}, warnings: [], errors: [error]}};
}}

function siel_short(b) {{
  return siel_failed({say(words.TOO_SHORT, length="b.length")});
}}

function siel_long(b) {{
  return siel_failed({say(words.TOO_LONG, length="b.length")});
}}

function siel_bits(b, at, count) {{
  // The code of count bits (up to 32) from bit at; doubles, because shifts end at 31 bits.
  var value = 0, i = at >> 3, end = at + count;
  for (; i * 8 < end; i += 1) value = value * 256 + b[i];
  return Math.floor(value / Math.pow(2, i * 8 - end)) % Math.pow(2, count);
}}

function siel_hex(b, start, end) {{
  var text = "", i;
  for (i = start; i < end; i += 1) text += (b[i] + 256).toString(16).slice(1);
  return text;
}}

function siel_key(key, digits) {{
  return "0x" + ("000" + key.toString(16)).slice(-digits);
}}

function siel_series(data, warnings, rows, step, older) {{
  // The newest sample belongs to the message; the older ones get their ages.
  var newest = rows.shift(), name, i;
  if (newest === undefined) return;
  for (name in newest.data) data[name] = newest.data[name];
  for (i = 0; i < newest.warnings.length; i += 1) warnings.push(newest.warnings[i]);
  for (i = 0; i < rows.length; i += 1) {{
    rows[i].age = step > 0 ? (i + 1) * step : null;
    older.push(rows[i]);
  }}
}}

function siel_rows(data, warnings, older, timed, time) {{
  // All samples with their times: the message's own, the older ones, those with times of their own.
  var rows = [], own = timed.length === 0 || Object.keys(data).length > 0 ? 1 : 0, i, j, row;
  if (own) rows.push({{data: data, warnings: [], time: time, age: 0}});
  for (i = 0; i < older.length; i += 1) {{
    row = older[i];
    row.time = time === null || row.age === null ? null : time - row.age;
    rows.push(row);
  }}
  rows = rows.concat(timed);
  for (i = own; i < rows.length; i += 1) {{
    row = rows[i];
    for (j = 0; j < row.warnings.length; j += 1) {{
      warnings.push({say(words.IN_SAMPLE, index="i", warning="row.warnings[j]")});
    }}
  }}
  return rows;
}}

function siel_samples(data, rows, own) {{
  // Lists the samples in data where there are several or one has a time of its own.
  var list = [], i, row, one, name;
  for (i = 0; i < rows.length; i += 1) {{
    row = rows[i];
    one = {{}};
    if (row.time !== null && row.time >= {_FIRST_MS} && row.time <= {_LAST_MS}) {{
      one.time = new Date(row.time).toISOString();
    }}
    if (row.age !== null) one.age_s = row.age / 1000;
    for (name in row.data) one[name] = row.data[name];
    list.push(one);
  }}
  if (own || list.length > 1) data.samples = list;
  return data;
}}

function siel_time(time) {{
  // Milliseconds since 1970 of a Date, an RFC 3339 text or such a number; null for anything else.
  var found, ms, day;
  if (Object.prototype.toString.call(time) === "[object Date]") time = time.getTime();
  if (typeof time === "string") {{
    found = {_RFC_3339}.exec(time);
    if (found === null || found[4] > 23 || found[5] > 59 || found[6] > 59) return null;
    if (found[9] && (found[10] > 23 || found[11] > 59)) return null;
    ms = Date.UTC(+found[1], found[2] - 1, +found[3], +found[4], +found[5], +found[6]);
    day = new Date(ms);
    if (day.getUTCFullYear() !== +found[1] || day.getUTCDate() !== +found[3]) return null;
    if (found[9]) ms -= (found[9] === "-" ? -1 : 1) * (found[10] * 60 + +found[11]) * 60000;
    time = ms + Math.floor(Number("0" + (found[7] || "") + "000e3") || 0);
  }}
  return typeof time === "number" && time >= {_FIRST_MS} && time <= {_LAST_MS} ? Math.floor(time) : null;
}}
"""

_FUNCTION: Final = re.compile(r"^function (\w+)\(.*?^}$", re.DOTALL | re.MULTILINE)
_NAME: Final = re.compile(r"\bsiel_\w+")

HELPERS: Final[dict[str, str]] = {found[1]: found[0] for found in _FUNCTION.finditer(_DECODING + ENCODING)}


def helpers_for(source: str) -> list[str]:
    """Return the helpers that a text calls, and those that these call, in the order of their table."""
    wanted: set[str] = set()
    ahead = [source]
    while ahead:
        for name in set(_NAME.findall(ahead.pop())) & HELPERS.keys() - wanted:
            wanted.add(name)
            ahead.append(HELPERS[name])
    return [body for name, body in HELPERS.items() if name in wanted]
