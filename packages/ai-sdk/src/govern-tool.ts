// govern-tool.ts: the tool gate, around `execute`. Everything else of a tool (schemas, approval, what the model is shown) is
// its own. A blocked tool is no tool error: its promise never settles, or, in a stream, the loop is ended without the model.

import { type CallClass, type OpenCall, type OpenSpec, RuntimeError, type Session, type Turn } from '@offswitch/runtime';
import { decode } from './codec.ts';
import { AiSdkError } from './error.ts';
import { toRecord } from './failure.ts';
import { hold, joinSignals } from './hold.ts';
import { complete, openCall } from './journal.ts';
import { inCurrentTurn, placeOf } from './place.ts';
import { isStreaming } from './streaming-turns.ts';

export interface ToolGate {
  /** The name of the child session of an agent that this tool starts. Default: the tool's. */
  readonly toolName: string;
  readonly class: CallClass;
  readonly childName: string | undefined;
}

/** What the SDK hands to `execute`, of both majors. */
interface ExecuteOptions {
  readonly toolCallId: string;
  readonly abortSignal?: AbortSignal | undefined;
}

type Execute = (input: unknown, options: ExecuteOptions) => unknown;

interface Entered {
  readonly name: string;
  readonly open: OpenCall;
  readonly session: Session;
  readonly ifStopped: 'wait' | 'throw';
}

const governed = new WeakSet<object>();
const idempotencyKeys = new WeakMap<object, string>();

/** The key to hand to the service a tool calls: the same call, repeated after a crash, carries the same one. For the options given to `execute`. */
export function idempotencyKeyOf(options: object): string | undefined {
  return idempotencyKeys.get(options);
}

/** The same tool, gated. A tool without `execute` (the caller's, or the provider's) and one governed already are handed back as they are. */
export function governTool<T extends object>(tool: T, gate: ToolGate): T {
  const { execute } = tool as { readonly execute?: unknown };
  if (typeof execute !== 'function' || governed.has(tool)) return tool;
  const original: Execute = (input, options) => execute.call(tool, input, options);
  const isGenerator = Object.prototype.toString.call(execute) === '[object AsyncGeneratorFunction]';
  const wrapped = {
    ...tool,
    execute: isGenerator
      ? (input: unknown, options: ExecuteOptions) => runGenerator(original, gate, input, options)
      : (input: unknown, options: ExecuteOptions) => runOnce(original, gate, input, options),
  };
  governed.add(wrapped);
  return wrapped;
}

async function runOnce(execute: Execute, gate: ToolGate, input: unknown, options: ExecuteOptions): Promise<unknown> {
  const entered = await enter(gate, input, options);
  const { open, session, ifStopped } = entered;
  if (open.replay) return hold(open.delivered(decode(open.replay.value)), { session, ifStopped });
  return hold(recorded(entered, execute, input, options), { session, ifStopped });
}

/** The body with its end in the journal, however late it comes. */
async function recorded(entered: Entered, execute: Execute, input: unknown, options: ExecuteOptions): Promise<unknown> {
  const { open } = entered;
  const { own, unlink } = optionsFor(open, options);
  let value: unknown;
  try {
    value = await open.run(async () => last(await execute(input, own)));
  } catch (error) {
    return await failed(entered, error);
  } finally {
    unlink();
  }
  return end(entered, value);
}

async function* runGenerator(execute: Execute, gate: ToolGate, input: unknown, options: ExecuteOptions): AsyncGenerator<unknown> {
  const entered = await enter(gate, input, options);
  const { open, session, ifStopped } = entered;
  if (open.replay) {
    yield await hold(open.delivered(decode(open.replay.value)), { session, ifStopped });
    return;
  }
  const { own, unlink } = optionsFor(open, options);
  let isOver = false;
  let value: unknown;
  try {
    const iterator = open.run(() => execute(input, own) as AsyncGenerator<unknown>);
    for (;;) {
      const step = await hold(
        open.run(() => iterator.next()),
        { session, ifStopped },
      );
      if (step.done) break;
      ({ value } = step);
      yield await hold(open.delivered(value), { session, ifStopped });
    }
    isOver = true;
    await end(entered, value);
  } catch (error) {
    isOver = true;
    await failed(entered, error);
  } finally {
    unlink();
    if (!isOver) open.fail(new Error('the results of this tool were not read to the end'));
  }
}

/** Through the gate: the turn that is open, then the call. */
async function enter(gate: ToolGate, input: unknown, options: ExecuteOptions): Promise<Entered> {
  const { toolName: name } = gate;
  const { session, ...place } = await placeOf(`the tool ${name}`, gate.childName, 'wait');
  const spec: OpenSpec = { kind: 'tool', name, args: input, class: gate.class };
  const caller = options.abortSignal;
  let ifStopped: 'wait' | 'throw' = session.open && isStreaming(session.open) ? 'throw' : 'wait';
  const opening = inCurrentTurn({ session, ...place }, (turn) => {
    ifStopped = isStreaming(turn) ? 'throw' : 'wait';
    return openWith(turn, spec, options.toolCallId);
  });
  try {
    return { name, open: await hold(opening, { session, caller, ifStopped }), session, ifStopped };
  } catch (error) {
    opening.then(
      (open) => !open.replay && open.fail(toRecord(error)),
      () => undefined,
    );
    throw error;
  }
}

/** Models that number their calls from one in each reply use an id twice in a turn of several replies: then the arguments tell. */
async function openWith(turn: Turn, spec: OpenSpec, key: string): Promise<OpenCall> {
  try {
    return await openCall(turn, { ...spec, key });
  } catch (error) {
    if (RuntimeError.is(error) && error.code === 'duplicate_call_key') return openCall(turn, spec);
    throw error;
  }
}

async function end({ name, open, session, ifStopped }: Entered, value: unknown): Promise<unknown> {
  try {
    complete(open, name, value);
  } catch (error) {
    // It happened and is recorded; only its value cannot be kept. Whoever may not go on is not told even that.
    await hold(open.delivered(undefined), { session, ifStopped });
    throw error;
  }
  return hold(open.delivered(value), { session, ifStopped });
}

async function failed({ open, session, ifStopped }: Entered, error: unknown): Promise<never> {
  if (AiSdkError.is(error) && error.decision) throw error;
  open.fail(toRecord(error));
  await hold(open.delivered(undefined), { session, ifStopped });
  throw error;
}

function optionsFor(open: OpenCall, options: ExecuteOptions): { readonly own: ExecuteOptions; readonly unlink: () => void } {
  const { signal, unlink } = joinSignals(open.signal, options.abortSignal);
  const own = { ...options, abortSignal: signal };
  idempotencyKeys.set(own, open.idempotencyKey);
  return { own, unlink };
}

/** The SDK streams what an `execute` yields and takes the last of it as the result. */
async function last(value: unknown): Promise<unknown> {
  if (typeof value !== 'object' || value === null || !(Symbol.asyncIterator in value)) return value;
  let result: unknown;
  for await (const one of value as AsyncIterable<unknown>) result = one;
  return result;
}
