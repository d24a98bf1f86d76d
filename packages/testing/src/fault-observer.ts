// fault-observer.ts: reads a source all through a fault, at each of its notices and in between, and keeps what was wrong.

import { checkReading, type Reading, type Subject, type SwitchFlag, type SwitchSource } from '@offswitch/core';
import type { FaultProblem, FaultProblemCode } from './fault-result.ts';
import { type ReadingLatch, readingLatch } from './reading-latch.ts';

/** One switch for one subject, and what it may read. */
export interface Watched {
  readonly flag: SwitchFlag;
  readonly subject: Subject;
  /** `engaged`: it was engaged and nobody released it. `released`: nobody ever engaged it. */
  readonly is: 'engaged' | 'released';
}

export interface FaultObserver {
  readonly problems: readonly FaultProblem[];
  /** Keeps the first message of each code. */
  problem(code: FaultProblemCode, message: string): void;
  /** Is every stop that was engaged still latched, by all that was read? */
  readonly isLatched: boolean;
  /** Is any of them? */
  readonly isAnyLatched: boolean;
  /** From now on releases are meant: they are read, and are no problem. */
  releasesAreMeant(): void;
  /** One reading, checked and latched as the others. */
  read(flag: SwitchFlag, subject: Subject): Promise<Reading>;
  end(): void;
}

const everyMs = 5;

/** `onlyCached`: with health not fresh, nothing is live; false where health is about one flag and the others are well. */
export function observe(source: SwitchSource, watched: readonly Watched[], onlyCached: boolean): FaultObserver {
  const problems = new Map<FaultProblemCode, FaultProblem>();
  const latches = watched.map(readingLatch);
  let releasesAreMeant = false;
  let isOver = false;

  const problem = (code: FaultProblemCode, message: string): void => {
    if (!problems.has(code)) problems.set(code, { code, message });
  };
  const read = async (flag: SwitchFlag, subject: Subject): Promise<Reading> => {
    const before = source.health.state;
    let given: unknown;
    try {
      given = await source.read(flag, subject);
    } catch (error) {
      problem('malformed', `read of ${flag.key} threw: ${String(error)}`);
    }
    const reading = checkReading(given);
    if (reading.state === 'unknown') {
      if (given !== reading && JSON.stringify(given) !== JSON.stringify(reading)) problem('malformed', reading.message);
      return reading;
    }
    const isOld = before !== 'fresh' && source.health.state !== 'fresh';
    if (onlyCached && isOld && reading.origin === 'live')
      problem('live-while-stale', `${flag.key} read ${reading.state}, live, while health said ${before}`);
    return reading;
  };
  const look = async ({ flag, subject, is }: Watched, latch: ReadingLatch): Promise<void> => {
    const reading = await read(flag, subject);
    if (isOver || reading.state === 'unknown') return;
    latch.take(reading);
    const words = `${flag.key} for ${JSON.stringify(subject)} read ${reading.state} (${reading.origin}, ${JSON.stringify(reading.position)})`;
    if (is === 'released' && reading.state === 'engaged') problem('stopped-others', words);
    if (is === 'engaged' && !releasesAreMeant && reading.state === 'released') problem('lifted', words);
  };
  const pass = (): void => {
    for (const [at, one] of watched.entries()) void look(one, latches[at]!);
  };

  // A source to which a read is dear, with its hundred thousand targets, is left three quarters of the time for its own work.
  const passInTurn = (): void => {
    const began = performance.now();
    pass();
    timer = setTimeout(passInTurn, Math.max(everyMs, 3 * (performance.now() - began)));
  };
  let timer: NodeJS.Timeout | undefined;
  const stop = source.subscribe(pass);
  passInTurn();
  return {
    get problems() {
      return [...problems.values()];
    },
    problem,
    get isLatched() {
      return watched.every(({ is }, at) => is === 'released' || latches[at]!.isEngaged);
    },
    get isAnyLatched() {
      return latches.some((latch) => latch.isEngaged);
    },
    releasesAreMeant() {
      releasesAreMeant = true;
    },
    read,
    end() {
      isOver = true;
      clearTimeout(timer);
      stop();
    },
  };
}
