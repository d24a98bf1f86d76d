// history.ts: Unleash's event log, read as flips: also those that people made in the dashboard.

import type { Flip, HistoryQuery, SwitchFlag } from '@offswitch/core';
import { isOnForAll, namedBy, type Strategy } from '../shape.ts';
import type { Place } from './flag-place.ts';
import { type Words, wordsFrom } from './words.ts';

interface Event {
  readonly id: number;
  readonly type: string;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly featureName?: string;
  readonly environment?: string;
  readonly data?: unknown;
  readonly preData?: unknown;
}

/** Most events that are read for one answer; a flip is two to four of them. */
const mostEvents = 1000;

/** `known`: the flags this control has met, for their tier and polarity; others are told by their default keys. */
export async function readHistory(
  place: Place,
  query: HistoryQuery,
  known: ReadonlyMap<string, SwitchFlag>,
): Promise<readonly Flip[]> {
  const limit = query.limit ?? 50;
  const asked = new URLSearchParams({ limit: String(Math.min(mostEvents, Math.max(50, limit * 5))) });
  if (query.key !== undefined) asked.set('feature', `IS:${query.key}`);
  const answer = await place.api.request('GET', `/api/admin/search/events?${asked}`);
  const { events = [] } = (answer.body ?? {}) as { events?: readonly Event[] };
  const said = new Map<string, { engage?: Words; release?: Words }>();
  const flips: Flip[] = [];
  // Oldest first: the words of a flip stand before it.
  for (const event of [...events].sort((a, b) => a.id - b.id)) {
    const { featureName: key, environment } = event;
    if (key === undefined || environment !== place.environment) continue;
    const words = said.get(key) ?? {};
    said.set(key, words);
    flips.push(...flipsOf(event, key, isScoped(key, known), known.get(key)?.engagedWhen ?? true, words));
  }
  const isSwitch = (key: string): boolean => query.key === key || known.has(key) || key.startsWith('killswitch.');
  return flips
    .filter((flip) => isSwitch(flip.key))
    .reverse()
    .slice(0, limit);
}

function isScoped(key: string, known: ReadonlyMap<string, SwitchFlag>): boolean {
  const tier = known.get(key)?.tier;
  return tier === undefined ? key === 'killswitch.user' || key === 'killswitch.instance' : tier === 'user' || tier === 'instance';
}

function flipsOf(
  event: Event,
  key: string,
  scoped: boolean,
  engagedWhen: boolean,
  words: { engage?: Words; release?: Words },
): Flip[] {
  const at = Date.parse(event.createdAt);
  const byHand = (title: unknown): Words => ({
    reason: typeof title === 'string' && title !== '' ? title : 'by hand in Unleash',
    by: event.createdBy,
  });
  const flip = (action: Flip['action'], given: Words, target?: string): Flip => ({
    key,
    action,
    ...(target === undefined ? {} : { target }),
    ...given,
    at,
    changed: true,
  });
  const strategy = (event.data ?? event.preData) as (Strategy & { readonly title?: unknown }) | null | undefined;
  const ids = strategy ? idsOf(strategy) : [];
  switch (event.type) {
    case 'feature-strategy-add':
      remember(words, strategy);
      return scoped ? ids.map((id) => flip('engage', wordsFrom(strategy, 'engage') ?? byHand(strategy?.title), id)) : [];
    case 'feature-strategy-update': {
      remember(words, strategy);
      if (!scoped) return [];
      const before = idsOf(event.preData as Strategy | undefined);
      const gone = before.filter((id) => !ids.includes(id)).map((id) => flip('release', byHand(strategy?.title), id));
      return [...gone, ...ids.filter((id) => !before.includes(id)).map((id) => flip('engage', byHand(strategy?.title), id))];
    }
    case 'feature-strategy-remove':
      return scoped ? ids.map((id) => flip('release', wordsFrom(strategy, 'release') ?? byHand(undefined), id)) : [];
    case 'feature-environment-enabled':
    case 'feature-environment-disabled': {
      if (scoped) return [];
      const action = (event.type === 'feature-environment-enabled') === engagedWhen ? 'engage' : 'release';
      const given = words[action] ?? byHand(undefined);
      delete words[action];
      return [flip(action, given)];
    }
  }
  return [];
}

function remember(words: { engage?: Words; release?: Words }, strategy: Strategy | null | undefined): void {
  if (!strategy || !isOnForAll([strategy])) return;
  const release = wordsFrom(strategy, 'release');
  const engage = wordsFrom(strategy, 'engage');
  if (release) words.release = release;
  else if (engage) words.engage = engage;
}

function idsOf(strategy: Strategy | null | undefined): readonly string[] {
  return (strategy && namedBy(strategy)?.ids) ?? [];
}
