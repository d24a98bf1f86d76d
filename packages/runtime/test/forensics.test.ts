import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ForensicBundle,
  type ForensicsOptions,
  folderStore,
  memoryStore,
  type Receipt,
  type RuntimeOptions,
} from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { deferred, settle, switches, type TestWorld, type Workflows, world } from './world.ts';

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A session with a checkpoint and a letter under way is terminated. */
async function terminated(
  options: Partial<RuntimeOptions<Workflows>> = {},
): Promise<{ one: TestWorld; id: string; receipt: Receipt; bundle: ForensicBundle | undefined }> {
  const one = await world(options);
  const { runtime, clock, store } = one;
  const never = deferred();
  const agent = runtime.agent(
    'alpha',
    async (session) => {
      await session.turn(async () => ({ draft: 'Dear Ann' }));
      await session.turn(async (turn) => {
        await turn.tool('lookup', { q: 1 }, () => 'her address', { effect: false });
        await turn.tool('send', {}, () => never.promise);
      });
    },
    { version: '7.1' },
  );
  const { id, outcome } = agent.start({ prompt: 'the secret plan' });
  await settle(clock);
  one.source.engage(switches.instance!.key, id, { reason: 'odd letters', by: 'ann' });
  await settle(clock, 20_000);
  expect((await outcome).status).toBe('terminated');
  await settle(clock, 1_000);
  const [receipt] = await runtime.receipts();
  const text = await store.forensics?.readBundle(id);
  return { one, id, receipt: receipt!, bundle: text === undefined ? undefined : JSON.parse(text) };
}

