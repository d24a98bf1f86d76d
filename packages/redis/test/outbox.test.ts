// outbox.test.ts: what a flush says of writes that wait, while others that wait are dropped.

import { expect, test, vi } from 'vitest';
import { ServerRefusal } from '../src/connection/link.ts';
import { Outbox } from '../src/outbox.ts';

/** A Redis that answers when it is told to. */
function slowRedis({ maxBytes = 1_000_000 } = {}) {
  const sent: string[][] = [];
  const said: string[] = [];
  const answers: ((reply: number | Promise<never>) => void)[] = [];
  const wire = {
    trouble: undefined,
    fn: (name: string, argv: string[]) => {
      said.push(name);
      sent.push(argv);
      return new Promise((resolve) => answers.push(resolve));
    },
  };
  const outbox = new Outbox({
    wire: wire as never,
    process: 'p1',
    timeoutMs: 1_000,
    flushWithinMs: 60_000,
    maxBytes,
    retentionMs: 1_000,
    gen: () => '1',
    onLost: () => {},
    onLoss: async () => void said.push('registered again'),
    onTrouble: () => {},
  });
  return { outbox, answers, said, sent };
}

/** Everything that is settled has been told. */
const turn = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve));
const write = (localRoot: string) => ({ fn: 'journal', root: localRoot, localRoot, args: ['{}'] }) as const;

test('an intent is durable only when Redis has it, whatever was dropped meanwhile of sessions that are elsewhere (I9)', async () => {
  const { outbox, answers } = slowRedis();
  outbox.push(write('kept'));
  let isDurable = false;
  const flushed = outbox.flush().then(() => {
    isDurable = true;
  });
  for (let i = 0; i < 3; i++) outbox.push(write('taken'));
  // It was counted as gone, and is told so by its writes before it is told what it has lost.
  for (const answer of answers.splice(0)) answer(Promise.reject(new ServerRefusal('LAPSED the lease has run out')));
  await turn();
  outbox.drop(new Set(['taken']));
  await turn();
  expect(isDurable).toBe(false);
  outbox.retry();
  await turn();
  for (const answer of answers.splice(0)) answer(1);
  await flushed;
  expect(isDurable).toBe(true);
});

for (const refusal of ['OOM command not allowed', 'LOADING Redis is loading', 'BUSY a script', 'NOREPLICAS', 'MISCONF no disk'])
  test(`an intent is durable only when Redis has it, also behind a write whose answer was lost and that was then refused: ${refusal} (S7, I9)`, async () => {
    const { outbox, answers, sent } = slowRedis();
    const push = (text: string) => outbox.push({ ...write('s-1'), args: [text] });
    push('before');
    let isDurable = false;
    const before = outbox.flush();
    answers.shift()!(Promise.reject(new Error('the connection ended')));
    await turn();
    push('intent');
    const flushed = outbox.flush().then(() => {
      isDurable = true;
    });
    outbox.retry();
    answers.shift()!(Promise.reject(new ServerRefusal(refusal)));
    await turn();
    outbox.retry();
    await turn();
    // The first was made after all: of what came with its number, the server would drop the rest.
    answers.shift()!(0);
    await before;
    expect(isDurable).toBe(false);
    await turn();
    answers.shift()!(1);
    await flushed;
    expect(sent.map((argv) => [argv[2], argv.slice(6)])).toEqual([
      ['0', ['before']],
      ['0', ['before']],
      ['0', ['before']],
      ['1', ['intent']],
    ]);
  });

test('nothing is written after a restart of Redis before all is registered again that it may have lost (I3)', async () => {
  const { outbox, answers, said, sent } = slowRedis();
  outbox.joined('first');
  outbox.push({ fn: 'note', root: 's-1', localRoot: 's-1', args: ['s-1', 'c'] });
  await turn();
  for (const answer of answers.splice(0)) answer(Promise.reject(new ServerRefusal('LIFE second')));
  await turn();
  outbox.retry();
  await turn();
  for (const answer of answers.splice(0)) answer(1);
  await outbox.flush();
  expect(said).toEqual(['note', 'registered again', 'note']);
  expect(sent.map(([, , , life]) => life)).toEqual(['first', 'second']);
});

