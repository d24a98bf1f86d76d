// digest.ts: what a call is recognised by when its turn runs again: its name, its arguments, its occurrence (S7).
//
// It is on the path of every call, so it walks the value instead of writing its JSON down, and takes text as words of UTF-8: a third
// of the price of either JSON or of going through the text character by character.

import { RuntimeError } from './error.ts';

/**
 * 60 bits of a text, in base 32. Not cryptographic: it tells one turn's own calls apart, a few dozen of them, where a
 * collision is less likely than the disk returning wrong bytes.
 */
export function digest(text: string): string {
  begin();
  feedText(text);
  return end();
}

/** The digest of a value as its JSON says it: the same before and after a checkpoint. `undefined` is its own value. Throws `not_serialisable`. */
export function digestOf(what: string, name: string, value: unknown): string {
  begin();
  if (feedValue(value, 0)) return end();
  try {
    const text = JSON.stringify(value) as string | undefined;
    begin();
    feedValue(text === undefined ? undefined : JSON.parse(text), Number.NEGATIVE_INFINITY);
    return end();
  } catch (error) {
    throw new RuntimeError(
      'not_serialisable',
      `${what} ${name} cannot be written as JSON (${error instanceof Error ? error.message : String(error)}); pass plain data`,
      { cause: error },
    );
  }
}

/** Deeper than this, a value goes through JSON first, which finds the cycles. */
const maxDepth = 16;

// What each kind of value begins with, so that `1`, `'1'` and `[1]` differ. Above any word that a member's place could be.
const tag = { none: 0x51, null: 0x52, true: 0x53, false: 0x54, number: 0x55, text: 0x56, list: 0x57, object: 0x58, end: 0x59 };

/** Takes a value in; false where only its JSON can say what it is: dates, classes, `toJSON`, functions, cycles. */
function feedValue(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
      feed(tag.text);
      feedText(value);
      return true;
    case 'number':
      // As in JSON: -0 is 0, and what is not finite is null.
      if (!Number.isFinite(value)) feed(tag.null);
      else {
        feed(tag.number);
        if ((value | 0) === value) feed(value | 0);
        else feedText(String(value));
      }
      return true;
    case 'boolean':
      feed(value ? tag.true : tag.false);
      return true;
    case 'undefined':
      feed(tag.none);
      return true;
    case 'object':
      if (value === null) {
        feed(tag.null);
        return true;
      }
      return depth < maxDepth && (Array.isArray(value) ? feedList(value, depth + 1) : feedObject(value, depth + 1));
    case 'bigint':
    case 'symbol':
    case 'function':
      return false;
  }
}

function feedList(list: readonly unknown[], depth: number): boolean {
  if ((list as { toJSON?: unknown }).toJSON !== undefined) return false;
  feed(tag.list);
  for (let i = 0; i < list.length; i++) {
    const one = list[i];
    if (one === undefined) feed(tag.null);
    else if (!feedValue(one, depth)) return false;
  }
  feed(tag.end);
  return true;
}

function feedObject(value: object, depth: number): boolean {
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  const object = value as Readonly<Record<string, unknown>>;
  if (object.toJSON !== undefined) return false;
  feed(tag.object);
  for (const key of Object.keys(object)) {
    const one = object[key];
    // As in JSON: a member without a value is none.
    if (one === undefined) continue;
    feedText(key);
    if (!feedValue(one, depth)) return false;
  }
  feed(tag.end);
  return true;
}

// The two halves of the digest that is being made. Never across an `await`.
let a = 0;
let b = 0;

function begin(): void {
  a = 0xdeadbeef | 0;
  b = 0x41c6ce57;
}

// A product carries only upwards: one half takes the word turned round, so that what is high in one is low in the other.
function feed(word: number): void {
  a = Math.imul(a ^ word, 2654435761);
  b = Math.imul(b ^ ((word << 16) | (word >>> 16)), 1597334677);
}

const encoder = new TextEncoder();
const bytes = new Uint8Array(4096);
const words = new Int32Array(bytes.buffer);

/** Its length first, so that what follows cannot be taken for a part of it. */
function feedText(text: string): void {
  feed(text.length);
  if (text.length < 8) {
    for (let i = 0; i < text.length; i++) feed(text.charCodeAt(i));
    return;
  }
  for (let from = 0; from < text.length; ) {
    const { read, written } = encoder.encodeInto(from === 0 ? text : text.slice(from), bytes);
    from += read;
    const count = (written + 3) >> 2;
    for (let i = written; i < count * 4; i++) bytes[i] = 0;
    let c = a;
    let d = b;
    for (let i = 0; i < count; i++) {
      const word = words[i]!;
      c = Math.imul(c ^ word, 2654435761);
      d = Math.imul(d ^ ((word << 16) | (word >>> 16)), 1597334677);
    }
    a = c;
    b = d;
  }
}

/** Ten bits as two letters: a number's own `toString(36)` costs more than the rest of the digest. */
const letters: readonly string[] = Array.from({ length: 1024 }, (_, bits) => bits.toString(32).padStart(2, '0'));

function end(): string {
  const c = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  const d = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(c ^ (c >>> 13), 3266489909);
  return (
    letters[c & 1023]! +
    letters[(c >>> 10) & 1023]! +
    letters[(c >>> 20) & 1023]! +
    letters[d & 1023]! +
    letters[(d >>> 10) & 1023]! +
    letters[(d >>> 20) & 1023]!
  );
}
