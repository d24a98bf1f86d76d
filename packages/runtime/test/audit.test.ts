import fs, { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type AuditLog,
  Auditor,
  acceptRequest,
  extendPath,
  folderStore,
  memoryStore,
  sealPath,
  signRoot,
  verifyAudit,
} from '@offswitch/runtime';
import type { ManualClock } from '@offswitch/testing';
import { afterEach, describe, expect, test } from 'vitest';
import { AuditFiles } from '../src/folder/audit-files.ts';
import type { FolderFs } from '../src/folder/folder-fs.ts';
import { deferred, settle, switches, world } from './world.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});
function place(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ofa-'));
  folders.push(folder);
  return join(folder, 'state');
}

const pause = (clock: ManualClock, ms: number): Promise<void> => new Promise((resolve) => clock.setTimeout(resolve, ms));

async function entriesOf(log: AuditLog | undefined): Promise<Record<string, unknown>[]> {
  return (await log!.chains()).flatMap(({ lines }) => lines.map((line) => JSON.parse(line)));
}

describe('what an auditor asks for', () => {
  test('is written: who stopped what and why, at which position, which stages were reached, who let it go on', async () => {
    const { runtime, store, source, clock } = await world();
    const agent = runtime.agent('alpha', async (session) => {
      for (;;) await session.turn(() => pause(clock, 100));
    });
    const one = agent.start({ prompt: 'the secret plan' });
    await settle(clock);
    await runtime.stop({ session: one.id, reason: 'odd letters', by: 'ann', action: 'pause' });
    source.engage(switches.global.key, undefined, { reason: 'incident' });
    await settle(clock, 3_000);
    await runtime.resume(one.id, { by: 'bob', reason: 'well again' });
    await expect(runtime.accept('garbage')).rejects.toThrow();
    await settle(clock);
    const entries = await entriesOf(store.audit);
    expect(entries[0]).toMatchObject({ n: 1, type: 'opened', heads: [], versions: { node: process.version } });
    expect(entries).toMatchObject(
      expect.arrayContaining([
        expect.objectContaining({
          type: 'stop-engaged',
          cause: 'operator',
          subject: { sessionId: one.id },
          reason: 'odd letters',
          by: 'ann',
          position: { n: 0 },
        }),
        expect.objectContaining({
          type: 'stop-engaged',
          cause: 'switch',
          tier: 'global',
          position: expect.objectContaining({ series: expect.any(String) }),
        }),
        expect.objectContaining({ type: 'stage', stage: 'recorded' }),
        expect.objectContaining({ type: 'stop-released', reason: 'well again', by: 'bob' }),
        expect.objectContaining({ type: 'resumed', session: one.id, by: 'bob', reason: 'well again' }),
        expect.objectContaining({ type: 'refused' }),
      ]),
    );
    expect(JSON.stringify(entries)).not.toContain('secret plan');
    const [receipt] = await runtime.receipts();
    expect(receipt!.audit).toMatchObject([{ process: store.processId, n: expect.any(Number) }]);
    await runtime.close();
    const chains = await store.audit!.chains();
    expect(JSON.parse(chains[0]!.lines.at(-1)!)).toMatchObject({ type: 'closed' });
    expect(
      verifyAudit(
        chains,
        receipt!.audit!.map((head) => ({ ...head, by: 'a receipt' })),
      ).findings,
    ).toEqual([]);
  });
  test('of another process names the chains that it found, so that none can be taken away', async () => {
    const first = await world();
    await expect(first.runtime.accept('garbage')).rejects.toThrow();
    await settle(first.clock);
    const second = await first.restart();
    await expect(second.runtime.accept('garbage')).rejects.toThrow();
    await settle(second.clock);
    const chains = await second.store.audit!.chains();
    expect(verifyAudit(chains)).toMatchObject({ findings: [], anchors: 1 });
    expect(verifyAudit(chains.slice(1)).findings).toMatchObject([{ what: 'chain-missing', process: first.store.processId }]);
  });
});

