import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import {
  describeAuditLog,
  describeBudgetStore,
  describeGrantStore,
  describeStateStore,
  manualClock,
  type StoreHarness,
} from '@offswitch/testing';
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../src/clock.ts';
import { type FolderFs, nodeFs } from '../src/folder/folder-fs.ts';
import type { FolderStoreOptions } from '../src/folder/folder-options.ts';
import { folderStore } from '../src/folder/folder-store.ts';
import { decodeSegment, encodeLine } from '../src/folder/journal-line.ts';
import type { JournalRecord } from '../src/journal.ts';
import type { ReceiptPart } from '../src/receipt.ts';
import { turnOfLoop } from '../src/slices.ts';
import { atOnce } from '../src/steps.ts';
import { formatStopKey, subjectKey } from '../src/stop-key.ts';
import type { StateStore, StopDetails, StoreChange } from '../src/store.ts';

const places: string[] = [];
const stores: StateStore[] = [];
const fresh = (): string => {
  const place = mkdtempSync(join(tmpdir(), 'ofs-'));
  places.push(place);
  return join(place, 'state');
};
const at = (path: string, options: FolderStoreOptions = {}): StateStore => {
  const store = folderStore(path, options);
  stores.push(store);
  return store;
};
const opened = async (path: string, options: FolderStoreOptions = {}) => {
  const store = at(path, options);
  return { store, opening: await store.open() };
};
const clear = async (): Promise<void> => {
  for (const store of stores.splice(0)) await store.close();
  for (const place of places.splice(0)) rmSync(place, { recursive: true, force: true });
};
afterEach(clear);

const details: StopDetails = { reason: 'it went wrong', by: 'ada', at: 1000 };
const key = (subject: string): string =>
  formatStopKey({ kind: 'switch', tier: 'user', subject: subjectKey(subject), series: 'flags' });
const session = (s: string, root = s): JournalRecord => ({
  t: 'session',
  s,
  e: 1,
  at: 1,
  root,
  path: [s],
  agent: 'a',
  workflow: 'w',
});
const turn = (s: string, n: number, e = 1): JournalRecord => ({ t: 'turn', s, e, at: 1, turn: n });
const settled = (s: string, e = 1): JournalRecord => ({ t: 'settled', s, e, at: 1, status: 'completed' });
const failing = (code: string): Error => Object.assign(new Error(`${code}: injected`), { code });
/** The disk, with some calls replaced. */
/** What a process writes of a stop that covers nobody. */
const blankPart = (process: string): Omit<ReceiptPart, 'id'> => ({
  stop: { id: 'k', tier: 'user', cause: 'operator', action: 'terminate', reason: 'r', by: 'ann', since: 1, subject: {} },
  stages: {},
  sessions: [],
  grants: [],
  residue: [],
  process,
  at: 1,
  others: [],
  missing: {},
});
const disk = (changes: Partial<Record<keyof FolderFs, unknown>>): FolderFs => ({ ...nodeFs, ...changes }) as FolderFs;
const logs = (path: string): string[] => readdirSync(join(path, 'journal'));

const harness = async (): Promise<StoreHarness> => {
  const path = fresh();
  let last = folderStore(path);
  const shared: StateStore[] = [];
  return {
    store: last,
    reopen: async () => {
      await last.close();
      last = folderStore(path);
      return last;
    },
    share: async () => {
      const other = folderStore(path);
      shared.push(other);
      return other;
    },
    retentionPasses: async () => {
      for (const name of logs(path)) utimesSync(join(path, 'journal', name), 1, 1);
    },
    close: async () => {
      await last.close();
      for (const other of shared) await other.close();
    },
  };
};
describeStateStore('folder', harness);
describeGrantStore('folder', harness);
describeBudgetStore('folder', harness);
describeAuditLog('folder', harness);

