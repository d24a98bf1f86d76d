// latch.ts: one switch's stop for one subject, engaged and released by position (S3, S4).
//
// Latch and release are a join on n: engaged if and only if the highest engaged n is above the highest released n. Both
// numbers only grow, so duplicates and reordering change nothing (I10), and two processes that exchange the two
// numbers agree, whatever each saw first.

import type { Reading } from './reading.ts';

/** The two marks of one stop in one series. -1: never. */
export interface Marks {
  readonly engaged: number;
  readonly released: number;
}

export const unmarked: Marks = Object.freeze({ engaged: -1, released: -1 });

export function isEngaged(marks: Marks): boolean {
  return marks.engaged > marks.released;
}

export function join(a: Marks, b: Marks): Marks {
  return { engaged: Math.max(a.engaged, b.engaged), released: Math.max(a.released, b.released) };
}

/**
 * What a reading does to a stop's marks. `sameWatch` is true when this process read the stop engaged under the very same
 * `position.watch`: only then does a release at an equal n count, because the process itself saw the change.
 *
 * A live engage at or just at a released n stops again: it is filed one above the release, for the vendor's n did not move
 * but the dashboard did. A cached engage there, or a live one below it, is an echo of what was already released.
 * A source without n latches at 0 above whatever was released, and is released by act only.
 */
export function applyReading(marks: Marks, reading: Reading, sameWatch: boolean): Marks {
  switch (reading.state) {
    case 'unknown':
      return marks;
    case 'engaged': {
      const n = reading.position.n;
      if (n === undefined) {
        if (isEngaged(marks) || (reading.origin === 'cached' && marks.released >= 0)) return marks;
        return { ...marks, engaged: marks.released + 1 };
      }
      if (n > marks.released) return n > marks.engaged ? { ...marks, engaged: n } : marks;
      if (n === marks.released && reading.origin === 'live' && !isEngaged(marks)) return { ...marks, engaged: n + 1 };
      return marks;
    }
    case 'released': {
      const n = reading.position.n;
      if (reading.origin !== 'live' || n === undefined || !isEngaged(marks)) return marks;
      if (n > marks.engaged) return { ...marks, released: n };
      // A hand edit that did not raise the revision. The mark goes up to the engaged one, so that the join holds.
      if (sameWatch) return { ...marks, released: marks.engaged };
      return marks;
    }
  }
}

/** Release by an authorised person's act: everything engaged up to now is released; a live reading that still says engaged stops again. */
export function releaseByAct(marks: Marks): Marks {
  return isEngaged(marks) ? { ...marks, released: marks.engaged } : marks;
}
