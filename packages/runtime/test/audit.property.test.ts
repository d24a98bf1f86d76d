import {
  type AuditChain,
  type AuditHead,
  type AuditLog,
  Auditor,
  canonical,
  memoryAudit,
  sha256,
  verifyAudit,
} from '@offswitch/runtime';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

interface World {
  readonly chains: readonly AuditChain[];
  /** As somebody kept them outside. */
  readonly heads: readonly AuditHead[];
}

/** Writers that begin one after the other, each finding what the earlier ones have. */
async function write(lengths: readonly number[]): Promise<World> {
  const memory = new Map<string, string[]>();
  let log: AuditLog | undefined;
  const auditors: Auditor[] = [];
  for (const [i, length] of lengths.entries()) {
    const process = `p-${i}`;
    log = memoryAudit(memory, process);
    const own = log;
    const auditor = new Auditor({ log: () => own, process, now: () => 1_000 + i, onTrouble: () => {} });
    for (let n = 0; n < length; n++) auditor.note({ type: 'resumed', session: `s-${n}`, by: 'ann', reason: `because ${n}` });
    await auditor.settled();
    auditors.push(auditor);
  }
  // The first goes on after the others have named it.
  auditors[0]!.note({ type: 'refused', code: 'path_forged', message: 'no' });
  await auditors[0]!.settled();
  return { chains: await log!.chains(), heads: auditors.flatMap(({ head }) => head ?? []) };
}

/** Another entry in its place, whole in itself. */
function rewritten(line: string, change: object): string {
  const { hash: _, ...open } = { ...JSON.parse(line), ...change };
  return canonical({ ...open, hash: sha256(canonical(open)) });
}

type Mutation = (chains: AuditChain[], at: number, other: number) => void;

const pick = <T>(list: readonly T[], at: number): number => at % list.length;
const edit = (chains: AuditChain[], at: number, work: (lines: string[], line: number) => void): void => {
  const i = pick(chains, at);
  const lines = [...chains[i]!.lines];
  work(lines, pick(lines, Math.floor(at / chains.length)));
  chains[i] = { ...chains[i]!, lines };
};

const mutations: Readonly<Record<string, Mutation>> = {
  'one character changed': (chains, at, other) =>
    edit(chains, at, (lines, i) => {
      const line = lines[i]!;
      const place = pick([...line], other);
      lines[i] = `${line.slice(0, place)}${line[place] === 'x' ? 'y' : 'x'}${line.slice(place + 1)}`;
    }),
  'one entry rewritten with a hash that fits': (chains, at) =>
    edit(chains, at, (lines, i) => {
      lines[i] = rewritten(lines[i]!, { at: 7 });
    }),
  'a blank added': (chains, at, other) =>
    edit(chains, at, (lines, i) => {
      const place = lines[i]!.indexOf(',', other % 40);
      lines[i] = `${lines[i]!.slice(0, place)} ${lines[i]!.slice(place)}`;
    }),
  'one entry removed': (chains, at) => edit(chains, at, (lines, i) => void lines.splice(i, 1)),
  'the end cut off': (chains, at) => edit(chains, at, (lines, i) => void lines.splice(i)),
  'one entry there twice': (chains, at, other) =>
    edit(chains, at, (lines, i) => void lines.splice(pick(lines, other), 0, lines[i]!)),
  'one entry moved': (chains, at, other) =>
    edit(chains, at, (lines, i) => {
      const [line] = lines.splice(i, 1);
      const to = pick([...lines, ''], other);
      lines.splice(to === i ? (i + 1) % (lines.length + 1) : to, 0, line!);
    }),
  'an entry of another chain put in': (chains, at, other) =>
    edit(chains, at, (lines, i) => {
      const from = chains[(pick(chains, at) + 1) % chains.length]!.lines;
      lines.splice(i, 0, from[pick(from, other)]!);
    }),
  'a chain removed': (chains, at) => void chains.splice(pick(chains, at), 1),
  'a chain under another name': (chains, at) => {
    const i = pick(chains, at);
    chains[i] = { ...chains[i]!, process: 'p-else' };
  },
};