describe('the name of a file in the folder', () => {
  test('is the stop: it stops with no process alive, without contents, and with contents that cannot be read (S4)', async () => {
    const path = fresh();
    mkdirSync(join(path, 'stops'), { recursive: true });
    writeFileSync(join(path, 'stops', `${key('u-1')}.e.7`), '');
    writeFileSync(join(path, 'stops', `${key('u-2')}.e.3`), '{"reason":');
    writeFileSync(join(path, 'stops', `${key('u-2')}.r.2`), 'null');
    const { opening } = await opened(path);
    expect([...opening.stops].sort((a, b) => (a.key < b.key ? -1 : 1))).toEqual([
      { key: key('u-1'), marks: { engaged: 7, released: -1 } },
      { key: key('u-2'), marks: { engaged: 3, released: 2 } },
    ]);
  });

  test('stops nobody when it is no name of a stop, and people are told', async () => {
    const path = fresh();
    mkdirSync(join(path, 'stops'), { recursive: true });
    const strange = [
      'README',
      'switch.user.u-1.f.e.01',
      'switch.user.u-1.f.e.9007199254740993',
      'switch.world.u.f.e.1',
      `${key('u')}.x.1`,
    ];
    for (const name of strange) writeFileSync(join(path, 'stops', name), '');
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const { opening, store } = await opened(path);
    expect(opening.stops).toEqual([]);
    expect(store.health.state).toBe('ok');
    expect(warned.mock.calls.join()).toContain('README');
    warned.mockRestore();
  });

  test('is cleared away at open where a higher one of the same stop makes it meaningless', async () => {
    const path = fresh();
    const { store } = await opened(path);
    for (const n of [1, 2, 3]) await store.mark(key('u-1'), 'engaged', n, details);
    await store.mark(key('u-1'), 'released', 2, details);
    await opened(path);
    expect(readdirSync(join(path, 'stops')).sort()).toEqual([`${key('u-1')}.e.3`, `${key('u-1')}.r.2`]);
  });

  test('makes the same stops whatever the order in which marks were written (I10)', async () => {
    const mark = fc.record({
      subject: fc.constantFrom('u-1', 'u-2'),
      side: fc.constantFrom('engaged', 'released'),
      n: fc.nat(5),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(mark, { maxLength: 12 }), async (marks) => {
        const ends: unknown[] = [];
        for (const order of [marks, [...marks].reverse(), [...marks, ...marks]]) {
          const { store } = await opened(fresh());
          for (const { subject, side, n } of order) await store.mark(key(subject), side as 'engaged', n, details);
          ends.push((await store.stops()).map((stop) => [stop.key, stop.marks]).sort());
          await clear();
        }
        expect(ends[1]).toEqual(ends[0]);
        expect(ends[2]).toEqual(ends[0]);
      }),
      { numRuns: 15 },
    );
  });

  test('is durable after one flush of one folder, and many marks share it', async () => {
    let flushes = 0;
    const fsync: typeof nodeFs.fsync = ((fd: number, done: (error: Error | null) => void) => {
      flushes++;
      nodeFs.fsync(fd, done);
    }) as typeof nodeFs.fsync;
    const { store } = await opened(fresh(), { fs: disk({ fsync }) });
    await store.mark(key('u-0'), 'engaged', 1, details);
    expect(flushes).toBe(1);
    await Promise.all(Array.from({ length: 200 }, (_, n) => store.mark(key('u-1'), 'engaged', n, details)));
    expect(flushes).toBe(3);
  });

  test('is readable by its owner alone', async () => {
    const path = fresh();
    const { store } = await opened(path);
    await store.mark(key('u-1'), 'engaged', 1, details);
    store.append('s', session('s'));
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(statSync(join(path, 'stops')).mode & 0o777).toBe(0o700);
    expect(statSync(join(path, 'stops', `${key('u-1')}.e.1`)).mode & 0o777).toBe(0o600);
    expect(statSync(join(path, 'journal', logs(path)[0]!)).mode & 0o777).toBe(0o600);
  });
});

describe('a mark that the disk refuses', () => {
  test('rejects, and holds when it is given again and the disk takes it', async () => {
    let isFull = true;
    const openSync = ((...args: Parameters<typeof nodeFs.openSync>) => {
      if (isFull && String(args[0]).includes('.e.')) throw failing('ENOSPC');
      return nodeFs.openSync(...args);
    }) as typeof nodeFs.openSync;
    const { store } = await opened(fresh(), { fs: disk({ openSync }) });
    await expect(store.mark(key('u-1'), 'engaged', 1, details)).rejects.toMatchObject({ code: 'store_failed' });
    isFull = false;
    await store.mark(key('u-1'), 'engaged', 1, details);
    expect(await store.stops()).toHaveLength(1);
  });

  test('is there without its words when the disk takes a name and no contents', async () => {
    const path = fresh();
    let isFull = false;
    const writeSync = ((...args: Parameters<typeof nodeFs.writeSync>) => {
      if (isFull) throw failing('ENOSPC');
      return nodeFs.writeSync(...args);
    }) as typeof nodeFs.writeSync;
    const { store } = await opened(path, { fs: disk({ writeSync }) });
    isFull = true;
    await store.mark(key('u-1'), 'engaged', 4, details);
    expect((await opened(path)).opening.stops).toEqual([{ key: key('u-1'), marks: { engaged: 4, released: -1 } }]);
  });

  test('is not believed after a failed flush, however often a later flush succeeds', async () => {
    let failures = 1;
    const fsync = ((fd: number, done: (error: Error | null) => void) =>
      failures-- > 0 ? setImmediate(done, failing('EIO')) : nodeFs.fsync(fd, done)) as typeof nodeFs.fsync;
    const { store } = await opened(fresh(), { fs: disk({ fsync }) });
    await expect(store.mark(key('u-1'), 'engaged', 1, details)).rejects.toMatchObject({ code: 'store_failed' });
    expect(store.health).toMatchObject({ state: 'failed', why: expect.stringContaining('stops') });
    await expect(store.mark(key('u-1'), 'engaged', 1, details)).rejects.toMatchObject({ code: 'store_failed' });
    expect(await store.stops()).toHaveLength(1);
  });
});

