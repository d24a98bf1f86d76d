// flag-data.ts: one answer of Unleash's client API, checked for shape before anything is done with it, and where in Unleash's
// history it was taken.

import type { Strategy } from './shape.ts';

/** A flag as the client API gives it; only the name is certain, the rest is looked at where it is read. */
export interface Flag {
  readonly name: string;
  readonly type?: string;
  readonly project?: string;
  readonly stale?: boolean;
  readonly impressionData?: boolean;
  readonly enabled?: unknown;
  readonly strategies?: readonly Strategy[];
  readonly variants?: readonly unknown[];
  readonly dependencies?: readonly unknown[];
}

export interface Segment {
  readonly id: number;
  readonly constraints?: readonly unknown[];
}

export interface FlagData {
  readonly flags: ReadonlyMap<string, Flag>;
  readonly segments: ReadonlyMap<number, Segment>;
  /** Id of the last event that this answer knows of; absent where the ETag has another shape than Unleash's. */
  readonly revision: number | undefined;
}

/**
 * The revision in an ETag of `/api/client/features`: `"<hash of the query>:<revision>:v1"`, in older servers without the end
 * (unleash-server 7.5.1, client-feature-toggle.controller). A proxy that compresses makes it weak, `W/`. Anything else,
 * as Edge and other caches send, has no revision.
 */
export function revisionOf(etag: unknown): number | undefined {
  if (typeof etag !== 'string') return undefined;
  const digits = /^(?:W\/)?"[0-9a-z]+:(\d{1,15})(?::v\d+)?"$/.exec(etag)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Throws a plain Error that says what is wrong with the shape. */
export function flagDataOf(body: unknown, etag: unknown): FlagData {
  if (typeof body !== 'object' || body === null) throw new Error('the answer is no object');
  const { features, segments } = body as { features?: unknown; segments?: unknown };
  if (!Array.isArray(features)) throw new Error('the answer has no list of features');
  const flags = new Map<string, Flag>();
  for (const one of features as unknown[]) {
    if (typeof one !== 'object' || one === null || typeof (one as Flag).name !== 'string')
      throw new Error('the list of features holds something without a name');
    flags.set((one as Flag).name, one as Flag);
  }
  if (segments !== undefined && !Array.isArray(segments)) throw new Error('the segments of the answer are no list');
  const known = ((segments ?? []) as Segment[]).filter((one) => typeof one === 'object' && one !== null);
  return { flags, segments: new Map(known.map((one) => [one.id, one])), revision: revisionOf(etag) };
}

/** Keys whose definition differs; `undefined` when segments moved, which may change any flag. */
export function changedFlags(before: FlagData | undefined, after: FlagData): readonly string[] | undefined {
  if (!before) return undefined;
  if (JSON.stringify([...before.segments]) !== JSON.stringify([...after.segments])) return undefined;
  const keys = new Set([...before.flags.keys(), ...after.flags.keys()]);
  return [...keys].filter((key) => JSON.stringify(before.flags.get(key)) !== JSON.stringify(after.flags.get(key)));
}
