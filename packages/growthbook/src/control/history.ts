// history.ts: what was flipped, from GrowthBook's own record: revisions of the features, and revisions of the saved groups.
//
// Flips that somebody made by hand are in it too, with the words GrowthBook has for them.

import type { Flip, HistoryQuery } from '@offswitch/core';
import type { Api } from './api.ts';
import { type Feature, type Group, groupOf, placeholder, type Rule, tag, valueForEverybody } from './model.ts';
import type { ControlSettings } from './options.ts';
import { readWords } from './words.ts';

interface Revision {
  readonly version: number;
  readonly status: string;
  readonly date: string;
  readonly comment?: string;
  readonly publishedBy?: unknown;
  readonly rules: readonly Rule[];
  readonly defaultValue: string;
}

interface GroupRevision {
  readonly title?: string;
  readonly status: string;
  readonly authorId?: string;
  readonly authorEmail?: string;
  readonly dateUpdated: string;
  readonly baseSavedGroup: Group;
  readonly proposedSavedGroup: Group;
}

/** Newest first. */
export async function history(api: Api, settings: ControlSettings, query: HistoryQuery): Promise<readonly Flip[]> {
  const features = ((await api.list('/v2/features', 'features')) as Feature[]).filter((one) =>
    query.key === undefined ? (one.tags ?? []).includes(tag) && one.id !== settings.canaryKey : one.id === query.key,
  );
  const flips: Flip[] = [];
  for (const feature of features) {
    const groups = new Set(
      feature.rules.flatMap((rule) =>
        (['userId', 'sessionId', 'conversationId'] as const).flatMap((field) => groupOf(rule, field) ?? []),
      ),
    );
    if (groups.size === 0) flips.push(...(await featureFlips(api, settings, feature)));
    for (const group of groups) flips.push(...(await groupFlips(api, feature, group)));
  }
  return flips.sort((a, b) => b.at - a.at).slice(0, Math.max(0, query.limit ?? 50));
}

async function featureFlips(api: Api, settings: ControlSettings, feature: Feature): Promise<Flip[]> {
  const revisions = (await api.list(`/v2/features/${encodeURIComponent(feature.id)}/revisions`, 'revisions')) as Revision[];
  const published = revisions.filter((one) => one.status === 'published').sort((a, b) => a.version - b.version);
  // The first revision is the switch as it was made: released.
  const released = published[0] && valueForEverybody(published[0], settings.environment);
  const flips: Flip[] = [];
  let before = released;
  for (const revision of published) {
    const value = valueForEverybody(revision, settings.environment);
    if (value === before) continue;
    before = value;
    const action = value === released ? 'release' : 'engage';
    const words = revision.rules.map((rule) => readWords(rule.description)).find((one) => one?.action === action);
    flips.push({
      key: feature.id,
      action,
      reason: words?.reason ?? (revision.comment || 'by hand, no reason given'),
      by: words?.by ?? nameOf(revision.publishedBy),
      at: Date.parse(revision.date),
      changed: true,
    });
  }
  return flips;
}

async function groupFlips(api: Api, feature: Feature, group: string): Promise<Flip[]> {
  const path = `/v1/saved-groups-revisions/${encodeURIComponent(group)}?status=merged`;
  const flips: Flip[] = [];
  for (const revision of (await api.list(path, 'revisions')) as GroupRevision[]) {
    const before = new Set(revision.baseSavedGroup.values);
    const after = new Set(revision.proposedSavedGroup.values);
    const words = readWords(revision.title);
    const changes: [Flip['action'], string][] = [
      ...[...after].filter((id) => !before.has(id)).map((id): [Flip['action'], string] => ['engage', id]),
      ...[...before].filter((id) => !after.has(id)).map((id): [Flip['action'], string] => ['release', id]),
    ];
    for (const [action, target] of changes) {
      if (target === placeholder) continue;
      flips.push({
        key: feature.id,
        action,
        target,
        reason: words?.reason ?? (revision.title || 'by hand, no reason given'),
        by: words?.by ?? revision.authorEmail ?? revision.authorId ?? 'unknown',
        at: Date.parse(revision.dateUpdated),
        changed: true,
      });
    }
  }
  return flips;
}

/** A name, or the object that the event log has for who did it. */
function nameOf(by: unknown): string {
  if (typeof by === 'string' && by !== '') return by;
  if (typeof by === 'object' && by !== null) {
    const { name, email, apiKey } = by as { name?: unknown; email?: unknown; apiKey?: unknown };
    const found = [name, email, apiKey].find((one) => typeof one === 'string' && one !== '');
    if (typeof found === 'string') return found;
  }
  return 'unknown';
}
