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
  let sum = 0;
  const seen = new Set<string>();
  const visit = (rules: unknown): void => {
    for (const key of segmentsIn(rules)) {
      if (seen.has(key)) continue;
      seen.add(key);
      const segment = store.item('segments', key);
      sum += segment?.version ?? 0;
      visit(segment?.rules);
    }
  };
  visit(item.rules);
  return item.version * segmentRange + Math.min(sum, segmentRange - 1);
}

interface Clause {
  readonly op?: unknown;
  readonly values?: unknown;
}

function segmentsIn(rules: unknown): readonly string[] {
  if (!Array.isArray(rules)) return [];
  return rules
    .flatMap((rule: { readonly clauses?: readonly Clause[] } | null) => rule?.clauses ?? [])
    .filter((clause) => clause.op === 'segmentMatch' && Array.isArray(clause.values))
    .flatMap((clause) => (clause.values as readonly unknown[]).filter((key): key is string => typeof key === 'string'));
}
