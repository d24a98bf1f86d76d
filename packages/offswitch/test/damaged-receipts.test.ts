// damaged-receipts.test.ts: a receipt that cannot be read is not the same as no receipt: what it would have proved is not known (S10, I12).

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Bench } from './bench.ts';

let bench: Bench;
/** The receipts, as names in the state folder. */
let names: string[];
beforeEach(async () => {
  bench = new Bench();
  await bench.provision();
  const runtime = await bench.start();
  const agent = bench.agentOn(runtime, 'resume-rewrite');
  for (const one of [agent.start(undefined), agent.start(undefined)]) {
    await runtime.stop({ session: one.id, reason: 'runs wild', by: 'ann' });
    await one.outcome;
    // A receipt names the last entry that was written before it.
    await expect.poll(() => readdirSync(join(bench.folder, 'audit'))).toHaveLength(1);
  }
  await runtime.close();
  names = readdirSync(join(bench.folder, 'receipts')).map((name) => join('receipts', name));
  expect(names).toHaveLength(2);
});
afterEach(() => bench.close());

const spoil = (name: string, change: (text: string) => string): void =>
  writeFileSync(join(bench.folder, name), change(readFileSync(join(bench.folder, name), 'utf8')));
const spoilAll = (): void => {
  for (const name of names) spoil(name, (text) => text.slice(0, 100));
};

describe('offswitch ghosts over receipts that are torn', () => {
  test('finds nothing out, names them and ends with 4: without them no ghost would be found', async () => {
    expect((await bench.cli(['ghosts'])).code).toBe(0);
    spoilAll();
    const { code, out } = await bench.cli(['ghosts']);
    expect(code).toBe(4);
    for (const name of names) expect(out).toContain(`! ${name} cannot be read (it is torn): what was left there is not known`);
    expect(out).not.toContain('no ghosts');
    const { json } = await bench.cli(['ghosts', '--json']);
    expect(json.problems).toHaveLength(2);
  });
});

describe('offswitch forensics over receipts that are torn', () => {
  test('names them, and does not say that no receipt tells of a bundle, or that the session was not ended (S10)', async () => {
    const [bundle, other] = readdirSync(join(bench.folder, 'forensics'));
    const session = bundle!.replace('.json', '');
    rmSync(join(bench.folder, 'forensics', other!));
    spoilAll();
    const { code, out } = await bench.cli(['forensics', session]);
    expect(code).toBe(1);
    for (const name of names) expect(out).toContain(`! ${name} cannot be read (it is torn): what it says is not known`);
    expect(out).toContain('no receipt that can be read says what it should be');
    expect((await bench.cli(['forensics', session, '--json'])).json).toMatchObject({
      verified: 'unknown',
      problems: [expect.any(String), expect.any(String)],
    });
    const gone = await bench.cli(['forensics', other!.replace('.json', '')]);
    expect(gone.err).toContain('no receipt that can be read says why');
    expect(gone.err).not.toContain('not terminated here');
  });
});

describe('offswitch audit verify over receipts that are torn', () => {
  const log = (): string => join('audit', readdirSync(join(bench.folder, 'audit'))[0]!);

  test('finds them, and does not say that nothing is missing from a log whose end only they name', async () => {
    expect((await bench.cli(['audit', 'verify'])).code).toBe(0);
    spoil(log(), (text) => `${text.trimEnd().split('\n').slice(0, 2).join('\n')}\n`);
    expect(await bench.cli(['audit', 'verify'])).toMatchObject({ code: 1, out: expect.stringContaining('cut-off') });
    spoilAll();
    const { code, out } = await bench.cli(['audit', 'verify']);
    expect(code).toBe(1);
    for (const name of names) expect(out).toContain(`✗ receipt-unreadable: ${name} cannot be read (it is torn)`);
    expect(out).not.toContain('nothing is changed or missing');
    const { json } = await bench.cli(['audit', 'verify', '--json']);
    expect(json.findings).toMatchObject([{ what: 'receipt-unreadable' }, { what: 'receipt-unreadable' }]);
  });
  test.each(['audit', 'receipts'])(
    'ends with 1 where all logs are gone, and %s is the last that anybody emptied',
    async (last) => {
      for (const place of last === 'audit' ? ['receipts', 'audit'] : ['audit', 'receipts']) {
        rmSync(join(bench.folder, place), { recursive: true });
        mkdirSync(join(bench.folder, place));
      }
      const { code, out } = await bench.cli(['audit', 'verify']);
      expect(code).toBe(1);
      expect(out).toContain(
        `✗ log-empty: nothing is in the audit log of ${bench.folder}, which knows of 2 stops: it was taken away`,
      );
    },
  );
});

test('offswitch audit verify ends with 1 where all logs and stops are gone, and only receipts tell of what was stopped', async () => {
  for (const place of ['stops', 'audit']) {
    rmSync(join(bench.folder, place), { recursive: true });
    mkdirSync(join(bench.folder, place));
  }
  for (const name of names) spoil(name, (text) => JSON.stringify({ ...JSON.parse(text), audit: undefined }));
  const { code, out } = await bench.cli(['audit', 'verify']);
  expect(code).toBe(1);
  expect(out).toContain('✗ log-empty');
  expect(out).toContain('which knows of 2 receipts: it was taken away');
});

