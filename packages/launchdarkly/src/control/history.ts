// history.ts: the flips that were made through this control, out of LaunchDarkly's audit log.

import type { Flip, HistoryQuery } from '@offswitch/core';
import type { Api } from './api.ts';
import { readComment } from './words.ts';

interface Entry {
  readonly _id: string;
  readonly date: number;
  readonly kind: string;
  readonly comment?: string;
  readonly name?: string;
  readonly accesses?: readonly { readonly resource?: string }[];
}

/** The audit log answers at most 20 entries at a time. */
const pageSize = 20;
/** Pages looked at before giving up on finding more of ours among other people's changes. */
const mostPages = 25;

/** `flagOfSegment`: which flag a change of a segment belongs to. Changes made by hand are not flips of ours and are left out. */
export async function readHistory(
  api: Api,
  place: { readonly project: string; readonly environment: string; readonly segment: string | undefined },
  instanceKey: string | undefined,
  query: HistoryQuery,
): Promise<readonly Flip[]> {
  const limit = query.limit ?? 50;
  const flips: Flip[] = [];
  const prefix = `proj/${place.project}:env/${place.environment}:`;
  const seen = new Set<string>();
  let before: number | undefined;
  for (let page = 0; page < mostPages && flips.length < limit; page++) {
    const spec = encodeURIComponent(`proj/${place.project}:env/${place.environment}:*/*`);
    const path = `auditlog?limit=${pageSize}&spec=${spec}${before === undefined ? '' : `&before=${before}`}`;
    const { items = [] } = (await api.find<{ readonly items?: readonly Entry[] }>(path)) ?? {};
    const fresh = items.filter((entry) => !seen.has(entry._id));
    for (const entry of fresh) {
      seen.add(entry._id);
      const words = readComment(entry.comment);
      const resource = entry.accesses?.find((one) => one.resource?.startsWith(prefix))?.resource?.slice(prefix.length);
      const [kind, name] = resource?.split(/[/;]/) ?? [entry.kind, entry.name];
      const key = kind === 'segment' ? instanceKey : name;
      if (!words || key === undefined || (query.key !== undefined && key !== query.key) || flips.length >= limit) continue;
      const { action, target, by, reason } = words;
      flips.push({ key, action, ...(target ? { target: target.id } : {}), reason, by, at: entry.date, changed: true });
    }
    const last = items.at(-1);
    if (!last || items.length < pageSize || fresh.length === 0) break;
    // Entries of the same millisecond may be on both pages.
    before = last.date + 1;
  }
  return flips;
}
