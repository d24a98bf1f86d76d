// vendors.process.test.ts: the studio with its switches at a vendor, as people start it.

import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runProgram } from './program.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'studio-vendor-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const few = ['--documents', '1', '--speed', '8'];

describe.each([
  ['launchdarkly', 'LAUNCHDARKLY_BASE_URL'],
  ['growthbook', 'GROWTHBOOK_SDK_HOST'],
])('npm start -- --source %s', (source, host) => {
  test('without credentials names every variable it needs, and the way to do without', async () => {
    const { code, text } = await runProgram(folder, ['--source', source, ...few]);
    expect(code).toBe(1);
    expect(text).toMatch(/^\[invalid_input\] --source \w+ needs [A-Z_]+_KEY \(.*or add --local.*\n$/);
  });
  test('--local brings the server up, makes the flags, runs to the end, and says how the command gets there', {
    timeout: 60_000,
  }, async () => {
    const { code, text } = await runProgram(folder, ['--source', source, '--local', ...few]);
    expect(text).toMatch(new RegExp(`made \\d+ flags in ${source}`));
    expect(text).toContain(`switches: ${source}, 127.0.0.1:`);
    expect(text).toContain(`npx offswitch --env-file studio/${source}.env engage global`);
    expect(text).toContain('3 jobs have ended: 3 completed');
    expect(code).toBe(0);
    expect((await stat(join(folder, 'studio', `${source}.env`))).mode & 0o077).toBe(0);
  });
  test('killed with -9 leaves no server behind', { timeout: 60_000 }, async () => {
    const { code } = await runProgram(folder, ['--source', source, '--local', '--documents', '4'], (text, kill) => {
      if (text.includes('engage global')) kill('SIGKILL');
    });
    expect(code).toBeNull();
    const file = await readFile(join(folder, 'studio', `${source}.env`), 'utf8');
    const url = new RegExp(`^${host}='(.*)'$`, 'm').exec(file)![1]!;
    await expect
      .poll(
        () =>
          fetch(url).then(
            () => 'there',
            () => 'gone',
          ),
        { timeout: 20_000 },
      )
      .toBe('gone');
  });
});

test('--local with a flag file is a usage error: a file is local anyway', async () => {
  expect(await runProgram(folder, ['--local'])).toMatchObject({ code: 1, text: expect.stringContaining('--local goes with') });
});
