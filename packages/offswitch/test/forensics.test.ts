import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Bench } from './bench.ts';

let bench: Bench;
let session: string;
beforeEach(async () => {
  bench = new Bench();
  await bench.provision();
  const runtime = await bench.start();
  const run = bench.agentOn(runtime, 'resume-rewrite').start({});
  session = run.id;
  await runtime.stop({ session, reason: 'odd \u202eletters', by: 'ann' });
  await run.outcome;
  await runtime.close();
});
afterEach(() => bench.close());

const path = (): string => join(bench.folder, 'forensics', `${session}.json`);

describe('offswitch forensics', () => {
  test('shows the bundle, and that it is what the receipt says', async () => {
    const ran = await bench.cli(['forensics', session]);
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(ran.out).toContain('odd  letters (ann)');
    expect(ran.out).toContain('killswitch.global');
    expect(ran.out).toMatch(/✓ sha256 [0-9a-f]{64}, as the receipt act\.operator/);
    expect((await bench.cli(['forensics', session, '--json'])).json).toMatchObject({
      verified: 'yes',
      bundle: { session, versions: { node: process.version } },
    });
  });
  test('exits 1 where the bundle was changed', async () => {
    writeFileSync(path(), readFileSync(path(), 'utf8').replace('"ann"', '"eve"'));
    const ran = await bench.cli(['forensics', session]);
    expect(ran.code).toBe(1);
    expect(ran.out).toContain('it was changed');
  });
  test('exits 1 where no receipt says what it should be', async () => {
    for (const name of readdirSync(join(bench.folder, 'receipts'))) rmSync(join(bench.folder, 'receipts', name));
    const ran = await bench.cli(['forensics', session, '--json']);
    expect(ran).toMatchObject({ code: 1, json: { verified: 'unknown' } });
  });
  test('exits 1 where it is gone, and says that there was one', async () => {
    rmSync(path());
    const ran = await bench.cli(['forensics', session]);
    expect(ran.code).toBe(1);
    expect(ran.err).toContain('names one, and it is gone');
  });
  test('of another session says that there is none', async () => {
    expect(await bench.cli(['forensics', 's-none'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('was not terminated here'),
    });
  });
  test.each(['[]', 'no json', '{}', '{"path":7,"readings":{"switches":[null,3]},"journal":{"turns":[{"calls":[1]}]}}'])(
    'of a file that holds %s shows no stack trace',
    async (text) => {
      writeFileSync(path(), text);
      const ran = await bench.cli(['forensics', session]);
      expect(ran.code).toBe(1);
      expect(ran.out + ran.err).not.toContain('    at ');
    },
  );
});
