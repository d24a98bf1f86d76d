// as-root.test.ts: the command of root in the state of an application that runs as somebody else (S4, S10, S13). Only root can try it.

import { chownSync, lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Bench } from './bench.ts';

const nobody = 65_534;

describe.runIf(process.getuid?.() === 0)('the command as root', () => {
  let bench: Bench;
  const all = (): string[] => [
    bench.place,
    ...(readdirSync(bench.place, { recursive: true }) as string[]).map((name) => join(bench.place, name)),
  ];
  beforeEach(async () => {
    bench = new Bench();
    await bench.provision();
    await bench.visit();
    for (const path of all()) chownSync(path, nobody, nobody);
  });
  afterEach(() => bench.close());

  test('leaves nothing in the state, or beside the flag file, that the application cannot read', async () => {
    const before = all().length;
    expect((await bench.cli(['engage', 'user', 'zed', '--reason', 'asked to', '--yes'])).code).toBe(0);
    await bench.cli(['stop', 's-1', '--reason', 'odd', '--yes']);
    await bench.cli(['resolve', 's-1', 't1-1', '--happened', '--reason', 'seen in the log']);
    const made = all();
    expect(made.length).toBeGreaterThan(before + 4);
    expect(made).toContain(`${bench.file}.history.jsonl`);
    expect(made.filter((path) => lstatSync(path).uid !== nobody || lstatSync(path).gid !== nobody)).toEqual([]);
  });
  test('still does where the history of flips is cut back', async () => {
    const history = `${bench.file}.history.jsonl`;
    writeFileSync(history, '{}\n'.repeat(400), { mode: 0o600 });
    chownSync(history, nobody, nobody);
    await bench.cli(['engage', 'global', '--reason', 'x', '--yes']);
    expect(readFileSync(history, 'utf8').split('\n').length).toBeLessThan(400);
    expect(lstatSync(history)).toMatchObject({ uid: nobody, gid: nobody });
  });
});
