// measure.ts: medians, percentiles, collected heaps, and waiting without a timer's grain.

/** The value below which `share` (0 to 1) of the sorted samples lie. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  if (value === undefined) throw new Error('broken benchmark: no samples');
  return value;
}

export function median(samples: readonly number[]): number {
  return percentile(samples, 0.5);
}

/** Smallest and largest, as text: how far the runs were apart. */
export function spread(samples: readonly number[], digits = 2): string {
  return `${Math.min(...samples).toFixed(digits)}..${Math.max(...samples).toFixed(digits)}`;
}

/** Bytes of live objects after everything collectable was collected. Needs `--expose-gc`. */
export async function liveHeapBytes(): Promise<number> {
  if (!globalThis.gc) throw new Error('broken benchmark: run with node --expose-gc');
  for (let i = 0; i < 4; i++) {
    await turnOfLoop();
    globalThis.gc();
  }
  return process.memoryUsage().heapUsed;
}

export function turnOfLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Lets what was begun run on, so that it is not measured with what comes next. */
export async function quiet(ms = 200): Promise<void> {
  const end = performance.now() + ms;
  while (performance.now() < end) await turnOfLoop();
}

/** Waits for something that happens by itself; rejects when it has not within `withinMs`. */
export async function until(what: string, isTrue: () => boolean, withinMs = 60_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!isTrue()) {
    if (performance.now() > end) throw new Error(`broken benchmark: ${what} did not happen within ${withinMs} ms`);
    await turnOfLoop();
  }
}

/**
 * Times `body` called `times` times, in nanoseconds a call: the median of `rounds` rounds after two that only warm up. For what is too
 * short to be timed one by one.
 */
export function nanosecondsEach(times: number, body: (times: number) => void, rounds = 11): { value: number; samples: number[] } {
  const samples: number[] = [];
  for (let round = -2; round < rounds; round++) {
    const start = performance.now();
    body(times);
    const took = ((performance.now() - start) * 1e6) / times;
    if (round >= 0) samples.push(took);
  }
  return { value: median(samples), samples };
}

/** Milliseconds of each of `times` awaited calls. */
export async function timeEach(times: number, call: (i: number) => Promise<unknown>): Promise<number[]> {
  const samples = new Array<number>(times).fill(0);
  for (let i = 0; i < times; i++) {
    const start = performance.now();
    await call(i);
    samples[i] = performance.now() - start;
  }
  return samples;
}

/** The machine's monotonic clock, the same in all its processes. Milliseconds. */
export function machineMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}
