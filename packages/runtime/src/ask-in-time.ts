// ask-in-time.ts: one question to a source, answered in time whatever the source does (I13).

import { type Reading, type Subject, type SwitchFlag, type SwitchSource, unknown } from '@offswitch/core';
import type { Clock } from './clock.ts';
import { readingOf } from './guarded-source.ts';

/** A source that has not answered by then has not answered. Milliseconds. */
const readTimeoutMs = 500;

/** One reading of a source that may throw or hang: then it is `unknown`. Never throws, never hangs. */
export function askInTime(source: SwitchSource, clock: Clock, flag: SwitchFlag, subject: Subject): Reading | Promise<Reading> {
  let answer: Reading | Promise<Reading>;
  try {
    answer = source.read(flag, subject);
  } catch (error) {
    return unknown('error', `reading ${flag.key} failed: ${String(error)}`);
  }
  if (!(answer instanceof Promise)) return readingOf(flag, answer);
  return new Promise((resolve) => {
    const timer = clock.setTimeout(
      () => resolve(unknown('error', `${flag.key} was not answered within ${readTimeoutMs} ms`)),
      readTimeoutMs,
    );
    answer
      .then(
        (reading) => readingOf(flag, reading),
        (error) => unknown('error', `reading ${flag.key} failed: ${String(error)}`),
      )
      .then((reading) => {
        clock.clearTimeout(timer);
        resolve(reading);
      });
  });
}
