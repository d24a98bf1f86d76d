// stop-key.ts: the name of a stop. It says by itself what is stopped and how, so that a store whose contents were lost,
// or never written, still stops the right sessions (S4).
//
//   switch.<tier>.<subject>.<series>                            engaged and released by n
//   switch.<tier>.<subject>.~<series>~<id>                      flipped by a person, not yet read; released by act, until a reading gives it its n
//   act.<cause>.<action>.<tier>.<subject>.<id>                  engaged at 0, released at 0
//
// Names are lower case, because some file systems fold case: a subject that is not plain lower case is hashed.

import { createHash } from 'node:crypto';
import type { Breaker, StopAction, Tier } from '@offswitch/core';

export type StopKey =
  | { readonly kind: 'switch'; readonly tier: Tier; readonly subject: string; readonly series: string }
  | {
      readonly kind: 'act';
      readonly cause: 'operator' | 'breaker';
      readonly breaker?: Breaker;
      readonly action: StopAction;
      readonly tier: Tier;
      readonly subject: string;
      readonly id: string;
    };

const plain = /^[a-z0-9_-]{1,64}$/;
const hashed = new Map<string, string>();

/** The subject as it stands in a stop's name: itself when it is short plain lower case, else `~` and a hash. '' (global) is `-`. */
export function subjectKey(id: string): string {
  if (id === '') return '-';
  if (plain.test(id) && id !== '-') return id;
  let key = hashed.get(id);
  if (key === undefined) {
    key = `~${createHash('sha256').update(id).digest('hex').slice(0, 40)}`;
    if (hashed.size > 100_000) hashed.clear();
    hashed.set(id, key);
  }
  return key;
}

/**
 * A conversation as it stands in the name of an instance stop, which then covers each session of it, also those to come. Always
 * hashed behind `~~`, so that no session's id can be taken for one.
 */
export function conversationKey(id: string): string {
  // No id holds a line feed.
  return `~${subjectKey(`\n${id}`)}`;
}

export function isConversationKey(subject: string): boolean {
  return subject.startsWith('~~');
}

/** The series as it stands in a stop's name. */
export function seriesKey(series: string): string {
  return plain.test(series) && series.length <= 32 ? series : createHash('sha256').update(series).digest('hex').slice(0, 24);
}

/**
 * The series of a switch's stop that a person has just made through a vendor's control, where control and source share no counter
 * (S3). No reading is of such a series, so none releases the stop and none is taken for its echo; the first live reading of the
 * awaited series that says engaged at the pending stop's own mark or above takes it over, at its own n. `series`: '' where nobody
 * has read the source yet, and then any is awaited. `id`: unlike every other.
 */
export function pendingSeries(series: string, id: string): string {
  return `~${series === '' ? '' : seriesKey(series)}~${id}`;
}

/** The series (as it stands in a name) that a pending stop of this series awaits, '' for any; `undefined` for one that is not pending. */
export function awaitedSeries(series: string): string | undefined {
  return series.startsWith('~') ? series.slice(1, series.indexOf('~', 1)) : undefined;
}

export function formatStopKey(key: StopKey): string {
  if (key.kind === 'switch') return `switch.${key.tier}.${key.subject}.${key.series}`;
  const cause = key.breaker === undefined ? key.cause : `${key.cause}-${key.breaker}`;
  return `act.${cause}.${key.action}.${key.tier}.${key.subject}.${key.id}`;
}

const part = '([a-z0-9_~-]{1,80})';
const switchName = new RegExp(`^switch\\.(global|feature|user|instance)\\.${part}\\.${part}$`);
const actName = new RegExp(
  `^act\\.(operator|breaker-(cost|tool-failures|turns|actions|repeats))\\.(pause|terminate)\\.(global|feature|user|instance)\\.${part}\\.${part}$`,
);

/** `undefined` for a name that is no stop's. */
export function parseStopKey(name: string): StopKey | undefined {
  const asSwitch = switchName.exec(name);
  if (asSwitch) return { kind: 'switch', tier: asSwitch[1] as Tier, subject: asSwitch[2]!, series: asSwitch[3]! };
  const act = actName.exec(name);
  if (!act) return undefined;
  const breaker = act[2] as Breaker | undefined;
  return {
    kind: 'act',
    cause: breaker ? 'breaker' : 'operator',
    ...(breaker ? { breaker } : {}),
    action: act[3] as StopAction,
    tier: act[4] as Tier,
    subject: act[5]!,
    id: act[6]!,
  };
}
