import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { endless, type Receipt, type ReceiptSession } from '@offswitch/runtime';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Command } from '../src/cli/command.ts';
import { receiptPage } from '../src/cli/receipt-page.ts';
import { receipts } from '../src/cli/receipts.ts';
import { Bench } from './bench.ts';

const hourMs = 3_600_000;
/** Since 1970-01-01T00:00:00.000Z and a second: one without an end, one for an hour, one that is over. */
const grants: Receipt['grants'] = [
  {
    id: 'g-1',
    session: 's-1',
    broker: 'mail',
    state: 'irrevocable',
    at: 1000,
    residualMs: endless - 1000,
    evidence: 'it was lost',
  },
  { id: 'g-2', session: 's-1', broker: 'mail', state: 'revoking', at: 1000, residualMs: hourMs },
  { id: 'g-3', session: 's-1', broker: 'mail', state: 'revoked', at: 1000, residualMs: 0, evidence: 'the server answered 200' },
];

/** A receipt in which every text that a stranger may have written is this one. */
function receiptOf(text: string): Receipt {
  const session = (path: readonly string[]): ReceiptSession => ({
    session: path.at(-1)!,
    path,
    process: text,
    agent: text,
    workflow: text,
    user: text,
    state: 'unconfirmed',
    why: text,
    checkpointTurn: 3,
    forensics: { missing: text },
    calls: [{ id: 't1-1', kind: 'tool', name: text, outcome: 'unknown', idempotencyKey: text }],
  });
  return {
    id: text,
    stop: {
      id: text,
      cause: 'operator',
      tier: 'user',
      action: 'terminate',
      subject: { userId: text },
      reason: text,
      by: text,
      since: 1,
    },
    stages: { recorded: 1, fenced: 2 },
    sessions: [session(['s-1']), session(['s-1', 's-2'])],
    grants: [{ id: text, session: text, broker: text, state: 'revoked', at: 3, evidence: text }],
    residue: [text],
    audit: [{ process: text, n: 1, hash: text }],
  };
}

const tags = (page: string): readonly string[] => page.match(/<[^>]*>/g) ?? [];
const page = (text: string): string => receiptPage([receiptOf(text)], 4);

describe('the page of a receipt', () => {
  test.each([
    '</script><script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '</style><style>*{display:none}</style>',
    '</title><h1>',
    '<!-- ',
    '&lt;b&gt;',
  ])('shows %j as text, and as nothing else', (text) => {
    expect(tags(page(text))).toEqual(tags(page('x')));
    expect(page(text)).not.toContain('<script');
  });
  test('has the same elements whatever strangers wrote', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('<', '>', '&', '"', "'", '/', '!', '-', 'a', ']') })),
        (text) => {
          expect(tags(page(`a${text}`))).toEqual(tags(page('x')));
        },
      ),
    );
  });
  test('keeps text that turns direction to itself', () => {
    const text = page('invoice\u202egnp.exe \u2067 \u05d0\u05d1');
    expect(text).not.toMatch(/[\u202a-\u202e\u2066-\u2069]/);
    expect(text).toContain('<bdi>invoice gnp.exe');
  });
  test('loads nothing and runs nothing', () => {
    const text = page('x');
    expect(text).toContain("default-src 'none'");
    expect(text).not.toMatch(/<(script|link|img|iframe|object|embed|form|base)\b|\son\w+=|url\(|@import/i);
  });
  test('tells a long reason whole, and escapes what it holds once', () => {
    const reason = `${'long '.repeat(300)}& <end>`;
    expect(page(reason)).toContain(`${'long '.repeat(300)}&amp; &lt;end&gt;</bdi>`);
  });
  test('puts a child below its parent, further in, and names what is not known', () => {
    const text = page('x');
    expect(text.indexOf('<bdi>s-1</bdi>')).toBeLessThan(text.indexOf('<bdi>s-2</bdi>'));
    expect(text).toContain('padding-inline-start:1.75rem"><bdi>s-2</bdi>');
    expect(text.match(/not yet/g)).toHaveLength(3);
    expect(text).toContain('unknown');
  });
  test('says of each credential until when it may work, as a moment or as a sentence (I4)', () => {
    const text = receiptPage([{ ...receiptOf('x'), grants }], 4);
    expect(text).toContain('<bdi>until it is removed by hand</bdi>');
    expect(text).toContain('<bdi>until 1970-01-01T01:00:01.000Z</bdi>');
    expect(text).toContain('<bdi>no longer</bdi>');
  });
});

