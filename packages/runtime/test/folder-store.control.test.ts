import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { RuntimeError } from '../src/error.ts';
import { type ControlAnswer, requestControl } from '../src/folder/control-request.ts';
import { nodeFs } from '../src/folder/folder-fs.ts';
import type { FolderStoreOptions } from '../src/folder/folder-options.ts';
import { folderStore } from '../src/folder/folder-store.ts';
import { listProcesses, outsideFolder } from '../src/folder/processes.ts';
import { formatStopKey } from '../src/stop-key.ts';
import type { ControlHandler, StateStore } from '../src/store.ts';

const places: string[] = [];
const stores: StateStore[] = [];
const fresh = (): string => {
  const place = mkdtempSync(join(tmpdir(), 'ofs-'));
  places.push(place);
  return join(place, 'state');
};
const serving = async (path: string, handler: ControlHandler, options: FolderStoreOptions = {}) => {
  const store = folderStore(path, options);
  stores.push(store);
  await store.open();
  return { store, socket: await store.serve!(handler) };
};
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  for (const place of places.splice(0)) rmSync(place, { recursive: true, force: true });
});

const echo: ControlHandler = async (method, params) => ({ method, params });

/** Sends what `requestControl` never would. */
function send(
  socketPath: string,
  path: string,
  body: string,
  method = 'POST',
): Promise<{ status: number | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, method, agent: false }, (response) => {
      let text = '';
      response.on('data', (part) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode, text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

describe('a request to the processes of a folder', () => {
  test('reaches each of them, or the one that is meant, and brings back what it answers', async () => {
    const path = fresh();
    const one = await serving(path, echo);
    const two = await serving(path, async () => undefined);
    const answers = await requestControl(path, 'stop', { session: 's-1', 日: [1] });
    const expected: ControlAnswer[] = [
      { process: one.store.processId, pid: process.pid, result: { method: 'stop', params: { session: 's-1', 日: [1] } } },
      { process: two.store.processId, pid: process.pid, result: undefined },
    ];
    expect(answers).toHaveLength(2);
    for (const answer of expected) expect(answers).toContainEqual(answer);
    expect(await requestControl(path, 'x', {}, { process: one.store.processId })).toHaveLength(1);
    await one.store.close();
    expect(await requestControl(path, 'x')).toHaveLength(1);
  });

  test('finds nobody where nobody runs, and where there is no folder', async () => {
    expect(await requestControl(fresh(), 'x')).toEqual([]);
  });

  test('brings back the code and message of a handler that throws, whatever it throws', async () => {
    const path = fresh();
    const thrown: unknown[] = [new RuntimeError('unknown_session', 'never seen'), new Error('oops'), 'text', undefined];
    await serving(path, () => Promise.reject(thrown.shift()));
    const codes: unknown[] = [];
    for (let n = 0; n < 4; n++) codes.push(((await requestControl(path, 'x'))[0] as { error?: unknown }).error);
    expect(codes).toEqual([
      { code: 'unknown_session', message: '[unknown_session] never seen' },
      { code: 'internal', message: 'oops' },
      { code: 'internal', message: 'text' },
      { code: 'internal', message: 'undefined' },
    ]);
  });

  test('gets an error for an answer that is no JSON, for a handler that throws at once, and for one that never answers', async () => {
    const path = fresh();
    const endless = new Promise<never>(() => {});
    await serving(path, (method) => {
      if (method === 'endless') return endless;
      if (method === 'big') return Promise.resolve(1n);
      throw new Error('at once');
    });
    expect(await requestControl(path, 'big')).toMatchObject([{ error: { code: 'internal' } }]);
    expect(await requestControl(path, 'throws')).toMatchObject([{ error: { code: 'internal', message: 'at once' } }]);
    expect(await requestControl(path, 'endless', {}, { timeoutMs: 50 })).toMatchObject([{ error: { code: 'timeout' } }]);
    expect(await requestControl(path, 'no/such method')).toMatchObject([{ error: { code: 'invalid_option' } }]);
  });

  test('is refused when it is nonsense or too long, and the process goes on', async () => {
    const path = fresh();
    const asked: string[] = [];
    const { socket } = await serving(path, async (method) => asked.push(method));
    const refusals = [
      await send(socket, '/v1/stop', '{'),
      await send(socket, '/v1/stop', '[]'),
      await send(socket, '/v1/stop', 'null'),
      await send(socket, '/v1/../stop', '{}'),
      await send(socket, '/v1/__proto__', '{}'),
      await send(socket, '/stop', '{}'),
      await send(socket, '/v1/stop', '', 'GET'),
    ];
    expect(refusals.map(({ status }) => status)).toEqual([400, 400, 400, 404, 404, 404, 404]);
    for (const { text } of refusals) expect(JSON.parse(text)).toMatchObject({ ok: false, error: { code: 'invalid_option' } });
    const long = await send(socket, '/v1/stop', ' '.repeat(1_048_577));
    expect(long.status).toBe(413);
    expect(asked).toEqual([]);
    await new Promise<void>((resolve) => {
      const raw = connect({ path: socket }, () => raw.end('nonsense\r\n\r\n'));
      raw.on('close', () => resolve()).on('error', () => {});
      raw.resume();
    });
    expect((await send(socket, '/v1/stop', `{${' '.repeat(1_048_576 - 2)}}`)).status).toBe(200);
    expect(asked).toEqual(['stop']);
  });
});

describe('the local socket', () => {
  test('is its owner alone, and lies in the folder', async () => {
    const path = fresh();
    const { socket } = await serving(path, echo);
    expect(socket.startsWith(join(path, 's'))).toBe(true);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    expect(statSync(join(path, 's')).mode & 0o777).toBe(0o700);
  });

  test('goes to a short private place when the folder is too deep for one, and is found there', async () => {
    const path = join(fresh(), 'deep'.repeat(30));
    const { store, socket } = await serving(path, echo);
    expect(socket.startsWith(outsideFolder(path))).toBe(true);
    expect(await requestControl(path, 'x')).toMatchObject([{ process: store.processId }]);
    await store.close();
    expect(readdirSync(outsideFolder(path))).toEqual([]);
    rmSync(outsideFolder(path), { recursive: true });
  });

  test('is refused where it is told to go to a path too long, or to a folder open to others', async () => {
    const path = fresh();
    await expect(serving(path, echo, { socketDir: join(path, 'deep'.repeat(30)) })).rejects.toMatchObject({
      code: 'invalid_option',
    });
    mkdirSync(join(path, 'open'));
    chmodSync(join(path, 'open'), 0o777);
    await expect(serving(path, echo, { socketDir: join(path, 'open') })).rejects.toMatchObject({ code: 'store_failed' });
    expect(await listProcesses(path)).toEqual([]);
  });

  test('answers for a process whose folder cannot be written, too', async () => {
    const path = fresh();
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const mkdirSync_ = () => {
      throw Object.assign(new Error('read-only'), { code: 'EROFS' });
    };
    const { store } = await serving(path, echo, { fs: { ...nodeFs, mkdirSync: mkdirSync_ as typeof nodeFs.mkdirSync } });
    warned.mockRestore();
    expect(await requestControl(path, 'x')).toMatchObject([{ process: store.processId, result: { method: 'x' } }]);
    await store.close();
    expect(await requestControl(path, 'x')).toEqual([]);
    rmSync(outsideFolder(path), { recursive: true });
  });

  test('says whether the writer of a journal lives', async () => {
    const path = fresh();
    const { store } = await serving(path, echo);
    store.append('s-1', { t: 'turn', s: 's-1', e: 1, at: 1, turn: 1 });
    const other = folderStore(path);
    stores.push(other);
    expect((await other.open()).journals).toMatchObject([{ process: store.processId, alive: true }]);
    await store.close();
    const third = folderStore(path);
    stores.push(third);
    expect((await third.open()).journals).toMatchObject([{ process: store.processId, alive: false }]);
  });

  test('of a process whose file was damaged still says that it lives', async () => {
    const path = fresh();
    const { store } = await serving(path, echo);
    writeFileSync(join(path, 'processes', `${store.processId}.json`), '{"pid":');
    expect(await listProcesses(path)).toMatchObject([{ process: store.processId }]);
    writeFileSync(join(path, 'processes', 'pgone.json'), JSON.stringify({ pid: 1, socket: '/nowhere/x.sock', startedAt: 1 }));
    expect(await listProcesses(path)).toHaveLength(1);
    expect(readdirSync(join(path, 'processes'))).toEqual([`${store.processId}.json`]);
  });

  test('of a process whose file may not be read says that it lives: nobody takes over what it runs', async () => {
    const path = fresh();
    const { store } = await serving(path, echo);
    const file = `${store.processId}.json`;
    rmSync(join(path, 'processes', file));
    symlinkSync(file, join(path, 'processes', file));
    expect(await listProcesses(path)).toMatchObject([{ process: store.processId }]);
  });

  test('of a folder that cannot say who runs does not say that nobody does: no stop is called confirmed (I1, S10)', async () => {
    const path = fresh();
    const { store } = await serving(path, echo);
    await serving(path, echo);
    const names = join(path, 'processes');
    renameSync(names, `${names}-away`);
    symlinkSync('processes', names);
    const unknown = { code: 'store_failed', message: expect.stringContaining('who runs is not known') };
    await expect(listProcesses(path)).rejects.toMatchObject(unknown);
    await expect(requestControl(path, 'x')).rejects.toMatchObject(unknown);
    const key = formatStopKey({ kind: 'switch', tier: 'user', subject: 'u-1', series: 'flags' });
    await expect(store.lineage.confirm(key, 0)).rejects.toMatchObject(unknown);
    rmSync(names);
    renameSync(`${names}-away`, names);
    expect(await listProcesses(path)).toHaveLength(2);
  });

  test('hears of nobody from a folder outside that others can write to: they would answer in our name', async () => {
    const path = fresh();
    const outside = outsideFolder(path);
    const { socket } = await serving(fresh(), echo);
    mkdirSync(outside);
    writeFileSync(join(outside, 'p1.json'), JSON.stringify({ pid: 1, socket, startedAt: 1 }));
    chmodSync(outside, 0o777);
    expect(await listProcesses(path)).toEqual([]);
    chmodSync(outside, 0o700);
    expect(await listProcesses(path)).toMatchObject([{ process: 'p1' }]);
    rmSync(outside, { recursive: true });
  });

  test('is opened once', async () => {
    const { store } = await serving(fresh(), echo);
    await expect(store.serve!(echo)).rejects.toMatchObject({ code: 'invalid_option' });
  });
});
