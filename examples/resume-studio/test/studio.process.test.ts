// studio.process.test.ts: the program as people start it: in a process of its own, on real folders.

import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { exampleResumes, loadAdverts, loadDocuments } from '../src/documents.ts';
import { expectedOutputs } from '../src/planner-expect.ts';
import { readOutbox } from '../src/tools-files.ts';
import { type Ended, type OnText, runProgram } from './program.ts';

/** Seed 1 is what `npm start -- --scenario incident` runs by itself. `STUDIO_SEEDS=3,4,5,6` for more. */
const seeds = (process.env.STUDIO_SEEDS ?? '2').split(',').map(Number);
/** A minute each, so `npm test` runs the flag file; CI runs the others (.ci/run). */
const sources = (process.env.STUDIO_SOURCES ?? 'file').split(',');
const evenings = sources.flatMap((source) => seeds.map((seed) => [source, seed] as const));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'studio-process-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const run = (args: readonly string[], onText?: OnText): Promise<Ended> => runProgram(folder, args, onText);

const few = ['--documents', '3', '--speed', '6'];

describe('npm start where nothing can be written', () => {
  test.each([
    ['studio/output', ['studio']],
    ['studio', []],
    ['.offswitch', []],
  ])('at %s says so in one line, with the way out, before any agent starts, and exits with 1', async (file, folders) => {
    for (const one of folders) await mkdir(join(folder, one));
    // A file in the place of a folder: it stops root as well.
    await writeFile(join(folder, file), 'in the way');
    const ended = await run(few);
    expect(ended.code).toBe(1);
    expect(ended.text.trim().split('\n')).toEqual([
      expect.stringMatching(/^\[write_failed\] could not write .*(EEXIST|ENOTDIR): make it writable, or name other folders/),
    ]);
    expect(ended.text).toContain(join(folder, file));
  });
});

describe('npm start', () => {
  test('interrupted, parks; started again, resumes and ends, each letter sent exactly once', { timeout: 60_000 }, async () => {
    let isInterrupted = false;
    const first = await run(few, (text, kill) => {
      if (isInterrupted || !/ completed\n/.test(text)) return;
      isInterrupted = true;
      kill('SIGINT');
    });
    expect(first).toMatchObject({
      code: 0,
      text: expect.stringMatching(/parked \d+ trees of agents .* the next start resumes them/),
    });
    expect(first.text).toContain('flag file: studio/switches.flagd.json');
    expect(first.text).toContain('npx offswitch engage global');

    // Asked for less, it still ends what it had begun.
    const less = await run(['--documents', '1', '--speed', '6']);
    expect(less).toMatchObject({ code: 0, text: expect.stringContaining('3 jobs have ended: 3 completed') });
    expect(less.text).toMatch(/\/r-ann \S+ turn \d+ \S+ running/);

    const second = await run(few);
    expect(second).toMatchObject({
      code: 0,
      text: expect.stringContaining('9 jobs have ended: 9 completed, 0 terminated, 0 failed'),
    });
    expect(less.text).toMatch(/\d+ go on from where the last process left them/);
    const { documents } = await loadDocuments(exampleResumes);
    const expected = expectedOutputs(1, documents.slice(0, 3), await loadAdverts());
    expect(
      readOutbox(join(folder, 'studio', 'outbox.jsonl'))
        .map(({ letter }) => letter)
        .sort(),
    ).toEqual(expected.letters);
    for (const file of [...expected.drafts, ...expected.scores])
      expect(existsSync(join(folder, 'studio', 'output', file))).toBe(true);

    const third = await run(few);
    expect(third).toMatchObject({ code: 0, text: expect.stringContaining('npm start -- --fresh') });
    expect(third.text).toMatch(/forget every stop in force but those engaged in \S+switches\.flagd\.json, which stay there/);
    expect(readOutbox(join(folder, 'studio', 'outbox.jsonl'))).toHaveLength(expected.letters.length);

    await rm(join(folder, '.offswitch'), { recursive: true });
    await rm(join(folder, 'studio', 'jobs', 'resume-rewrite'), { recursive: true });
    const fourth = await run(['--fresh', ...few]);
    expect(fourth).toMatchObject({ code: 1, text: expect.stringContaining('add --yes') });
  });

  test.each(['a pipe that is closed', 'SIGHUP'])(
    'parks on %s, as on Ctrl-C, and the next start goes on from there',
    { timeout: 60_000 },
    async (how) => {
      let isOver = false;
      const first = await run(few, (text, kill, hangUp) => {
        if (isOver || !/ completed\n/.test(text)) return;
        isOver = true;
        if (how === 'SIGHUP') kill('SIGHUP');
        else hangUp();
      });
      expect(first).toMatchObject({ code: 0, text: expect.stringMatching(/parked \d+ trees of agents/) });
      const second = await run(few);
      expect(second).toMatchObject({ code: 0, text: expect.stringContaining('9 jobs have ended: 9 completed') });
      expect(second.text).toMatch(/\d+ go on from where the last process left them/);
    },
  );

  test('--fresh with a state folder that is not there yet starts, and removes none that is not its own', async () => {
    const few = ['--fresh', '--yes', '--documents', '1', '--speed', '6'];
    expect(await run([...few, '--state', 'new'])).toMatchObject({ code: 0, text: expect.stringContaining('3 completed') });
    await mkdir(join(folder, 'letters'));
    expect(await run([...few, '--state', 'letters'])).toMatchObject({
      code: 1,
      text: expect.stringContaining('does not look like'),
    });
    expect(existsSync(join(folder, 'letters'))).toBe(true);
  });

  test('refuses a folder without resumes, and an option it does not know, in one sentence', async () => {
    expect(await run(['--input', folder])).toMatchObject({
      code: 1,
      text: expect.stringMatching(/^\[no_documents\] no resume in .*\n$/),
    });
    expect(await run(['--sped', '3'])).toMatchObject({ code: 1, text: expect.stringContaining('--speed') });
  });
});

describe('npm start -- --compare', () => {
  test('shows that governed agents start nothing after the stop, at any depth', { timeout: 60_000 }, async () => {
    const { code, text } = await run(['--compare', '--speed', '3', '--output-file', 'compare.txt']);
    expect(text).toMatch(/all( +\d+){3}( +0){3}/);
    expect(code).toBe(0);
    expect(text).toContain(await readFile(join(folder, 'compare.txt'), 'utf8'));
  });
});

describe('npm start -- --scenario incident', () => {
  test.each(evenings)('holds every check with switches in %s and seed %i', { timeout: 240_000 }, async (source, seed) => {
    const { code, text } = await run(['--scenario', 'incident', '--source', source, '--seed', String(seed)]);
    expect(text.split('\n').filter((line) => line.startsWith('not ok'))).toEqual([]);
    expect(text).toMatch(/\n\d{2} passed, 0 failed\n$/);
    expect(code).toBe(0);
  });
});