describe('offswitch receipts', () => {
  let bench: Bench;
  let session: string;
  beforeEach(async () => {
    bench = new Bench();
    await bench.provision();
    const runtime = await bench.start();
    const leaf = runtime.agent('leaf', async (one) => {
      for (;;) await one.turn(async (turn) => void (await turn.tool('wait', {}, () => new Promise(() => {}), { effect: false })));
    });
    const run = runtime.agent('resume-rewrite', (one) => one.turn((turn) => turn.spawn(leaf, undefined))).start({});
    session = run.id;
    await expect.poll(() => runtime.sessions().length).toBe(2);
    await runtime.stop({ session, reason: '</script><script>', by: 'ann' });
    await run.outcome;
    await runtime.close();
  });
  afterEach(() => bench.close());

  test('of one as a page prints the page and nothing else', async () => {
    const id = ((await bench.cli(['receipts', '--json'])).json.receipts as Receipt[])[0]!.id;
    const ran = await bench.cli(['receipts', id, '--html']);
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(ran.out).toMatch(/^<!doctype html>.*<\/html>\n$/s);
    expect(ran.out).toContain('&lt;/script&gt;&lt;script&gt;');
  });
  test('as a tree: each below who started it, with its process, its checkpoint and its calls', async () => {
    const [receipt] = (await bench.cli(['receipts', '--json'])).json.receipts as Receipt[];
    const { out } = await bench.cli(['receipts', receipt!.id]);
    const lines = out.split('\n');
    const root = lines.findIndex((line) => line.startsWith(`  ${session} `));
    const [leaf] = receipt!.sessions.filter((one) => one.session !== session);
    const child = lines.findIndex((line) => line.startsWith(`    ${leaf!.session} `));
    expect(child).toBeGreaterThan(root);
    expect(lines[child]).toContain(leaf!.process!);
    expect(lines[child]).toContain('bundle kept');
    expect(lines[child + 1]).toMatch(/^ +t1-1 +tool wait +aborted/);
  });
  test('says of each credential since when it is so, until when it may work, and how that is known (I4)', async () => {
    for (const name of readdirSync(join(bench.folder, 'receipts'))) {
      const path = join(bench.folder, 'receipts', name);
      writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), grants }));
    }
    const id = ((await bench.cli(['receipts', '--json'])).json.receipts as Receipt[])[0]!.id;
    const { out } = await bench.cli(['receipts', id]);
    const since = 'since 1970-01-01T00:00:01.000Z';
    expect(out).toContain(`g-1 of s-1 at mail: irrevocable ${since}, may work until it is removed by hand (it was lost)\n`);
    expect(out).toContain(`g-2 of s-1 at mail: revoking ${since}, may work until 1970-01-01T01:00:01.000Z\n`);
    expect(out).toContain(`g-3 of s-1 at mail: revoked ${since}, may work no longer (the server answered 200)\n`);
  });
  test.each([[['receipts', '--html']], [['receipts', 'x', '--html', '--json']]])('%j is a usage error', async (args) => {
    expect(await bench.cli(args)).toMatchObject({ code: 2 });
  });
});

test('a receipt in a terminal is without the control characters that any text of it may hold, and whatever its times are', async () => {
  const hostile = 'a\u001b[2J\u202eb';
  const { stop, grants: lent, ...rest } = receiptOf(hostile);
  const forged = {
    ...rest,
    stop: { ...stop, action: hostile },
    grants: lent.map((one) => ({ ...one, state: hostile })),
    released: 1e300,
  };
  const said: string[] = [];
  const place = { ask: async () => [{ process: 'p1', pid: 1, result: [forged] }], receipts: async () => [] };
  const io = { now: () => 1, hasColour: false };
  const command = { io, place, isJson: false, say: (line: string) => said.push(line) } as unknown as Command;
  for (const id of [undefined, forged.id]) await receipts(command, id, false);
  expect(said.join('\n').replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202e]/u);
  expect(said.join()).toContain('grant ');
});
