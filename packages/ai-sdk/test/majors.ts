// majors.ts: the two majors of `ai` behind one shape, so that each rule is tested with both.

import * as ai6 from 'ai';
import { MockLanguageModelV3 } from 'ai/test';
import * as ai7 from 'ai7';
import { MockLanguageModelV4 } from 'ai7/test';
import type { LanguageModelLike } from '../src/index.ts';

/** What a scripted model is asked, as far as tests look at it. */
export interface Asked {
  readonly prompt: readonly { readonly role: string; readonly content: unknown }[];
  readonly abortSignal?: AbortSignal;
}
type Part = Readonly<Record<string, unknown>>;
export type Reply = readonly Part[];
export type Script = (asked: Asked, call: number) => Reply | Promise<Reply>;

export interface ScriptedModel extends LanguageModelLike {
  readonly asked: Asked[];
}

export interface LoopOptions {
  readonly model: LanguageModelLike;
  readonly tools?: object;
  readonly messages?: unknown;
  readonly prompt?: string;
  readonly system?: string;
  readonly maxSteps?: number;
  readonly abortSignal?: AbortSignal;
}
export interface Streamed {
  readonly text: PromiseLike<string>;
  readonly finishReason: PromiseLike<string>;
  readonly providerMetadata: PromiseLike<unknown>;
  readonly fullStream: AsyncIterable<Part & { readonly type: string }>;
  consumeStream(): PromiseLike<void>;
}
export interface Major {
  readonly name: string;
  readonly specification: string;
  model(
    script: Script,
    options?: { readonly modelId?: string; readonly stream?: (asked: Asked, call: number) => ReadableStream<Part> },
  ): ScriptedModel;
  generate(options: LoopOptions): Promise<{ readonly text: string; readonly steps: readonly unknown[] }>;
  stream(options: LoopOptions): Streamed;
}

const usage = {
  inputTokens: { total: 10, noCache: 10, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 5, text: 5, reasoning: 0 },
};
export const finish = (unified: string): Part => ({ type: 'finish', finishReason: { unified, raw: unified }, usage });
export const text = (words: string): Reply => [{ type: 'text', text: words }];
export const call = (toolName: string, input: object, toolCallId: string): Part => ({
  type: 'tool-call',
  toolCallId,
  toolName,
  input: JSON.stringify(input),
});

const reasonOf = (reply: Reply): string => (reply.some((part) => part.type === 'tool-call') ? 'tool-calls' : 'stop');

export const partsOf = (reply: Reply): Part[] => [
  { type: 'stream-start', warnings: [] },
  ...reply.flatMap((part, index): Part[] =>
    part.type === 'text'
      ? [
          { type: 'text-start', id: `t${index}` },
          ...String(part.text)
            .split(/(?<= )/)
            .map((delta) => ({ type: 'text-delta', id: `t${index}`, delta })),
          { type: 'text-end', id: `t${index}` },
        ]
      : [part],
  ),
  finish(reasonOf(reply)),
];

export const streamOf = (parts: readonly Part[]): ReadableStream<Part> =>
  new ReadableStream({
    start(controller) {
      for (const part of parts) controller.enqueue(part);
      controller.close();
    },
  });

function major(
  name: string,
  specification: 'v3' | 'v4',
  Mock: new (options: never) => object,
  ai: { generateText: unknown; streamText: unknown },
  stepCountIs: (count: number) => unknown,
): Major {
  const settings = ({ maxSteps, ...options }: LoopOptions): never =>
    ({ stopWhen: stepCountIs(maxSteps ?? 10), maxRetries: 2, ...options }) as never;
  return {
    name,
    specification,
    model(script, { modelId = 'scripted', stream } = {}) {
      const asked: Asked[] = [];
      const mock = new Mock({
        modelId,
        doGenerate: async (options: Asked) => {
          asked.push(options);
          const reply = await script(options, asked.length);
          return {
            content: reply,
            finishReason: { unified: reasonOf(reply), raw: undefined },
            usage,
            warnings: [],
            response: { id: `r${asked.length}`, timestamp: new Date(0), modelId, body: { secret: true } },
          };
        },
        doStream: async (options: Asked) => {
          asked.push(options);
          if (stream) return { stream: stream(options, asked.length) };
          return { stream: streamOf(partsOf(await script(options, asked.length))) };
        },
      } as never);
      return Object.assign(mock, { asked }) as unknown as ScriptedModel;
    },
    generate: (options) => (ai.generateText as (options: never) => Promise<never>)(settings(options)),
    stream: (options) =>
      (ai.streamText as (options: never) => Streamed)({ onError: () => undefined, ...(settings(options) as object) } as never),
  };
}

export const majors: readonly Major[] = [
  major('ai 6', 'v3', MockLanguageModelV3 as never, ai6, ai6.stepCountIs),
  major(
    'ai 7',
    'v4',
    MockLanguageModelV4 as never,
    ai7,
    ai7.stepCountIs ?? (ai7 as unknown as { isStepCount: (count: number) => unknown }).isStepCount,
  ),
];