test('records that nobody waits for are written together; a flush, or the state of a session, takes them along at once', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const { outbox, answers, sent } = slowRedis();
    for (let i = 0; i < 3; i++) outbox.push(write('one'));
    await turn();
    expect(sent).toEqual([]);
    await vi.advanceTimersByTimeAsync(10);
    expect(sent).toHaveLength(1);
    // What comes while that is under way waits as well.
    outbox.push(write('one'));
    answers.splice(0)[0]!(1);
    await turn();
    expect(sent).toHaveLength(1);
    const flushed = outbox.flush();
    expect(sent).toHaveLength(2);
    answers.splice(0)[0]!(1);
    await flushed;
    outbox.push(write('one'));
    outbox.push({ ...write('one'), fn: 'note' });
    await turn();
    expect(sent).toHaveLength(4);
    await vi.advanceTimersByTimeAsync(10);
    expect(sent).toHaveLength(4);
  } finally {
    vi.useRealTimers();
  }
});

test('a record that comes while more wait than go at once is written as soon, although nobody waits for it', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const { outbox, answers, sent } = slowRedis();
    const push = (from: number, to: number) => {
      for (let i = from; i < to; i++) outbox.push(write(`s-${i}`));
    };
    push(0, 2_500);
    const flushed = outbox.flush();
    push(2_500, 5_500);
    for (let count = 0; count < 5_500; count = sent.length) {
      for (const answer of answers.splice(0)) answer(1);
      await turn();
      await vi.advanceTimersByTimeAsync(10);
      expect(sent.length).toBeGreaterThan(count);
    }
    await flushed;
    expect(sent).toHaveLength(5_500);
  } finally {
    vi.useRealTimers();
  }
});

test('a record that was dropped while it waited keeps none after it from being written', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const { outbox, sent } = slowRedis();
    outbox.push(write('taken'));
    outbox.drop(new Set(['taken']));
    await vi.advanceTimersByTimeAsync(10);
    outbox.push(write('kept'));
    await vi.advanceTimersByTimeAsync(10);
    expect(sent).toHaveLength(1);
  } finally {
    vi.useRealTimers();
  }
});

test('when too much waits records and claims are refused, and what became of a session is not: it is told once, while that ends (I13)', async () => {
  const { outbox, answers, sent } = slowRedis({ maxBytes: 1_024 });
  const one = { root: 's-1', localRoot: 's-1' };
  const fill = () => outbox.push({ ...one, fn: 'journal', args: ['x'.repeat(300)] });
  expect(() => Array.from({ length: 10 }, fill)).toThrow(/store_failed/);
  expect(() => outbox.push({ ...one, fn: 'claim', args: ['x'.repeat(300), '2'] })).toThrow(/store_failed/);
  for (const state of ['resting', 'running', 'completed']) outbox.push({ ...one, fn: 'note', args: ['s-1', state] });
  outbox.push({ ...one, fn: 'forget', args: [] });
  outbox.push({ ...one, fn: 'journal', args: [`settled ${'x'.repeat(2_000)}`], isEnd: true });
  expect(() => outbox.push({ ...one, fn: 'journal', args: ['{}'] })).toThrow(/store_failed/);
  // By this it is found out whether Redis has lost something.
  outbox.push({ ...one, fn: 'journal', args: [] });
  const flushed = outbox.flush();
  for (let i = 0; i < 10 && answers.length === 0; i++) await turn();
  for (let i = 0; i < 10; i++) {
    for (const answer of answers.splice(0)) answer(sent.length);
    await turn();
  }
  await flushed;
  expect(sent.flat()).toContain('completed');
  expect(sent.flat()).toContainEqual(expect.stringContaining('settled'));
  await outbox.close();
});