describe('a journal', () => {
  test('loses only its incomplete last record, cut anywhere', async () => {
    const path = fresh();
    const { store } = await opened(path);
    const records = [session('s-1'), turn('s-1', 1), turn('s-1', 2)];
    for (const record of records) store.append('s-1', record);
    await store.close();
    const file = join(path, 'journal', logs(path)[0]!);
    const whole = readFileSync(file);
    const lastBegins = whole.lastIndexOf(10, whole.length - 2) + 1;
    for (const cut of [lastBegins, lastBegins + 1, lastBegins + 12, whole.length - 1]) {
      writeFileSync(file, whole.subarray(0, cut));
      const { opening, store: next } = await opened(path);
      expect(opening.journals[0]?.records).toEqual(records.slice(0, 2));
      expect(next.health.state).toBe('ok');
    }
  });

  test('reads any damage as damage or as a shorter journal, never as other records', () => {
    const records = [session('s-1'), turn('s-1', 1), turn('s-1', 2)];
    const whole = Buffer.concat(records.map(encodeLine));
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (index, flip) => {
        const bytes = Buffer.from(whole);
        bytes[index] = bytes[index]! ^ flip;
        const segment = atOnce(decodeSegment(bytes));
        expect(segment.damage !== undefined || segment.tailBytes > 0).toBe(true);
        expect(records.slice(0, segment.records.length)).toEqual(segment.records);
      }),
    );
  });

  test('damaged anywhere else fails the store, naming file, byte, sessions and the way out, and still gives what reads', async () => {
    const path = fresh();
    const { store } = await opened(path);
    for (const record of [session('s-1'), turn('s-1', 1), turn('s-1', 2)]) store.append('s-1', record);
    await store.close();
    const name = logs(path)[0]!;
    const bytes = readFileSync(join(path, 'journal', name));
    const second = bytes.indexOf(10) + 1;
    bytes[second + 20]! ^= 1;
    writeFileSync(join(path, 'journal', name), bytes);
    const { opening, store: next } = await opened(path);
    expect(opening.journals[0]?.records).toEqual([session('s-1')]);
    expect(next.health.state).toBe('failed');
    for (const words of [name, `byte ${second}`, 's-1', 'move this file away']) expect(next.health.why).toContain(words);
    renameSync(join(path, 'journal', name), join(path, 'away'));
    expect((await opened(path)).store.health.state).toBe('ok');
  });

  test('that cannot be read fails the store', async () => {
    const path = fresh();
    const { store } = await opened(path);
    store.append('s-1', session('s-1'));
    await store.close();
    const readFileSync_ = ((...args: Parameters<typeof nodeFs.readFileSync>) => {
      if (String(args[0]).endsWith('.log')) throw failing('EIO');
      return nodeFs.readFileSync(...args);
    }) as typeof nodeFs.readFileSync;
    const { store: next } = await opened(path, { fs: disk({ readFileSync: readFileSync_ }) });
    expect(next.health).toMatchObject({ state: 'failed', why: expect.stringContaining('EIO') });
  });

  /** Writes half of a journal's line and then fails, `times` times. */
  const fullDisk = (times: () => boolean, changes: Partial<Record<keyof FolderFs, unknown>> = {}): FolderFs =>
    disk({
      writeSync: ((fd: number, bytes: Buffer | string, ...rest: []) => {
        if (typeof bytes === 'string' || bytes[8] !== 32 || !times()) return nodeFs.writeSync(fd, bytes as Buffer, ...rest);
        return nodeFs.writeSync(fd, bytes.subarray(0, bytes.length >> 1));
      }) as typeof nodeFs.writeSync,
      ...changes,
    });

  test('takes back a record that the full disk wrote half of, holds, and goes on when there is room', async () => {
    const path = fresh();
    let isFull = false;
    const { store } = await opened(path, { fs: fullDisk(() => isFull) });
    store.append('s-1', session('s-1'));
    isFull = true;
    for (const n of [1, 2])
      expect(() => store.append('s-1', turn('s-1', n))).toThrow(expect.objectContaining({ code: 'store_failed' }));
    expect(store.health).toMatchObject({ state: 'failed', why: expect.stringContaining(logs(path)[0]!) });
    isFull = false;
    store.append('s-1', turn('s-1', 3));
    expect(store.health).toEqual({ state: 'ok' });
    await store.close();
    expect((await opened(path)).opening.journals[0]?.records).toEqual([session('s-1'), turn('s-1', 3)]);
  });

  test('finds out by itself that there is room again, for while everything is held nobody writes', async () => {
    const path = fresh();
    const clock = manualClock();
    let isFull = true;
    const { store } = await opened(path, { clock, fs: fullDisk(() => isFull) });
    const heard: StoreChange[] = [];
    store.watch((change) => heard.push(change));
    expect(() => store.append('s-1', session('s-1'))).toThrow(expect.objectContaining({ code: 'store_failed' }));
    await clock.advance(1000);
    expect(heard.map((change) => change.health?.state)).toEqual(['failed']);
    isFull = false;
    await clock.advance(500);
    expect(heard.map((change) => change.health?.state)).toEqual(['failed', 'ok']);
    await store.close();
    expect((await opened(path)).opening.journals[0]?.records ?? []).toEqual([]);
  });

  test('refuses a value that is no JSON with the words of JSON, and writes nothing', async () => {
    const { store } = await opened(fresh());
    expect(() => store.append('s-1', { t: 'checkpoint', s: 's-1', e: 1, at: 1, turn: 1, state: 1n })).toThrow(TypeError);
    expect(store.health.state).toBe('ok');
  });

  test('fails for good when a half record cannot be taken back', async () => {
    let isFull = false;
    const ftruncateSync = () => {
      throw failing('EIO');
    };
    const { store } = await opened(fresh(), { fs: fullDisk(() => isFull, { ftruncateSync }) });
    store.append('s-1', session('s-1'));
    isFull = true;
    expect(() => store.append('s-1', turn('s-1', 1))).toThrow(expect.objectContaining({ code: 'store_failed' }));
    expect(store.health.state).toBe('failed');
    isFull = false;
    expect(() => store.append('s-1', turn('s-1', 2))).toThrow(expect.objectContaining({ code: 'store_failed' }));
  });

  test('fails for good on a failed flush, and never asks the disk again', async () => {
    let asked = 0;
    const fdatasync = ((_: number, done: (error: Error | null) => void) => {
      asked++;
      setImmediate(done, failing('EIO'));
    }) as typeof nodeFs.fdatasync;
    const { store } = await opened(fresh(), { fs: disk({ fdatasync }) });
    store.append('s-1', session('s-1'));
    await expect(store.flush()).rejects.toMatchObject({ code: 'store_failed' });
    await expect(store.flush()).rejects.toMatchObject({ code: 'store_failed' });
    expect(store.health.state).toBe('failed');
    expect(() => store.append('s-1', turn('s-1', 1))).toThrow(expect.objectContaining({ code: 'store_failed' }));
    expect(asked).toBe(1);
  });

  test('shares one flush among all who wait, and never lets a flush that began earlier answer for a later record', async () => {
    const waiting: (() => void)[] = [];
    const fdatasync = ((fd: number, done: (error: Error | null) => void) => {
      waiting.push(() => nodeFs.fdatasync(fd, done));
    }) as typeof nodeFs.fdatasync;
    const { store } = await opened(fresh(), { fs: disk({ fdatasync }) });
    store.append('s-1', session('s-1'));
    const first = [store.flush(), store.flush()];
    store.append('s-1', turn('s-1', 1));
    let isLaterDurable = false;
    const later = [store.flush(), store.flush()].map((flush) => flush.then(() => (isLaterDurable = true)));
    await vi.waitFor(() => expect(waiting).toHaveLength(1), 10_000);
    waiting.shift()!();
    await first[0];
    expect(isLaterDurable).toBe(false);
    await vi.waitFor(() => expect(waiting).toHaveLength(1), 10_000);
    waiting.shift()!();
    await Promise.all([...first, ...later]);
    await store.flush();
    expect(waiting).toEqual([]);
  });

  test('goes on in a new file past its size, and reads back as one, in order', async () => {
    const path = fresh();
    const { store } = await opened(path, { maxSegmentBytes: 200 });
    const records = [session('s-1'), ...Array.from({ length: 40 }, (_, n) => turn('s-1', n))];
    for (const record of records) store.append('s-1', record);
    await store.flush();
    await store.close();
    expect(logs(path).length).toBeGreaterThan(10);
    expect((await opened(path)).opening.journals).toEqual([{ process: store.processId, alive: false, records }]);
  });
});

