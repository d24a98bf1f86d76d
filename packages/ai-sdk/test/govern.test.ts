// govern.test.ts: what govern() promises for both majors of `ai`, read as sentences.

import type { Outcome } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { AiSdkError, govern, idempotencyKeyOf, messagesOf, stopOf } from '../src/index.ts';
import { ended, fleet, gate, recordsOf, settle, until } from './fleet.ts';
import { call, majors, partsOf, text } from './majors.ts';

const first = [{ role: 'user', content: 'go' }];
const toolOf = (
  execute: (
    input: { readonly x: number },
    options: { readonly toolCallId: string; readonly abortSignal?: AbortSignal },
  ) => unknown,
) => ({
  inputSchema: z.object({ x: z.number() }),
  execute,
});

describe.each(majors)('with $name', ({ specification, model: scripted, generate, stream }) => {
  test('a governed model used outside of every session throws ungoverned, and the real model is not called (S9)', async () => {
    const raw = scripted(() => text('hello'));
    const ran: number[] = [];
    const { model, tools } = govern({ model: raw, tools: { send: toolOf(({ x }) => ran.push(x)) } });
    await expect(generate({ model, prompt: 'go' })).rejects.toMatchObject({ code: 'ungoverned' });
    await expect(tools.send.execute({ x: 1 }, { toolCallId: 'a' })).rejects.toMatchObject({ code: 'ungoverned' });
    expect([raw.asked.length, ran]).toEqual([0, []]);
  });

  test('a run without a stop gives what the SDK gives, and the model keeps its specification and name', async () => {
    const { runtime } = await fleet();
    const raw = scripted((_, n) => (n === 1 ? [call('send', { x: 1 }, 'a')] : text('done')));
    const { model, tools } = govern({
      model: raw,
      tools: { send: toolOf(({ x }) => ({ sent: x })), later: { inputSchema: z.object({}) } },
    });
    expect([model.specificationVersion, model.modelId]).toEqual([specification, 'scripted']);
    const outcome = await runtime.run('letters', async () => (await generate({ model, tools, messages: first })).text);
    expect(outcome).toMatchObject({ status: 'completed', result: 'done' });
    expect(raw.asked[1]?.prompt.at(-1)).toMatchObject({
      role: 'tool',
      content: [{ output: { type: 'json', value: { sent: 1 } } }],
    });
  });

  test('a pause takes hold at the next turn boundary, and a release goes on in place (S7)', async () => {
    const { runtime, engage, release } = await fleet();
    const ran: number[] = [];
    const raw = scripted((_, n) => (n === 1 ? [call('send', { x: 1 }, 'a')] : text('done')));
    const { model, tools } = govern({
      model: raw,
      tools: {
        send: toolOf(async ({ x }) => {
          await engage('killswitch.global');
          ran.push(x);
          return 'ok';
        }),
      },
    });
    const running = runtime.run('letters', async () => (await generate({ model, tools, messages: first })).text);
    await until('the session rests', () => runtime.sessions()[0]?.state === 'paused');
    expect([ran, raw.asked.length]).toEqual([[1], 1]);
    await release('killswitch.global');
    expect(await running).toMatchObject({ status: 'completed', result: 'done' });
    expect([ran, raw.asked.length]).toEqual([[1], 2]);
  });

  test('a parked run goes on from its checkpoint without a second model call or effect for what was done (S7, I9)', async () => {
    const { runtime, engage, release, clock } = await fleet();
    const ran: number[] = [];
    const raw = scripted((_, n) => (n <= 2 ? [call('send', { x: n }, `c${n}`)] : text('done')));
    const { model, tools } = govern({ model: raw, tools: { send: toolOf(({ x }) => ran.push(x)) } });
    const inner = gate();
    const agent = runtime.agent('letters', async (session) => {
      const { text: words } = await generate({
        model,
        tools: {
          send: {
            ...tools.send,
            execute: async (input: { readonly x: number }, options: never) => {
              const value = await tools.send.execute(input, options);
              if (input.x === 2) await engage('killswitch.feature.letters');
              return value;
            },
          },
        },
        messages: messagesOf(session) ?? first,
        system: 'be brief',
      });
      return words;
    });
    const { id, outcome } = agent.start(undefined);
    await until('the session rests', () => runtime.session(id)?.state === 'paused');
    await clock.advance(5_000);
    expect(await outcome).toMatchObject({ status: 'paused', checkpointTurn: 2 });
    const end = ended({ runtime, clock }, id);
    await release('killswitch.feature.letters');
    expect(await end).toMatchObject({ status: 'completed', result: 'done' });
    expect([ran, raw.asked.length]).toEqual([[1, 2], 3]);
    expect(raw.asked[2]?.prompt.map((message) => message.role)).toEqual([
      'system',
      'user',
      'assistant',
      'tool',
      'assistant',
      'tool',
    ]);
    inner.open();
  });

  test('after a crash the interrupted turn runs again: finished calls answer from the journal (S7, I9)', async () => {
    const one = await fleet();
    const stuck = gate();
    const ran: string[] = [];
    const make = (life: string) => {
      const raw = scripted((_, n) => {
        ran.push(`${life} model ${n}`);
        return life === 'first' ? [call('send', { x: 1 }, 'a'), call('look', { x: 2 }, 'b')] : text('done');
      });
      return govern({
        model: raw,
        tools: {
          send: toolOf(({ x }) => {
            ran.push(`${life} send ${x}`);
            return { at: new Date(7), bytes: new Uint8Array([1, 2]) };
          }),
          look: toolOf(async ({ x }) => {
            ran.push(`${life} look ${x}`);
            if (life === 'first') await stuck.wait();
            return 'seen';
          }),
        },
        effects: { look: false },
      });
    };
    const body = (life: string) => async (session: Parameters<typeof messagesOf>[0]) =>
      (await generate({ ...make(life), messages: messagesOf(session) ?? first })).text;
    const { id } = one.runtime.agent('letters', body('first')).start(undefined);
    await until('both tools are under way', () => ran.includes('first send 1') && stuck.reached);
    await settle();
    const two = await fleet(one);
    two.runtime.agent('letters', body('second'));
    expect(await ended(two, id)).toMatchObject({ status: 'completed', result: 'done' });
    expect(ran).toEqual(['first model 1', 'first send 1', 'first look 2', 'second look 2', 'second model 1']);
    // The body of the HTTP exchange stays out of the journal.
    expect(JSON.stringify(await recordsOf(two.store))).not.toContain('secret');
  });

  test('an effect without an end rests its session until a person says what became of it (S7)', async () => {
    const one = await fleet();
    const stuck = gate();
    let sent = 0;
    const make = () =>
      govern({
        model: scripted(({ prompt }) => (prompt.length === 1 ? [call('send', { x: 1 }, 'a')] : text('done'))),
        tools: {
          send: toolOf(async () => {
            sent++;
            await stuck.wait();
          }),
        },
      });
    const body = async (session: Parameters<typeof messagesOf>[0]) =>
      (await generate({ ...make(), messages: messagesOf(session) ?? first })).text;
    const { id } = one.runtime.agent('letters', body).start(undefined);
    await until('the letter is under way', () => stuck.reached);
    const two = await fleet(one);
    two.runtime.agent('letters', body);
    await two.clock.advance(100);
    await until('a person is asked', () => (two.runtime.session(id)?.unknownCalls.length ?? 0) > 0);
    const unknown = two.runtime.session(id)!.unknownCalls[0]!;
    expect(unknown).toMatchObject({ name: 'send' });
    await two.runtime.resolve(id, unknown.id, 'happened', { value: 'sent' });
    expect(await ended(two, id)).toMatchObject({ status: 'completed', result: 'done' });
    expect(sent).toBe(1);
  });

  test('terminated in the middle of a tool, nothing more is called, in nested agents whose authors forward nothing (S2, S9, I1)', async () => {
    const { runtime } = await fleet();
    const calls: string[] = [];
    const stuck = gate();
    const { model } = govern({
      model: scripted(({ prompt }, n) => {
        calls.push(`model ${n} ${String(prompt[0]?.role)}`);
        const depth = JSON.stringify(prompt[0]).includes('inner') ? 'inner' : 'outer';
        return depth === 'outer' ? [call('delegate', { x: 0 }, 'd')] : [call('work', { x: n }, `w${n}`)];
      }),
    });
    const { tools: inner } = govern({
      model,
      tools: {
        work: toolOf(async ({ x }) => {
          calls.push(`work ${x}`);
          if (x === 3) await stuck.wait();
          return x;
        }),
      },
      effects: { work: false },
    });
    const { tools } = govern({
      model,
      tools: { delegate: toolOf(async () => (await generate({ model, tools: inner, prompt: 'inner', maxSteps: 8 })).text) },
      delegates: ['delegate'],
    });
    let isAbandoned = true;
    const running = runtime.run('letters', async () => {
      try {
        return (await generate({ model, tools, prompt: 'outer' })).text;
      } finally {
        isAbandoned = false;
      }
    });
    await until('the second inner tool is under way', () => stuck.reached);
    const [root, child] = runtime.sessions();
    expect(child).toMatchObject({ parent: root!.id, agent: 'delegate' });
    const before = [...calls];
    await runtime.stop({ session: root!.id, reason: 'drill', by: 'test' });
    expect(await running).toMatchObject({ status: 'terminated' });
    stuck.open();
    await settle();
    expect(calls).toEqual(before);
    expect(isAbandoned).toBe(true);
  });

  test('a global pause rests parent and child, and both go on when it is released (S8, I14)', async () => {
    const { runtime, engage, release } = await fleet();
    const { model } = govern({
      model: scripted(async ({ prompt }) => {
        if (!JSON.stringify(prompt[0]).includes('inner'))
          return prompt.length === 1 ? [call('delegate', { x: 0 }, 'd')] : text('outer done');
        if (prompt.length > 1) return text('inner done');
        await engage('killswitch.global');
        return [call('work', { x: 1 }, 'w')];
      }),
    });
    const { tools: inner } = govern({ model, tools: { work: toolOf(({ x }) => x) }, name: 'worker' });
    const { tools } = govern({
      model,
      tools: { delegate: toolOf(async () => (await generate({ model, tools: inner, prompt: 'inner' })).text) },
      delegates: ['delegate'],
    });
    const running = runtime.run('letters', async () => (await generate({ model, tools, prompt: 'outer' })).text);
    await until('both rest', () => runtime.sessions().length === 2 && runtime.sessions().every((one) => one.state === 'paused'));
    await release('killswitch.global');
    expect(await running).toMatchObject({ status: 'completed', result: 'outer done' });
  });

  test('a nested agent that was parked is entered again and answers from its journal (S7)', async () => {
    const { runtime, engage, release, clock } = await fleet();
    const calls: string[] = [];
    const { model } = govern({
      model: scripted(({ prompt }) => {
        calls.push(`model ${JSON.stringify(prompt[0]).includes('inner') ? 'inner' : 'outer'} ${prompt.length}`);
        if (!JSON.stringify(prompt[0]).includes('inner'))
          return prompt.length === 1 ? [call('delegate', { x: 0 }, 'd')] : text('outer done');
        return prompt.length <= 3 ? [call('work', { x: prompt.length }, `w${prompt.length}`)] : text('inner done');
      }),
    });
    const { tools: inner } = govern({
      model,
      tools: {
        work: toolOf(async ({ x }) => {
          calls.push(`work ${x}`);
          if (x === 3) await engage('killswitch.global');
          return { x, at: new Date(x) };
        }),
      },
    });
    const { tools } = govern({
      model,
      tools: { delegate: toolOf(async () => (await generate({ model, tools: inner, prompt: 'inner' })).text) },
      delegates: ['delegate'],
    });
    const agent = runtime.agent(
      'letters',
      async (session) => (await generate({ model, tools, messages: messagesOf(session) ?? first })).text,
    );
    const { id, outcome } = agent.start(undefined);
    await until('the root rests', () => runtime.session(id)?.state === 'paused');
    await clock.advance(5_000);
    expect(await outcome).toMatchObject({ status: 'paused' });
    const end = ended({ runtime, clock }, id);
    await release('killswitch.global');
    expect(await end).toMatchObject({ status: 'completed', result: 'outer done' });
    expect(calls).toEqual([
      'model outer 1',
      'model inner 1',
      'work 1',
      'model inner 3',
      'work 3',
      'model inner 5',
      'model outer 3',
    ]);
  });

  test('a stream that is terminated in the middle ends with a typed final part, never a silent truncation', async () => {
    const { runtime } = await fleet();
    let isCancelled = false;
    const raw = scripted(() => text('never'), {
      stream: () =>
        new ReadableStream({
          start(controller) {
            for (const part of partsOf(text('one two three')).slice(0, 3)) controller.enqueue(part);
          },
          cancel() {
            isCancelled = true;
          },
        }),
    });
    const { model } = govern({ model: raw });
    const seen: { readonly type: string }[] = [];
    let reason: unknown;
    let metadata: unknown;
    const running = runtime.run('letters', async () => {
      const result = stream({ model, prompt: 'go' });
      for await (const part of result.fullStream) seen.push(part);
      reason = await result.finishReason;
      metadata = await result.providerMetadata;
      return 'not delivered';
    });
    await until('the first words came', () => seen.some((part) => part.type === 'text-delta'));
    await runtime.stop({ session: runtime.sessions()[0]!.id, reason: 'drill', by: 'test' });
    expect(await running).toMatchObject({ status: 'terminated' });
    await until('the consumer was told', () => metadata !== undefined);
    expect(seen.at(-1)).toMatchObject({ type: 'finish', finishReason: 'other' });
    expect(seen.some((part) => part.type === 'text-end')).toBe(true);
    expect(reason).toBe('other');
    expect(stopOf(metadata)).toMatchObject({ action: 'terminate', reason: 'drill' });
    await until('the model was let go', () => isCancelled);
  });

  test('a stream whose tool is blocked by a stop ends typed, and the model never hears of it', async () => {
    const { runtime } = await fleet();
    const stuck = gate();
    const raw = scripted(() => [call('look', { x: 1 }, 'a')]);
    const { model, tools } = govern({
      model: raw,
      tools: {
        look: toolOf(async () => {
          await stuck.wait();
          return 'seen';
        }),
      },
      effects: { look: false },
    });
    let metadata: unknown;
    const running = runtime.run('letters', async () => {
      const result = stream({ model, tools, prompt: 'go' });
      await result.consumeStream();
      metadata = await result.providerMetadata;
    });
    await until('the tool is under way', () => stuck.reached);
    await runtime.stop({ session: runtime.sessions()[0]!.id, reason: 'drill', by: 'test' });
    expect(await running).toMatchObject({ status: 'terminated' });
    await until('the consumer was told', () => metadata !== undefined);
    expect(stopOf(metadata)).toMatchObject({ action: 'terminate' });
    expect(raw.asked.length).toBe(1);
    stuck.open();
  });

  test('a stream that rests at a turn boundary until it is parked ends typed, and the resumed run streams the whole', async () => {
    const { runtime, engage, release, clock } = await fleet();
    const ran: number[] = [];
    const raw = scripted((_, n) => (n === 1 ? [call('send', { x: 1 }, 'a')] : text('all done')));
    const { model, tools } = govern({
      model: raw,
      tools: {
        send: toolOf(async ({ x }) => {
          await engage('killswitch.global');
          ran.push(x);
          return 'ok';
        }),
      },
    });
    const ends: unknown[] = [];
    const agent = runtime.agent('letters', async (session) => {
      const result = stream({ model, tools, messages: messagesOf(session) ?? first });
      const words = await result.text;
      ends.push(stopOf(await result.providerMetadata)?.action);
      return words;
    });
    const { id, outcome } = agent.start(undefined);
    await until('it rests', () => runtime.session(id)?.state === 'paused');
    await clock.advance(5_000);
    expect(await outcome).toMatchObject({ status: 'paused', checkpointTurn: 1 });
    await until('the consumer was told', () => ends.length === 1);
    const end = ended({ runtime, clock }, id);
    await release('killswitch.global');
    expect(await end).toMatchObject({ status: 'completed', result: 'all done' });
    expect([ran, raw.asked.length, ends]).toEqual([[1], 2, ['pause', undefined]]);
  });

  test('a streamed reply in the journal is streamed again, part by part, without the model (S7)', async () => {
    const one = await fleet();
    const stuck = gate();
    let isFirstLife = true;
    const raws = [0, 1].map(() =>
      scripted((_, n) =>
        n === 1 && isFirstLife ? [{ type: 'text', text: 'let me look' }, call('look', { x: 1 }, 'a')] : text('done'),
      ),
    );
    const make = (life: number) =>
      govern({
        model: raws[life]!,
        tools: {
          look: toolOf(async () => {
            if (life === 0) await stuck.wait();
            return 'seen';
          }),
        },
        effects: { look: false },
      });
    const words: string[] = [];
    const body = (life: number) => async (session: Parameters<typeof messagesOf>[0]) => {
      const result = stream({ ...make(life), messages: messagesOf(session) ?? first });
      for await (const part of result.fullStream) if (part.type === 'text-delta') words.push(`${life}:${String(part.text)}`);
      return result.text;
    };
    const { id } = one.runtime.agent('letters', body(0)).start(undefined);
    await until('the tool is under way', () => stuck.reached);
    const two = await fleet(one);
    isFirstLife = false;
    two.runtime.agent('letters', body(1));
    expect(await ended(two, id)).toMatchObject({ status: 'completed', result: 'done' });
    expect(words).toEqual(['0:let ', '0:me ', '0:look', '1:let ', '1:me ', '1:look', '1:done']);
    expect(raws.map((raw) => raw.asked.length)).toEqual([1, 1]);
  });

  test("a caller's own abort is an abort and no stop: the agent is told, and its session goes on", async () => {
    const { runtime } = await fleet();
    const controller = new AbortController();
    const raw = scripted((_, n) => (n === 1 ? new Promise(() => {}) : text('second')));
    const { model } = govern({ model: raw });
    const running = runtime.run('letters', async () => {
      const failure = await generate({ model, prompt: 'go', abortSignal: controller.signal }).catch((error: unknown) => error);
      return [(failure as Error).name, (await generate({ model, prompt: 'again' })).text];
    });
    await until('the model is asked', () => raw.asked.length === 1);
    controller.abort();
    expect(await running).toMatchObject({ status: 'completed', result: ['AbortError', 'second'] });
    expect(raw.asked[0]?.abortSignal?.aborted).toBe(true);
  });

  test('a caller may go away while its call waits at a closed gate', async () => {
    const { runtime, store, engage, release } = await fleet();
    const controller = new AbortController();
    const raw = scripted(() => text('asked'));
    const { model } = govern({ model: raw });
    const running = runtime.run('letters', async () => {
      await engage('killswitch.global');
      const failure = await generate({ model, prompt: 'go', abortSignal: controller.signal }).catch((error: unknown) => error);
      return [(failure as Error).name, (await generate({ model, prompt: 'again' })).text];
    });
    await until('it rests', () => runtime.sessions()[0]?.state === 'paused');
    controller.abort();
    await settle();
    await release('killswitch.global');
    expect(await running).toMatchObject({ status: 'completed', result: ['AbortError', 'asked'] });
    expect(raw.asked.length).toBe(1);
    expect((await recordsOf(store)).filter((record) => record.t === 'call').length).toBe(1);
  });

  test('a tool that returns after the stop is recorded as late, and its agent is not given the value (S9)', async () => {
    const { runtime, store, clock } = await fleet();
    const stuck = gate();
    const given: unknown[] = [];
    const { tools } = govern({
      model: scripted(() => text('never')),
      tools: {
        send: toolOf(async () => {
          await stuck.wait();
          return 'sent';
        }),
      },
    });
    const running = runtime.run('letters', async () => given.push(await tools.send.execute({ x: 1 }, { toolCallId: 'a' })));
    await until('the letter is under way', () => stuck.reached);
    await runtime.stop({ session: runtime.sessions()[0]!.id, reason: 'drill', by: 'test' });
    await clock.advance(10_000);
    expect(await running).toMatchObject({ status: 'terminated' });
    stuck.open();
    await settle();
    expect(given).toEqual([]);
    expect(await recordsOf(store)).toContainEqual(
      expect.objectContaining({ t: 'end', key: 'send=a', outcome: 'late', value: 'sent' }),
    );
  });

  test('a tool that returns within the deadline of a terminate is recorded, and its agent is not given the value (S9)', async () => {
    const { runtime, store } = await fleet();
    const stuck = gate();
    const given: unknown[] = [];
    const { tools } = govern({
      model: scripted(() => text('never')),
      tools: {
        send: toolOf(async () => {
          await stuck.wait();
          return 'sent';
        }),
      },
    });
    const running = runtime.run('letters', async () => given.push(await tools.send.execute({ x: 1 }, { toolCallId: 'a' })));
    await until('the letter is under way', () => stuck.reached);
    await runtime.stop({ session: runtime.sessions()[0]!.id, reason: 'drill', by: 'test' });
    stuck.open();
    expect(await running).toMatchObject({ status: 'terminated' });
    await settle();
    expect(given).toEqual([]);
    expect(await recordsOf(store)).toContainEqual(
      expect.objectContaining({ t: 'end', key: 'send=a', outcome: 'completed', value: 'sent' }),
    );
  });

  test('parallel tools of one reply are calls of one turn, each with its own idempotency key', async () => {
    const { runtime } = await fleet();
    const keys: (string | undefined)[] = [];
    const raw = scripted((_, n) => (n === 1 ? [call('send', { x: 1 }, 'a'), call('send', { x: 1 }, 'b')] : text('done')));
    const { model, tools } = govern({
      model: raw,
      tools: {
        send: toolOf((_, options) => {
          keys.push(idempotencyKeyOf(options));
        }),
      },
    });
    const outcome = await runtime.run('letters', async () => (await generate({ model, tools, prompt: 'go' })).text);
    expect(keys).toEqual([`${outcome.session}/1/send=a`, `${outcome.session}/1/send=b`]);
  });

  test('a tool that fails is told to the model in the same words when its turn runs again', async () => {
    const one = await fleet();
    const stuck = gate();
    const prompts: unknown[] = [];
    const make = (life: number) =>
      govern({
        model: scripted(({ prompt }) => {
          prompts.push(prompt.at(-1));
          return prompt.length === 1 ? [call('send', { x: 1 }, 'a'), call('look', { x: 1 }, 'b')] : text('done');
        }),
        tools: {
          send: toolOf(() => {
            throw new RangeError('no such letter');
          }),
          look: toolOf(async () => (life === 0 ? stuck.wait() : 'seen')),
        },
        effects: { look: false },
      });
    const body = (life: number) => async (session: Parameters<typeof messagesOf>[0]) =>
      (await generate({ ...make(life), messages: messagesOf(session) ?? first })).text;
    const { id } = one.runtime.agent('letters', body(0)).start(undefined);
    await until('the second tool is under way', () => stuck.reached);
    await settle();
    const two = await fleet(one);
    two.runtime.agent('letters', body(1));
    expect(await ended(two, id)).toMatchObject({ status: 'completed' });
    const plain = await fleet();
    await plain.runtime.run('letters', async () => void (await generate({ ...make(1), messages: first })));
    expect(prompts[1]).toEqual(prompts[3]);
  });

  test('a tool that yields streams its results, and gives the last one again from the journal', async () => {
    const { runtime } = await fleet();
    const raw = scripted((_, n) => (n === 1 ? [call('count', { x: 2 }, 'a')] : text('done')));
    const { model, tools } = govern({
      model: raw,
      tools: {
        count: {
          inputSchema: z.object({ x: z.number() }),
          async *execute({ x }: { readonly x: number }) {
            for (let n = 1; n <= x; n++) yield n;
          },
        },
      },
    });
    const results: unknown[] = [];
    await runtime.run('letters', async () => {
      for await (const part of stream({ model, tools, prompt: 'go' }).fullStream)
        if (part.type === 'tool-result') results.push([part.output, part.preliminary ?? false]);
    });
    expect(results).toEqual([
      [1, true],
      [2, true],
      [2, false],
    ]);
  });

  test('an agent that begins from scratch after a crash is refused, for it would repeat its effects (I9)', async () => {
    const one = await fleet();
    const stuck = gate();
    let sent = 0;
    const make = (life: number) =>
      govern({
        model: scripted(async (_, n) => {
          if (n === 2 && life === 0) await stuck.wait();
          return [call('send', { x: 1 }, `${life}-${n}`)];
        }),
        tools: { send: toolOf(() => ++sent) },
      });
    const body = (life: number) => async () => (await generate({ ...make(life), messages: first })).text;
    const { id } = one.runtime.agent('letters', body(0)).start(undefined);
    await until('the second model call is under way', () => stuck.reached);
    const two = await fleet(one);
    two.runtime.agent('letters', body(1));
    const outcome = (await ended(two, id)) as Extract<Outcome, { status: 'failed' }>;
    expect(outcome.status).toBe('failed');
    expect(AiSdkError.is(outcome.error) && outcome.error.code).toBe('not_resumed');
    expect(sent).toBe(1);
  });

  test('loops inside turns of the author are calls of those turns, and the checkpoint is the author’s', async () => {
    const { runtime, engage, release, clock } = await fleet();
    const ran: string[] = [];
    let hasRested = false;
    const { model, tools } = govern({
      model: scripted(({ prompt }) => {
        ran.push(`model ${JSON.stringify(prompt[0]).includes('plan') ? 'plan' : 'write'} ${prompt.length}`);
        return prompt.length === 1 ? [call('look', { x: 1 }, 'a')] : text('ok');
      }),
      tools: { look: toolOf(() => 'seen') },
    });
    const agent = runtime.agent('letters', async (session) => {
      if (session.state === undefined)
        await session.turn(async () => ({ plan: (await generate({ model, tools, prompt: 'plan' })).text }));
      if (!hasRested) await engage('killswitch.global');
      hasRested = true;
      return session.turn(async () => ({ text: (await generate({ model, tools, prompt: 'write' })).text }));
    });
    const { id, outcome } = agent.start(undefined);
    await until('it rests', () => runtime.session(id)?.state === 'paused');
    await clock.advance(5_000);
    expect(await outcome).toMatchObject({ status: 'paused', checkpointTurn: 1 });
    const end = ended({ runtime, clock }, id);
    await release('killswitch.global');
    expect(await end).toMatchObject({ status: 'completed', result: { text: 'ok' } });
    expect(ran).toEqual(['model plan 1', 'model plan 3', 'model write 1', 'model write 3']);
  });

  test('what was used is charged: over the cap the run is paused before the next model call (I8)', async () => {
    const { runtime } = await fleet(undefined, { breakers: { letters: { costMicros: 100 } } });
    const raw = scripted((_, n) => [call('look', { x: n }, `c${n}`)]);
    const { model, tools } = govern({
      model: raw,
      tools: { look: toolOf(() => 'seen') },
      usage: { priceOf: (_, { inputTokens, outputTokens }) => inputTokens + 2 * outputTokens, maxCostMicros: 30 },
    });
    void runtime.run('letters', async () => (await generate({ model, tools, prompt: 'go', maxSteps: 20 })).text);
    await until('the breaker tripped', () => runtime.sessions()[0]?.state === 'paused');
    await settle();
    expect([raw.asked.length, runtime.sessions()[0]?.costMicros]).toEqual([4, 80]);
  });

  test('a declaration for a tool that is not there is refused, and so is a model that cannot be governed', () => {
    const raw = scripted(() => text('hello'));
    expect(() => govern({ model: raw, tools: { send: toolOf(() => 1) }, effects: { sent: false } as never })).toThrow(
      /\[unknown_tool\]/,
    );
    expect(() => govern({ model: 'openai/gpt' as never })).toThrow(/\[unsupported_model\]/);
    const { model } = govern({ model: raw });
    expect(govern({ model }).model).toBe(model);
  });
});

