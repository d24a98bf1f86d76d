// canonical.ts: one text for one value, so that a digest taken here is the digest that anybody else takes.

import { createHash } from 'node:crypto';

/**
 * JSON with sorted members and no blanks: for plain data what RFC 8785 says (sorting by UTF-16 code units; numbers and texts as
 * `JSON.stringify` writes them). Members without a value are left out.
 */
export function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const members = Object.entries(value)
    .filter(([, one]) => one !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, one]) => `${JSON.stringify(name)}:${canonical(one)}`).join(',')}}`;
}

/** Hex. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
