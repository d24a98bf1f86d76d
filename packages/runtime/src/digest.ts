// digest.ts: what a call is recognised by when its turn runs again: its name, its arguments, its occurrence (S7).

import { RuntimeError } from './error.ts';

/** Arguments as JSON; `undefined` (no arguments) is its own value. Throws `not_serialisable`. */
export function toJson(what: string, value: unknown): string {
  try {
    return JSON.stringify(value) ?? 'undefined';
  } catch (error) {
    throw new RuntimeError(
      'not_serialisable',
      `${what} cannot be written as JSON (${error instanceof Error ? error.message : String(error)}); pass plain data`,
      {
        cause: error,
      },
    );
  }
}

/**
 * 60 bits of a text, in base 32. Not cryptographic: it tells one turn's own calls apart, a few dozen of them, where a
 * collision is less likely than the disk returning wrong bytes. Chosen over SHA because it is on the path of every call.
 */
export function digest(text: string): string {
  begin();
  feed(text);
  return end();
}

/** The digest of a value's JSON. Throws `not_serialisable`. */
export function digestOf(what: string, name: string, value: unknown): string {
  return flatDigest(value) ?? digest(toJson(`${what} ${name}`, value));
}

/**
 * The same for a flat plain object, as most arguments are, without writing its JSON down: a third of the price. `undefined`
 * where its JSON is not to be had character by character; then the JSON itself is taken, and comes to the same digest.
 */
function flatDigest(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return undefined;
  const flat = value as Readonly<Record<string, unknown>>;
  if (flat.toJSON !== undefined) return undefined;
  begin();
  let before = '{';
  for (const key of Object.keys(flat)) {
    const one = flat[key];
    // As in JSON: a member without a value is none.
    if (one === undefined) continue;
    feed(before);
    before = ',';
    if (!feedQuoted(key)) return undefined;
    feed(':');
    if (typeof one === 'string') {
      if (!feedQuoted(one)) return undefined;
    } else if (typeof one === 'number') feed(Number.isFinite(one) ? String(one) : 'null');
    else if (typeof one === 'boolean' || one === null) feed(String(one));
    else return undefined;
  }
  feed(before === '{' ? '{}' : '}');
  return end();
}

// The two halves of the digest that is being made. Never across an `await`.
let a = 0;
let b = 0;

function begin(): void {
  a = 0xdeadbeef | 0;
  b = 0x41c6ce57;
}

function feed(text: string): void {
  let c = a;
  let d = b;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    c = Math.imul(c ^ code, 2654435761);
    d = Math.imul(d ^ code, 1597334677);
  }
  a = c;
  b = d;
}

/** A text in quotes; false when JSON would escape something in it. */
function feedQuoted(text: string): boolean {
  let c = Math.imul(a ^ quote, 2654435761);
  let d = Math.imul(b ^ quote, 1597334677);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === quote || code === backslash || (code >= 0xd800 && code <= 0xdfff)) return false;
    c = Math.imul(c ^ code, 2654435761);
    d = Math.imul(d ^ code, 1597334677);
  }
  a = Math.imul(c ^ quote, 2654435761);
  b = Math.imul(d ^ quote, 1597334677);
  return true;
}
const quote = 0x22;
const backslash = 0x5c;

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
