// messages.test.ts: what is kept between two lives is what was there: bytes, dates, URLs, failures and histories.

import type { Session } from '@offswitch/runtime';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decode, encode } from '../src/codec.ts';
import { fromRecord, toRecord } from '../src/failure.ts';
import { govern, messagesOf } from '../src/index.ts';
import { checkpoint } from '../src/messages.ts';
import { fleet, until } from './fleet.ts';
import { call, majors, text } from './majors.ts';

const through = (value: unknown): unknown => decode(JSON.parse(JSON.stringify(encode(value))));
const sessionWith = (state: unknown): Session =>
  ({ id: 's-1', turnNumber: 1, state: JSON.parse(JSON.stringify(state)) }) as Session;

describe('a value in the journal', () => {
  test('comes back as it was, dates, bytes, URLs, big numbers and the codec’s own marks included (S7)', () => {
    const value = {
      at: new Date(7),
      bytes: new Uint8Array([1, 2, 255]),
      buffer: Buffer.from('ab'),
      url: new URL('https://example.com/a?b'),
      big: 12n,
      infinite: Number.POSITIVE_INFINITY,
      list: [null, { $offswitch: 'date', value: 'not ours' }],
    };
    expect(through(value)).toEqual(value);
    expect(through(value)).toMatchObject({ list: [null, { $offswitch: 'date', value: 'not ours' }] });
    expect(Object.is(through(Number.NaN), Number.NaN)).toBe(true);
  });

  test('comes back as it was for whatever JSON can hold', () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => void expect(through(value)).toEqual(JSON.parse(JSON.stringify(value)))));
  });

  test('may not be circular', () => {
    const value: Record<string, unknown> = {};
    value.itself = value;
    expect(() => encode(value)).toThrow(TypeError);
  });
});

describe('a failure in the journal', () => {
  const again = (thrown: unknown): unknown => {
    const { name, message } = toRecord(thrown);
    return fromRecord(new Error(`${name}: ${message}`));
  };

  test('has the same name and words, whatever was thrown', () => {
    expect(again(new RangeError('too: far\naway'))).toMatchObject({ name: 'RangeError', message: 'too: far\naway' });
    expect([again('just: words'), again({ code: 7 }), again(null)]).toEqual(['just: words', { code: 7 }, null]);
  });

  test.each(majors)(
    'of a model is tried again by $name where it would have been at first',
    async ({ model: scripted, generate }) => {
      const failure = again(Object.assign(new Error('busy'), { isRetryable: true, name: 'AI_APICallError' })) as Error;
      const raw = scripted((_, n) => {
        if (n === 1) throw failure;
        return text('there');
      });
      const { runtime } = await fleet();
      const { model } = govern({ model: raw });
      expect(await runtime.run('letters', async () => (await generate({ model, prompt: 'go' })).text)).toMatchObject({
        result: 'there',
      });
      expect(failure.message).toBe('busy');
    },
  );
});

describe('a checkpoint', () => {
  const bytes = new Uint8Array([104, 105]);
  const prompt = [
    { role: 'system', content: 'be brief' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'look' },
        { type: 'file', mediaType: 'text/plain', data: bytes },
        { type: 'file', mediaType: 'text/plain', data: { type: 'data', data: bytes } },
        {
          type: 'file',
          mediaType: 'image/png',
          data: { type: 'url', url: new URL('https://example.com/a.png'), originalUrl: 'x' },
        },
      ],
    },
    { role: 'assistant', content: [{ type: 'tool-call', toolCallId: 'a', toolName: 'look', input: {} }] },
    {
      role: 'tool',
      content: [
        {
          type: 'tool-result',
          toolCallId: 'a',
          toolName: 'look',
          output: { type: 'content', value: [{ type: 'file', mediaType: 'text/plain', data: { type: 'data', data: bytes } }] },
        },
      ],
    },
  ];

  test('is messages that both majors take, with the data of files as base64, and without the leading system message', () => {
    const messages = messagesOf(sessionWith(checkpoint(prompt, false)))!;
    expect(messages.map((message) => message.role)).toEqual(['user', 'assistant', 'tool']);
    expect((messages[0]!.content as { data?: unknown }[]).map((part) => part.data)).toEqual([
      undefined,
      'aGk=',
      'aGk=',
      new URL('https://example.com/a.png'),
    ]);
    expect(JSON.stringify(messages[2])).toContain('"data":{"type":"data","data":"aGk="}');
    expect(messagesOf(sessionWith(checkpoint(prompt, false)), { system: true })?.[0]).toEqual({
      role: 'system',
      content: 'be brief',
    });
  });

  test('of a state that is not ours, or of none, gives no messages', () => {
    expect(messagesOf(sessionWith({ messages: [] }))).toBeUndefined();
    expect(messagesOf({ id: 's-1', state: undefined } as Session)).toBeUndefined();
  });

  test('of a session that ran several loops is refused, with the way out', () => {
    expect(() => messagesOf(sessionWith(checkpoint(prompt, true)))).toThrow(/\[not_resumed\].*session\.turn/);
  });

  test.each(majors)(
    'with a file in it is taken back by $name, and the model is sent the same again',
    async ({ model: scripted, generate }) => {
      const one = await fleet();
      const raw = scripted(async (_, n) => {
        if (n === 1) await one.engage('killswitch.global');
        return n === 1 ? [call('look', {}, 'a')] : text('done');
      });
      const { model, tools } = govern({
        model: raw,
        tools: { look: { inputSchema: (await import('zod')).z.object({}), execute: () => 'seen' } },
      });
      const first = [{ role: 'user', content: [{ type: 'file', mediaType: 'text/plain', data: bytes }] }];
      const agent = one.runtime.agent(
        'letters',
        async (session) => (await generate({ model, tools, system: 'be brief', messages: messagesOf(session) ?? first })).text,
      );
      const { id, outcome } = agent.start(undefined);
      const end = one.runtime.settled(id);
      await until('it rests', () => one.runtime.session(id)?.state === 'paused');
      await one.clock.advance(6_000);
      expect(await outcome).toMatchObject({ status: 'paused' });
      await one.release('killswitch.global');
      expect(await end).toMatchObject({ status: 'completed' });
      const [before, after] = raw.asked.map(({ prompt: sent }) => checkpoint(sent as never, false));
      expect(after!.system).toEqual(before!.system);
      expect(after!.messages[0]).toEqual(before!.messages[0]);
    },
  );
});
