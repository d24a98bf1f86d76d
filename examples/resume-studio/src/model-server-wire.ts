// model-server-wire.ts: the chat-completions protocol: what a request may hold, and what answers look like.
// Facts: OpenAI API reference, "Chat completions" (create, the streaming object) and "Errors".

import { z } from 'zod';
import type { Reply } from './planner.ts';
import { type Message, messageSchema } from './planner-conversation.ts';

export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly Message[];
  /** Names of the tools on offer; none where the request forbids calls. */
  readonly tools: readonly string[];
  readonly isStream: boolean;
  readonly hasUsageChunk: boolean;
  /** Tokens of messages and tool definitions. */
  readonly promptTokens: number;
}

const requestSchema = z.looseObject({
  model: z.string().min(1),
  messages: z.array(messageSchema).min(1).max(1_000),
  tools: z
    .array(z.looseObject({ type: z.literal('function'), function: z.looseObject({ name: z.string().min(1) }) }))
    .max(128)
    .nullish(),
  tool_choice: z.unknown().optional(),
  n: z.literal(1, 'only one choice is supported').nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
});

export type Parsed =
  | { readonly ok: true; readonly request: ChatRequest }
  | { readonly ok: false; readonly param: string; readonly message: string };

export function parseRequest(body: string): Parsed {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return { ok: false, param: '', message: 'the body is not JSON' };
  }
  const parsed = requestSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const param = issue?.path.join('.') ?? '';
    return { ok: false, param, message: `${param || 'the body'}: ${issue?.message ?? 'not a chat completion request'}` };
  }
  const { model, messages, tools, tool_choice, stream, stream_options } = parsed.data;
  const raw = json as { messages: unknown; tools?: unknown };
  return {
    ok: true,
    request: {
      model,
      messages,
      tools: tool_choice === 'none' ? [] : (tools ?? []).map((tool) => tool.function.name),
      isStream: stream === true,
      hasUsageChunk: stream_options?.include_usage === true,
      promptTokens: countTokens(JSON.stringify(raw.messages)) + (raw.tools ? countTokens(JSON.stringify(raw.tools)) : 0),
    },
  };
}

/** Four characters to a token: the rule of thumb for English in common tokenizers. Enough to add up, and the same every time. */
export function countTokens(text: string): number {
  return Math.ceil([...text].length / 4);
}

/** The text in pieces of `tokens` tokens. */
export function pieces(text: string, tokens: number): string[] {
  const characters = [...text];
  const size = tokens * 4;
  return Array.from({ length: Math.ceil(characters.length / size) }, (_, index) =>
    characters.slice(index * size, (index + 1) * size).join(''),
  );
}

export function completionTokens(reply: Reply): number {
  return reply.calls.reduce((sum, { tool, args }) => sum + countTokens(tool) + countTokens(args), countTokens(reply.text));
}

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

export function usageOf(request: ChatRequest, reply: Reply): Usage {
  const completion = completionTokens(reply);
  return { prompt_tokens: request.promptTokens, completion_tokens: completion, total_tokens: request.promptTokens + completion };
}

export function completion(request: ChatRequest, reply: Reply, created: number): object {
  const tool_calls = reply.calls.map(({ id, tool, args }) => ({
    id,
    type: 'function',
    function: { name: tool, arguments: args },
  }));
  return {
    id: `chatcmpl-${reply.fingerprint.slice(0, 24)}`,
    object: 'chat.completion',
    created,
    model: request.model,
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: reply.text === '' ? null : reply.text,
          ...(tool_calls.length > 0 && { tool_calls }),
        },
        logprobs: null,
        finish_reason: finishReason(reply),
      },
    ],
    usage: usageOf(request, reply),
  };
}

function finishReason(reply: Reply): 'tool_calls' | 'stop' {
  return reply.calls.length > 0 ? 'tool_calls' : 'stop';
}

/** The chunks of a streamed reply, in order, usage chunk included, `[DONE]` not. At most about `most` carry content. */
export function chunks(request: ChatRequest, reply: Reply, created: number, most = 16): object[] {
  const size = Math.max(1, Math.ceil(completionTokens(reply) / most));
  const base = {
    id: `chatcmpl-${reply.fingerprint.slice(0, 24)}`,
    object: 'chat.completion.chunk',
    created,
    model: request.model,
  };
  const delta = (content: object, finish_reason: string | null = null): object => ({
    ...base,
    choices: [{ index: 0, delta: content, logprobs: null, finish_reason }],
    ...(request.hasUsageChunk && { usage: null }),
  });
  return [
    delta({ role: 'assistant', content: '' }),
    ...pieces(reply.text, size).map((content) => delta({ content })),
    ...reply.calls.flatMap(({ id, tool, args }, index) => [
      delta({ tool_calls: [{ index, id, type: 'function', function: { name: tool, arguments: '' } }] }),
      ...pieces(args, size).map((piece) => delta({ tool_calls: [{ index, function: { arguments: piece } }] })),
    ]),
    delta({}, finishReason(reply)),
    ...(request.hasUsageChunk ? [{ ...base, choices: [], usage: usageOf(request, reply) }] : []),
  ];
}

export function errorBody(message: string, code: string, param: string | null = null): object {
  return { error: { message, type: 'invalid_request_error', param, code } };
}
