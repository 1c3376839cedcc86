"""The functions of generated JavaScript that make payloads: values are read, codes found, bits appended.

``out`` holds the bytes, how many bits are in them and the first error.
"""

from __future__ import annotations

from typing import Final

from siel_codecs.schema import words
from siel_codecs.schema.model import CHANNEL, MAX_PAYLOAD_BYTES, Absent
from siel_codecs.schema.to_javascript.text import literal, plain, say

ENCODING: Final = f"""
function siel_get(values, name) {{
  // A property of its own; null where there is none.
  var value = Object.prototype.hasOwnProperty.call(values, name) ? values[name] : null;
  return value === undefined ? null : value;
}}

function siel_refuse(out, field, reason) {{
  // Keeps the first error.
  if (out.error === "") {{
    out.error = field === null ? reason : field.split({literal(CHANNEL)}).join(out.channel) + ": " + reason;
  }}
  return 0;
}}

function siel_refused(error, to) {{
  return {{bytes: [], fPort: to, warnings: [], errors: [error]}};
}}

function siel_made(out, to) {{
  var bytes = [], i;
  if (out.bytes.length > {MAX_PAYLOAD_BYTES}) {{
    siel_refuse(out, null, {say(words.TOO_LONG, length="out.bytes.length")});
  }}
  if (out.error !== "") return siel_refused(out.error, to);
  for (i = 0; i < out.bytes.length; i += 1) bytes.push(out.bytes[i] & 255);
  return {{bytes: bytes, fPort: to, warnings: [], errors: []}};
}}

function siel_put(out, count, code) {{
  // Appends the lowest bits of a code (up to 32), the most significant first.
  var i;
  for (i = count - 1; i >= 0; i -= 1) {{
    if (out.bits % 8 === 0) out.bytes.push(0);
    out.bytes[out.bytes.length - 1] |= (code >>> i & 1) << 7 - out.bits % 8;
    out.bits += 1;
  }}
}}

function siel_reverse(out, start) {{
  // The bytes from start stand with the least significant first.
  out.bytes = out.bytes.slice(0, start).concat(out.bytes.slice(start).reverse());
}}

function siel_names(out, data, own, known, prefix) {{
  // Refuses names that the message does not have.
  var given = Object.keys(data), i, j;
  for (i = 0; i < given.length; i += 1) {{
    for (j = 0; j < own.length && siel_channel(own[j], given[i]) < 0;) j += 1;
    if (j === own.length) siel_refuse(out, prefix + given[i], {say(words.NO_SUCH_VALUE, known="known")});
  }}
}}

function siel_channel(template, name) {{
  // The channel in a name; 0 where its template has none, -1 where the name is of another template.
  var parts = template.split({literal(CHANNEL)}), end, number;
  if (parts.length < 2) return name === template ? 0 : -1;
  end = name.length - parts[1].length;
  number = name.slice(parts[0].length, end);
  if (parts[0] + number + parts[1] !== name || !/^(0|[1-9][0-9]?[0-9]?)$/.test(number)) return -1;
  return +number < 256 ? +number : -1;
}}

function siel_channels(data, names) {{
  // The channels, ascending, for which a name has a value; of names without a channel 0.
  var given = Object.keys(data), found = [], i, j, channel;
  for (i = 0; i < given.length; i += 1) {{
    for (j = 0; j < names.length; j += 1) {{
      channel = siel_channel(names[j], given[i]);
      if (channel >= 0 && found.indexOf(channel) < 0 && siel_get(data, given[i]) !== null) found.push(channel);
    }}
  }}
  return found.sort(function (a, b) {{ return a - b; }});
}}

function siel_entry(out, data, channel, names) {{
  // The values of one entry by the names of the schema; null where all of them are sent already.
  var values = {{}}, fresh = false, i, name;
  for (i = 0; i < names.length; i += 1) {{
    name = names[i].split({literal(CHANNEL)}).join(channel);
    values[names[i]] = siel_get(data, name);
    if (values[names[i]] !== null && out.sent.indexOf(name) < 0) {{
      out.sent.push(name);
      fresh = true;
    }}
  }}
  out.channel = channel;
  return fresh ? values : null;
}}

function siel_series_of(out, data, least, most, series, names, known) {{
  // The samples that are given, newest first; null where there are none.
  var given = siel_get(data, "samples"), rows = [], i, own = names.concat(["time", "age_s"]);
  if (given === null) {{
    for (i = 0; i < series.length; i += 1) {{
      if (siel_get(data, series[i]) !== null) return [data];
    }}
    return null;
  }}
  given = siel_list(out, "samples", given, least, most);
  for (i = 0; i < given.length; i += 1) {{
    if (typeof given[i] === "object" && given[i] !== null && !Array.isArray(given[i])) {{
      siel_names(out, given[i], own, known, "samples[" + i + "].");
      rows.push(given[i]);
    }} else {{
      siel_refuse(out, "samples[" + i + "]", {literal(words.NOT_A_SAMPLE)});
      rows.push({{}});
    }}
  }}
  return rows;
}}

function siel_series_rows(out, rows, least, most) {{
  // As many rows as are sent.
  var i;
  if (rows !== null) {{
    if (rows.length >= least && rows.length <= most) return rows;
    siel_refuse(out, "samples", {say(words.NOT_A_LIST, count="least")});
    return [];
  }}
  rows = [];
  for (i = 0; i < least; i += 1) rows.push({{}});
  return rows;
}}

function siel_length(rows) {{
  return rows === null ? 0 : rows.length;
}}

function siel_base(out, rows, data, bits) {{
  // The time of the newest sample in seconds.
  var time = siel_get(data, "time");
  if (time === null && siel_length(rows) > 0) time = siel_get(rows[0], "time");
  if (time === null) return siel_refuse(out, "time", {literal(words.NEEDS_VALUE)});
  if (typeof time === "string") time = siel_time(time);
  if (typeof time !== "number" || Math.floor(time) !== time || !isFinite(time)) {{
    return siel_refuse(out, "time", {literal(words.NOT_A_TIME)});
  }}
  time = Math.floor(time / 1000);
  if (time >= 0 && time < Math.pow(2, bits)) return time;
  return siel_refuse(out, "time", {say(words.OUT_OF_RANGE, low=plain("0"), high="(Math.pow(2, bits) - 1) * 1000")});
}}

function siel_delta(out, delta_bits, bits, low, high, before, code) {{
  // Appends the difference to the code before where both are values and it fits, else the escape and the whole code.
  var most = Math.pow(2, delta_bits - 1);
  if (before !== null) {{
    if (before >= low && before <= high && code >= low && code <= high && Math.abs(code - before) < most) {{
      siel_put(out, delta_bits, code - before);
      return;
    }}
    siel_put(out, delta_bits, -most);
  }}
  siel_put(out, bits, code);
}}

function siel_special(out, field, value, codes, is_number) {{
  // The code of a value that is missing or asks for a code by its name; null: it is neither.
  var why = {{
    not_available: {literal(Absent.NOT_AVAILABLE.value)},
    under_range: {literal(Absent.UNDER_RANGE.value)},
    over_range: {literal(Absent.OVER_RANGE.value)},
    fault: {literal(Absent.FAULT.value)}
  }}, name = value === null ? "not_available" : typeof value === "string" ? value : "";
  if (!Object.prototype.hasOwnProperty.call(why, name)) return null;
  if (Object.prototype.hasOwnProperty.call(codes, name)) return codes[name];
  if (value === null) return siel_refuse(out, field, {literal(words.NEEDS_VALUE)});
  return is_number ? siel_refuse(out, field, {say(words.NO_SUCH_CODE, why="why[name]")}) : null;
}}

function siel_number(out, field, value, number) {{
  // The code nearest to a value; outside of the range what the field has for that.
  var special = siel_special(out, field, value, number.codes, true), code;
  if (special !== null) return special;
  if (typeof value !== "number" || !isFinite(value)) {{
    return siel_refuse(out, field, {literal(words.NOT_A_NUMBER)});
  }}
  code = value < 0
    ? 0 - siel_nearest(-value, number.num, -number.add, number.den, -number.high, -number.low)
    : siel_nearest(value, number.num, number.add, number.den, number.low, number.high);
  if (code >= number.low && code <= number.high) return code;
  if (number.least !== undefined) {{
    return siel_refuse(out, field, {say(words.OUT_OF_RANGE, low="number.least", high="number.most")});
  }}
  return code < number.low ? number.below : number.above;
}}

function siel_nearest(value, num, add, den, low, high) {{
  // The code whose value is nearest, of two the larger; of codes outside low to high any.
  var code = Math.floor((value * den - add) / num + 0.5);
  if (!(code <= high + 1)) return high + 1;
  if (code < low - 1) return low - 1;
  if (siel_below(value, (2 * code - 1) * num + 2 * add, 2 * den)) return code - 1;
  return siel_below(value, (2 * code + 1) * num + 2 * add, 2 * den) ? code : code + 1;
}}

function siel_below(value, top, bottom) {{
  // Whether the decimal digits of a value that is not negative say less than top / bottom; exact.
  var whole = Math.floor(value), rest, digits, parts, digit, i;
  if (top <= 0) return false;
  rest = top % bottom;
  top = (top - rest) / bottom;
  if (whole !== top) return whole < top;
  parts = String(value).split("e-");
  if (parts.length > 1) {{
    digits = parts[0].replace(".", "");
    for (i = 1; i < +parts[1]; i += 1) digits = "0" + digits;
  }} else {{
    digits = parts[0].split(".")[1] || "";
  }}
  for (i = 0; i < digits.length; i += 1) {{
    rest *= 10;
    digit = (rest - rest % bottom) / bottom;
    rest %= bottom;
    if (digit !== +digits.charAt(i)) return +digits.charAt(i) < digit;
  }}
  return rest > 0;
}}

function siel_choice(out, field, value, meanings, codes, known) {{
  var i, special;
  for (i = 0; i < meanings.length; i += 1) {{
    if (meanings[i][1] === value) return meanings[i][0];
  }}
  special = siel_special(out, field, value, codes, false);
  return special === null ? siel_refuse(out, field, {say(words.NOT_A_MEANING, known="known")}) : special;
}}

function siel_opaque(out, field, value, count) {{
  // Appends bytes that are written in hex.
  var hex = typeof value === "string" && /^[0-9a-fA-F]*$/.test(value) && value.length === 2 * count, i;
  if (value === null) siel_refuse(out, field, {literal(words.NEEDS_VALUE)});
  if (!hex) siel_refuse(out, field, {say(words.NOT_HEX, count="count")});
  for (i = 0; i < count; i += 1) siel_put(out, 8, hex ? parseInt(value.substr(2 * i, 2), 16) : 0);
}}

function siel_list(out, field, value, least, most) {{
  // A list of so many elements; where there is none, of the least number of nulls.
  var list = [], i;
  if (value !== null) {{
    if (Array.isArray(value) && value.length >= least && value.length <= most) return value;
    siel_refuse(out, field, {say(words.NOT_A_LIST, count='(least === most ? most : "0 to " + most)')});
  }}
  for (i = 0; i < least; i += 1) list.push(null);
  return list;
}}

function siel_given(data, names) {{
  // Those of the names that have a value, in the order of the data.
  return Object.keys(data).filter(function (name) {{
    return names.indexOf(name) >= 0 && siel_get(data, name) !== null;
  }});
}}

function siel_pick(out, data, rows, names) {{
  // The first code whose groups hold all names that are given.
  var every = [], given, best = -1, i, j;
  for (i = 0; i < rows.length; i += 1) every = every.concat(rows[i][1]);
  given = siel_given(data, every);
  for (i = 0; i < rows.length; i += 1) {{
    for (j = 0; j < given.length && rows[i][1].indexOf(given[j]) >= 0;) j += 1;
    if (j === given.length && (j > 0 || rows[i][1].length === 0)) return rows[i][0];
    if (best < 0 && j > 0) best = i;
  }}
  if (best >= 0) siel_arms(out, data, rows[best][0], rows, names);
  return rows[best < 0 ? 0 : best][0];
}}

function siel_arms(out, data, code, rows, names) {{
  // Refuses values of groups that do not follow this code.
  var given = siel_given(data, names), own = [], i;
  for (i = 0; i < rows.length; i += 1) {{
    if (rows[i][0] === code) own = rows[i][1];
  }}
  for (i = 0; i < given.length; i += 1) {{
    if (own.indexOf(given[i]) < 0) {{
      siel_refuse(out, given[i], {say(words.NO_SUCH_VALUE, known='own.join(", ")')});
    }}
  }}
}}
"""
