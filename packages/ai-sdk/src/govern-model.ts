// govern-model.ts: the turn gate: each model call begins a turn, waits there while its session is paused, and answers from
// the journal when its turn runs again.

import { createHash } from 'node:crypto';
import type { OpenCall } from '@offswitch/runtime';
import { decode, encode } from './codec.ts';
import { AiSdkError } from './error.ts';
import { toRecord } from './failure.ts';
import { hold, joinSignals } from './hold.ts';
import { complete, openCall } from './journal.ts';
import { toMessage } from './messages.ts';
import type { CallableModel, CallOptions, GenerateResult, LanguageModelLike, StreamResult } from './model-shape.ts';
import { inNextTurn, noteReply, type Place, placeOf } from './place.ts';
import { finalStream, liveStream, replayedStream } from './stream.ts';
import { markStreaming } from './streaming-turns.ts';
import { type UsageOptions, usageOf } from './usage.ts';

export interface ModelGate {
  readonly name: string | undefined;
  readonly usage: UsageOptions | undefined;
}

const governed = new WeakSet<object>();

/** The same model, gated. What was governed already is handed back as it is. Throws `unsupported_model`. */
export function governModel<M extends LanguageModelLike>(model: M, gate: ModelGate): M {
  const version: unknown = Object(model).specificationVersion;
  if (version !== 'v3' && version !== 'v4') {
    throw new AiSdkError(
      'unsupported_model',
      typeof model === 'string'
        ? `${JSON.stringify(model)} is a name; pass the model object, e.g. gateway(${JSON.stringify(model)})`
        : `models of specification v3 (ai 6) and v4 (ai 7) can be governed, this one is ${JSON.stringify(version)}`,
    );
  }
  if (governed.has(model)) return model;
  const target = model as unknown as CallableModel;
  const doGenerate = (params: CallOptions): Promise<GenerateResult> => generate(target, params, gate);
  const doStream = (params: CallOptions): Promise<StreamResult> => stream(target, params, gate);
  const wrapped = new Proxy(model, {
    get(_, property) {
      if (property === 'doGenerate') return doGenerate;
      if (property === 'doStream') return doStream;
      const value: unknown = Reflect.get(model, property, model);
      // Bound to the model itself: its private fields are not the proxy's.
      return typeof value === 'function' ? value.bind(model) : value;
    },
  });
  governed.add(wrapped);
  return wrapped;
}

async function generate(model: CallableModel, params: CallOptions, gate: ModelGate): Promise<GenerateResult> {
  const { place, open } = await enter(model, params, gate, 'wait');
  const { session } = place;
  if (open.replay) {
    noteReply(session);
    return open.delivered(decode(open.replay.value) as GenerateResult);
  }
  const { signal, unlink } = joinSignals(open.signal, params.abortSignal);
  let result: GenerateResult;
  try {
    const call = open.run(async () => model.doGenerate({ ...params, abortSignal: signal }));
    result = await hold(call, { session, caller: params.abortSignal, ifStopped: 'wait' });
  } catch (error) {
    open.fail(toRecord(error));
    await open.delivered(undefined);
    throw error;
  } finally {
    unlink();
  }
  try {
    complete(open, model.modelId, keptOf(result), usageOf(model.modelId, result.usage, gate.usage));
  } catch (error) {
    await open.delivered(undefined);
    throw error;
  }
  noteReply(session);
  return open.delivered(result);
}

/** The bodies of the HTTP exchange say nothing that the content does not, and may be large or secret. */
function keptOf(result: GenerateResult): unknown {
  const { request: _, ...kept } = result;
  if (!kept.response) return kept;
  const { body: __, ...response } = kept.response;
  return { ...kept, response };
}

async function stream(model: CallableModel, params: CallOptions, gate: ModelGate): Promise<StreamResult> {
  let entered: { readonly place: Place; readonly open: OpenCall };
  try {
    entered = await enter(model, params, gate, 'throw');
  } catch (error) {
    // The consumer of the stream is told in the stream's own words.
    if (AiSdkError.is(error) && error.decision) return { stream: finalStream(error.decision) };
    throw error;
  }
  const { place, open } = entered;
  const { session } = place;
  if (open.replay) return replayedStream(open, session);
  const { signal, unlink } = joinSignals(open.signal, params.abortSignal);
  try {
    const call = open.run(async () => model.doStream({ ...params, abortSignal: signal }));
    const result = await hold(call, { session, caller: params.abortSignal, ifStopped: 'throw' });
    return {
      ...result,
      stream: liveStream({
        source: result.stream,
        name: model.modelId,
        open,
        session,
        caller: params.abortSignal,
        unlink,
        usageOf: (reported) => usageOf(model.modelId, reported, gate.usage),
      }),
    };
  } catch (error) {
    unlink();
    open.fail(toRecord(error));
    if (AiSdkError.is(error) && error.decision) return { stream: finalStream(error.decision) };
    if (open.signal.aborted) return { stream: finalStream(open.signal.reason) };
    throw error;
  }
}

/** Through the gate: the turn, then the call. */
async function enter(
  model: CallableModel,
  params: CallOptions,
  gate: ModelGate,
  ifStopped: 'wait' | 'throw',
): Promise<{ place: Place; open: OpenCall }> {
  const place = await placeOf(`the model ${model.modelId}`, gate.name, ifStopped);
  const { session } = place;
  const caller = params.abortSignal;
  let hasLeft = false;
  const opening = inNextTurn(place, params.prompt, async (turn) => {
    // The caller went away while this waited for its turn: the next call takes it.
    if (hasLeft) throw new Error('abandoned by its caller');
    if (ifStopped === 'throw') markStreaming(turn);
    return openCall(turn, {
      kind: 'model',
      name: model.modelId,
      digest: digestOf(params, ifStopped === 'throw'),
      ...(gate.usage?.maxCostMicros === undefined ? {} : { maxCostMicros: gate.usage.maxCostMicros }),
    });
  });
  try {
    return { place, open: await hold(opening, { session, caller, ifStopped }) };
  } catch (error) {
    hasLeft = true;
    opening.then(
      (open) => !open.replay && open.fail(toRecord(error)),
      () => undefined,
    );
    throw error;
  }
}

/**
 * What makes a reply in the journal the answer to this call: the prompt and what shape of answer is asked for. Not the
 * settings, headers and descriptions of tools: a deploy that rewords one must not make a resumed turn ask the model again.
 */
function digestOf(params: CallOptions, isStream: boolean): string {
  const { prompt, tools, toolChoice, responseFormat } = params;
  const asked = { isStream, prompt: prompt.map(toMessage), tools: tools?.map((tool) => tool.name), toolChoice, responseFormat };
  return createHash('sha256')
    .update(JSON.stringify(encode(asked)))
    .digest('base64url');
}
