import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Bench } from './bench.ts';

let bench: Bench;
beforeEach(async () => {
  bench = new Bench();
  await bench.provision();
  await bench.visit();
});
afterEach(() => bench.close());

const logs = (): string[] => readdirSync(join(bench.folder, 'audit')).map((name) => join(bench.folder, 'audit', name));
const types = (json: Record<string, unknown>): unknown[] =>
  (json.entries as Record<string, unknown>[]).map(({ type, action, side, outcome }) =>
    [type, action ?? side, outcome].filter(Boolean).join(' '),
  );

describe('offswitch audit', () => {
  test('lists what the command did, who asked and why, with no process alive', async () => {
    await bench.cli(['engage', 'feature', 'batch-scoring', '--reason', 'bad scores', '--by', 'ann', '--yes']);
    await bench.cli(['stop', 's-1', '--reason', 'odd', '--yes']);
    await bench.cli(['resolve', 's-1', 't1-1', '--happened', '--value', '"the secret result"', '--reason', 'seen in the log']);
    const { code, json } = await bench.cli(['audit', '--json']);
    expect(code).toBe(0);
    expect(types(json)).toEqual(expect.arrayContaining(['opened', 'flip engage done', 'mark engaged', 'resolved', 'closed']));
    expect(JSON.stringify(json)).not.toContain('secret result');
    const { out } = await bench.cli(['audit']);
    expect(out).toContain('bad scores');
    expect(out).toContain('ann');
  });
  test('lists what one process wrote in the order in which it was written, whatever its clock said', async () => {
    await bench.cli(['engage', 'global', '--reason', 'x', '--yes']);
    const [path] = logs();
    const [first, second, ...rest] = readFileSync(path!, 'utf8').trimEnd().split('\n');
    const earlier = (second ?? '').replace(/"at":\d+/, '"at":1');
    writeFileSync(path!, `${[first, earlier, ...rest].join('\n')}\n`);
    const { process } = JSON.parse(first!) as { process: string };
    const { json } = await bench.cli(['audit', '--json']);
    const own = (json.entries as { process: string; n: number }[]).filter((one) => one.process === process).map(({ n }) => n);
    expect(own).toEqual(own.toSorted((a, b) => a - b));
    expect(own.length).toBeGreaterThan(2);
  });
  test('of nothing makes no folder and says so', async () => {
    rmSync(bench.folder, { recursive: true });
    for (const words of [['audit'], ['audit', 'verify']])
      expect(await bench.cli(words)).toMatchObject({ code: 1, err: expect.stringContaining('no state folder') });
    expect(existsSync(bench.folder)).toBe(false);
  });
  test('shows a reason that holds escape sequences without them', async () => {
    await bench.cli(['engage', 'global', '--reason', 'a\u001b[2Jb\u202ec', '--yes']);
    const { out } = await bench.cli(['audit']);
    expect(out).toContain('a [2Jb c');
  });
});

