import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { requestControl } from '../src/folder/control-request.ts';
import { folderStore } from '../src/folder/folder-store.ts';
import { listProcesses } from '../src/folder/processes.ts';

const script = fileURLToPath(new URL('./folder-writer.mjs', import.meta.url));
const place = mkdtempSync(join(tmpdir(), 'ofs-kill-'));
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(() => rmSync(place, { recursive: true, force: true }));

interface Writer {
  readonly child: ChildProcess;
  /** Every whole line it said. Complete once it has exited. */
  readonly said: string[];
  /** Resolves when it has said `count` lines. */
  saying(count: number): Promise<void>;
  kill(): Promise<void>;
}

function writer(path: string, name: string): Writer {
  const child = spawn(process.execPath, [script, path, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const said: string[] = [];
  let rest = '';
  let heard = (): void => {};
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.stdout.on('data', (part: Buffer) => {
    const lines = (rest + part.toString()).split('\n');
    rest = lines.pop() ?? '';
    said.push(...lines);
    heard();
  });
  return {
    child,
    said,
    saying: (count) =>
      new Promise((resolve, reject) => {
        heard = () => said.length >= count && resolve();
        heard();
        void closed.then(() => reject(new Error(`the writer ended after ${said.length} lines; is packages/runtime built?`)));
      }),
    async kill() {
      child.kill('SIGKILL');
      await closed;
    },
  };
}

/** Small and seeded, so that a failing run can be run again (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 4_294_967_296;
  };
}

describe('a process killed with kill -9 (I5, S4, S7)', () => {
  const seed = Number(process.env.OFFSWITCH_SEED ?? Date.now() % 1_000_000);

  test(`loses no mark and no record that it was told is safe, 30 times (OFFSWITCH_SEED=${seed})`, async () => {
    const random = randomFrom(seed);
    const path = join(place, 'kills');
    const expected = new Map<string, { readonly process: string; readonly records: number; readonly marks: number }>();
    for (let round = 0; round < 30; round++) {
      const one = writer(path, `w${round}`);
      await one.saying(2 + Math.floor(random() * 200));
      await one.kill();
      const counts = { appended: 0, marked: 0 };
      for (const line of one.said) {
        const [word, n] = line.split(' ');
        if (word === 'appended' || word === 'marked') counts[word] = Math.max(counts[word], Number(n) + 1);
      }
      expected.set(`w${round}`, { process: one.said[0]!.split(' ')[1]!, records: counts.appended, marks: counts.marked });
    }
    const store = folderStore(path);
    const { stops, journals } = await store.open();
    expect(store.health).toEqual({ state: 'ok' });
    const found = new Map(stops.map((stop) => [stop.key, stop]));
    for (const [name, { process, records, marks }] of expected) {
      const journal = journals.find((one) => one.process === process);
      expect(journal?.alive).toBe(false);
      expect(journal?.records.length).toBeGreaterThanOrEqual(records);
      // One record may have been written and not yet said; more would mean that we count wrong.
      expect(journal?.records.length).toBeLessThanOrEqual(records + 1);
      expect(journal?.records.map((record) => record.at)).toEqual(journal?.records.map((_, n) => Math.max(1, n)));
      for (let n = 0; n < marks; n++) {
        const stop = found.get(`switch.user.${name}-${n % 7}.flags`);
        expect(stop?.marks[n % 3 === 2 ? 'released' : 'engaged']).toBeGreaterThanOrEqual(n);
      }
    }
    expect([...expected.values()].reduce((sum, one) => sum + one.marks, 0)).toBeGreaterThan(0);
    await store.close();
  });

  test('counts as dead at once, and its file and socket are cleared away; one that is only stopped counts as alive', async () => {
    const path = join(place, 'alive');
    const one = writer(path, 'one');
    const two = writer(path, 'two');
    await Promise.all([one.saying(4), two.saying(4)]);
    const ids = [one, two].map(({ said }) => said[0]!.split(' ')[1]!);
    two.child.kill('SIGSTOP');
    expect((await listProcesses(path)).map((entry) => entry.process).sort()).toEqual([...ids].sort());
    const store = folderStore(path);
    const { journals } = await store.open();
    expect(journals.map((journal) => journal.alive)).toEqual([true, true]);
    await store.close();

    const answers = await requestControl(path, 'hello', {}, { timeoutMs: 300 });
    expect(answers.find((answer) => answer.process === ids[0])).toEqual({
      process: ids[0],
      pid: one.child.pid,
      result: { method: 'hello', name: 'one' },
    });
    expect(answers.find((answer) => answer.process === ids[1])).toMatchObject({ error: { code: 'timeout' } });

    await one.kill();
    expect((await listProcesses(path)).map((entry) => entry.process)).toEqual([ids[1]]);
    expect(existsSync(join(path, 'processes', `${ids[0]}.json`))).toBe(false);
    expect(readdirSync(join(path, 's'))).toEqual([`${ids[1]}.sock`]);
    two.child.kill('SIGCONT');
    expect(await requestControl(path, 'hello')).toMatchObject([{ process: ids[1], result: { name: 'two' } }]);
  });

  test('told of a stop by another process hears it while both live', async () => {
    const path = join(place, 'heard');
    const store = folderStore(path);
    await store.open();
    const heard = new Promise<string>((resolve) => store.watch(({ stops }) => stops && resolve(stops[0]!.key)));
    const one = writer(path, 'one');
    await one.saying(2);
    expect(await heard).toMatch(/^switch\.user\.one-\d\.flags$/);
    await store.close();
  });
});