describe('the bundle of a terminated session', () => {
  test('holds its path, checkpoint, calls, the readings then, versions, decision and stop', async () => {
    const { bundle, id, one } = await terminated();
    expect(bundle).toMatchObject({
      format: 'offswitch-forensics/1',
      session: id,
      path: [id],
      workflow: 'alpha',
      decision: { action: 'terminate', tier: 'instance', reason: 'odd letters' },
      stop: { cause: 'switch', by: 'ann', position: { series: expect.any(String), n: expect.any(Number) } },
      checkpoint: { turn: 1, digest: digest('{"draft":"Dear Ann"}') },
      journal: {
        turns: [
          { number: 1, calls: [] },
          {
            number: 2,
            calls: [
              { id: 't2-1', name: 'lookup', class: 'read', outcome: 'completed' },
              { id: 't2-2', name: 'send', class: 'effect', outcome: 'unknown' },
            ],
          },
        ],
      },
      versions: { node: process.version, agent: { name: 'alpha', version: '7.1' } },
      grants: [],
    });
    expect(bundle!.readings.switches).toMatchObject(
      expect.arrayContaining([expect.objectContaining({ key: switches.global.key, state: 'released' })]),
    );
    expect(bundle!.readings.subjects).toMatchObject([
      { key: switches.instance!.key, tier: 'instance', subject: id, state: 'engaged', reason: 'odd letters', by: 'ann' },
    ]);
    expect(bundle!.readings.source).toMatchObject({ name: one.source.name, health: { state: 'fresh' } });
  });
  test('has its digest in the receipt and in the audit log', async () => {
    const { one, id, receipt } = await terminated();
    const text = await one.store.forensics!.readBundle(id);
    expect(receipt.sessions).toMatchObject([{ session: id, state: 'stopped', forensics: { digest: digest(text!) } }]);
    expect((await one.store.audit!.chains()).flatMap(({ lines }) => lines).join('')).toContain(digest(text!));
    const after = await one.restart();
    expect((await after.runtime.receipts())[0]!.sessions[0]!.forensics).toEqual({ digest: digest(text!) });
  });
  test('shows nothing of what the application put in, but its digest', async () => {
    const { bundle } = await terminated();
    const text = JSON.stringify(bundle);
    for (const secret of ['secret plan', 'Dear Ann', 'her address']) expect(text).not.toContain(secret);
    expect(bundle!.journal.input).toEqual({ sha256: digest('{"prompt":"the secret plan"}'), bytes: 28 });
    expect(bundle!.journal.turns[1]!.calls[0]!.value).toEqual({ sha256: digest('"her address"'), bytes: 13 });
  });
  test('shows what the redaction hook gives', async () => {
    // #region redact
    const forensics: ForensicsOptions = {
      // The checkpoint as it is; of a call's result its name alone; of everything else nothing.
      redact: (value, { field, call }) => (field === 'state' ? value : field === 'value' ? call!.name : undefined),
    };
    // #endregion
    const { bundle } = await terminated({ forensics });
    expect(bundle!.checkpoint.state).toEqual({ draft: 'Dear Ann' });
    expect(bundle!.journal.turns[1]!.calls[0]!.value).toBe('lookup');
    expect(bundle!.journal).not.toHaveProperty('input');
  });
  test.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('no');
      },
    ],
    ['gives what is no data', () => 1n],
  ])('falls back to the digest where the hook %s', async (_, redact) => {
    const { bundle } = await terminated({ forensics: { redact } });
    expect(bundle!.checkpoint.state).toEqual({ sha256: digest('{"draft":"Dear Ann"}'), bytes: 20 });
  });
  test('is made from a copy: a hook that takes fields out in place takes none from the session, which a restart goes on with', async () => {
    const redact = (value: unknown) => {
      delete (value as { draft?: string }).draft;
      return value;
    };
    const { runtime, store, clock } = await world({ forensics: { redact } });
    const begun: string[] = [];
    const hold = deferred();
    const agent = runtime.agent('alpha', async (session) => {
      begun.push(JSON.stringify(session.state));
      await session.turn(async () => ({ draft: 'Dear Ann' }));
      await session.turn(() => hold.promise);
    });
    const one = agent.start(undefined);
    await settle(clock);
    await runtime.stop({ session: one.id, reason: 'odd letters', by: 'ann' });
    await settle(clock, 20_000);
    expect(JSON.parse((await store.forensics!.readBundle(one.id))!).checkpoint.state).toEqual({});
    agent.start(undefined, { restartOf: one.id });
    await settle(clock);
    expect(begun[1]).toBe('{"draft":"Dear Ann"}');
    hold.resolve();
  });
  test('holds nothing of a state that the hook leaves out, its digest neither: of a yes or no both can be tried', async () => {
    const { bundle } = await terminated({ forensics: { redact: () => undefined } });
    expect(bundle!.checkpoint).toEqual({ turn: 1 });
  });
  test('that cannot be written delays no stop, and the receipt says that it is missing (I13)', async () => {
    const store = memoryStore();
    store.forensics!.writeBundle = async () => {
      throw new Error('EIO');
    };
    const { receipt } = await terminated({ store });
    expect(receipt.stages.done).toBeDefined();
    expect(receipt.sessions[0]!.forensics).toEqual({ missing: expect.stringContaining('EIO') });
  });
  test('that takes for ever delays no stop, and the receipt says that it is missing (I13)', async () => {
    const store = memoryStore();
    store.forensics!.writeBundle = () => new Promise(() => {});
    const { one, receipt } = await terminated({ store });
    expect(receipt.stages.done).toBeDefined();
    expect(receipt.sessions[0]!.forensics).toEqual({ missing: 'not written yet' });
    const closed = one.runtime.close();
    await settle(one.clock, 30_000);
    await closed;
  });
  test('is begun when the stop is fenced, so that it delays no confirmation, and when that takes long, all the same', async () => {
    const store = memoryStore();
    const confirmed = deferred();
    const { confirm } = store.lineage;
    store.lineage.confirm = async (...of) => confirmed.promise.then(() => confirm.apply(store.lineage, of));
    const one = await world({ store });
    const agent = one.runtime.agent('alpha', (session) => session.turn(() => new Promise(() => {})));
    const ids: string[] = [];
    const terminate = async (): Promise<void> => {
      const { id } = agent.start({});
      ids.push(id);
      await settle(one.clock);
      one.source.engage(switches.instance!.key, id);
      await settle(one.clock, 500);
    };
    const written = (id: string): Promise<string | undefined> => store.forensics!.readBundle(id);
    await terminate();
    expect(await written(ids[0]!)).toBeUndefined();
    await settle(one.clock, 2_000);
    expect(await written(ids[0]!)).toBeDefined();
    await terminate();
    expect(await written(ids[1]!)).toBeUndefined();
    confirmed.resolve();
    await settle(one.clock);
    expect(await written(ids[1]!)).toBeDefined();
  });
  test('is not made where it is switched off, and the receipt says so', async () => {
    const { receipt, bundle } = await terminated({ forensics: false });
    expect(receipt.sessions[0]!.forensics).toEqual({ missing: 'switched off in this process' });
    expect(bundle).toBeUndefined();
  });
  test('of a session that lay parked is made where it lies', async () => {
    const { runtime, clock, source, store } = await world();
    const agent = runtime.agent('alpha', async (session) => {
      for (;;) await session.turn(() => new Promise<void>((resolve) => clock.setTimeout(resolve, 10)));
    });
    const { id, outcome } = agent.start({});
    await settle(clock);
    source.engage(switches.global.key);
    await settle(clock, 20_000);
    expect((await outcome).status).toBe('paused');
    await runtime.stop({ session: id, reason: 'odd', by: 'ann' });
    await settle(clock);
    expect(JSON.parse((await store.forensics!.readBundle(id))!)).toMatchObject({ session: id, stop: { cause: 'operator' } });
  });
});

test('in a folder a bundle is one file, for its owner alone, whose bytes have the digest', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'off-'));
  try {
    const store = folderStore(join(folder, 'state'));
    await store.open();
    await store.forensics!.writeBundle('s-1', '{"a":1}');
    await store.forensics!.writeBundle('../../s-2', '{"a":2}');
    const path = join(folder, 'state', 'forensics', 's-1.json');
    expect(readFileSync(path, 'utf8')).toBe('{"a":1}');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await store.forensics!.readBundle('../../s-2')).toBe('{"a":2}');
    expect(await store.forensics!.readBundle('s-3')).toBeUndefined();
    await store.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
