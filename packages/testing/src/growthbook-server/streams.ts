// streams.ts: the event stream of GrowthBook's proxy: what it sends, when it pings, and the ways in which it fails.
//
// Faithful to growthbook-proxy 1.3.3: `retry` in front, an id per event, a ping of an empty `data:` line, and a history of one
// event that a client with Last-Event-ID is given again.

import type { IncomingMessage, ServerResponse } from 'node:http';

export interface StreamOptions {
  /** What the stream tells clients to wait before they come back. Milliseconds. Default 10000, the proxy's own. */
  readonly retryMs?: number;
  /** Milliseconds between pings. Default 30000, the proxy's own. */
  readonly pingEveryMs?: number;
  /** The proxy's command line ends each stream after 60000. Milliseconds. Default: never. */
  readonly maxDurationMs?: number;
}

export interface Streams {
  readonly count: number;
  /** How many were ever opened. */
  readonly opened: number;
  open(request: IncomingMessage, response: ServerResponse): void;
  /** One event to every stream; `data` may be anything, well-formed or not. */
  send(event: string, data: string): void;
  /** Ends all of them: `end` as the proxy does after its longest duration, `destroy` without a word. */
  end(how: 'end' | 'destroy'): void;
  /** From now on nothing is sent, not even pings, and the connections stay: a half-open stream. */
  freeze(isFrozen: boolean): void;
}

export function openStreams(options: StreamOptions): Streams {
  const live = new Map<ServerResponse, NodeJS.Timeout[]>();
  let lastId = 0;
  let lastFrame: string | undefined;
  let isFrozen = false;
  let opened = 0;
  const forget = (response: ServerResponse): void => {
    for (const timer of live.get(response) ?? []) clearTimeout(timer);
    live.delete(response);
  };
  return {
    get count() {
      return live.size;
    },
    get opened() {
      return opened;
    },
    open(request, response) {
      opened++;
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache', connection: 'keep-alive' });
      response.write(`retry: ${options.retryMs ?? 10_000}\n\n`);
      const asked = request.headers['last-event-id'];
      if (lastFrame !== undefined && asked !== undefined && Number(asked) < lastId) response.write(lastFrame);
      const ping = setInterval(() => {
        if (!isFrozen) response.write('data: \n\n');
      }, options.pingEveryMs ?? 30_000);
      const timers = [ping];
      if (options.maxDurationMs !== undefined) timers.push(setTimeout(() => response.end(), options.maxDurationMs));
      live.set(response, timers);
      response.on('close', () => forget(response));
      response.on('error', () => forget(response));
    },
    send(event, data) {
      lastFrame = `id: ${++lastId} \nevent: ${event}\ndata: ${data}\n\n`;
      if (isFrozen) return;
      for (const response of live.keys()) response.write(lastFrame);
    },
    end(how) {
      for (const response of [...live.keys()]) {
        forget(response);
        if (how === 'end') response.end();
        else response.destroy();
      }
    },
    freeze(frozen) {
      isFrozen = frozen;
    },
  };
}
