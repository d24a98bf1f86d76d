// processes.process.test.ts: the fleet in several processes, on each store.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { whyNoRedis } from '@offswitch/testing';
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
      const { documents } = await loadDocuments(exampleResumes);
      const expected = expectedOutputs(1, documents.slice(0, 3), await loadAdverts());
      const letters = readOutbox(join(folder, 'studio', 'outbox.jsonl')).map(({ letter }) => letter);
      expect(letters.sort()).toEqual(expected.letters);
    },
  );
});
