import { rm } from 'node:fs/promises';
import { applyReading, isEngaged, type Marks, unmarked } from '@offswitch/core';
import { contractSwitches } from '@offswitch/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fileHarness } from './harness.ts';

// What may happen to a flag file: people and tools save it, cut it off, lose it, restore an old one, misspell it.
type Step =
  | { readonly do: 'save'; readonly engaged: boolean; readonly revision: number | undefined; readonly inPlace: boolean }
  | { readonly do: 'cut' | 'delete' | 'empty' | 'misspell' | 'disable' | 'drop' | 'comment'; readonly revision: number };

const { global } = contractSwitches;
// Few, so that equal ones meet often.
const revision = fc.integer({ min: 0, max: 3 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('save'),
      engaged: fc.boolean(),
      revision: fc.option(revision, { nil: undefined }),
      inPlace: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('cut', 'delete', 'empty', 'misspell', 'disable', 'drop', 'comment'), revision }),
  },
);

const fileWith = (engaged: boolean, n: number | undefined, change: (flag: Record<string, unknown>) => void = () => {}) => {
  const flag = {
    state: 'ENABLED',
    variants: { engaged: true, released: false },
    defaultVariant: engaged ? 'engaged' : 'released',
  };
  change(flag);
  return JSON.stringify({ metadata: n === undefined ? {} : { 'offswitch.revision': n }, flags: { [global.key]: flag } });
};

/** The text a step leaves behind, undefined for no file; and whether a reader may believe it. */
const textAfter = (one: Step): { text: string | undefined; isSound: boolean } => {
  if (one.do === 'save') return { text: fileWith(one.engaged, one.revision), isSound: true };
  const released = fileWith(false, one.revision);
  switch (one.do) {
    case 'cut':
      return { text: released.slice(0, -3), isSound: false };
    case 'delete':
      return { text: undefined, isSound: false };
    case 'empty':
      return { text: '', isSound: false };
    case 'comment':
      return { text: `// note\n${released}`, isSound: false };
    case 'misspell':
      return {
        text: fileWith(false, one.revision, (flag) => Object.assign(flag, { defaultvariant: 'engaged' })),
        isSound: false,
      };
    case 'disable':
      return { text: fileWith(false, one.revision, (flag) => Object.assign(flag, { state: 'DISABLED' })), isSound: false };
    case 'drop':
      return { text: JSON.stringify({ metadata: { 'offswitch.revision': one.revision }, flags: {} }), isSound: false };
  }
};

test('no sequence of edits releases a stop but a sound file with a higher revision, or with the same one in an unbroken watch (S3, I13)', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (steps) => {
      const file = await fileHarness({ settleMs: 0 });
      try {
        await file.source.open();
        let marks: Marks = unmarked;
        let engagedWatch: number | undefined;
        // The model knows the files alone: the highest revision seen in a sound one, and whether every version since the last
        // engaged one was sound and no older.
        let highest = 1;
        let isUnbroken = false;
        for (const one of steps) {
          const { text, isSound } = textAfter(one);
          if (text === undefined) await rm(file.path, { force: true });
          else if (one.do === 'save' && !one.inPlace) await file.swap(text);
          else await file.write(text);
          await file.source.refresh();

          const n = one.revision ?? 0;
          const isCurrent = isSound && n >= highest;
          const reading = file.source.read(global, {});
          const before = marks;
          const isSameWatch =
            reading.state !== 'unknown' && reading.position.watch !== undefined && reading.position.watch === engagedWatch;
          marks = applyReading(marks, reading, isSameWatch);
          if (reading.state === 'engaged' && reading.origin === 'live') engagedWatch = reading.position.watch;

          if (reading.state !== 'unknown' && reading.origin === 'live') {
            expect(isCurrent, `${one.do} was read live`).toBe(true);
            expect(reading).toMatchObject({ state: one.do === 'save' && one.engaged ? 'engaged' : 'released', position: { n } });
          }
          if (isEngaged(before) && !isEngaged(marks)) {
            expect(one).toMatchObject({ do: 'save', engaged: false });
            expect(isCurrent && (n > before.engaged || isUnbroken), 'a release that no file said').toBe(true);
          }
          // And the other way: what may release does.
          if (isEngaged(before) && isCurrent && one.do === 'save' && !one.engaged && n > before.engaged)
            expect(isEngaged(marks)).toBe(false);
          if (!isCurrent) isUnbroken = false;
          else if (one.do === 'save' && one.engaged) isUnbroken = true;
          if (one.do !== 'cut' && one.do !== 'delete' && one.do !== 'empty' && one.do !== 'comment')
            highest = Math.max(highest, n);
        }
      } finally {
        await file.close();
      }
    }),
    { numRuns: 60 },
  );
}, 60_000);