describe('offswitch audit verify', () => {
  test('takes no limit: it looks at every entry', async () => {
    const ran = await bench.cli(['audit', 'verify', '--limit', '1', '--json']);
    expect(ran).toMatchObject({ code: 2, json: { error: { code: 'limit_extra' } } });
  });
  beforeEach(async () => {
    for (const reason of ['one', 'two', 'three']) await bench.cli(['engage', 'global', '--reason', reason, '--yes']);
  });
  test('exits 0 and prints the heads', async () => {
    const { code, out, json } = await bench.cli(['audit', 'verify', '--json']);
    expect(code).toBe(0);
    expect(json).toMatchObject({ findings: [], heads: [{ n: expect.any(Number) }, {}, {}] });
    expect(out).not.toContain('✗');
  });
  test('exits 1 and names the entry and the chain that was edited', async () => {
    const [path] = logs();
    writeFileSync(path!, readFileSync(path!, 'utf8').replace(/"reason":"\w+"/, '"reason":"nothing"'));
    const { code, out } = await bench.cli(['audit', 'verify']);
    expect(code).toBe(1);
    expect(out).toMatch(/✗ chain \w+: edited: line 2, in the place of entry 2, is not what its hash says/);
  });
  test('exits 1 where a chain was taken away that another one names', async () => {
    const { json } = await bench.cli(['audit', '--json']);
    const first = (json.entries as { process: string }[])[0]!.process;
    rmSync(join(bench.folder, 'audit', `${first}.log`));
    const { code, out } = await bench.cli(['audit', 'verify']);
    expect(code).toBe(1);
    expect(out).toContain(`✗ chain ${first}: `);
    expect(out).toContain('chain-missing');
  });
  test('finds by heads that were kept elsewhere that everything was taken away', async () => {
    const heads = join(bench.place, 'heads.json');
    writeFileSync(heads, (await bench.cli(['audit', 'verify', '--json'])).out);
    expect(await bench.cli(['audit', 'verify', '--heads', heads])).toMatchObject({ code: 0 });
    for (const path of logs()) rmSync(path);
    expect((await bench.cli(['audit', 'verify'])).out).not.toContain('chain-missing');
    const { code, out } = await bench.cli(['audit', 'verify', '--heads', heads]);
    expect(code).toBe(1);
    expect(out).toContain('chain-missing');
  });
  test('names a file of heads that is not there, and what writes one', async () => {
    const ran = await bench.cli(['audit', 'verify', '--heads', '/none.json']);
    expect(ran.err).toContain('there is no file /none.json; it is written by: offswitch audit verify --json');
  });
  test.each(['{}', 'no json', '[]'])('refuses %j as a file of heads', async (text) => {
    const heads = join(bench.place, 'heads.json');
    writeFileSync(heads, text);
    expect(await bench.cli(['audit', 'verify', '--heads', heads])).toMatchObject({ code: 2 });
  });
  test('of a place in which no application has written anything is no success: it may be a typo', async () => {
    const empty = join(bench.place, 'empty');
    mkdirSync(empty);
    expect(await bench.cli(['--state', empty, 'audit', 'verify', '--json'])).toMatchObject({
      code: 1,
      json: { error: { code: 'no_state' } },
    });
  });
  test('of an application that has never stopped anything says that nothing is there, and is well', async () => {
    for (const path of [bench.folder, bench.file]) rmSync(path, { recursive: true });
    await bench.provision();
    await bench.visit();
    const { code, out } = await bench.cli(['audit', 'verify']);
    expect([code, out.split('\n')[0]]).toEqual([
      0,
      `nothing is in the audit log of ${bench.folder}, and nothing was ever stopped there`,
    ]);
  });
  test('of an empty log is no success where anything was stopped, also if that was released (S10)', async () => {
    const runtime = await bench.start();
    for (const kind of ['engage', 'release']) await bench.cli([kind, 'global', '--reason', 'x', '--yes']);
    await runtime.close();
    for (const path of logs()) rmSync(path);
    const { code, out } = await bench.cli(['audit', 'verify']);
    expect(code).toBe(1);
    expect(out).toContain(
      `✗ log-empty: nothing is in the audit log of ${bench.folder}, which knows of 1 stop and 1 receipt: it was taken away`,
    );
    expect(out).not.toContain('nothing is changed or missing');
  });
  test('alone takes heads to compare with: without it they are refused, not overlooked', async () => {
    expect(await bench.cli(['audit', '--heads', join(bench.place, 'heads.json')])).toMatchObject({ code: 2 });
  });
  test('takes no other word', async () => {
    expect(await bench.cli(['audit', 'verfy'])).toMatchObject({ code: 2 });
  });
});

test('a flip whose audit entry cannot be written is made all the same, and says so (I13)', async () => {
  rmSync(join(bench.folder, 'audit'), { recursive: true });
  writeFileSync(join(bench.folder, 'audit'), 'a file in its place');
  const { err, out } = await bench.cli(['engage', 'global', '--reason', 'x', '--yes']);
  expect(out).toContain('read back');
  expect(err).toContain('is not in the audit log');
});
