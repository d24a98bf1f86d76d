// messages.ts: what a model is sent, as messages that an agent can go on from: the checkpoint (S7).
//
// The SDK puts a prompt together only when every tool call has its result, so the prompt of turn N + 1 is the valid history
// of the N turns before it. A model's prompt and the SDK's messages differ in the leading system messages, which the agent
// passes beside its messages, and in how the data of files is written.

import type { Session } from '@offswitch/runtime';
import type { ModelMessage } from 'ai';
import { decode, encode, toBase64 } from './codec.ts';
import { AiSdkError } from './error.ts';
import type { PromptMessage, PromptPart } from './model-shape.ts';

const format = 'ai-sdk/1';

/** What `session.state` holds between two turns, as JSON. */
interface Checkpoint {
  readonly format: typeof format;
  /** The leading system messages; the agent passes them again itself, as `system` or `instructions`. */
  readonly system: readonly unknown[];
  readonly messages: readonly unknown[];
  /** The session ran more than one loop, so that these messages are the last one's alone. */
  readonly isMixed?: true;
}

/**
 * The history an agent goes on from, `undefined` at its birth: `generateText({ model, tools, messages: messagesOf(session) ?? first })`.
 * Leading system messages are left out, since `system` (`instructions`) brings them again; `{ system: true }` keeps them, for
 * an agent that puts them into its messages. Throws `not_resumed` where the session ran several loops outside of `session.turn`.
 */
export function messagesOf(session: Session, options: { readonly system?: boolean } = {}): ModelMessage[] | undefined {
  const checkpoint = checkpointOf(session.state);
  if (!checkpoint) return undefined;
  if (checkpoint.isMixed) throw mixed(session);
  return decode([...(options.system ? checkpoint.system : []), ...checkpoint.messages]) as ModelMessage[];
}

export function checkpoint(prompt: readonly PromptMessage[], isMixed: boolean): Checkpoint {
  const messages = prompt.map(toMessage);
  const first = messages.findIndex((message) => message.role !== 'system');
  const split = first === -1 ? messages.length : first;
  return {
    format,
    system: encode(messages.slice(0, split)) as unknown[],
    messages: encode(messages.slice(split)) as unknown[],
    ...(isMixed ? { isMixed } : {}),
  };
}

function checkpointOf(state: unknown): Checkpoint | undefined {
  return typeof state === 'object' && state !== null && (state as { format?: unknown }).format === format
    ? (state as Checkpoint)
    : undefined;
}

/** A session with completed turns must be taken up where it was left: an agent that begins again would do its effects again (I9). */
export function mustContinue(session: Session, prompt: readonly PromptMessage[]): void {
  const before = checkpointOf(session.state);
  if (!before) return;
  if (before.isMixed) throw mixed(session);
  const reply = (before.messages as readonly PromptMessage[]).findLast((message) => message.role === 'assistant');
  if (!reply || prompt.some((message) => message.role === 'assistant' && isSame(message, reply))) return;
  throw new AiSdkError(
    'not_resumed',
    `session ${session.id} goes on from turn ${session.turnNumber}, but its agent began from scratch and would repeat what it did; pass messages: messagesOf(session) ?? first`,
  );
}

function isSame(a: PromptMessage, b: PromptMessage): boolean {
  const calls = callIds(b);
  if (calls.length > 0) return calls.every((id) => callIds(a).includes(id));
  return JSON.stringify(encode(toMessage(a))) === JSON.stringify(b);
}

function callIds(message: PromptMessage): readonly unknown[] {
  if (typeof message.content === 'string') return [];
  return message.content.filter((part) => part.type === 'tool-call').map((part) => part.toolCallId);
}

function mixed(session: Session): AiSdkError {
  return new AiSdkError(
    'not_resumed',
    `session ${session.id} ran several loops, and its checkpoint holds the last one's messages only; put each loop into session.turn(() => generateText(...)), or make each an agent of its own`,
  );
}

/** One message of a prompt in the SDK's own form. Bytes become base64, which both majors read back. */
export function toMessage(message: PromptMessage): PromptMessage {
  return typeof message.content === 'string' ? message : { ...message, content: message.content.map(toPart) };
}

function toPart(part: PromptPart): PromptPart {
  if (part.type === 'file' || part.type === 'reasoning-file') {
    const { originalUrl: _, ...rest } = part;
    return { ...rest, data: toData(part.data, part.type) };
  }
  if (part.type !== 'tool-result') return part;
  const { output } = part as { readonly output?: { readonly type?: string; readonly value?: unknown } };
  if (!output) return part;
  if (output.type !== 'content' || !Array.isArray(output.value))
    return { ...part, output: { ...output, value: plain(output.value) } };
  const value = output.value.map((one: PromptPart) => (one.type === 'file' ? { ...one, data: toTagged(one.data) } : one));
  return { ...part, output: { ...output, value } };
}

/** What a tool returned as the model reads it: ai 6 hands dates and the like on, and takes only JSON back. */
function plain(value: unknown): unknown {
  const text = JSON.stringify(value);
  return text === undefined ? undefined : JSON.parse(text);
}

/** v3: bytes, base64 or URL. v4: the same under a tag. Written as v3 writes them, which both majors take. */
function toData(data: unknown, type: string): unknown {
  const {
    type: kind,
    data: inline,
    url,
  } = Object(data) as { readonly type?: unknown; readonly data?: unknown; readonly url?: unknown };
  if (type === 'reasoning-file') return toTagged(data);
  if (kind === 'data') return base64(inline);
  if (kind === 'url') return url;
  return base64(data);
}

function toTagged(data: unknown): unknown {
  const tagged = Object(data) as { readonly type?: unknown; readonly data?: unknown };
  return tagged.type === 'data' ? { ...tagged, data: base64(tagged.data) } : data;
}

function base64(data: unknown): unknown {
  if (data instanceof ArrayBuffer) return toBase64(new Uint8Array(data));
  return data instanceof Uint8Array ? toBase64(data) : data;
}
