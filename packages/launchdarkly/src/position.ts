// position.ts: where in LaunchDarkly's history a flag stands, as one number that only grows (S3).
//
// For most switches that is the flag's own version. The instance switch lists its targets in a segment, and a segment moves
// without the flag: there both count, the flag's version first, so that a change of either is a later position.

import type { Position, SwitchFlag } from '@offswitch/core';
import type { StoreItem } from './sdk.ts';
import type { SharedStore } from './store.ts';

/** Segment versions stay below this; it leaves as much room for the flag's own within a safe integer. */
const segmentRange = 2 ** 26;

export interface Standing {
  /** Absent where it would not only grow: segments that ask segments, or one that is gone. Then a release is an act. */
  readonly n: Position['n'];
  /** Segments that the flag asks and that did not come with it. The SDK takes everybody for no member of these. */
  readonly missing: readonly string[];
  /** Every segment it asks, by way of others too. */
  readonly segments: readonly string[];
}

export function standingOf(flag: SwitchFlag, item: StoreItem, store: SharedStore): Standing {
  const direct = new Set<string>();
  visit(item.rules, direct);
  const segments = new Set(direct);
  for (const key of segments) visit(store.item('segments', key)?.rules, segments);
  const missing = [...segments].filter((key) => !store.item('segments', key));
  if (flag.tier !== 'instance') return { n: item.version, missing, segments: [...segments] };
  if (missing.length > 0 || segments.size > direct.size) return { n: undefined, missing, segments: [...segments] };
  let sum = 0;
  for (const key of direct) sum += store.item('segments', key)?.version ?? 0;
  return { n: item.version * segmentRange + Math.min(sum, segmentRange - 1), missing, segments: [...segments] };
}

/** Collects the segments that rules ask for. */
function visit(rules: unknown, seen: Set<string>): void {
  if (!Array.isArray(rules)) return;
  for (const rule of rules as readonly ({ readonly clauses?: readonly Clause[] } | null)[]) {
    for (const { op, values } of rule?.clauses ?? []) {
      if (op !== 'segmentMatch' || !Array.isArray(values)) continue;
      for (const key of values as readonly unknown[]) if (typeof key === 'string') seen.add(key);
    }
  }
}

interface Clause {
  readonly op?: unknown;
  readonly values?: unknown;
}