describe('the journal of a settled graph', () => {
  const week = 604_800_000;
  const age = (path: string): void => {
    for (const name of logs(path)) utimesSync(join(path, 'journal', name), 1, 1);
  };
  const write = async (path: string, ...records: (readonly [string, JournalRecord])[]): Promise<StateStore> => {
    const { store } = await opened(path);
    for (const [root, record] of records) store.append(root, record);
    return store;
  };

  test('is kept for the retention time, then cleared away with its claims', async () => {
    const path = fresh();
    const store = await write(path, ['s-1', session('s-1')], ['s-1', session('s-2', 's-1')], ['s-1', settled('s-1')]);
    store.claim('s-2', 2);
    await store.close();
    expect((await opened(path)).opening.journals).toHaveLength(1);
    age(path);
    expect((await opened(path, { retentionMs: week })).opening.journals).toEqual([]);
    expect([logs(path), readdirSync(join(path, 'claims'))]).toEqual([[], []]);
  });

  test('is cleared away after forget too', async () => {
    const path = fresh();
    const store = await write(path, ['s-1', session('s-1')]);
    store.forget('s-1');
    await store.close();
    age(path);
    expect((await opened(path)).opening.journals).toEqual([]);
  });

  test('is kept, however old, beside one graph that is not settled, and while it is damaged', async () => {
    const path = fresh();
    await (await write(path, ['s-1', session('s-1')], ['s-1', settled('s-1')], ['s-3', session('s-3')])).close();
    age(path);
    expect((await opened(path)).opening.journals[0]?.records).toHaveLength(3);
    writeFileSync(join(path, 'journal', 'pother.0.log'), 'damage\n');
    await (await write(path, ['s-9', session('s-9')], ['s-9', settled('s-9')])).close();
    age(path);
    expect((await opened(path)).opening.journals.flatMap((one) => one.records)).toHaveLength(5);
  });

  test('is kept when the one who settled it had lost it to a later claim (S7)', async () => {
    const path = fresh();
    await (await write(path, ['s-1', session('s-1')], ['s-1', settled('s-1')])).close();
    await (await write(path, ['s-1', { t: 'claim', s: 's-1', e: 2, at: 2 }])).close();
    age(path);
    expect((await opened(path)).opening.journals).toHaveLength(2);
  });

  test('of this process is cleared away at rotation, once old, and never where a graph goes on', async () => {
    const path = fresh();
    const clock = manualClock();
    const { store } = await opened(path, { clock, maxSegmentBytes: 300, retentionMs: 1 });
    store.append('going-on', session('going-on'));
    for (let n = 0; n < 10; n++) for (const record of [session(`s-${n}`), settled(`s-${n}`)]) store.append(`s-${n}`, record);
    expect(logs(path).length).toBeGreaterThan(5);
    store.append('going-on', turn('going-on', 1));
    for (let n = 10; n < 20; n++) for (const record of [session(`s-${n}`), settled(`s-${n}`)]) store.append(`s-${n}`, record);
    age(path);
    await clock.advance(week);
    for (let n = 0; n < 10; n++) for (const record of [session(`t-${n}`), settled(`t-${n}`)]) store.append(`t-${n}`, record);
    await store.close();
    const records = (await opened(path)).opening.journals.flatMap((one) => one.records);
    expect(records).toContainEqual(session('going-on'));
    expect(records).toContainEqual(turn('going-on', 1));
    expect(records).not.toContainEqual(session('s-15'));
    expect(records).not.toContainEqual(session('s-5'));
  });
});

