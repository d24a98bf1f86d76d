// sdk-routes.ts: the endpoints that LaunchDarkly's server-side SDKs call: the stream, the poll, and the two for events.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { LdSnapshot, LdState, StreamMessage } from './state.ts';

/** How an SDK endpoint misbehaves. The management API is not touched by these. */
export type LdFault =
  | 'unauthorized'
  | 'forbidden'
  | 'not-found'
  | 'rate-limited'
  | 'server-error'
  | 'truncated-json'
  | 'wrong-shape'
  | 'empty-set';

/** One event an SDK reported: what would be a context or an evaluation in the dashboard. */
export interface LdEvent {
  readonly kind: string;
  readonly context?: unknown;
  readonly features?: Readonly<Record<string, unknown>>;
}

const statuses: Readonly<Partial<Record<LdFault, number>>> = {
  unauthorized: 401,
  forbidden: 403,
  'not-found': 404,
  'rate-limited': 429,
  'server-error': 500,
};

export interface SdkRoutes {
  readonly streamCount: number;
  readonly events: readonly LdEvent[];
  /** True: the path is one of these and was answered. */
  handle(request: IncomingMessage, response: ServerResponse, path: string, body: string): boolean;
  announce(message: StreamMessage): void;
  /** Raw text into every open stream. */
  send(text: string): void;
  setFault(fault: LdFault | undefined): void;
  /** Only this is served, whatever is stored, until it is called with `undefined`. */
  serve(snapshot: LdSnapshot | undefined): void;
  /** This text in place of every flag set, until it is called with `undefined`. */
  serveText(text: string | undefined): void;
  /** Messages wait until the answered function is called, which sends them, the last one first. */
  holdAndReverse(): () => void;
  drop(): void;
  close(): void;
}

export function createSdkRoutes(options: { sdkKey: string; heartbeatMs: number; state: () => LdState }): SdkRoutes {
  const streams = new Set<ServerResponse>();
  const events: LdEvent[] = [];
  let fault: LdFault | undefined;
  let served: LdSnapshot | undefined;
  let text: string | undefined;
  let waiting: StreamMessage[] | undefined;
  const all = (): ReturnType<LdState['all']> => options.state().all(served);
  const send = (text: string): void => {
    for (const stream of streams) stream.write(text);
  };
  const heartbeat = setInterval(() => send(':\n\n'), options.heartbeatMs);
  const whole = (): string => {
    if (text !== undefined) return text.replaceAll('\n', '\ndata: ');
    switch (fault) {
      case 'truncated-json':
        return JSON.stringify({ path: '/', data: all() }).slice(0, -9);
      case 'wrong-shape':
        return '{}';
      case 'empty-set':
        return JSON.stringify({ path: '/', data: { flags: {}, segments: {} } });
      case undefined:
      case 'unauthorized':
      case 'forbidden':
      case 'not-found':
      case 'rate-limited':
      case 'server-error':
        return JSON.stringify({ path: '/', data: all() });
    }
  };
  const polled = (): string => {
    if (text !== undefined) return text;
    switch (fault) {
      case 'truncated-json':
        return JSON.stringify(all()).slice(0, -9);
      case 'wrong-shape':
        return '{"flags":[]}';
      case 'empty-set':
        return '{"flags":{},"segments":{}}';
      case undefined:
      case 'unauthorized':
      case 'forbidden':
      case 'not-found':
      case 'rate-limited':
      case 'server-error':
        return JSON.stringify(all());
    }
  };
  const show = ({ event, data }: StreamMessage): void => send(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  const drop = (): void => {
    for (const stream of streams) stream.destroy();
    streams.clear();
  };

  return {
    get streamCount() {
      return streams.size;
    },
    events,
    handle(request, response, path, body) {
      const isStream = path === '/all';
      const isPoll = path === '/sdk/latest-all';
      if (path === '/bulk' || path === '/diagnostic') {
        const posted: unknown = JSON.parse(body);
        if (path === '/bulk' && Array.isArray(posted)) events.push(...(posted as LdEvent[]));
        response.writeHead(202, { date: new Date().toUTCString() }).end();
        return true;
      }
      if (!isStream && !isPoll) return false;
      const status = request.headers.authorization === options.sdkKey ? (fault === undefined ? undefined : statuses[fault]) : 401;
      if (status !== undefined) {
        response.writeHead(status, status === 429 ? { 'retry-after': '1' } : {}).end();
        return true;
      }
      if (isStream) {
        response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
        response.write(`event: put\ndata: ${whole()}\n\n`);
        streams.add(response);
        response.on('close', () => streams.delete(response));
        return true;
      }
      const etag = `"${fault ?? ''}${served ? 'served' : ''}${text === undefined ? '' : 'text'}${options.state().revision}"`;
      if (request.headers['if-none-match'] === etag) response.writeHead(304, { etag }).end();
      else response.writeHead(200, { 'content-type': 'application/json', etag }).end(polled());
      return true;
    },
    announce(message) {
      if (fault !== undefined || served || text !== undefined) return;
      if (waiting) waiting.push(message);
      else show(message);
    },
    send,
    setFault(next) {
      fault = next;
      // What was open goes on as if nothing were wrong, so it is cut: the SDK comes back and meets the fault, or its end.
      if (next === 'truncated-json' || next === 'wrong-shape' || next === 'empty-set') send(`event: put\ndata: ${whole()}\n\n`);
      else drop();
    },
    serve(snapshot) {
      served = snapshot;
      if (snapshot) show({ event: 'put', data: { path: '/', data: all() } });
      else drop();
    },
    serveText(next) {
      text = next;
      if (next === undefined) drop();
      else send(`event: put\ndata: ${whole()}\n\n`);
    },
    holdAndReverse() {
      waiting = [];
      return () => {
        const held = waiting ?? [];
        waiting = undefined;
        for (const message of held.reverse()) show(message);
      };
    },
    drop,
    close() {
      clearInterval(heartbeat);
      drop();
    },
  };
}
