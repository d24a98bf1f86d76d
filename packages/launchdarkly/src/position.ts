// position.ts: where in LaunchDarkly's history a flag stands, as one number that only grows (S3).
//
// For most switches that is the flag's own version. The instance switch lists its targets in a segment, and a segment moves
// without the flag: there both count, the flag's version first, so that a change of either is a later position.

import type { SwitchFlag } from '@offswitch/core';
import type { StoreItem } from './sdk.ts';
import type { SharedStore } from './store.ts';

/** Segment versions stay below this; it leaves as much room for the flag's own within a safe integer. */
const segmentRange = 2 ** 26;

export function positionOf(flag: SwitchFlag, item: StoreItem, store: SharedStore): number {
  if (flag.tier !== 'instance') return item.version;
  const seen = new Set<string>();
  visit(item.rules, store, seen);
  let sum = 0;
  for (const key of seen) sum += store.item('segments', key)?.version ?? 0;
  return item.version * segmentRange + Math.min(sum, segmentRange - 1);
}

/** Collects the segments that rules ask for, and those that these segments' own rules ask for. */
function visit(rules: unknown, store: SharedStore, seen: Set<string>): void {
  if (!Array.isArray(rules)) return;
  for (const rule of rules as readonly ({ readonly clauses?: readonly Clause[] } | null)[]) {
    for (const { op, values } of rule?.clauses ?? []) {
      if (op !== 'segmentMatch' || !Array.isArray(values)) continue;
      for (const key of values as readonly unknown[]) {
        if (typeof key !== 'string' || seen.has(key)) continue;
        seen.add(key);
        visit(store.item('segments', key)?.rules, store, seen);
      }
    }
  }
}

interface Clause {
  readonly op?: unknown;
  readonly values?: unknown;
}
