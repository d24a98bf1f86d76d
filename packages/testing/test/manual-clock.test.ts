import { manualClock } from '@offswitch/testing';
import { describe, expect, test } from 'vitest';

describe('the manual clock', () => {
  test('stands still until it is told to move', () => {
    const clock = manualClock(1000);
    expect([clock.now(), clock.monotonic()]).toEqual([1000, 0]);
  });

  test('runs due timers at their own time and in order, those set on the way included', async () => {
    const clock = manualClock(0);
    const ran: [string, number][] = [];
    clock.setTimeout(() => ran.push(['late', clock.now()]), 30);
    clock.setTimeout(() => {
      ran.push(['early', clock.now()]);
      clock.setTimeout(() => ran.push(['nested', clock.now()]), 5);
    }, 10);
    clock.setTimeout(() => ran.push(['early, second', clock.now()]), 10);
    clock.setTimeout(() => ran.push(['never', clock.now()]), 41);
    await clock.advance(40);
    expect(ran).toEqual([
      ['early', 10],
      ['early, second', 10],
      ['nested', 15],
      ['late', 30],
    ]);
    expect([clock.now(), clock.pending]).toEqual([40, 1]);
  });

  test('settles promises between timers, so that awaiting code sees each moment', async () => {
    const clock = manualClock(0);
    const seen: number[] = [];
    const loop = async (): Promise<void> => {
      for (let i = 0; i < 3; i++) {
        await new Promise<void>((resolve) => clock.setTimeout(resolve, 10));
        seen.push(clock.now());
      }
    };
    const done = loop();
    await clock.advance(100);
    await done;
    expect(seen).toEqual([10, 20, 30]);
  });

  test('does not run a cleared timer', async () => {
    const clock = manualClock();
    let ran = false;
    clock.clearTimeout(
      clock.setTimeout(() => {
        ran = true;
      }, 1),
    );
    await clock.advance(10);
    expect(ran).toBe(false);
  });

  test('jumps the wall clock alone: no timer runs, the monotonic clock stays', async () => {
    const clock = manualClock(1000);
    let ran = 0;
    clock.setTimeout(() => ran++, 10);
    clock.jump(-500);
    expect([clock.now(), clock.monotonic(), ran]).toEqual([500, 0, 0]);
    await clock.advance(10);
    expect([clock.now(), clock.monotonic(), ran]).toEqual([510, 10, 1]);
  });

  test('rejects with what a timer threw, after the others have run', async () => {
    const clock = manualClock();
    let ran = false;
    clock.setTimeout(() => {
      throw new Error('boom');
    }, 1);
    clock.setTimeout(() => {
      ran = true;
    }, 2);
    await expect(clock.advance(5)).rejects.toThrow('boom');
    expect(ran).toBe(true);
    await expect(clock.advance(-1)).rejects.toThrow(/does not go back/);
  });
});
