// Runs first in every context: what decoders expect to find around them, and the one function through which the worker
// loads and calls them. It keeps its own references to the built-ins that it needs, so that a codec which replaces
// them harms nobody but itself; every codec has a context of its own.
(function (global) {
  'use strict';

  var MAX_CHARS = 65536;
  var MAX_VALUES = 4096;
  var MAX_DEPTH = 16;
  var MAX_MESSAGES = 32;
  var MAX_MESSAGE_CHARS = 500;
  var MAX_SAFE = 9007199254740991n;
  var NAMES = ['decodeUplink', 'encodeDownlink', 'decodeDownlink', 'Decoder', 'Encoder', 'Decode', 'Encode'];

  var parse = JSON.parse, quoted = JSON.stringify, keysOf = Object.keys, isArray = Array.isArray;
  var apply = Reflect.apply, isView = ArrayBuffer.isView, globalEval = eval;
  var Instant = Date, isoOf = Date.prototype.toISOString, timeOf = Date.prototype.getTime;
  var exponential = Number.prototype.toExponential;
  var boxes = [Number, String, Boolean], unbox = boxes.map(function (box) { return box.prototype.valueOf; });
  var slice = String.prototype.slice, wellFormed = String.prototype.toWellFormed;
  var Internal = InternalError, Range = RangeError, Bytes = Uint8Array, RawBuffer = ArrayBuffer, View = DataView;

  // -- what is around a codec ---------------------------------------------------------------------------------------

  function nothing() {}

  function define(name, value) {
    Object.defineProperty(global, name, { value: value, writable: true, configurable: true, enumerable: false });
  }

  function latin1(bytes) {
    var text = '';
    for (var i = 0; i < bytes.length; i++) text += String.fromCharCode(bytes[i]);
    return text;
  }

  function fromLatin1(text) {
    var bytes = new Buffer(text.length);
    for (var i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes;
  }

  function fromHex(text) {
    var digits = /^(?:[0-9a-fA-F]{2})*/.exec(text)[0];
    var bytes = new Buffer(digits.length / 2);
    for (var i = 0; i < bytes.length; i++) bytes[i] = parseInt(digits.slice(2 * i, 2 * i + 2), 16);
    return bytes;
  }

  function fromBase64(text) {
    var plain = text.replace(/-/g, '+').replace(/_/g, '/').replace(/[^A-Za-z0-9+/]/g, '');
    return fromLatin1(atob(plain + '==='.slice((plain.length + 3) % 4)));
  }

  function hex(bytes) {
    var text = '';
    for (var i = 0; i < bytes.length; i++) text += (bytes[i] < 16 ? '0' : '') + bytes[i].toString(16);
    return text;
  }

  function utf8(bytes) {
    var text = '';
    for (var i = 0; i < bytes.length; ) {
      var first = bytes[i++];
      var more = first < 0x80 ? 0 : first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2
        : first >= 0xf0 && first < 0xf5 ? 3 : -1;
      var code = more === 0 ? first : more < 0 ? 0xfffd : first & (0x3f >> more);
      for (var n = 0; n < more; n++) {
        if (i >= bytes.length || (bytes[i] & 0xc0) !== 0x80) { code = 0xfffd; break; }
        code = (code << 6) | (bytes[i++] & 0x3f);
      }
      text += String.fromCodePoint(code > 0x10ffff ? 0xfffd : code);
    }
    return text.toWellFormed();
  }

  function fromUtf8(text) {
    return fromLatin1(unescape(encodeURIComponent(text.toWellFormed())));
  }

  class Buffer extends Uint8Array {
    constructor(value, encoding, length) {
      if (typeof value === 'number') super(value);
      else if (value instanceof RawBuffer) super(value, encoding, length);
      else super(Buffer.from(value, encoding));
    }
    static from(value, encoding, length) {
      if (typeof value === 'string') {
        switch (String(encoding || 'utf8').toLowerCase()) {
          case 'hex': return fromHex(value);
          case 'base64': case 'base64url': return fromBase64(value);
          case 'ascii': case 'latin1': case 'binary': return fromLatin1(value);
          default: return fromUtf8(value);
        }
      }
      if (value instanceof RawBuffer) return new Buffer(value, encoding, length);
      if (value && value.type === 'Buffer' && isArray(value.data)) value = value.data;
      if (typeof value !== 'object' || value === null || value.length === undefined) {
        throw new TypeError('Buffer.from takes a text, a list of bytes or an ArrayBuffer');
      }
      var bytes = new Buffer(value.length || 0);
      for (var i = 0; i < bytes.length; i++) bytes[i] = value[i] & 255;
      return bytes;
    }
    static alloc(length, fill) { return new Buffer(length).fill(fill || 0); }
    static allocUnsafe(length) { return new Buffer(length); }
    static isBuffer(value) { return value instanceof Buffer; }
    static byteLength(value, encoding) { return Buffer.from(value, encoding).length; }
    static concat(list) {
      var length = 0, at = 0;
      for (var i = 0; i < list.length; i++) length += list[i].length;
      var joined = new Buffer(length);
      for (i = 0; i < list.length; i++) { joined.set(list[i], at); at += list[i].length; }
      return joined;
    }
    toString(encoding, start, end) {
      var part = start === undefined && end === undefined ? this : this.subarray(start, end);
      switch (String(encoding || 'utf8').toLowerCase()) {
        case 'hex': return hex(part);
        case 'base64': return btoa(latin1(part));
        case 'base64url': return btoa(latin1(part)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');
        case 'ascii': case 'latin1': case 'binary': return latin1(part);
        default: return utf8(part);
      }
    }
    slice(start, end) { return this.subarray(start, end); }
    equals(other) { return hex(this) === hex(other); }
    toJSON() { return Array.from(this); }
    readUIntBE(offset, length) {
      var value = 0;
      for (var i = 0; i < length; i++) value = value * 256 + this.readUInt8(offset + i);
      return value;
    }
    readUIntLE(offset, length) {
      var value = 0;
      for (var i = length; i-- > 0; ) value = value * 256 + this.readUInt8(offset + i);
      return value;
    }
    readIntBE(offset, length) {
      var value = this.readUIntBE(offset, length), sign = Math.pow(2, 8 * length - 1);
      return value >= sign ? value - 2 * sign : value;
    }
    readIntLE(offset, length) {
      var value = this.readUIntLE(offset, length), sign = Math.pow(2, 8 * length - 1);
      return value >= sign ? value - 2 * sign : value;
    }
  }

  [
    ['Int8', 'Int8', 1], ['UInt8', 'Uint8', 1], ['Int16', 'Int16', 2], ['UInt16', 'Uint16', 2],
    ['Int32', 'Int32', 4], ['UInt32', 'Uint32', 4], ['Float', 'Float32', 4], ['Double', 'Float64', 8],
    ['BigInt64', 'BigInt64', 8], ['BigUInt64', 'BigUint64', 8],
  ].forEach(function (kind) {
    var get = DataView.prototype['get' + kind[1]], set = DataView.prototype['set' + kind[1]];
    (kind[2] === 1 ? [['', true]] : [['LE', true], ['BE', false]]).forEach(function (order) {
      function read(offset) {
        return get.call(new DataView(this.buffer, this.byteOffset, this.byteLength), offset || 0, order[1]);
      }
      function write(value, offset) {
        var view = new DataView(this.buffer, this.byteOffset, this.byteLength);
        set.call(view, offset || 0, value, order[1]);
        return (offset || 0) + kind[2];
      }
      [kind[0], kind[0].replace('UInt', 'Uint')].forEach(function (name) {
        Object.defineProperty(Buffer.prototype, 'read' + name + order[0], { value: read, configurable: true });
        Object.defineProperty(Buffer.prototype, 'write' + name + order[0], { value: write, configurable: true });
      });
    });
  });

  function require(name) {
    if (name === 'buffer' || name === 'node:buffer') return { Buffer: Buffer };
    throw new Error("Cannot find module '" + name + "'");
  }

  var quiet = {};
  ['log', 'info', 'warn', 'error', 'debug', 'trace', 'table', 'dir', 'group', 'groupEnd', 'assert', 'time', 'timeEnd']
    .forEach(function (name) { quiet[name] = nothing; });
  var shelf = { exports: {} }, given = shelf.exports;
  define('console', quiet);
  define('module', shelf);
  define('exports', given);
  define('Buffer', Buffer);

  // -- from what a codec returns to text ------------------------------------------------------------------------------

  var dropped, values, chars;

  function stop(reason, renew) { throw { stopped: reason, renew: renew === true }; }

  function count(length) {
    chars += length;
    values += 1;
    if (chars > MAX_CHARS || values > MAX_VALUES) stop('it returned too much');
  }

  function drop(path, why) {
    if (dropped.length < MAX_MESSAGES) dropped[dropped.length] = path + ': ' + why;
  }

  function quote(text) {
    count(text.length);
    return quoted(apply(wellFormed, text, []));
  }

  // undefined: there is no such value
  function write(value, path, depth) {
    switch (typeof value) {
      case 'string': return quote(value);
      case 'boolean': count(5); return value ? 'true' : 'false';
      case 'number':
        count(20);
        if (value - value !== 0) return void drop(path, value + ' is not a value');
        // a whole number that 64 bits do not hold must not look like one
        return value < 9007199254740992 && value > -9007199254740992 ? '' + value : apply(exponential, value, []);
      case 'bigint':
        count(20);
        return value <= MAX_SAFE && value >= -MAX_SAFE ? '' + value : quote('' + value);
      case 'undefined': return undefined;
      case 'object': break;
      default: return void drop(path, 'a ' + typeof value + ' is not a value');
    }
    if (value === null) { count(4); return 'null'; }
    if (depth > MAX_DEPTH) stop('it returned values nested too deeply, or a cycle');
    if (value instanceof Instant) {
      var time = apply(timeOf, value, []);
      return time - time === 0 ? quote(apply(isoOf, value, [])) : void drop(path, 'an invalid date is not a value');
    }
    if (value instanceof RawBuffer) value = new Bytes(value);
    if (value instanceof View) value = new Bytes(value.buffer, value.byteOffset, value.byteLength);
    if (isArray(value) || isView(value)) return writeList(value, path, depth);
    if (typeof value.toJSON === 'function') return write(value.toJSON(), path, depth + 1);
    for (var i = 0; i < boxes.length; i++) {
      if (value instanceof boxes[i]) return write(apply(unbox[i], value, []), path, depth + 1);
    }
    return writeObject(value, path, depth);
  }

  function writeList(list, path, depth) {
    var text = '', length = list.length >>> 0;
    if (length > MAX_VALUES) stop('it returned too much');
    for (var i = 0; i < length; i++) {
      var part = write(list[i], path + '[' + i + ']', depth + 1);
      text += (i ? ',' : '') + (part === undefined ? 'null' : part);
    }
    return '[' + text + ']';
  }

  function writeObject(object, path, depth) {
    var text = '', keys = keysOf(object);
    if (keys.length > MAX_VALUES) stop('it returned too much');
    for (var i = 0; i < keys.length; i++) {
      var part = write(object[keys[i]], path ? path + '.' + keys[i] : keys[i], depth + 1);
      if (part !== undefined) text += (text ? ',' : '') + quote(keys[i]) + ':' + part;
    }
    return '{' + text + '}';
  }

  function shown(value) {
    if (typeof value === 'string') return value;
    if (value === null || typeof value !== 'object') return typeof value === 'symbol' ? 'a symbol' : '' + value;
    if (typeof value.message === 'string') {
      return (typeof value.name === 'string' && value.name ? value.name + ': ' : '') + value.message;
    }
    return quoted(value) || 'an object';
  }

  function writeMessages(given) {
    if (given === undefined || given === null || given === false || given === '') return '';
    if (!isArray(given)) given = [given];
    var text = '';
    for (var i = 0; i < given.length && i < MAX_MESSAGES; i++) {
      text += (i ? ',' : '') + quote(apply(slice, shown(given[i]), [0, MAX_MESSAGE_CHARS]));
    }
    return text;
  }

  function kind(value) {
    return value === null ? 'null' : isArray(value) || isView(value) ? 'a list' : typeof value === 'undefined' ? 'nothing'
      : (typeof value === 'object' ? 'an ' : 'a ') + typeof value;
  }

  function isObject(value) {
    return typeof value === 'object' && value !== null && !isArray(value) && !isView(value);
  }

  function writeResult(result, member) {
    if (!isObject(result)) stop('it returned ' + kind(result) + ', not an object');
    if (typeof result.then === 'function') stop('it returned a Promise; it must return its result at once', true);
    var errors = writeMessages(result.errors), warnings = writeMessages(result.warnings), body = 'null';
    if (!errors) {
      var value = result[member];
      if (member === 'data' ? !isObject(value) : !isArray(value) && !isView(value)) {
        stop('its "' + member + '" is ' + kind(value) + (member === 'data' ? ', not an object' : ', not a list'));
      }
      body = write(value, member === 'data' ? '' : member, 0);
    }
    for (var i = 0; i < dropped.length; i++) {
      warnings += (warnings ? ',' : '') + quoted(apply(wellFormed, apply(slice, dropped[i], [0, MAX_MESSAGE_CHARS]), []));
    }
    var port = member === 'bytes' ? result.fPort : undefined;
    if (port === undefined || port === null) port = 'null';
    else if (typeof port !== 'number' || port - port !== 0) {
      stop('its "fPort" is ' + (typeof port === 'number' ? port : kind(port)) + ', not a number');
    }
    return '{"value":' + (body === undefined ? 'null' : body) + ',"fPort":' + port + ',"warnings":[' + warnings +
      '],"errors":[' + errors + ']}';
  }

  function fault(thrown) {
    var text = 'an exception that cannot be shown', stack = '', engine = true;
    try {
      if (isObject(thrown) && typeof thrown.stopped === 'string') {
        return { text: '' + thrown.stopped, stack: '', engine: thrown.renew };
      }
      // 'unknown': a value that the engine should never show; it does when memory is full inside some built-ins
      if (thrown === null || typeof thrown === 'unknown') {
        return { text: 'it threw null, as the engine does when memory is full', stack: '', engine: true };
      }
      engine = thrown instanceof Internal || (thrown instanceof Range && /call stack/.test(thrown.message));
      text = apply(slice, shown(thrown), [0, MAX_MESSAGE_CHARS]);
      stack = isObject(thrown) && typeof thrown.stack === 'string' ? apply(slice, thrown.stack, [0, 1000]) : '';
    } catch (again) { /* what it threw throws itself when it is looked at */ }
    return { text: text, stack: stack, engine: engine };
  }

  // -- what the worker calls ------------------------------------------------------------------------------------------

  var found = {}, settled = '';

  function collect(namespace) {
    var names = '';
    var standard = namespace ? namespace.default : given.default || (isObject(shelf.exports) && shelf.exports.default);
    var shelves = [namespace, standard, shelf.exports, given];
    for (var i = 0; i < NAMES.length; i++) {
      var name = NAMES[i];
      var code = globalEval("typeof " + name + " === 'function' ? " + name + " : undefined");
      for (var n = 0; code === undefined && n < shelves.length; n++) {
        var place = shelves[n];
        var isPlace = place && (typeof place === 'object' || typeof place === 'function');
        if (isPlace && typeof place[name] === 'function') code = place[name];
      }
      if (code === undefined && i === 0 && typeof standard === 'function') code = standard;
      if (code !== undefined) { found[name] = code; names += (names ? ' ' : '') + name; }
    }
    return names;
  }

  function call(name, input) {
    var bytes = input.bytes, port = input.fPort;
    if ('recvTime' in input) input.recvTime = new Instant(input.recvTime);
    switch (name) {
      case 'Decoder': return { data: apply(found[name], undefined, [bytes, port]) };
      case 'Decode': return { data: apply(found[name], undefined, [port, bytes, {}]) };
      case 'Encoder': return { bytes: apply(found[name], undefined, [input.data, port]) };
      case 'Encode': return { bytes: apply(found[name], undefined, [port, input.data, {}]) };
      default: input.variables = {}; return apply(found[name], undefined, [input]);
    }
  }

  return function drive(what, a, b) {
    if (what === 'require') return define('require', require);
    if (what === 'collect') return collect(a);
    if (what === 'watch') {
      settled = 'pending';
      return void apply(Promise.prototype.then, a, [
        function () { settled = ''; },
        function (thrown) { settled = 'threw ' + fault(thrown).text; },
      ]);
    }
    if (what === 'settled') return settled;
    dropped = []; values = 0; chars = 0;
    try {
      var isEncoder = a === 'encodeDownlink' || a === 'Encoder' || a === 'Encode';
      // wellFormed: a long text that was put together in pieces is still in pieces, and those do not cross over
      return apply(wellFormed, writeResult(call(a, parse(b)), isEncoder ? 'bytes' : 'data'), []);
    } catch (thrown) {
      var told = fault(thrown);
      return apply(wellFormed, '{"fault":' + quoted(apply(wellFormed, told.text, [])) + ',"stack":' +
        quoted(apply(wellFormed, told.stack, [])) + ',"engine":' + (told.engine ? 'true' : 'false') + '}', []);
    }
  };
})(globalThis)
