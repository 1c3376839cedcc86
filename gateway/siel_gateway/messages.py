"""Every text the gateway shows to people: what happened and what helps. Data is filled in by name."""

from __future__ import annotations

from typing import Final

ENGLISH: Final[dict[str, str]] = {
    # -- reading a file
    "file.missing": "cannot read the file ({reason}). Write one, or name another with --config",
    "file.none": "there is no file {path}; write it, or take this key out",
    "file.too_long": "the file has more than {limit} bytes; nothing that Siel reads is that long",
    "file.not_utf8": "the file is not UTF-8 text; save it as UTF-8",
    "file.syntax": "this is not TOML: {reason}",
    # -- shape
    "key.missing": "is missing; write it",
    "key.missing_like": "is missing; write it, like {example}",
    "key.unknown": "is not a key of this table. Known: {known}",
    "key.unknown_near": 'is not a key of this table; do you mean "{near}"?',
    "version.kind": 'kind "{value}" is not in this version; take the table out',
    "version.use": "use {known}",
    "version.table": "this table is not in this version; take it out",
    "version.key": "is not in this version; take it out",
    "version.value": '"{value}" is not in this version; use {known}',
    "kind.unknown": "is none of {known}",
    "kind.missing": "is missing; write one of {known}",
    "table.expected": "must be a table: write [{name}]",
    "table.array_expected": "must be an array of tables: write [[{name}]]",
    "radio.none": "there is no radio; write at least one [[radio]]",
    # -- values
    "value.type": "must be {expected}",
    "value.choice": "must be {expected}",
    "value.range": "must be {relation} {limit}",
    "value.items": "the number of entries must be {relation} {limit}",
    "value.text_length": "the number of characters must be {relation} {limit}",
    "type.int": "a whole number",
    "type.float": "a number",
    "type.string": "a text in quotes",
    "type.bool": "true or false",
    "type.array": "an array",
    "type.table": "a table",
    "value.other": "is not valid: {reason}",
    "value.eui": 'must be an EUI-64: 16 hex digits, like "0016c001f1500812"',
    "value.host_port": 'must be host and port, like "127.0.0.1:1700"',
    "value.name": "must have 1 to {limit} letters, digits, dots, dashes or underscores, and no sign in front",
    "value.codec_name": "must be vendor/device: lower-case letters, digits, dashes and underscores, and one slash",
    "value.title": "must have 1 to {limit} printable characters",
    "value.path": "must be a path, as text",
    "value.net_id": 'must be a NetID: 6 hex digits, like "000001"',
    "value.url": "must be a URL with one of {schemes}, a host, and nothing behind the port",
    "value.url_port": "must name a port, like udp://host:1700",
    "value.url_password": 'a password must not stand in a URL; write password = {{ file = "..." }}',
    "value.secret_inline": 'a secret must not stand in this file; write {{ file = "..." }}, {{ env = "..." }} or '
    '{{ credential = "..." }}',
    "value.one_of": "must have exactly one of {names}",
    "value.frequency": "{frequency_hz} Hz with {bandwidth_hz} Hz bandwidth is not inside a band of {region}",
    "value.data_rate": "{region} has no data rate with SF{spreading_factor} at {bandwidth_hz} Hz",
    "value.head_spreading_factor": "a chip of a head hears one spreading factor; write one number from 7 to 12",
    "value.repeated": "the same value stands here twice",
    "example.id": 'id = "0016c001f1500812" (an EUI-64 that no other gateway has)',
    "example.port": 'port = "/dev/serial/by-id/..."',
    "example.udp_url": 'url = "udp://127.0.0.1:1700"',
    "example.mqtt_url": 'url = "mqtt://127.0.0.1:1883"',
    "example.dev_eui": 'dev_eui = "70b3d57ed0001a2b"',
    "example.codec": 'codec = "siel/water_level"; "siel codec list" shows all',
    "example.codec_name": 'name = "vendor/device", which devices then have as codec',
    "example.codec_file": 'file = "codecs/device.js"',
    "example.frequency_hz": "frequency_hz = 868100000",
    # -- across tables
    "cross.duplicate": "is used already at {where}; give each its own",
    "cross.codec": 'there is no codec "{codec}". {hint}',
    "cross.codec_near": 'Do you mean "{near}"?',
    "cross.codec_list": '"siel codec list" shows them',
    "cross.tls_pair": "cert and key belong together; write both or none",
    "cross.tls_unused": "{what} does not use this; take it out",
    "cross.key_source": "write key_file or credential, not both",
    "cross.user": "a password needs a user name: write mqtts://name@host",
    # -- keys
    "store.missing": 'cannot read the key store {path} ({reason}). "siel keys new" makes one',
    "store.not_one": "{path} is not a key store of Siel, or its beginning is damaged; restore it from a backup",
    "store.version": "{path} is a key store of version {version}, which this Siel does not know; update Siel",
    "store.wrong_key": "{key_source} is not the key of {path}; use the key file it was made with",
    "store.damaged": "{path} was changed or damaged since it was written; restore it from a backup",
    "store.too_long": "{path} has more than {limit} bytes; this is not a file that Siel wrote",
    "store.not_written": "cannot write {path} ({reason}); look at the folder's owner and free space",
    "store.app_key_bytes": "an AppKey has 16 bytes, not {length}",
    "key_file.missing": 'cannot read the key file {path} ({reason}). "siel keys new" makes one for a new store',
    "key_file.unnamed": "[keys] names neither key_file nor credential; write one",
    "key_file.open_to_all": "everyone on this machine may read the key file {path}; run: chmod o= {path}",
    "key_file.not_one": "{path} does not hold a key: 64 hex digits on one line",
    "key_file.not_written": "cannot make the key file {path} ({reason})",
    "credential.none": 'there is no credential "{name}": there is no CREDENTIALS_DIRECTORY. Use LoadCredential=',
    "credential.missing": "cannot read the credential {path} ({reason}); look at LoadCredential= in the unit",
    # -- other secrets
    "secret.no_env": "the environment variable {name} is not set",
    "secret.unreadable": "cannot read the secret in {path} ({reason})",
    "secret.not_text": "the secret in {path} is not UTF-8 text",
    "secret.length": "the secret in {path} must have 1 to {limit} bytes",
    "tls.missing": "there is no file {path}",
    "tls.unusable": "{path} is not a usable PEM certificate or unencrypted key ({reason})",
    "seal.broken": "a sealed record does not open with this key file",
    "counters.lost": "cannot use {path} ({reason}), so nothing is transmitted. Look at its owner and the free space; "
    "if it is damaged, move it away and restart: the counters go on behind what the journal knows",
    # -- this machine
    "machine.data_dir": "cannot write to {path}: {there} is no folder that this user may write to",
    "machine.no_port": "there is no serial port {path} ({reason}); plug the head in, or look in /dev/serial/by-id",
    "machine.not_a_port": "{path} is not a serial port; look in /dev/serial/by-id",
    "machine.port_forbidden": 'this user may not use {path}; on Debian, add it to the group "dialout"',
    "machine.codec": "the codec {name} cannot be used: {file}: {reason}",
    "machine.codec_folder": "schemas are looked for in this folder, and it cannot be read ({reason}); make it a "
    "folder that this user may read, or remove it",
    "machine.codec_name": "no device finds this file: call it codecs.d/vendor/device.toml, in lower-case letters, "
    "digits, dashes and underscores",
    "machine.no_key": "the key store has no key for this device; make one: siel keys new --dev-eui {dev_eui}",
    # -- siel gateway
    "check.good": "{file}: no fault found",
    "check.harmless": "faults: {count}; the gateway starts, and has no such codecs",
    "check.faults": "faults: {count}; the gateway does not start like this",
    "check.gateway": "gateway {id} ({name}), {region}",
    "check.head": "radio {name}: head at {port}, hears {channels}",
    "check.concentrator": "radio {name}: packet forwarder at {host}:{port}, hears {channels}",
    "check.upstream": "upstream {name}: raw frames to {host}:{port}; {downlinks}",
    "check.downlinks_allowed": "its downlinks are sent",
    "check.downlinks_forbidden": "its downlinks are refused, as uplink_only says",
    "check.downlinks_unsafe": "its downlinks are refused, because anybody on the way could forge them",
    "check.heads_kept": "upstream {name}: without the frames of heads, because forward_heads is false",
    "check.sink": "sink {name}: Observations to {target}",
    "check.console": "standard output",
    "check.broker": "the broker at {host}:{port}",
    "check.joins": "hears {heard} of {all} join pairs (three channels, SF7 to SF12)",
    "check.joins_few": (
        "a node of others joins on any of them: with heads only, give nodes of your own the data rate that is heard"
    ),
    "check.devices": "devices at home here: {count}",
    "run.journal_in_use": "{path} is in use: another gateway runs with this configuration",
    "run.journal_newer": "{path} was written by a later version of Siel; update Siel, or name another data_dir",
    "run.failed": "cannot start: {reason}. Look at {data_dir}: its owner, and free space on its disk",
    # -- what helps, beside a line of the log
    "help.bind": "another program has the port, or this machine has no such address; tried again",
    "help.forwarder": "is this your concentrator? Then write its EUI as gateway_id, or give its forwarder the other",
    "help.port": "is the head plugged in, and does nobody else use the port? Tried again",
    "help.server": "is its name right, and is the network there? Tried again",
    "help.codec": "its devices keep the codec they have; correct the file and send SIGHUP again",
    "help.restart": "siel.toml differs in more than codecs; that is taken over at the next start",
    "help.broker": "is it running, and are url and password right? Tried again",
    # -- siel keys
    "keys.made": "key for {dev_eui} is in {store}; the node needs the same key",
    "keys.app_key": "AppKey {app_key}",
    "keys.app_key_hidden": "--show prints it, for putting it into the node",
    "keys.key_file_made": "made the key file {path}: without it the store cannot be read; keep a copy elsewhere",
    "keys.exists": "{dev_eui} has a key; --replace makes a new one, and its node must get that too",
    "keys.lost_key_file": "there is a store {store} but no key file {path}; bring the key file back",
    "keys.none": "no keys in {store}",
    "keys.where": "name --config FILE, or --store FILE and --key-file FILE",
}


def say(message: str, /, **values: object) -> str:
    """Return the text of ``message`` with ``values`` filled in.

    Raises:
        KeyError: There is no such message, or a value is missing.
    """
    return ENGLISH[message].format(**values)
