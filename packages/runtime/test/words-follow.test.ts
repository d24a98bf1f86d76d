// words-follow.test.ts: a stop stops from its name on, and who and why are told as soon as they follow: the file is read while it is written.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRuntime, folderStore, formatStopKey, type Runtime, type Session, seriesKey } from '@offswitch/runtime';
import { manualClock, memorySource } from '@offswitch/testing';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { deferred, settle, switches, tellingStore, world } from './world.ts';

let place: string;
let runtime: Runtime | undefined;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'ofs-words-'));
});
afterEach(async () => {
  await runtime?.close();
  rmSync(place, { recursive: true, force: true });
});

test('the words of a stop that was read without them are in its receipt, in the audit log and in every decision under it (S4, S10)', async () => {
  const stops = join(place, 'stops');
  mkdirSync(stops, { recursive: true });
  const clock = manualClock();
  const store = folderStore(place);
  const here = await createRuntime({ switches, source: memorySource(switches), store, clock });
  runtime = here as Runtime;
  const key = 'act.operator.pause.user.u-1.o1';
  writeFileSync(join(stops, `${key}.e.0`), '');
  await vi.waitFor(() => expect(here.stops()).toMatchObject([{ id: key, since: 0 }]), 5_000);
  writeFileSync(join(stops, `${key}.e.0`), JSON.stringify({ reason: 'bad letters', by: 'ada', at: 1_234 }));
  const words = { reason: 'bad letters', by: 'ada', since: 1_234 };
  await vi.waitFor(() => expect(here.stops()).toMatchObject([{ id: key, ...words }]), 5_000);
  await vi.waitFor(async () => expect(await here.receipts()).toMatchObject([{ id: key, stop: words }]), 5_000);
  await clock.advance(100);
  const noted = async () => (await store.audit!.chains()).flatMap(({ lines }) => lines).filter((line) => line.includes(key));
  await vi.waitFor(async () => expect((await noted()).join()).toContain('bad letters'), 5_000);
  expect((await noted()).filter((line) => line.includes('not written down'))).toEqual([]);
  const { id } = here.agent('alpha', (session) => session.turn(async () => undefined)).start(undefined, { userId: 'u-1' });
  expect(here.session(id)?.decision).toMatchObject({ action: 'pause', reason: 'bad letters', by: 'ada' });
});

test.each([
  ['feature', 'alpha', 'killswitch.feature.alpha', undefined],
  ['user', 'u-1', 'killswitch.user', 'u-1'],
] as const)(
  'a stop of a %s whose words are lost is not released by act while a live reading says engaged (S3)',
  async (tier, subject, flag, target) => {
    const { store, tell } = tellingStore();
    const { runtime, source, clock } = await world({ store });
    let turns = 0;
    const next = deferred();
    runtime
      .agent('alpha', async (session: Session) => {
        await session.turn(async () => {
          turns++;
        });
        await next.promise;
        await session.turn(async () => {
          turns++;
        });
      })
      .start(undefined, { userId: 'u-1' });
    await settle(clock);
    const key = formatStopKey({ kind: 'switch', tier, subject, series: seriesKey('memory:test') });
    // Another process wrote it down, and its words are unreadable.
    tell({ stops: [{ key, marks: { engaged: 2, released: -1 } }] as never });
    source.engage(flag, target);
    await settle(clock, 500);
    next.resolve();
    await settle(clock, 500);

    expect(turns).toBe(1);
    const answer = await runtime.release({ stop: key, reason: 'r', by: 'ann' }).then(
      () => 'released',
      (e) => e.code,
    );
    await settle(clock, 5_000);
    expect([answer, turns]).toEqual(['release_refused', 1]);
  },
);
