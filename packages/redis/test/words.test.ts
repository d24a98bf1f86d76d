// words.test.ts: which of people's words a process remembers that it has told.

import { expect, test } from 'vitest';
import { Unreadable } from '../src/unreadable.ts';
import { Words } from '../src/words.ts';

const unreadable = new Unreadable(() => {});
const word = (call: string) => ({ session: 's-1', call, verdict: 'happened', by: 'ada', at: 1 }) as const;
const read = (...calls: string[]) => calls.map((call) => [Words.key(word(call)), JSON.stringify(word(call))] as const);
const callsOf = (words: readonly { readonly call: string }[]) => words.map(({ call }) => call);

test('a word is told once, also one that was told of while all were read and is not among them', () => {
  const words = new Words();
  expect(callsOf(words.newIn(read('t1-1'), words.toldOf(), 'key', unreadable))).toEqual(['t1-1']);
  const before = words.toldOf();
  expect(callsOf(words.newOne(JSON.stringify(word('t1-2'))))).toEqual(['t1-2']);
  expect(words.newIn(read('t1-1'), before, 'key', unreadable)).toEqual([]);
  expect(words.newIn(read('t1-1', 't1-2'), words.toldOf(), 'key', unreadable)).toEqual([]);
});

test('a word is remembered no longer than Redis keeps it', () => {
  const words = new Words();
  words.newIn(read('t1-1', 't1-2'), words.toldOf(), 'key', unreadable);
  expect(words.newIn(read('t1-2'), words.toldOf(), 'key', unreadable)).toEqual([]);
  expect(words.toldOf()).toEqual([Words.key(word('t1-2'))]);
});