describe('a folder that cannot be used', () => {
  test('because it is a file is a bad option', async () => {
    const path = fresh();
    writeFileSync(path, '');
    await expect(at(path).open()).rejects.toMatchObject({ code: 'invalid_option' });
    expect(() => folderStore('')).toThrow(expect.objectContaining({ code: 'invalid_option' }));
  });

  test.each(['EACCES', 'EROFS', 'ENOSPC', 'ENOTDIR'])(
    'because of %s means memory, loudly, with the stops that can be read',
    async (code) => {
      const path = fresh();
      const { store: before } = await opened(path);
      await before.mark(key('u-1'), 'engaged', 1, details);
      await before.close();
      const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
      const openSync = ((...args: Parameters<typeof nodeFs.openSync>) => {
        if (args[1] !== 'r') throw failing(code);
        return nodeFs.openSync(...args);
      }) as typeof nodeFs.openSync;
      const { store, opening } = await opened(path, { fs: disk({ openSync }) });
      expect(store.health).toMatchObject({ state: 'memory', why: expect.stringContaining(code), unwritable: code });
      expect(warned).toHaveBeenCalledOnce();
      warned.mockRestore();
      expect(opening.stops).toMatchObject([{ key: key('u-1'), engaged: details }]);
      await store.mark(key('u-2'), 'engaged', 1, details);
      store.append('s-1', session('s-1'));
      await store.flush();
      expect([store.claim('s-1', 2), store.claim('s-1', 2)]).toEqual([true, false]);
      expect((await store.stops()).map((stop) => stop.key).sort()).toEqual([key('u-1'), key('u-2')]);
      expect(logs(path)).toEqual([]);
    },
  );

  test('because it can neither be written nor listed holds everything, and is known to keep nothing (S5, S10)', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const refuse = () => {
      throw failing('EACCES');
    };
    const { store } = await opened(fresh(), { fs: disk({ mkdirSync: refuse, readdirSync: refuse }) });
    expect(store.health).toMatchObject({ state: 'failed', why: expect.stringContaining('stops'), unwritable: 'EACCES' });
    warned.mockRestore();
  });

  test('because it is another one is left as it was by who only looks', async () => {
    const path = fresh();
    mkdirSync(path);
    await expect(at(path).stops()).rejects.toMatchObject({ code: 'store_failed' });
    expect(readdirSync(path)).toEqual([]);
  });

  test('below a file means memory', async () => {
    const path = fresh();
    writeFileSync(path, '');
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const { store } = await opened(join(path, 'below'));
    expect(store.health.state).toBe('memory');
    warned.mockRestore();
  });

  test('because its stops cannot be listed fails the store: never an empty answer (S5)', async () => {
    const path = fresh();
    await opened(path);
    let isBroken = true;
    const readdirSync_ = ((...args: Parameters<typeof nodeFs.readdirSync>) => {
      if (isBroken && String(args[0]).endsWith('stops')) throw failing('EIO');
      return nodeFs.readdirSync(...args);
    }) as typeof nodeFs.readdirSync;
    const { store } = await opened(path, { fs: disk({ readdirSync: readdirSync_ }) });
    expect(store.health).toMatchObject({ state: 'failed', why: expect.stringContaining('EIO') });
    await expect(store.stops()).rejects.toMatchObject({ code: 'store_failed' });
    isBroken = false;
  });
});