const session = { session: 's', path: ['s'], agent: 'a', workflow: 'w', state: 'paused', checkpointTurn: 1, calls: [] };
const call = { id: 't1-1', kind: 'tool', name: 'n', outcome: 'unknown' };
const grant = { id: 'g-1', session: 's', broker: 'b', state: 'revoked', at: 1 };

test.each([
  { stop: { subject: { sessionId: 9 } } },
  { stop: { by: 9 } },
  { stop: { cause: null } },
  { released: 'x' },
  { sessions: [{ ...session, checkpointTurn: 'x' }] },
  { sessions: [{ ...session, process: 9 }] },
  { sessions: [{ ...session, user: 9 }] },
  { sessions: [{ ...session, why: 9 }] },
  { sessions: [{ ...session, forensics: {} }] },
  { sessions: [{ ...session, forensics: { digest: 9 } }] },
  { sessions: [{ ...session, calls: [{ ...call, idempotencyKey: 9 }] }] },
  { grants: [{ ...grant, evidence: 9 }] },
  { grants: [{ ...grant, residualMs: 'x' }] },
])(
  'a receipt with %j in it, which a hand has left there, is named, and keeps no other from being shown (S10)',
  async (damage) => {
    const { stop, ...rest }: { readonly stop?: object } = damage;
    spoil(names[0]!, (text) => {
      const part = JSON.parse(text);
      return JSON.stringify({ ...part, ...rest, stop: { ...part.stop, ...stop } });
    });
    const { json } = await bench.cli(['receipts', '--json']);
    expect(json.problems).toEqual([`${names[0]} is no receipt`]);
    for (const { id } of json.receipts as { id: string }[])
      for (const more of [[], [id], [id, '--html']]) {
        const { out, err } = await bench.cli(['receipts', ...more]);
        expect(out).toContain(`${names[0]} is no receipt`);
        expect(err).not.toContain('is not a function');
      }
  },
);

describe('offswitch receipts, of a stop whose other process left a receipt that is torn', () => {
  let id: string;
  let told: string;
  beforeEach(() => {
    const part = JSON.parse(readFileSync(join(bench.folder, names[0]!), 'utf8'));
    id = part.id;
    const other = join('receipts', `${id}.pb.json`);
    writeFileSync(join(bench.folder, other), JSON.stringify({ ...part, process: 'pb' }));
    told = `${other} cannot be read (it is torn): what it says is not known`;
  });
  const tear = (): void => spoil(join('receipts', `${id}.pb.json`), (text) => text.slice(0, 100));

  test('names it on the page, on the other stream too, and ends with 1 (S10)', async () => {
    expect(await bench.cli(['receipts', id, '--html'])).toMatchObject({ code: 0, err: '' });
    tear();
    const { code, out, err } = await bench.cli(['receipts', id, '--html']);
    expect({ code, err }).toEqual({ code: 1, err: `offswitch: ${told}\n` });
    expect(out).toMatch(/^<!doctype html>.*<\/html>\n$/s);
    expect(out).toContain(`<li><bdi>${told}</bdi></li>`);
    expect(out).not.toContain('Nothing is known to be left over');
  });
  test('names it as left over in the text and as JSON, and ends with 1 (S10)', async () => {
    expect(await bench.cli(['receipts', id])).toMatchObject({ code: 0, out: expect.stringContaining('none known') });
    tear();
    const { code, out } = await bench.cli(['receipts', id]);
    expect(code).toBe(1);
    expect(out).toContain(`residue   ${told}\n`);
    expect(out).not.toContain('none known');
    expect(await bench.cli(['receipts', id, '--json'])).toMatchObject({
      code: 1,
      json: { receipts: [{ residue: [told] }], problems: [told.replace(': what it says is not known', '')] },
    });
  });
  test('does not say that there is none where all are torn, neither of one nor of all (S10)', async () => {
    tear();
    spoilAll();
    for (const args of [
      ['receipts', id],
      ['receipts', id, '--html'],
    ]) {
      const { code, err } = await bench.cli(args);
      expect(code).toBe(1);
      expect(err).toContain(told);
    }
    const { json } = await bench.cli(['receipts', id, '--json']);
    expect(json.error).toMatchObject({ code: 'unknown_receipt', message: expect.stringContaining(told) });
    const all = await bench.cli(['receipts']);
    expect(all).toMatchObject({ code: 1, out: expect.stringContaining(told) });
    expect(all.out).not.toContain('no stop has left a receipt');
  });
});

describe('one receipt with nothing where something has to be', () => {
  beforeEach(() => spoil(names[0]!, (text) => JSON.stringify({ ...JSON.parse(text), sessions: [null] })));

  test('is named in red by offswitch receipts, which shows the others', async () => {
    const { code, out } = await bench.cli(['receipts']);
    expect(code).toBe(1);
    expect(out).toContain(`! ${names[0]} is no receipt: what it says is not known`);
    expect(out).toContain('1 session');
    expect((await bench.cli(['receipts', '--json'])).json).toMatchObject({
      receipts: [{}],
      problems: [`${names[0]} is no receipt`],
    });
  });
  test('keeps nobody from reading the bundle of a session that another receipt names', async () => {
    const [whole] = (await bench.cli(['receipts', '--json'])).json.receipts as { sessions: { session: string }[] }[];
    expect((await bench.cli(['forensics', whole!.sessions[0]!.session])).code).toBe(0);
  });
});
