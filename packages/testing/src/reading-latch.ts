// reading-latch.ts: one stop as the runtime latches it, fed with readings: who may lift it is core's to say and not a test's.

import { applyReading, isEngaged, type Marks, type Reading, unmarked } from '@offswitch/core';

export interface ReadingLatch {
  /** Takes one reading in; gives it back. */
  take<R extends Reading>(reading: R): R;
  readonly isEngaged: boolean;
}

/** One latch for one series, the first that is read: a reading of another series is another stop's. */
export function readingLatch(): ReadingLatch {
  let marks: Marks = unmarked;
  let series: string | undefined;
  let watch: number | undefined;
  return {
    take(reading) {
      if (reading.state === 'unknown') return reading;
      const { position } = reading;
      series ??= position.series;
      if (position.series !== series) return reading;
      marks = applyReading(marks, reading, position.watch !== undefined && position.watch === watch);
      if (reading.state === 'engaged' && reading.origin === 'live') watch = position.watch;
      return reading;
    },
    get isEngaged() {
      return isEngaged(marks);
    },
  };
}
