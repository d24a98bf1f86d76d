// seed.ts: chance that can be repeated. Every draw is a function of the seed and of what is being decided, never of the
// order in which it is asked for, so any interleaving of a fleet draws the same.

import { createHash } from 'node:crypto';

/** What a draw is about: a role, an id, the text of a conversation. */
export type About = string | number;

/** A stable hex digest of the parts. Lengths are hashed too, so `('ab','c')` and `('a','bc')` differ. */
export function digest(...about: readonly About[]): string {
  const hash = createHash('sha256');
  for (const part of about) {
    const text = String(part);
    hash.update(`${text.length}:`).update(text);
  }
  return hash.digest('hex');
}

/** A number in [0, 1), the same for the same parts. */
export function draw(...about: readonly About[]): number {
  return Number.parseInt(digest(...about).slice(0, 12), 16) / 2 ** 48;
}

/** An integer from `low` to `high`, both included. */
export function drawInteger(low: number, high: number, ...about: readonly About[]): number {
  return low + Math.floor(draw(...about) * (high - low + 1));
}

/** `count` of the items (all of them when there are fewer), in the order they came in. */
export function drawSome<T extends string>(items: readonly T[], count: number, ...about: readonly About[]): T[] {
  const ranked = items.map((item) => ({ item, rank: draw(...about, item) })).sort((a, b) => a.rank - b.rank);
  const chosen = new Set(ranked.slice(0, count).map(({ item }) => item));
  return items.filter((item) => chosen.has(item));
}