describe('a log that nobody touched', () => {
  test('verifies, and names the head of each chain', async () => {
    const { chains, heads } = await write([3, 1, 4]);
    const report = verifyAudit(chains);
    expect(report).toMatchObject({ findings: [], entries: 12 });
    expect(report.heads).toEqual(heads);
    expect(verifyAudit([])).toMatchObject({ findings: [], heads: [] });
  });
  test('names each chain once: those that another one holds are not named again', async () => {
    const { chains } = await write([1, 1, 1, 1]);
    const named = chains.map(({ lines }) => JSON.parse(lines[0]!).heads.map(({ process }: AuditHead) => process));
    expect(named).toEqual([[], ['p-0'], ['p-1'], ['p-2']]);
  });
});

describe.each(Object.entries(mutations))('%s', (_, mutate) => {
  test('is found, in any log whose heads were kept', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 2, maxLength: 4 }),
        fc.nat(),
        fc.nat(),
        async (lengths, at, other) => {
          const { chains, heads } = await write(lengths);
          const changed = [...chains];
          mutate(changed, at, other);
          fc.pre(JSON.stringify(changed) !== JSON.stringify(chains));
          const report = verifyAudit(
            changed,
            heads.map((head) => ({ ...head, by: 'a person' })),
          );
          expect(report.findings).not.toEqual([]);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('what is found', () => {
  type Case = readonly [string, (lines: string[]) => unknown, n: number, line: number];
  const cases: readonly Case[] = [
    ['edited', (lines) => lines.splice(2, 1, lines[2]!.replace('because 1', 'because 9')), 3, 3],
    ['rewritten', (lines) => lines.splice(2, 1, rewritten(lines[2]!, { by: 'eve' })), 4, 4],
    ['foreign', (lines) => lines.splice(2, 1, rewritten(lines[2]!, { process: 'p-9' })), 3, 3],
    ['removed', (lines) => lines.splice(2, 1), 3, 3],
    ['duplicated', (lines) => lines.splice(3, 0, lines[2]!), 3, 4],
    ['reordered', (lines) => lines.splice(2, 2, lines[3]!, lines[2]!), 3, 4],
    ['cut-off', (lines) => lines.splice(2), 4, 3],
  ];
  test.each(cases)('%s names the entry and the line, and nothing else', async (what, mutate, n, line) => {
    const { chains } = await write([3, 1]);
    const lines = [...chains[0]!.lines];
    mutate(lines);
    const { findings } = verifyAudit([{ process: 'p-0', lines }, chains[1]!]);
    expect(findings).toMatchObject([{ process: 'p-0', what, n, line }]);
  });
  test('is one row of missing entries as one, whatever numbers they have; those that stand elsewhere are not missing', async () => {
    const { chains } = await write([9, 1]);
    const { lines } = chains[0]!;
    const kept = [0, 1, 7, 4, 8, 9, 10].map((i) => lines[i]!);
    expect(verifyAudit([{ process: 'p-0', lines: kept }, chains[1]!]).findings).toMatchObject([
      { what: 'removed', n: 3, line: 3, message: 'entries 3 to 4 are missing before line 3' },
      { what: 'removed', n: 6, line: 3, message: 'entries 6 to 7 are missing before line 3' },
      { what: 'reordered', n: 5, line: 4 },
    ]);
    const far = Number.MAX_SAFE_INTEGER;
    expect(verifyAudit([{ process: 'p-0', lines: [rewritten(lines[1]!, { n: far })] }]).findings).toMatchObject([
      { what: 'removed', n: 1, message: `entries 1 to ${far - 1} are missing before line 1` },
    ]);
  });
  test('is a chain that is gone, by whoever names it', async () => {
    const { chains } = await write([3, 1]);
    expect(verifyAudit(chains.slice(1)).findings).toMatchObject([
      { process: 'p-0', what: 'chain-missing', n: 4, message: expect.stringContaining('entry 1 of the chain p-1') },
    ]);
  });
  test('is a chain that was written anew from one entry on', async () => {
    const { chains } = await write([3, 1]);
    const forged = new Map<string, string[]>();
    const log = memoryAudit(forged, 'p-0');
    const forger = new Auditor({ log: () => log, process: 'p-0', now: () => 1_000, onTrouble: () => {} });
    for (let n = 0; n < 4; n++) forger.note({ type: 'resumed', session: `s-${n}`, by: 'eve', reason: 'nothing happened' });
    await forger.settled();
    const { findings } = verifyAudit([...(await log.chains()), chains[1]!]);
    expect(findings).toMatchObject([{ process: 'p-0', what: 'rewritten', n: 4 }]);
  });
});