describe('a log that cannot be written', () => {
  test('neither lifts nor delays a stop, is an alarm, and is made up for (I13)', async () => {
    const store = memoryStore();
    const { append } = store.audit!;
    const stuck = deferred();
    store.audit!.append = async () => {
      await stuck.promise;
      throw new Error('EIO');
    };
    const { runtime, clock } = await world({ store });
    const alarms: string[] = [];
    runtime.subscribe((event) => {
      if (event.type === 'alarm' && event.isActive) alarms.push(event.message);
    });
    const agent = runtime.agent('alpha', async (session) => {
      for (;;) await session.turn(() => pause(clock, 10));
    });
    const one = agent.start({});
    await settle(clock);
    const stopped = runtime.stop({ session: one.id, reason: 'odd', by: 'ann' });
    await settle(clock);
    expect((await stopped).stages.fenced).toBeDefined();
    expect((await one.outcome).status).toBe('terminated');
    stuck.resolve();
    await settle(clock);
    expect(alarms).toEqual([expect.stringContaining('audit log cannot be written')]);
    store.audit!.append = append;
    await settle(clock, 2_000);
    const chains = await store.audit!.chains();
    expect(verifyAudit(chains).findings).toEqual([]);
    expect(chains[0]!.lines.join('')).toContain('"stop-engaged"');
    await runtime.close();
  });
  test('holds so many facts and no more, and says how many were lost', async () => {
    const store = memoryStore();
    const auditor = new Auditor({ log: () => store.audit, process: store.processId, now: () => 1, onTrouble: () => {} });
    for (let i = 0; i < 10_010; i++) auditor.note({ type: 'closed' });
    await auditor.settled();
    const entries = await entriesOf(store.audit);
    expect(entries.filter(({ type }) => type === 'dropped')).toMatchObject([{ count: 10 }]);
  });
});

describe('paths that are refused', () => {
  test('are one entry for each cause and minute, however many strangers come, and the count says how many', async () => {
    const { runtime, store, clock } = await world({ pathKeys: [{ id: 'k1', secret: new Uint8Array(32).fill(7) }] });
    const knock = async (times: number) => {
      for (let i = 0; i < times; i++) await expect(runtime.accept(`garbage ${i}`)).rejects.toThrow();
      await settle(clock);
    };
    const told = async () => (await entriesOf(store.audit)).filter(({ type }) => type === 'refused');
    await knock(100);
    expect(await told()).toMatchObject([{ code: 'path_malformed' }]);
    await settle(clock, 60_000);
    expect(await told()).toMatchObject([{}, { code: 'path_malformed', count: 99 }]);
    await knock(50);
    expect(await told()).toHaveLength(2);
    await runtime.close();
    expect(await told()).toMatchObject([{}, {}, { count: 50 }]);
  });
  test.each([
    ['path_missing', undefined],
    ['path_malformed', 'offswitch.path=hello'],
    ['path_malformed', 'offswitch.path=a,offswitch.path=b'],
    ['path_too_long', `offswitch.path=${'1'.repeat(4097)}`],
  ])('at an HTTP door are an event and an entry as everywhere: %s', async (code, baggage) => {
    const { runtime, store } = await world();
    const told: string[] = [];
    runtime.subscribe((event) => {
      if (event.type === 'refused') told.push(event.code);
    });
    const handle = acceptRequest(
      (headers) => runtime.accept(headers),
      async () => new Response(),
    );
    const response = await handle(new Request('http://agent.test/', baggage === undefined ? {} : { headers: { baggage } }));
    expect([response.status, await response.json()]).toMatchObject([401, { code }]);
    await runtime.close();
    expect(told).toEqual([code]);
    expect((await entriesOf(store.audit)).filter(({ type }) => type === 'refused')).toMatchObject([{ code }]);
  });
  test.each<[how: string, carried: (segments: readonly string[]) => readonly string[]]>([
    ['edited', (at) => at.map((segment) => segment.replace('s-child', 's-other'))],
    ['shortened by the session that it is of', (at) => at.toSpliced(4, 1)],
    ['shortened by one in the middle', (at) => at.toSpliced(3, 1)],
    ['sealed for longer', (at) => at.map((segment) => segment.replace(/^!x/, '!xz'))],
    ['said to be signed with another key', (at) => at.with(1, 'k2')],
  ])('are an event and an entry where one is forged: %s', async (_, carried) => {
    const keys = [7, 8].map((byte) => ({ id: `k${byte - 6}`, secret: new Uint8Array(32).fill(byte) }));
    const { runtime, store, clock } = await world({ pathKeys: keys });
    const path = ['s-middle', 's-child'].reduce(
      (above, session) => extendPath(above, { session }),
      signRoot(keys, { session: 's-root', workflow: 'alpha' }),
    );
    const token = sealPath(path, { expiresAt: clock.now() + 1_000 });
    await expect(runtime.accept(token)).rejects.toMatchObject({ code: 'root_unknown' }); // it is well signed
    await settle(clock, 60_000);
    const told: string[] = [];
    runtime.subscribe((event) => {
      if (event.type === 'refused') told.push(event.code);
    });
    const forged = carried(token.split('.')).join('.');
    expect(forged).not.toBe(token);
    await expect(runtime.accept(forged)).rejects.toMatchObject({ code: 'path_forged' });
    await runtime.close();
    expect(told).toEqual(['path_forged']);
    const refused = (await entriesOf(store.audit)).filter(({ type }) => type === 'refused');
    expect(refused).toMatchObject([{ code: 'root_unknown' }, { code: 'path_forged' }]);
    expect(JSON.stringify(refused)).not.toContain(token.split('.').at(-1));
  });
  test('are told at once again when it was quiet for a minute', async () => {
    const { runtime, store, clock } = await world();
    for (let i = 0; i < 2; i++) {
      await expect(runtime.accept('garbage')).rejects.toThrow();
      await settle(clock, 60_000);
    }
    const told = (await entriesOf(store.audit)).filter(({ type }) => type === 'refused');
    expect(told.map(({ count }) => count)).toEqual([undefined, undefined]);
    await runtime.close();
  });
});

