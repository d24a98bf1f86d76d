// slices.test.ts: a stop over ten thousand calls that are under way is no reason for anybody else to wait: it is carried out in
// slices, between which everybody has their turn, and in which nothing new begins (S10, I1, I2; section 7 of the design).

import type { Receipt, Session, Turn } from '@offswitch/runtime';
import { manualClock } from '@offswitch/testing';
import { describe, expect, test } from 'vitest';
import { Slice } from '../src/slices.ts';
import { deferred, settle, world } from './world.ts';

const many = 10_000;

/** Looking at it takes time: so much of a millisecond, as work between two looks would. */
function slowClock(costMs: number) {
  const clock = manualClock();
  let lookedMs = 0;
  return {
    ...clock,
    get pending() {
      return clock.pending;
    },
    monotonic: () => {
      lookedMs += costMs;
      return clock.monotonic() + lookedMs;
    },
  };
}
type SlowClock = ReturnType<typeof slowClock>;

const turnOfLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Somebody else on the event loop, who notes how much was done between two of their turns. */
function bystander(done: () => number) {
  const steps: number[] = [];
  let isOn = true;
  let before = done();
  const tick = (): void => {
    if (!isOn) return;
    const now = done();
    if (now > before) steps.push(now - before);
    before = now;
    setImmediate(tick);
  };
  setImmediate(tick);
  return {
    steps,
    stop: () => {
      isOn = false;
    },
  };
}

/** One session with that many reads under way, each of which counts its abort. */
async function busy(clock: SlowClock, kind: 'read' | 'effect' = 'read') {
  const here = await world({ clock: clock as never, effectDeadlineMs: 1_000 });
  const aborted = new Set<number>();
  const answers = new Map<number, (value: unknown) => void>();
  let kept!: Turn;
  let begun = 0;
  const { id, outcome } = here.runtime
    .agent('alpha', (session: Session) =>
      session.turn(async (turn) => {
        kept = turn;
        await Promise.all(
          Array.from({ length: many }, (_, n) =>
            turn.tool(
              'look',
              { n },
              (_args, { signal }) => {
                begun++;
                signal.addEventListener('abort', () => void aborted.add(n));
                return new Promise((resolve) => void answers.set(n, resolve));
              },
              { effect: kind === 'effect' },
            ),
          ),
        );
      }),
    )
    .start(undefined);
  for (let i = 0; i < 100 && begun < many; i++) await turnOfLoop();
  expect(begun).toBe(many);
  return { ...here, id, outcome, aborted, answers, kept, begun: () => begun };
}

async function until(isSo: () => boolean, turns = 20_000): Promise<void> {
  for (let i = 0; i < turns && !isSo(); i++) await turnOfLoop();
  expect(isSo()).toBe(true);
}

function namesOnce(receipt: Receipt, outcome: string): void {
  const calls = receipt.sessions.flatMap((one) => one.calls);
  expect(calls).toHaveLength(many);
  expect(new Set(calls.map((call) => call.id)).size).toBe(many);
  expect(calls.filter((call) => call.outcome !== outcome)).toEqual([]);
}

describe('a slice', () => {
  test('is over soon after its time is, and the next one begins in a later turn of the loop', async () => {
    let now = 0;
    const slice = new Slice({ monotonic: () => now } as never);
    const isOverWithin = (steps: number): boolean => Array.from({ length: steps }, () => slice.isOver).includes(true);
    expect(isOverWithin(64)).toBe(false);
    now = 5;
    expect(isOverWithin(16)).toBe(true);
    let isElse = false;
    setImmediate(() => {
      isElse = true;
    });
    await slice.next();
    expect(isElse).toBe(true);
    expect(isOverWithin(64)).toBe(false);
    now = 7;
    expect(slice.tookMs).toBe(7);
  });
});

