// watched-model.ts: the included model with the brake in it, and a log of every request: the oracle that no fleet can talk
// its way past, in a process of its own.

import { type ModelRequest, startModelServer, treeHeader } from '../model-server.ts';
import type { Occasion } from '../tools-time.ts';
import { type Brake, makeBrake } from './brake.ts';

export interface LoggedRequest {
  /** Epoch milliseconds at which it arrived. */
  readonly at: number;
  /** `<workflow>/<document>`. */
  readonly tree: string;
  readonly session: string;
  readonly role: string;
  readonly turn: number;
  /** Model time injected, after the speed. Milliseconds. */
  modelMs: number;
  endedAt: number | undefined;
  end: 'completed' | 'aborted' | undefined;
}

export interface WatchedModel {
  readonly url: string;
  readonly brake: Brake;
  readonly log: readonly LoggedRequest[];
  /** Requests being answered now. */
  inFlight(): readonly LoggedRequest[];
  close(): Promise<void>;
}

export async function watchModel(seed: number, speed: number): Promise<WatchedModel> {
  const brake = makeBrake(speed);
  const log: LoggedRequest[] = [];
  const entries = new Map<ModelRequest, LoggedRequest>();
  let last: LoggedRequest | undefined;
  const server = await startModelServer({
    seed,
    onRequest(request) {
      const [tree = '', session = ''] = decodeURIComponent(String(request.headers[treeHeader] ?? '')).split(' ');
      const { role = '', turn } = request;
      last = { at: Date.now(), tree, session, role, turn, modelMs: 0, endedAt: undefined, end: undefined };
      log.push(last);
      entries.set(request, last);
    },
    delay(ms, signal, occasion) {
      // Asked for in the same synchronous block as the hook above, so that the last entry is the one this is for.
      if (last) last.modelMs += ms / brake.speed;
      const { tree = '' } = occasion ?? {};
      const named: Occasion = { kind: 'model', name: '', about: '', ...occasion, tree: tree.split(' ')[0] };
      return brake.delay(ms, signal, named);
    },
    onEnd(request, end) {
      const entry = entries.get(request);
      entries.delete(request);
      if (!entry) return;
      entry.end = end;
      entry.endedAt = Date.now();
    },
  });
  return {
    url: server.url,
    brake,
    log,
    inFlight: () => log.filter((entry) => entry.end === undefined),
    close: () => server.close(),
  };
}
