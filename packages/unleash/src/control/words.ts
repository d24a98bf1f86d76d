// words.ts: who and why, written where people look in Unleash (a strategy's title) and where agents read it (its parameters).

import { words } from '../shape.ts';

/** A title holds 100 characters or so before a dashboard cuts it; the parameters hold the whole. */
const longestReason = 120;

export const idleTitle = 'Offswitch: matches nobody; keeps this environment on, so that a stop can be added';

export function stopTitle(action: 'Stop' | 'Released', reason: string, by: string): string {
  const short = reason.length > longestReason ? `${reason.slice(0, longestReason - 1)}…` : reason;
  return `${action}: ${short} (${by})`;
}

export const parametersOf = (reason: string, by: string): Record<string, string> => ({ [words.reason]: reason, [words.by]: by });

/** The same for a release, on the strategy that is about to go: Unleash's history keeps what it was when it was taken away. */
export function releasePatch(reason: string, by: string): readonly unknown[] {
  return [
    { op: 'replace', path: '/title', value: stopTitle('Released', reason, by) },
    { op: 'add', path: `/parameters/${releasedWords.reason}`, value: reason },
    { op: 'add', path: `/parameters/${releasedWords.by}`, value: by },
  ];
}

const releasedWords = { reason: 'offswitch.released', by: 'offswitch.released-by' } as const;

/** Ours, as the parameters tell: made by a control, and so taken away by one. */
export function isOurStop(strategy: { readonly parameters?: Readonly<Record<string, unknown>> }): boolean {
  return typeof strategy.parameters?.[words.reason] === 'string';
}

export interface Words {
  readonly reason: string;
  readonly by: string;
}

/** Who and why, from a strategy as an event keeps it. */
export function wordsFrom(strategy: unknown, action: 'engage' | 'release'): Words | undefined {
  const names = action === 'engage' ? words : releasedWords;
  const { parameters } = (strategy ?? {}) as { parameters?: Readonly<Record<string, unknown>> };
  const reason = parameters?.[names.reason];
  const by = parameters?.[names.by];
  return typeof reason === 'string' ? { reason, by: typeof by === 'string' ? by : 'unknown' } : undefined;
}
