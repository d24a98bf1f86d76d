// readme.test.ts: the program of the README, with the types of the SDK, and the same as a ToolLoopAgent of both majors.

import * as ai6 from 'ai';
import { generateText, stepCountIs, tool } from 'ai';
import { MockLanguageModelV3 } from 'ai/test';
import * as ai7 from 'ai7';
import { MockLanguageModelV4 } from 'ai7/test';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { govern, idempotencyKeyOf, messagesOf } from '../src/index.ts';
import { fleet } from './fleet.ts';

const usage = {
  inputTokens: { total: 10, noCache: 10, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 5, text: 5, reasoning: 0 },
};
const replies = [
  {
    content: [{ type: 'tool-call' as const, toolCallId: 'a', toolName: 'sendLetter', input: '{"to":"ada"}' }],
    finishReason: { unified: 'tool-calls' as const, raw: undefined },
    usage,
    warnings: [],
  },
  {
    content: [{ type: 'text' as const, text: 'sent' }],
    finishReason: { unified: 'stop' as const, raw: undefined },
    usage,
    warnings: [],
  },
];

describe('the program of the README', () => {
  test('compiles against the types of the SDK, runs and sends one letter', async () => {
    const { runtime } = await fleet();
    const sent: (string | undefined)[] = [];
    const post = async (_to: string, options: { readonly idempotencyKey: string | undefined }) =>
      void sent.push(options.idempotencyKey);
    const openaiModel = new MockLanguageModelV3({ doGenerate: replies });
    // #region agent
    const { model, tools } = govern({
      model: openaiModel,
      tools: {
        sendLetter: tool({
          inputSchema: z.object({ to: z.string() }),
          execute: ({ to }, options) => post(to, { idempotencyKey: idempotencyKeyOf(options) }),
        }),
      },
    });
    const letters = runtime.agent('letters', async (session, goal: string) => {
      const messages = messagesOf(session) ?? [{ role: 'user' as const, content: goal }];
      return (await generateText({ model, tools, messages, stopWhen: stepCountIs(20) })).text;
    });
    const outcome = await letters.run('write to ada'); // completed | paused | terminated | failed
    // #endregion
    expect(outcome).toMatchObject({ status: 'completed', result: 'sent' });
    expect(sent).toEqual([`${outcome.session}/1/sendLetter=a`]);
  });
});

describe('a ToolLoopAgent with a governed model and tools', () => {
  test('of ai 6 is stopped before its next call', async () => {
    const { runtime } = await fleet();
    const raw = new MockLanguageModelV3({ doGenerate: replies });
    const { model, tools } = govern({
      model: raw,
      tools: {
        sendLetter: ai6.tool({
          inputSchema: z.object({ to: z.string() }),
          execute: async () => void (await runtime.stop({ session: runtime.sessions()[0]!.id, reason: 'drill', by: 'test' })),
        }),
      },
      effects: { sendLetter: false },
    });
    const agent = new ai6.ToolLoopAgent({ model, tools });
    expect(await runtime.run('letters', async () => (await agent.generate({ prompt: 'go' })).text)).toMatchObject({
      status: 'terminated',
    });
    expect(raw.doGenerateCalls.length).toBe(1);
  });

  test('of ai 7 is stopped before its next call', async () => {
    const { runtime } = await fleet();
    const raw = new MockLanguageModelV4({ doGenerate: replies });
    const { model, tools } = govern({
      model: raw,
      tools: {
        sendLetter: ai7.tool({
          inputSchema: z.object({ to: z.string() }),
          execute: async () => void (await runtime.stop({ session: runtime.sessions()[0]!.id, reason: 'drill', by: 'test' })),
        }),
      },
      effects: { sendLetter: false },
    });
    const agent = new ai7.ToolLoopAgent({ model, tools });
    expect(await runtime.run('letters', async () => (await agent.generate({ prompt: 'go' })).text)).toMatchObject({
      status: 'terminated',
    });
    expect(raw.doGenerateCalls.length).toBe(1);
  });
});