describe('the log in a folder', () => {
  const write = async (folder: string, reasons: readonly string[]) => {
    const store = folderStore(folder);
    const auditor = new Auditor({ log: () => store.audit, process: store.processId, now: () => 1, onTrouble: () => {} });
    for (const reason of reasons) {
      auditor.note({ type: 'resumed', session: 's-1', by: 'ann', reason });
      expect(await auditor.settled()).toBeUndefined();
    }
    return join(folder, 'audit', `${store.processId}.log`);
  };
  test('is one file per process, for its owner alone, and reads back as it was written', async () => {
    const folder = place();
    const path = await write(folder, ['a', '</script>\u202e"', '\ud800']);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await write(folder, ['c']);
    expect(readdirSync(join(folder, 'audit'))).toHaveLength(2);
    const chains = await folderStore(folder).audit!.chains();
    expect(verifyAudit(chains)).toMatchObject({ findings: [], entries: 6, anchors: 1 });
  });
  test.each(['fsync', 'fdatasync'] as const)(
    'holds each entry once where %s fails once, so that verify finds nothing',
    async (call) => {
      const folder = place();
      let isFailed = false;
      const disk = {
        ...fs,
        [call]: (fd: number, then: (error: Error | null) => void) => {
          if (isFailed) return fs[call](fd, then);
          isFailed = true;
          then(new Error('EIO'));
        },
      } as FolderFs;
      const files = new AuditFiles(disk, folder, 'p-1');
      const auditor = new Auditor({ log: () => files, process: 'p-1', now: () => 1, onTrouble: () => {} });
      auditor.note({ type: 'resumed', session: 's-1', by: 'ann', reason: 'a' });
      expect(await auditor.settled()).toContain('EIO');
      auditor.note({ type: 'resumed', session: 's-2', by: 'ann', reason: 'b' });
      expect(await auditor.settled()).toBeUndefined();
      expect(verifyAudit(await files.chains())).toMatchObject({ findings: [], entries: 3 });
    },
  );
  test('forgives an incomplete last line, which nobody was told of, and nothing else', async () => {
    const folder = place();
    const path = await write(folder, ['a', 'b']);
    writeFileSync(path, `${readFileSync(path, 'utf8')}{"at":1,"half`);
    expect(verifyAudit(await folderStore(folder).audit!.chains()).findings).toEqual([]);
    writeFileSync(path, `${readFileSync(path, 'utf8')}\n`);
    expect(verifyAudit(await folderStore(folder).audit!.chains()).findings).toMatchObject([{ what: 'edited', n: 4, line: 4 }]);
  });
});
