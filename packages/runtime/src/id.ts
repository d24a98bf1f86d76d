// id.ts: ids minted here: lower case, short enough for a path of twenty, never reused.

import { randomFillSync } from 'node:crypto';

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
const length = 16;
/** Drawn for many ids at once: asking the system for each costs more than the rest of it. */
const pool = Buffer.alloc(length * 256);
let used = pool.length;

/** `prefix` and 80 random bits in base 32: collisions are not a thing that happens to people. */
export function mintId(prefix: string): string {
  if (used === pool.length) {
    randomFillSync(pool);
    for (let i = 0; i < pool.length; i++) pool[i] = alphabet.charCodeAt(pool[i]! & 31);
    used = 0;
  }
  used += length;
  // One flat string: a text put together letter by letter is kept as its pieces.
  return Buffer.concat([Buffer.from(prefix, 'latin1'), pool.subarray(used - length, used)]).toString('latin1');
}
