// planner-conversation.ts: a chat-completions conversation, and what can be learned from it: which calls were made, which
// succeeded, and what they said.

import { z } from 'zod';
import { digest } from './seed.ts';

/** One message, reduced to what a reply may depend on. */
export interface Message {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly text: string;
  readonly calls: readonly { readonly id: string; readonly tool: string; readonly args: string }[];
  /** Of a `tool` message: the call it answers. */
  readonly answers?: string;
}

const content = z
  .union([z.string(), z.array(z.looseObject({ type: z.string(), text: z.string().optional() })), z.null()])
  .optional();
const call = z.looseObject({ id: z.string(), function: z.looseObject({ name: z.string(), arguments: z.string() }) });

/** A message as it stands in the body of a request (OpenAI API reference, "Create chat completion", `messages`). */
export const messageSchema: z.ZodType<Message> = z
  .looseObject({
    role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
    content,
    tool_calls: z.array(call).nullish(),
    tool_call_id: z.string().optional(),
  })
  .refine((message) => message.role !== 'tool' || message.tool_call_id !== undefined, 'a tool message needs tool_call_id')
  .transform((message) => ({
    role: message.role === 'developer' ? ('system' as const) : message.role,
    text: typeof message.content === 'string' ? message.content : (message.content ?? []).map((part) => part.text ?? '').join(''),
    calls: (message.tool_calls ?? []).map(({ id, function: { name, arguments: args } }) => ({ id, tool: name, args })),
    ...(message.tool_call_id === undefined ? {} : { answers: message.tool_call_id }),
  }));

/** Fields that tell one call of a tool from another. */
export type Where = Readonly<Record<string, string | undefined>>;

/** What a plan may look at: the outcome of calls made so far. */
export interface Known {
  succeeded(tool: string, where: Where): boolean;
  attempts(tool: string, where: Where): number;
  /** The `text` of the result, or the report itself; '' where there is none. */
  text(tool: string, where: Where): string;
  /** Another field of the result. */
  field(tool: string, where: Where, name: string): string;
}

/** What is known before anything happened, for asking a plan what it would do: everything succeeds and says nothing. */
export const nothingYet: Known = { succeeded: () => true, attempts: () => 0, text: () => '', field: () => '' };

export function knownFrom(messages: readonly Message[]): Known {
  const results = new Map(
    messages.flatMap((message) => (message.answers === undefined ? [] : [[message.answers, message.text]])),
  );
  const calls = messages.flatMap((message) =>
    message.calls.map(({ id, tool, args }) => ({ tool, args: parse(args) ?? {}, result: results.get(id) })),
  );
  const made = (tool: string, where: Where): typeof calls =>
    calls.filter((it) => it.tool === tool && Object.entries(where).every(([key, value]) => it.args[key] === value));
  const good = (tool: string, where: Where): string | undefined =>
    made(tool, where).find((it) => it.result !== undefined && isSuccess(it.result))?.result;
  const field = (tool: string, where: Where, name: string): string => {
    const value = parse(good(tool, where) ?? '')?.[name];
    return typeof value === 'string' ? value : '';
  };
  return {
    succeeded: (tool, where) => good(tool, where) !== undefined,
    attempts: (tool, where) => made(tool, where).length,
    text: (tool, where) => {
      const result = good(tool, where) ?? '';
      return parse(result) === undefined ? result : field(tool, where, 'text');
    },
    field,
  };
}

/** The rule the system prompt states: `"ok": true`, or a report. Everything else is an error. */
function isSuccess(result: string): boolean {
  return parse(result)?.ok === true || result.trimStart().startsWith('Report:');
}

function parse(json: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Names a conversation: equal for equal messages and tools, whenever and in whatever order they arrive. */
export function fingerprint(seed: number, messages: readonly Message[], tools: readonly string[]): string {
  return digest(seed, JSON.stringify(messages), JSON.stringify(tools));
}