describe('ten thousand calls under way when their session is terminated', () => {
  test('are aborted in slices, others have their turn between them, nothing new begins, and the receipt names each once (I1)', async () => {
    const clock = slowClock(0.05);
    const { runtime, id, outcome, aborted, kept, begun } = await busy(clock);
    const other = bystander(() => aborted.size);
    const late: Promise<unknown>[] = [];
    const stopped = runtime.stop({ session: id, reason: 'r', by: 'ann' });
    // Whoever is between two slices tries to begin something new.
    for (let i = 0; i < 50; i++) {
      await turnOfLoop();
      late.push(Promise.resolve(kept.tool('more', { i }, () => 'made', { effect: false })));
    }
    await until(() => aborted.size === many);
    other.stop();
    // Each look at the clock takes a twentieth of a millisecond, and a slice is a millisecond at most.
    expect(Math.max(...other.steps)).toBeLessThanOrEqual(500);
    await stopped;
    await settle(clock, 2_000);
    expect((await outcome).status).toBe('terminated');
    expect(begun()).toBe(many);
    expect(await Promise.race([...late, turnOfLoop().then(() => 'none settled')])).toBe('none settled');
    const [receipt] = await runtime.receipts();
    namesOnce(receipt!, 'aborted');
    expect(receipt!.stages.done).toBeDefined();
    await runtime.close();
  });

  test('with effects: at the deadline they are unknown, in slices too, each named once (I9, S10)', async () => {
    const clock = slowClock(0.05);
    const { runtime, id, outcome, aborted } = await busy(clock, 'effect');
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    expect(aborted.size).toBe(0);
    const other = bystander(() => aborted.size);
    for (let i = 0; i < 5_000 && aborted.size < many; i++) await clock.advance(1);
    other.stop();
    expect(aborted.size).toBe(many);
    expect(Math.max(...other.steps)).toBeLessThanOrEqual(500);
    await settle(clock, 100);
    expect((await outcome).status).toBe('terminated');
    const [receipt] = await runtime.receipts();
    namesOnce(receipt!, 'unknown');
    await runtime.close();
  });

  test('stopped again in between, by the same order and by a switch, end as they would have; each stop has one receipt (I10)', async () => {
    const clock = slowClock(0.05);
    const { runtime, source, id, outcome, aborted } = await busy(clock);
    const first = runtime.stop({ session: id, reason: 'first', by: 'ann' });
    await until(() => aborted.size > 0);
    expect(aborted.size).toBeLessThan(many);
    const again = runtime.stop({ session: id, reason: 'again', by: 'bob' });
    source.engage('killswitch.instance', id, { reason: 'second' });
    await clock.advance(5);
    expect(aborted.size).toBeLessThan(many);
    expect((await first).id).toBe((await again).id);
    await until(() => aborted.size === many);
    await settle(clock, 2_000);
    expect((await outcome).status).toBe('terminated');
    const receipts = await runtime.receipts();
    expect(receipts.map((one) => one.stop.reason).sort()).toEqual(['first', 'second']);
    for (const receipt of receipts) {
      namesOnce(receipt, 'aborted');
      expect(receipt.stages.done).toBeDefined();
    }
    await runtime.close();
  });

  test('have the end that they came to by themselves between two slices, and no second one (I9)', async () => {
    const clock = slowClock(0.05);
    const { runtime, store, id, outcome, aborted, answers } = await busy(clock);
    const stopped = runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await until(() => aborted.size > 0);
    const late = [many - 1, many - 2, many - 3];
    expect(late.some((n) => aborted.has(n))).toBe(false);
    for (const n of late) answers.get(n)!(n);
    await stopped;
    await until(() => aborted.size === many - late.length);
    await settle(clock, 2_000);
    expect((await outcome).status).toBe('terminated');
    const [receipt] = await runtime.receipts();
    const outcomes = receipt!.sessions[0]!.calls.map((call) => call.outcome);
    expect(outcomes.filter((one) => one === 'completed')).toHaveLength(late.length);
    expect(outcomes).toHaveLength(many);
    await runtime.close();
    const { journals } = await store.reopen().open();
    const ends = journals.flatMap(({ records }) => records.flatMap((record) => (record.t === 'end' ? record.key : [])));
    expect(new Set(ends).size).toBe(ends.length);
  });

  test('are not let go by the release of a pause that came in between: a terminate is for good (S1, S6)', async () => {
    const clock = slowClock(0.05);
    const { runtime, source, id, outcome, aborted, begun } = await busy(clock);
    source.engage('killswitch.global');
    const stopped = runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await until(() => aborted.size > 0);
    expect(aborted.size).toBeLessThan(many);
    source.release('killswitch.global');
    await expect(runtime.release({ stop: (await stopped).stop.id, reason: 'r', by: 'ann' })).rejects.toThrow(/release_refused/);
    await until(() => aborted.size === many);
    await settle(clock, 2_000);
    expect((await outcome).status).toBe('terminated');
    expect(begun()).toBe(many);
    await runtime.close();
  });

  test('are carried on by the next process where this one was closed in between, and none of them is made again (S4, I3)', async () => {
    const clock = slowClock(0.05);
    const here = await busy(clock);
    const stopped = here.runtime.stop({ session: here.id, reason: 'r', by: 'ann' });
    await until(() => here.aborted.size > 0);
    expect(here.aborted.size).toBeLessThan(many);
    await here.runtime.close();
    void stopped.catch(() => {});
    expect(clock.pending).toBe(0);
    const { memorySource } = await import('@offswitch/testing');
    const { switches } = await import('./world.ts');
    const second = await here.restart({ source: memorySource(switches as never, { now: clock.now }) as never });
    second.runtime.agent('alpha', async () => {
      throw new Error('its code runs again');
    });
    await settle(clock, 5_000);
    expect(second.runtime.sessions()).toEqual([]);
    const [receipt] = await second.runtime.receipts();
    expect(receipt!.stages.done).toBeDefined();
    expect(receipt!.sessions).toMatchObject([{ session: here.id, state: 'stopped' }]);
    namesOnce(receipt!, 'aborted');
    await second.runtime.close();
  });
});

