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
 * 53 bits of a text, in base 36. Not cryptographic: it tells one turn's own calls apart, a few dozen of them, where a
 * collision is less likely than the disk returning wrong bytes. Chosen over SHA because it is on the path of every call.
 */
export function digest(text: string): string {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return (4294967296 * (2097151 & b) + (a >>> 0)).toString(36);
}
