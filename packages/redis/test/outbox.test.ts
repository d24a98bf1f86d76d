// outbox.test.ts: what a flush says of writes that wait, while others that wait are dropped.

import { expect, test } from 'vitest';
import { ServerRefusal } from '../src/connection/link.ts';
import { Outbox } from '../src/outbox.ts';

/** A Redis that answers when it is told to. */
function slowRedis() {
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
    maxBytes: 1_000_000,
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