describe('a thousand sessions under one stop', () => {
  test('have a receipt that is made in slices, names each once, and is sound when it is released in between (S10)', async () => {
    const clock = slowClock(0.05);
    const { runtime, source } = await world({ clock: clock as never, parkAfterMs: 1e9 });
    const gate = deferred();
    const agent = runtime.agent('alpha', async (session: Session) => {
      for (let n = 0; n < 2; n++) await session.turn(() => gate.promise);
    });
    const runs = Array.from({ length: 1_000 }, () => agent.start(undefined));
    await settle(clock);
    source.engage('killswitch.global');
    gate.resolve();
    await turnOfLoop();
    source.release('killswitch.global');
    for (let i = 0; i < 200 && runtime.sessions().length > 0; i++) await clock.advance(20);
    expect((await Promise.all(runs.map((one) => one.outcome))).every((one) => one.status === 'completed')).toBe(true);
    await settle(clock, 1_000);
    const [receipt] = await runtime.receipts();
    expect(receipt!.released).toBeDefined();
    const named = receipt!.sessions.map((one) => one.session);
    expect(new Set(named).size).toBe(named.length);
    await runtime.close();
  });
});

describe('the receipt of a session with ten thousand calls under way', () => {
  test('is made in slices, and names each call once', async () => {
    const { runtime, id } = await busy(slowClock(0.1));
    await runtime.stop({ session: id, action: 'pause', reason: 'look', by: 'ann' });
    // Known to be in force before everybody it covers was looked at.
    for (let i = 0; i < 20; i++) await turnOfLoop();
    let turns = 0;
    let isOn = true;
    const tick = (): void => {
      turns++;
      if (isOn) setImmediate(tick);
    };
    setImmediate(tick);
    const [receipt] = await runtime.receipts();
    isOn = false;
    namesOnce(receipt!, 'in-flight');
    expect(turns).toBeGreaterThan(100);
    expect(receipt!.sessions[0]!.why).toMatch(/^in flight: t1-1 look, .* and 9980 more$/);
    await runtime.close();
  });
});
