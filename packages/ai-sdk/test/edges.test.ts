// edges.test.ts: agents that do what nobody planned: loops side by side, ids used twice, streams read elsewhere, work that
// goes on after its end, promises that nobody will ever settle.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { govern } from '../src/index.ts';
import { fleet, gate, settle, until } from './fleet.ts';
import { call, majors, text } from './majors.ts';

const inputSchema = z.object({ x: z.number() });

describe.each(majors)('with $name', ({ specification, model: scripted, generate, stream }) => {
  test('two loops side by side in one session both end, with their own answers', async () => {
    const { runtime } = await fleet();
    const { model, tools } = govern({
      model: scripted(({ prompt }) => {
        const words = JSON.stringify(prompt[0]);
        return prompt.length < 5
          ? [call('look', { x: prompt.length }, `${words.length}-${prompt.length}`)]
          : text(words.includes('left') ? 'L' : 'R');
      }),
      tools: { look: { inputSchema, execute: () => 'seen' } },
    });
    const outcome = await runtime.run('letters', async () => {
      const [left, right] = await Promise.all(['left', 'right!'].map((prompt) => generate({ model, tools, prompt })));
      return [left!.text, right!.text];
    });
    expect(outcome).toMatchObject({ status: 'completed', result: ['L', 'R'] });
  });

  test('a second loop in one session is noticed, and a first call that is tried again is none', async () => {
    const { runtime } = await fleet();
    const states: unknown[] = [];
    const { model } = govern({
      model: scripted((_, n) => {
        if (n > 1) return text('there');
        throw Object.assign(new Error('busy'), {
          isRetryable: true,
          responseHeaders: { 'retry-after-ms': '0' },
          [Symbol.for('vercel.ai.error.AI_APICallError')]: true,
        });
      }),
    });
    await runtime.run('letters', async (session) => {
      await generate({ model, prompt: 'one' });
      states.push(session.state);
      await generate({ model, prompt: 'two' });
      states.push(session.state);
    });
    expect(states).toMatchObject([{ messages: [{ role: 'user' }] }, { isMixed: true }]);
    expect(states[0]).not.toHaveProperty('isMixed');
  });

  test('a model that uses a tool call id twice in one turn gets both calls', async () => {
    const { runtime } = await fleet();
    const ran: number[] = [];
    const { model, tools } = govern({
      model: scripted(({ prompt }) => (prompt.length < 5 ? [call('send', { x: prompt.length }, 'call_0')] : text('done'))),
      tools: { send: { inputSchema, execute: ({ x }: { readonly x: number }) => ran.push(x) } },
    });
    const outcome = await runtime.run('letters', (session) =>
      session.turn(async () => (await generate({ model, tools, prompt: 'go' })).text),
    );
    expect([outcome.status, ran]).toEqual(['completed', [1, 3]]);
  });

  test('a stream that is read outside of the session is governed all the same', async () => {
    const { runtime } = await fleet();
    const ran: number[] = [];
    const { model, tools } = govern({
      model: scripted(({ prompt }) =>
        prompt.length < 5 ? [call('send', { x: prompt.length }, `c${prompt.length}`)] : text('done'),
      ),
      tools: { send: { inputSchema, execute: ({ x }: { readonly x: number }) => ran.push(x) } },
    });
    let hand!: (result: ReturnType<typeof stream>) => void;
    const handed = new Promise<ReturnType<typeof stream>>((resolve) => {
      hand = resolve;
    });
    const running = runtime.run('letters', async () => {
      const result = stream({ model, tools, prompt: 'go' });
      hand({ fullStream: result.fullStream } as never);
      return result.text;
    });
    const types: string[] = [];
    for await (const part of (await handed).fullStream) types.push(part.type);
    expect(await running).toMatchObject({ status: 'completed', result: 'done' });
    expect([ran, types.includes('tool-error')]).toEqual([[1, 3], false]);
  });

  test('a tool that starts an agent and is not declared to delegate is warned of, once', async () => {
    const { runtime } = await fleet();
    const warnings: string[] = [];
    const listen = (warning: Error): void => void warnings.push(warning.message);
    process.on('warning', listen);
    try {
      const { model } = govern({
        model: scripted(({ prompt }) =>
          JSON.stringify(prompt[0]).includes('inner') || prompt.length > 1
            ? text('ok')
            : [call(tool, { x: 1 }, 'a'), call(tool, { x: 2 }, 'b')],
        ),
      });
      const tool = `undeclared-${specification}`;
      const { tools } = govern({
        model,
        tools: { [tool]: { inputSchema, execute: async () => (await generate({ model, prompt: 'inner' })).text } },
      });
      expect(await runtime.run('letters', async () => (await generate({ model, tools, prompt: 'outer' })).text)).toMatchObject({
        status: 'completed',
      });
      await settle(2);
      expect(warnings.filter((one) => one.includes(tool))).toEqual([expect.stringContaining(`delegates: ["${tool}"]`)]);
    } finally {
      process.off('warning', listen);
    }
  });

  test('an agent left running by a tool that has returned is refused at its next call', async () => {
    const { runtime } = await fleet();
    const stuck = gate();
    let failure: unknown;
    const raw = scripted(({ prompt }) =>
      JSON.stringify(prompt[0]).includes('inner')
        ? text('inner')
        : prompt.length === 1
          ? [call('start', { x: 1 }, 'a')]
          : text('done'),
    );
    const { model } = govern({ model: raw });
    const { tools } = govern({
      model,
      tools: {
        start: {
          inputSchema,
          execute: () => {
            void (async () => {
              await stuck.wait();
              failure = await generate({ model, prompt: 'inner' }).catch((error: unknown) => error);
            })();
            return 'started';
          },
        },
      },
      delegates: ['start'],
    });
    expect(await runtime.run('letters', async () => (await generate({ model, tools, prompt: 'outer' })).text)).toMatchObject({
      status: 'completed',
    });
    stuck.open();
    await until('it was refused', () => failure !== undefined);
    expect(failure).toMatchObject({ code: 'session_ended' });
    expect(raw.asked.length).toBe(2);
  });

  test('a tool whose value cannot be kept fails with not_serialisable, and is recorded as having happened', async () => {
    const { runtime } = await fleet();
    const circular: Record<string, unknown> = {};
    circular.itself = circular;
    const raw = scripted((_, n) => (n === 1 ? [call('send', { x: 1 }, 'a')] : text('done')));
    const { model, tools } = govern({ model: raw, tools: { send: { inputSchema, execute: () => circular } } });
    const outcome = await runtime.run('letters', async () => (await generate({ model, tools, prompt: 'go' })).text);
    expect(outcome).toMatchObject({ status: 'completed' });
    expect(JSON.stringify(raw.asked[1]?.prompt.at(-1))).toContain('not_serialisable');
  });

  test('an abandoned call is collected, and leaves no listener on a signal that lives on', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const { runtime } = await fleet();
    const controller = new AbortController();
    let listeners = 0;
    const { signal } = controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = ((...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    }) as typeof signal.addEventListener;
    signal.removeEventListener = ((...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    }) as typeof signal.removeEventListener;
    const raw = scripted(() => new Promise<never>(() => {}));
    const { model } = govern({ model: raw });
    let abandoned: WeakRef<object> | undefined;
    const running = runtime.run('letters', () => {
      const promise = (model.doGenerate as (options: object) => Promise<unknown>)({
        prompt: [{ role: 'user', content: [] }],
        abortSignal: signal,
      });
      abandoned = new WeakRef(promise);
      return promise;
    });
    await until('the model is asked', () => raw.asked.length === 1);
    expect(listeners).toBeGreaterThan(0);
    await runtime.stop({ session: runtime.sessions()[0]!.id, reason: 'drill', by: 'test' });
    expect(await running).toMatchObject({ status: 'terminated' });
    raw.asked.length = 0;
    await settle();
    expect(listeners).toBeLessThanOrEqual(0);
    let isCollected = false;
    for (let round = 0; round < 20 && !isCollected; round++) {
      // Asking keeps it alive until the end of the job, so collecting comes first, in a job of its own.
      await settle(2);
      collect();
      isCollected = abandoned?.deref() === undefined;
    }
    expect(isCollected).toBe(true);
  });
});
