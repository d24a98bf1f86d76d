// processes.process.test.ts: the fleet in several processes, on each store.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startLocalRedis, whyNoRedis } from '@offswitch/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { exampleResumes, loadAdverts, loadDocuments } from '../src/documents.ts';
import { expectedOutputs } from '../src/planner-expect.ts';
import { readOutbox } from '../src/tools-files.ts';
import { runProgram } from './program.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'studio-processes-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const withoutRedis = whyNoRedis();

describe('npm start -- --processes', () => {
  test.each([
    ['folder', undefined],
    ['redis', withoutRedis],
  ])(
    'on %s parks all of them on Ctrl-C; started again, each letter is sent exactly once, although a worker is killed',
    { timeout: 120_000 },
    async (store, whyNot) => {
      if (whyNot !== undefined) return console.warn(`skipped: ${whyNot}`);
      const args = ['--processes', '3', '--store', store, '--documents', '3', '--speed', '3'];
      let isInterrupted = false;
      const first = await runProgram(folder, args, (text, kill) => {
        if (isInterrupted || !/ completed\n/.test(text)) return;
        isInterrupted = true;
        kill('SIGINT');
      });
      expect(first).toMatchObject({ code: 0, text: expect.stringMatching(/parked \d+ trees of agents/) });
      expect(first.text).not.toContain('did not come to rest');

      let killed: number | undefined;
      const second = await runProgram(folder, args, (text) => {
        const pid = /sub-agents in 2 \(pid (\d+)\)/.exec(text)?.[1];
        if (killed !== undefined || pid === undefined || !/ running\n/.test(text)) return;
        killed = Number(pid);
        process.kill(killed, 'SIGKILL');
      });
      expect(second.text).toContain(`process 2 (pid ${killed}) is gone (SIGKILL)`);
      expect(second).toMatchObject({ code: 0, text: expect.stringContaining('9 completed, 0 terminated, 0 failed') });
      for (const { text } of [first, second])
        expect(/\nthe Redis of this fleet has ended with it, .*REDIS_URL.*\n$/.test(text)).toBe(store === 'redis');
      const { documents } = await loadDocuments(exampleResumes);
      const expected = expectedOutputs(1, documents.slice(0, 3), await loadAdverts());
      const letters = readOutbox(join(folder, 'studio', 'outbox.jsonl')).map(({ letter }) => letter);
      expect(letters.sort()).toEqual(expected.letters);
    },
  );

  test.skipIf(withoutRedis)(
    'on the Redis of REDIS_URL refuses --fresh, removes nothing, and names a way out that works',
    { timeout: 120_000 },
    async () => {
      const server = await startLocalRedis();
      try {
        const args = ['--processes', '2', '--store', 'redis', '--documents', '1', '--speed', '6'];
        const run = (url: string, ...more: readonly string[]) =>
          runProgram(folder, [...args, ...more], undefined, { REDIS_URL: url });
        const first = await run(server.url);
        expect(first).toMatchObject({ code: 0, text: expect.stringContaining('3 jobs have ended: 3 completed') });
        const again = await run(server.url);
        expect(again.text).toMatch(/all of them had ended before; to do it all again, .*REDIS_URL.*--studio and --state/);
        expect(again.text).not.toContain('--fresh');

        const keys = await server.command('DBSIZE');
        const letters = readOutbox(join(folder, 'studio', 'outbox.jsonl'));
        const fresh = await run(server.url, '--fresh', '--yes');
        expect(fresh).toMatchObject({
          code: 1,
          text: expect.stringMatching(/^error: --fresh .*REDIS_URL.*--studio and --state.*\n$/),
        });
        expect(await server.command('DBSIZE')).toBe(keys);
        expect(readOutbox(join(folder, 'studio', 'outbox.jsonl'))).toEqual(letters);

        const elsewhere = await run(`${server.url}/1`, '--studio', 'studio-1', '--state', 'state-1');
        expect(elsewhere).toMatchObject({ code: 0, text: expect.stringContaining('3 jobs have ended: 3 completed') });
        expect(elsewhere.text).not.toContain('had ended before');
      } finally {
        await server.close();
      }
    },
  );
});
