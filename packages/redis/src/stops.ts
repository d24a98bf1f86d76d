// stops.ts: the stops that this process knows and those that it knows to be in Redis: a join, and what is missing there.

import { join, unmarked } from '@offswitch/core';
import { parseStopKey, type StopDetails, type StoredStop } from '@offswitch/runtime';
import type { Reply } from './connection/link.ts';

export type Side = 'engaged' | 'released';

export const sideLetter = { engaged: 'e', released: 'r' } as const;

/** One mark as it stands in Redis or in an event. */
export interface Mark {
  readonly key: string;
  readonly side: Side;
  readonly n: number;
  readonly details?: StopDetails;
}

export class KnownStops {
  private readonly known = new Map<string, StoredStop>();
  /** Marks that were seen in Redis, or written there. */
  private readonly written = new Map<string, StoredStop['marks']>();

  all(): StoredStop[] {
    return [...this.known.values()];
  }

  get(key: string): StoredStop | undefined {
    return this.known.get(key);
  }

  /** Joins marks in; returns the stops that they changed. */
  learn(marks: Iterable<Mark>, isWritten: boolean): StoredStop[] {
    const changed = new Set<string>();
    for (const mark of marks) {
      const { key, side, n } = mark;
      if (isWritten) this.written.set(key, join(this.written.get(key) ?? unmarked, { ...unmarked, [side]: n }));
      const before = this.known.get(key) ?? { key, marks: unmarked };
      if (n <= before.marks[side]) continue;
      const { [side]: _, ...rest } = before;
      this.known.set(key, {
        ...rest,
        marks: join(before.marks, { ...unmarked, [side]: n }),
        ...(mark.details === undefined ? {} : { [side]: mark.details }),
      });
      changed.add(key);
    }
    return [...changed].map((key) => this.known.get(key)!);
  }

  /** What is known now, to be compared with what Redis says a little later. */
  snapshot(): { readonly known: ReadonlyMap<string, StoredStop>; readonly written: ReadonlyMap<string, StoredStop['marks']> } {
    return { known: new Map(this.known), written: new Map(this.written) };
  }
}

/** Marks that were known before and that Redis does not hold; `isLost`: it did hold that one. */
export function missingIn(
  before: ReturnType<KnownStops['snapshot']>,
  found: readonly Mark[],
): readonly (Mark & { readonly isLost: boolean })[] {
  const have = new Map<string, number>();
  for (const { key, side, n } of found) have.set(`${key} ${side}`, n);
  const missing: (Mark & { readonly isLost: boolean })[] = [];
  for (const stop of before.known.values())
    for (const side of ['engaged', 'released'] as const) {
      const n = stop.marks[side];
      if (n <= (have.get(`${stop.key} ${side}`) ?? -1)) continue;
      const details = stop[side];
      missing.push({
        key: stop.key,
        side,
        n,
        ...(details === undefined ? {} : { details }),
        isLost: (before.written.get(stop.key)?.[side] ?? -1) >= n,
      });
    }
  return missing;
}

/** The hash of stops as it was read. */
export interface MarksRead {
  readonly marks: readonly Mark[];
  /** Stops whose value is spoiled: they still stop, whatever was released before, and are to be written anew. Else nobody could release them. */
  readonly assumed: readonly Mark[];
  /** Fields that cannot be read. */
  readonly spoiled: readonly string[];
}

/** `<key> <side>` to `<n> <event> <details>`. What is no stop's key stops nobody. */
export function marksOf(reply: Reply): MarksRead {
  const marks: Mark[] = [];
  const assumed: Mark[] = [];
  const spoiled: string[] = [];
  const released = new Map<string, number>();
  const flat = Array.isArray(reply) ? (reply as readonly Reply[]) : [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const [key, letter] = fieldOf(String(flat[i]));
    const value = /^(\d+) \d+-\d+ (.*)$/s.exec(String(flat[i + 1]));
    const mark = value ? markOf(key, letter, value[1]!, value[2]!) : undefined;
    if (mark?.side === 'released') released.set(mark.key, mark.n);
    if (mark) marks.push(mark);
    else spoiled.push(String(flat[i]));
  }
  for (const field of spoiled) {
    const [key, letter] = fieldOf(field);
    if (letter !== 'e') continue;
    const mark = markOf(key, letter, String((released.get(key) ?? -1) + 1), '');
    if (mark) assumed.push(mark);
  }
  return { marks, assumed, spoiled };
}

/** Wholly, or what is written anew would not be written there. */
function fieldOf(field: string): readonly [key: string, letter: string] {
  const at = field.lastIndexOf(' ');
  return [field.slice(0, at), field.slice(at + 1)];
}

export function markOf(key: string, letter: string | undefined, n: string, details: string): Mark | undefined {
  const side = letter === 'e' ? 'engaged' : letter === 'r' ? 'released' : undefined;
  if (!side || !parseStopKey(key) || !Number.isSafeInteger(Number(n))) return undefined;
  const words = detailsOf(details);
  return { key, side, n: Number(n), ...(words === undefined ? {} : { details: words }) };
}

/** Words nobody can read still stop. */
function detailsOf(text: string): StopDetails | undefined {
  try {
    const value = JSON.parse(text) as Partial<Record<keyof StopDetails, unknown>> | null;
    if (typeof value?.reason !== 'string' || typeof value.at !== 'number') return undefined;
    const { reason, at, by, subject, series, allowance } = value;
    return {
      reason,
      at,
      ...(typeof by === 'string' ? { by } : {}),
      ...(typeof subject === 'string' ? { subject } : {}),
      ...(typeof series === 'string' ? { series } : {}),
      ...(typeof allowance === 'number' ? { allowance } : {}),
    };
  } catch {
    return undefined;
  }
}

export function stopsOf(marks: readonly Mark[]): StoredStop[] {
  const one = new KnownStops();
  one.learn(marks, true);
  return one.all();
}