describe('a folder while it is used', () => {
  test('that is deleted holds everything, and is well again when put back (S5, I13)', async () => {
    const path = fresh();
    const clock = manualClock();
    const { store } = await opened(path, { clock });
    const heard: StoreChange[] = [];
    store.watch((change) => heard.push(change));
    renameSync(path, `${path}-away`);
    await clock.advance(500);
    expect(heard.at(-1)?.health).toMatchObject({ state: 'failed', why: expect.stringContaining(path) });
    expect(store.health.state).toBe('failed');
    await expect(store.mark(key('u-1'), 'engaged', 1, details)).rejects.toMatchObject({ code: 'store_failed' });
    renameSync(`${path}-away`, path);
    await clock.advance(500);
    expect([heard.at(-1)?.health, store.health]).toEqual([{ state: 'ok' }, { state: 'ok' }]);
    await store.mark(key('u-1'), 'engaged', 1, details);
  });

  test('that is replaced by another is not believed', async () => {
    const path = fresh();
    const clock = manualClock();
    const { store } = await opened(path, { clock });
    store.watch(() => {});
    renameSync(path, `${path}-away`);
    await opened(path);
    await clock.advance(500);
    expect(store.health).toMatchObject({ state: 'failed', why: expect.stringContaining('replaced') });
  });

  test('that becomes read-only holds everything', async () => {
    const clock = manualClock();
    let isReadOnly = false;
    const accessSync = () => {
      if (isReadOnly) throw failing('EROFS');
    };
    const { store } = await opened(fresh(), { clock, fs: disk({ accessSync }) });
    store.watch(() => {});
    isReadOnly = true;
    await clock.advance(500);
    expect(store.health).toMatchObject({ state: 'failed', why: expect.stringContaining('EROFS') });
  });

  test('tells of each mark and each word of others once, by the poll alone where the system gives no notice', async () => {
    const path = fresh();
    const clock = manualClock();
    const watch = () => {
      throw failing('ENOSPC');
    };
    const { store } = await opened(path, { clock, fs: disk({ watch }) });
    const { store: other } = await opened(path);
    const heard: StoreChange[] = [];
    store.watch((change) => heard.push(change));
    await store.mark(key('own'), 'engaged', 1, details);
    await other.mark(key('u-1'), 'engaged', 1, details);
    await other.mark(key('own'), 'engaged', 2, details);
    await other.resolve({ session: 's-1', call: 't1-1', verdict: 'did-not', by: 'ada', at: 1 });
    await clock.advance(500);
    expect(heard).toHaveLength(1);
    expect(heard[0]?.stops?.map((stop) => [stop.key, stop.marks.engaged]).sort()).toEqual([
      [key('own'), 2],
      [key('u-1'), 1],
    ]);
    expect(heard[0]?.resolutions).toMatchObject([{ session: 's-1', verdict: 'did-not' }]);
    await clock.advance(5000);
    expect(heard).toHaveLength(1);
    await other.mark(key('u-1'), 'released', 2, details);
    await clock.advance(500);
    expect(heard[1]?.stops).toMatchObject([{ marks: { engaged: 1, released: 2 } }]);
  });

  test('tells of a stop made by hand, by notice, with its words when they follow', { timeout: 60_000 }, async () => {
    const path = fresh();
    const clock = manualClock();
    const { store } = await opened(path, { clock });
    const heard: StoreChange[] = [];
    store.watch((change) => heard.push(change));
    writeFileSync(join(path, 'stops', `${key('u-1')}.e.7`), '');
    await vi.waitFor(() => expect(heard).toHaveLength(1), { timeout: 20_000 });
    expect(heard[0]?.stops).toEqual([{ key: key('u-1'), marks: { engaged: 7, released: -1 } }]);
    writeFileSync(join(path, 'stops', `${key('u-1')}.e.7`), JSON.stringify(details));
    await vi.waitFor(() => expect(heard.at(-1)?.stops?.[0]?.engaged).toEqual(details), { timeout: 20_000 });
  });

  test('leaves no file open where it cannot be written: it is tried again and again', async () => {
    let isFull = false;
    const open = new Set<number>();
    const fs = disk({
      openSync: (...args: Parameters<typeof nodeFs.openSync>) => {
        const fd = nodeFs.openSync(...args);
        open.add(fd);
        return fd;
      },
      writeSync: (...args: Parameters<typeof nodeFs.writeSync>) => {
        if (isFull) throw failing('ENOSPC');
        return nodeFs.writeSync(...args);
      },
      closeSync: (fd: number) => {
        nodeFs.closeSync(fd);
        open.delete(fd);
      },
    });
    const { store } = await opened(fresh(), { fs });
    isFull = true;
    const before = open.size;
    for (let i = 0; i < 3; i++) expect(() => store.claim('s-1', 2)).toThrow(expect.objectContaining({ code: 'store_failed' }));
    expect(open.size).toBe(before);
  });

  test('has one winner of ten that claim a session at once', async () => {
    const path = fresh();
    const all = await Promise.all(Array.from({ length: 10 }, async () => (await opened(path)).store));
    expect(all.filter((store) => store.claim('s-1', 2))).toHaveLength(1);
  });

  test('takes a word again where the first one was damaged', async () => {
    const path = fresh();
    const { store } = await opened(path);
    writeFileSync(join(path, 'resolutions', 's-1.t1-1.json'), '');
    expect(await store.resolve({ session: 's-1', call: 't1-1', verdict: 'did-not', by: 'ada', at: 1 })).toBe(true);
    expect((await opened(path)).opening.resolutions).toHaveLength(1);
  });

  test('ends with what was written last, even where an earlier writing takes longer', async () => {
    let isFirst = true;
    const fsync = ((fd: number, done: (error: Error | null) => void) => {
      let turns = isFirst ? 200 : 0;
      isFirst = false;
      const later = (): unknown => (turns-- > 0 ? setImmediate(later) : nodeFs.fsync(fd, done));
      later();
    }) as typeof nodeFs.fsync;
    const { store } = await opened(fresh(), { fs: disk({ fsync }) });
    await Promise.all([1, 2, 3].map((at) => store.keepReadings([{ key: 'k', state: 'released', series: 's', at }])));
    await Promise.all(['first', 'second'].map((value) => store.writeDocument('switches', { value })));
    expect(await store.readDocument('switches')).toEqual({ value: 'second' });
    const { opening } = await opened(store.location!);
    expect(opening.readings).toMatchObject([{ at: 3 }]);
  });

  test('reads of receipts those it is asked for and what goes on in them, and of all of them some at a time: they are kept for good (I1, S10)', async () => {
    const path = fresh();
    const read: string[] = [];
    let now = 0;
    const { store } = await opened(path, {
      // A millisecond for each file, as on a disk that is slow.
      clock: { ...systemClock, monotonic: () => now },
      fs: disk({
        readFileSync: (file: string, encoding: 'utf8') => {
          if (/receipts|grants/.test(file)) {
            read.push(basename(file));
            now += 1;
          }
          return nodeFs.readFileSync(file, encoding);
        },
      }),
    });
    const process = store.processId;
    const blank = blankPart(process);
    for (let n = 0; n < 20; n++) await store.writeReceipt({ ...blank, id: `other.${n}` });
    await store.writeReceipt({ ...blank, id: 'Was/So.1' });
    await store.writeReceipt({ ...blank, id: 'is.2', formerly: ['Was/So.1'] });
    const found = await store.receiptsToGoOn([
      { id: 'is.2', isForGood: true },
      { id: 'other.7', isForGood: true },
      { id: 'other', isForGood: true },
    ]);
    expect(read.sort()).toEqual([`is.2.${process}.json`, `other.7.${process}.json`, expect.stringMatching(/^~/)]);
    expect([...found].map(([id, one]) => [id, one?.id, one?.formerly])).toEqual([
      ['is.2', 'is.2', ['Was/So.1']],
      ['other.7', 'other.7', undefined],
      ['other', undefined, undefined],
    ]);
    read.length = 0;
    for (let n = 0; n < 20; n++) writeFileSync(join(path, 'grants', `g-${n}.p1.json`), '{}');
    let inOneTurn = 0;
    let isReading = true;
    const turns = (async () => {
      for (let before = 0; isReading; before = read.length) {
        inOneTurn = Math.max(inOneTurn, read.length - before);
        await turnOfLoop();
      }
    })();
    expect(await store.receipts()).toHaveLength(21);
    isReading = false;
    await turns;
    expect(read).toHaveLength(42);
    expect(inOneTurn).toBeLessThan(5);
  });

  const changed =
    (change: object) =>
    (text: string): string =>
      JSON.stringify({ ...JSON.parse(text), ...change });
  test.each<[what: string, why: string, spoil: (text: string) => string]>([
    ['that is torn', 'cannot be read (it is torn)', (text) => text.slice(0, 100)],
    ['that is empty', 'cannot be read (it is torn)', () => ''],
    ['that is null', 'is no receipt', () => 'null'],
    ['without stages', 'is no receipt', changed({ stages: null })],
    ['with a session that is none', 'is no receipt', changed({ sessions: [null] })],
    ['with a grant that is none', 'is no receipt', changed({ grants: [null] })],
    ['with residue that is none', 'is no receipt', changed({ residue: [{}] })],
    ['with a head that is none', 'is no receipt', changed({ audit: [null] })],
    ['without its stop', 'is no receipt', changed({ stop: {} })],
  ])('tells of a receipt %s by its name, and reads the others (S10, I12)', async (_, why, spoil) => {
    const path = fresh();
    const { store } = await opened(path);
    for (const id of ['r-1', 'r-2']) await store.writeReceipt({ ...blankPart(store.processId), id });
    const name = `receipts/r-1.${store.processId}.json`;
    writeFileSync(join(path, name), spoil(readFileSync(join(path, name), 'utf8')));
    const unread: string[] = [];
    expect(await store.receipts((what) => unread.push(what))).toMatchObject([{ id: 'r-2' }]);
    expect(unread).toEqual([`${name} ${why}`]);
    expect(await store.receiptsToGoOn([{ id: 'r-2', isForGood: false }])).toMatchObject(new Map([['r-2', { id: 'r-2' }]]));
  });

  test('skips readings that do not read', async () => {
    const path = fresh();
    const { store } = await opened(path);
    writeFileSync(join(path, 'readings.json'), '[{"key":"k","state":"engaged","series":"s","at":1},{"key":7},null]');
    expect((await opened(path)).opening.readings).toEqual([{ key: 'k', state: 'engaged', series: 's', at: 1 }]);
    writeFileSync(join(path, 'switches.json'), '{');
    await expect(store.readDocument('switches')).rejects.toMatchObject({ code: 'store_failed' });
  });

  test.each(['receipts', 'resolutions', 'forensics', 'graphs', 'budgets', 'grants', 'processes'])(
    'is cleared of what a process left in %s that died while writing',
    async (name) => {
      const folder = fresh();
      await (await opened(folder)).store.close();
      const left = join(folder, name, '.tmp.pdead.1');
      writeFileSync(left, 'half');
      utimesSync(left, 1, 1);
      await (await opened(folder)).store.close();
      expect(existsSync(left)).toBe(false);
    },
  );

  test('holds no litter of ours after close', async () => {
    const path = fresh();
    const { store } = await opened(path);
    const socket = await store.serve!(async () => 1);
    store.watch(() => {});
    await store.close();
    expect(existsSync(socket)).toBe(false);
    expect(readdirSync(join(path, 'processes'))).toEqual([]);
    expect(readdirSync(join(path, 'claims'))).toEqual([]);
  });
});

