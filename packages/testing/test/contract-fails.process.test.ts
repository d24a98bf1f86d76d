// contract-fails.process.test.ts: a suite that cannot fail promises nothing. Sources that are broken in known ways are run under
// the contract, in a process of their own, and each must be found out by the test that is there for it.

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { mustBreak } from './broken/must-break.ts';

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[];
      readonly title: string;
      readonly status: string;
    }[];
  }[];
}

test('the contract of a source finds out each source that breaks it, by the test that is there for it', async () => {
  const here = join(dirname(fileURLToPath(import.meta.url)), 'broken');
  const folder = await mkdtemp(join(tmpdir(), 'offswitch-broken-'));
  const out = join(folder, 'report.json');
  const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
  const args = [vitest, 'run', '--root', here, '--reporter=json', `--outputFile=${out}`];
  // It exits red, which is what it is for.
  await new Promise<void>((resolve) => execFile(process.execPath, args, { timeout: 100_000 }, () => resolve()));
  const { testResults } = JSON.parse(await readFile(out, 'utf8')) as Report;
  await rm(folder, { recursive: true, force: true });
  const failed = new Map<string, string[]>();
  for (const { ancestorTitles, title, status } of testResults.flatMap((file) => file.assertionResults)) {
    const source = ancestorTitles[0]!.replace('a switch source: ', '');
    if (status === 'failed') failed.set(source, [...(failed.get(source) ?? []), title]);
  }
  for (const [broken, title] of Object.entries(mustBreak)) expect(failed.get(broken) ?? [], broken).toContain(title);
});
