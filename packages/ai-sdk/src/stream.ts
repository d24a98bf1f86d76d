// stream.ts: a model's reply as a stream: kept part by part for the journal, played again from it, and ended with a typed
// final part where a stop comes in between. Never a silent truncation.

import type { Stopped } from '@offswitch/core';
import type { OpenCall, Session, Usage } from '@offswitch/runtime';
import { decode } from './codec.ts';
import { AiSdkError } from './error.ts';
import { toRecord } from './failure.ts';
import { hold } from './hold.ts';
import { complete } from './journal.ts';
import type { ReportedUsage, StreamPart, StreamResult } from './model-shape.ts';
import { noteReply } from './place.ts';

interface LiveStream {
  readonly source: ReadableStream<StreamPart>;
  readonly name: string;
  readonly open: OpenCall;
  readonly session: Session;
  readonly caller: AbortSignal | undefined;
  readonly unlink: () => void;
  readonly usageOf: (reported: ReportedUsage | undefined) => Usage;
}

/** Parts that say nothing of the reply. */
const passing: readonly string[] = ['raw', 'ping'];

export function liveStream({ source, name, open, session, caller, unlink, usageOf }: LiveStream): ReadableStream<StreamPart> {
  const reader = source.getReader();
  const parts: StreamPart[] = [];
  let isOver = false;
  let unwatch = (): void => undefined;
  const end = (): boolean => {
    if (isOver) return false;
    isOver = true;
    unwatch();
    unlink();
    return true;
  };
  const release = (reason: unknown): void => void reader.cancel(reason).catch(() => undefined);
  const keep = (): void => complete(open, name, { parts }, usageOf(parts.findLast((part) => part.type === 'finish')?.usage));

  return new ReadableStream<StreamPart>(
    {
      start(controller) {
        const onStop = (): void => {
          if (!end()) return;
          for (const part of finalParts(open.signal.reason, parts)) controller.enqueue(part);
          controller.close();
          release(open.signal.reason);
        };
        const onAbort = (): void => {
          if (!end()) return;
          open.fail(toRecord(caller!.reason));
          controller.error(caller!.reason);
          release(caller!.reason);
        };
        unwatch = () => {
          open.signal.removeEventListener('abort', onStop);
          caller?.removeEventListener('abort', onAbort);
        };
        if (open.signal.aborted) onStop();
        else if (caller?.aborted) onAbort();
        else {
          open.signal.addEventListener('abort', onStop, { once: true });
          caller?.addEventListener('abort', onAbort, { once: true });
        }
      },
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (isOver) return;
          if (!done) {
            if (!passing.includes(value.type)) parts.push(value);
            if (value.type !== 'finish') return controller.enqueue(value);
            // The reply is whole: it is kept before anybody acts on it, and whoever may not act on it is told why.
            end();
            keep();
            const decision = await stopOnDelivery(open, session);
            if (decision) for (const part of finalParts(decision, parts)) controller.enqueue(part);
            else controller.enqueue(value);
            controller.close();
            return release(undefined);
          }
          end();
          keep();
          controller.close();
        } catch (error) {
          if (end()) open.fail(toRecord(error));
          controller.error(error);
        }
      },
      cancel(reason) {
        if (end()) open.fail(toRecord(reason ?? new Error('the consumer of the stream went away')));
        return reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

/** Plays a reply of the journal again, and the typed end to whom may not go on. */
export async function replayedStream(open: OpenCall, session: Session): Promise<StreamResult> {
  const decision = await stopOnDelivery(open, session);
  if (decision) return { stream: finalStream(decision) };
  const { parts } = decode(open.replay!.value) as { readonly parts: readonly StreamPart[] };
  return { stream: streamOf(parts) };
}

export function finalStream(decision: Stopped): ReadableStream<StreamPart> {
  return streamOf([{ type: 'stream-start', warnings: [] } as StreamPart, ...finalParts(decision, [])]);
}

async function stopOnDelivery(open: OpenCall, session: Session): Promise<Stopped | undefined> {
  if (session.decision.action === 'terminate') return session.decision;
  try {
    await hold(open.delivered(undefined), { session, ifStopped: 'throw' });
    noteReply(session);
    return undefined;
  } catch (error) {
    if (AiSdkError.is(error) && error.decision) return error.decision;
    throw error;
  }
}

/** What was begun is ended, then the `finish`: reason `other`, and why under `providerMetadata.offswitch`. */
function finalParts(decision: Stopped, before: readonly StreamPart[]): StreamPart[] {
  const begun = new Map<string, StreamPart>();
  for (const { type, id } of before) {
    const [, kind, edge] = /^(text|reasoning)-(start|end)$/.exec(type) ?? [];
    if (edge === 'start') begun.set(`${kind} ${id}`, { type: `${kind}-end`, id: id! });
    else if (edge === 'end') begun.delete(`${kind} ${id}`);
  }
  const finish = {
    type: 'finish',
    finishReason: { unified: 'other', raw: `offswitch:${decision.action}` },
    usage: {
      inputTokens: { total: undefined, noCache: undefined, cacheRead: undefined, cacheWrite: undefined },
      outputTokens: { total: undefined, text: undefined, reasoning: undefined },
    },
    providerMetadata: { offswitch: { ...decision } },
  };
  return [...begun.values(), finish];
}

function streamOf(parts: readonly StreamPart[]): ReadableStream<StreamPart> {
  return new ReadableStream({
    start(controller) {
      for (const part of parts) controller.enqueue(part);
      controller.close();
    },
  });
}