test.each(majors)(
  'with $name a nested agent that is terminated alone is told to the outer one, which goes on (S8)',
  async ({ model: scripted, generate }) => {
    const { runtime } = await fleet();
    const stuck = gate();
    const { model } = govern({
      model: scripted(({ prompt }) => {
        const isInner = JSON.stringify(prompt[0]).includes('inner');
        if (!isInner) return prompt.length === 1 ? [call('delegate', { x: 0 }, 'd')] : text('outer done');
        return prompt.length === 1 ? [call('work', { x: 1 }, 'w1')] : text('inner done');
      }),
    });
    const { tools: inner } = govern({
      model,
      tools: {
        work: toolOf(async ({ x }) => {
          await stuck.wait();
          return x;
        }),
      },
      effects: { work: false },
    });
    const { tools } = govern({
      model,
      tools: { delegate: toolOf(async () => (await generate({ model, tools: inner, prompt: 'inner', maxSteps: 8 })).text) },
      delegates: ['delegate'],
    });
    let outcome: unknown;
    void runtime
      .run('letters', async () => (await generate({ model, tools, prompt: 'outer', maxSteps: 8 })).text)
      .then((end) => {
        outcome = end;
      });
    await until('the inner tool is under way', () => stuck.reached);
    const [, child] = runtime.sessions();
    await runtime.stop({ session: child!.id, reason: 'drill', by: 'test' });
    stuck.open();
    for (let i = 0; i < 20; i++) await settle();
    expect(outcome).toMatchObject({ status: 'completed' });
  },
);
