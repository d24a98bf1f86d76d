// id.ts: ids minted here: lower case, short enough for a path of twenty, never reused.

import { randomBytes } from 'node:crypto';

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** `prefix` and 80 random bits in base 32: collisions are not a thing that happens to people. */
export function mintId(prefix: string): string {
  let text = '';
  for (const byte of randomBytes(16)) text += alphabet[byte & 31];
  return `${prefix}${text}`;
}