describe('the spending of a graph whose root has ended', () => {
  test('stands until the retention time is over, and is cleared away by who opens the folder after that', async () => {
    const path = fresh();
    const clock = manualClock();
    const lease = {
      account: 's-1',
      scopes: [{ key: 'graph.s-1', capMicros: 1_000 }],
      wantMicros: 600,
      minMicros: 1,
      toldMicros: 0,
    };
    const seen = async (more: number): Promise<number> => {
      await clock.advance(more);
      const { store } = await opened(path, { clock, retentionMs: 1_000 });
      const { spentMicros } = await store.budgets!.spent('graph.s-1');
      if (more === 0) {
        await store.budgets!.lease(lease);
        await store.budgets!.settle('s-1', ['graph.s-1'], 600);
        await store.budgets!.retire('graph.s-1');
      }
      await store.close();
      return spentMicros;
    };
    expect([await seen(0), await seen(900), await seen(900)]).toEqual([0, 600, 0]);
  });
});

test('a file that another process is about to write, and that is gone before it is looked at, holds nobody (I14)', async () => {
  const readdirSync = ((path: string) => [...nodeFs.readdirSync(path), '.tmp.p1.0']) as typeof nodeFs.readdirSync;
  const { store } = await opened(fresh(), { fs: disk({ readdirSync }) });
  expect(store.health).toEqual({ state: 'ok' });
});
