// hearing.test.ts: what a process does that finds Redis in another life than before.

import { expect, test } from 'vitest';
import type { Link } from '../src/connection/link.ts';
import { Hearing, type Position } from '../src/hearing.ts';

/** A Redis whose connections a test breaks, and that says which life it is in. */
function restartable() {
  let life = 'first';
  let breakLink: (why: Error) => void = () => {};
  const reads: (readonly string[])[] = [];
  const waiting: (() => void)[] = [];
  const lives: string[] = [];
  const open = async (): Promise<Link> => {
    let isGone = false;
    return {
      get isGone() {
        return isGone;
      },
      destroy: () => breakLink(new Error('closed')),
      call: (argv) =>
        new Promise((_, reject) => {
          breakLink = (why) => {
            isGone = true;
            reject(why);
          };
          reads.push(argv);
          waiting.shift()?.();
        }),
    };
  };
  const hearing = new Hearing({
    open,
    timeoutMs: 1_000,
    stream: 'ev',
    inbox: 'in',
    onEvents: () => {},
    onInbox: () => {},
    readAll: async (): Promise<Position> => ({ id: '5-0', seq: 5, life }),
    onPosition: () => {},
    onLife: () => lives.push(life),
  });
  return {
    hearing,
    reads,
    lives,
    /** It waits for news. */
    listens: () => new Promise<void>((resolve) => waiting.push(resolve)),
    restart: (as: string) => {
      life = as;
      breakLink(new Error('the connection ended'));
    },
  };
}

test('another life of Redis is noticed by whoever reads first, and once: what was lost is written again then (I3, S7)', async () => {
  const { hearing, reads, lives, listens, restart } = restartable();
  const first = listens();
  hearing.start({ id: '9-0', seq: 9, life: 'first' });
  await first;
  // Its own connection is back before any other has told it.
  const again = listens();
  restart('second');
  await again;
  hearing.isIn('second');
  expect(lives).toEqual(['second']);
  // All of the inbox too: it may be numbered lower now.
  expect(reads.at(-1)!.slice(-2)).toEqual(['5-0', '0-0']);
  hearing.close();
});

test('another life of Redis of which a renewal tells is noticed once, and all is read again (I1)', async () => {
  const { hearing, lives, listens, restart } = restartable();
  const first = listens();
  hearing.start({ id: '9-0', seq: 9, life: 'first' });
  await first;
  const again = listens();
  hearing.isIn('second');
  restart('second');
  await again;
  expect([lives, hearing.at, hearing.life]).toEqual([['second'], '5-0', 'second']);
  hearing.close();
});
