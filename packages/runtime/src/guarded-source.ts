// guarded-source.ts: a switch source as the runtime meets it: whatever it throws, withholds or answers is a reading or a
// health, and never a process taken down (I13).

import { checkReading, type Reading, type SourceHealth, type SwitchFlag, type SwitchSource, unknown } from '@offswitch/core';
import { atMost } from './at-most.ts';
import type { Clock } from './clock.ts';

/** A source bounds its own start to a few seconds; one that does not is gone on without, and holds. Milliseconds. */
const openTimeoutMs = 5_000;
/** A source leaves nothing behind within this time, or is left behind. Milliseconds. */
const closeTimeoutMs = 5_000;
/** Words of a source are shown and stored; longer ones are cut. Characters. */
const longestWords = 1_000;

/** Resolves when the source is open or has had its time. Rejects when it rejects in time: bad configuration is the caller's to see. */
export function openInTime(source: SwitchSource, clock: Clock): Promise<void> {
  return atMost(clock, openTimeoutMs, async () => source.open());
}

export function closeInTime(source: SwitchSource, clock: Clock): Promise<void> {
  return atMost(clock, closeTimeoutMs, async () => source.close());
}

/** What the source says of its health; one that cannot say is stale. */
export function healthOf(source: SwitchSource): SourceHealth {
  try {
    const { state, since, why } = source.health;
    return { state, since, ...(why === undefined ? {} : { why }) };
  } catch (error) {
    return { state: 'stale', since: 0, why: `${source.name} cannot say how it is: ${String(error)}` };
  }
}

/** An answer as a reading: what cannot be looked at is unknown, and words that are none are left out. */
export function readingOf(flag: SwitchFlag, answer: unknown): Reading {
  try {
    const reading = checkReading(answer);
    if (reading.state !== 'engaged') return reading;
    const { reason, by } = reading;
    if (isShort(reason) && isShort(by)) return reading;
    return {
      state: 'engaged',
      origin: reading.origin,
      position: reading.position,
      ...(typeof reason === 'string' ? { reason: reason.slice(0, longestWords) } : {}),
      ...(typeof by === 'string' ? { by: by.slice(0, longestWords) } : {}),
    };
  } catch (error) {
    return unknown('error', `what was read of ${flag.key} cannot be looked at: ${String(error)}`);
  }
}

function isShort(words: unknown): boolean {
  return words === undefined || (typeof words === 'string' && words.length <= longestWords);
}
