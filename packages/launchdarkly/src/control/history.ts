// history.ts: the flips that were made through this control, out of LaunchDarkly's audit log.

import type { Flip, HistoryQuery } from '@offswitch/core';
import type { Api } from './api.ts';
import { readComment } from './words.ts';

interface Entry {
  readonly _id: string;
  readonly date: number;
  readonly comment?: string;
  readonly accesses?: readonly { readonly resource?: string }[];
}

interface Place {
  readonly project: string;
  readonly environment: string;
}

/** The audit log answers at most 20 entries at a time. */
const pageSize = 20;
/** Pages looked at before giving up on finding more of ours among other people's changes. */
const mostPages = 25;

/** Newest first. Changes made by hand are not flips of ours and are left out. `instanceKey`: the flag that segments belong to. */
export async function readHistory(api: Api, place: Place, instanceKey: string, query: HistoryQuery): Promise<readonly Flip[]> {
  const limit = query.limit ?? 50;
  const { key = '*' } = query;
  const asked = [
    flipsOf(api, place, `flag/${key}`, limit, (name) => name),
    ...(key === '*' || key === instanceKey ? [flipsOf(api, place, 'segment/*', limit, () => instanceKey)] : []),
  ];
  const all = (await Promise.all(asked)).flat();
  return all.sort((a, b) => b.at - a.at).slice(0, limit);
}

/** Of one kind of resource, as LaunchDarkly's resource specifiers name it. */
async function flipsOf(
  api: Api,
  { project, environment }: Place,
  resources: string,
  limit: number,
  keyOf: (name: string) => string,
): Promise<readonly Flip[]> {
  const flips: Flip[] = [];
  const seen = new Set<string>();
  const prefix = `proj/${project}:env/${environment}:`;
  const spec = encodeURIComponent(prefix + resources);
  let before: number | undefined;
  for (let page = 0; page < mostPages && flips.length < limit; page++) {
    const path = `auditlog?limit=${pageSize}&spec=${spec}${before === undefined ? '' : `&before=${before}`}`;
    const { items = [] } = (await api.find<{ readonly items?: readonly Entry[] }>(path)) ?? {};
    const fresh = items.filter((entry) => !seen.has(entry._id));
    for (const entry of fresh) {
      seen.add(entry._id);
      const words = readComment(entry.comment);
      const resource = entry.accesses?.find((one) => one.resource?.startsWith(prefix))?.resource?.slice(prefix.length);
      // `flag/KEY;TAGS`
      const [, name] = resource?.split(/[/;]/) ?? [];
      if (!words || name === undefined) continue;
      const { action, target, by, reason } = words;
      const whom = target ? { target: target.id } : {};
      flips.push({ key: keyOf(name), action, ...whom, reason, by, at: entry.date, changed: true });
    }
    const last = items.at(-1);
    if (!last || items.length < pageSize || fresh.length === 0) break;
    // Entries of the same millisecond may be on both pages.
    before = last.date + 1;
  }
  return flips;
}
