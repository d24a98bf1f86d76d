// vendor-front.ts: stands between the fleet and a vendor's server, and loses it: gone, a refused key, an empty set of flags, and the
// very bytes that the server sent before anything was engaged.

import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type FrontMode = 'pass' | 'gone' | 'unauthorized' | 'empty' | 'older';

export interface Front {
  readonly url: string;
  mode(mode: FrontMode): void;
  /** From here on nothing newer is kept for `older`. */
  remember(): void;
  /** Requests since the mode was set. */
  asked(): number;
  close(): Promise<void>;
}

interface Kept {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  body: Buffer;
}

/** Empty data as each vendor's endpoints send it. */
const nothing: readonly { readonly path: RegExp; readonly type: string; readonly body: string }[] = [
  // LaunchDarkly: stream and poll.
  { path: /^\/all$/, type: 'text/event-stream', body: 'event: put\ndata: {"path":"/","data":{"flags":{},"segments":{}}}\n\n' },
  { path: /^\/sdk\/latest-all$/, type: 'application/json', body: '{"flags":{},"segments":{}}' },
  // GrowthBook: features and their stream.
  {
    path: /^\/api\/features\//,
    type: 'application/json',
    body: '{"status":200,"features":{},"dateUpdated":"2099-01-01T00:00:00.000Z"}',
  },
  { path: /^\/sub\//, type: 'text/event-stream', body: ': nothing\n\n' },
  // Unleash.
  { path: /^\/api\/client\/features$/, type: 'application/json', body: '{"version":2,"features":[]}' },
];

export async function openFront(upstream: string): Promise<Front> {
  let mode: FrontMode = 'pass';
  let isKeeping = true;
  let asked = 0;
  const kept = new Map<string, Kept>();

  const answer = (incoming: IncomingMessage, response: ServerResponse): void => {
    asked++;
    response.on('error', () => undefined);
    incoming.on('error', () => undefined);
    const { pathname } = new URL(incoming.url ?? '/', upstream);
    switch (mode) {
      case 'pass':
        pass(incoming, response, pathname);
        break;
      case 'gone':
        incoming.socket.destroy();
        break;
      case 'unauthorized':
        response.writeHead(401, { 'content-type': 'application/json' }).end('{"message":"unauthorized"}');
        break;
      case 'empty': {
        const found = nothing.find(({ path }) => path.test(pathname));
        if (found) send(response, { status: 200, headers: { 'content-type': found.type }, body: Buffer.from(found.body) });
        else response.writeHead(incoming.method === 'GET' ? 404 : 202).end();
        break;
      }
      case 'older': {
        const found = kept.get(pathname);
        if (found) send(response, found);
        else response.writeHead(incoming.method === 'GET' ? 404 : 202).end();
        break;
      }
    }
  };

  const pass = (incoming: IncomingMessage, response: ServerResponse, pathname: string): void => {
    const { method = 'GET', headers } = incoming;
    const outgoing = request(new URL(incoming.url ?? '/', upstream), { method, headers }, (answered) => {
      const { statusCode = 502 } = answered;
      response.writeHead(statusCode, answered.headers);
      if (isKeeping && method === 'GET' && statusCode === 200 && !kept.has(pathname)) keep(pathname, answered);
      answered.pipe(response);
      answered.on('error', () => response.destroy());
    });
    outgoing.on('error', () => response.destroy());
    response.on('close', () => outgoing.destroy());
    incoming.pipe(outgoing);
  };

  /** The whole of a document; of a stream what had come when keeping ended. */
  const keep = (pathname: string, answered: IncomingMessage): void => {
    const type = answered.headers['content-type'] ?? '';
    const { etag } = answered.headers;
    const one: Kept = { status: 200, headers: { 'content-type': type, ...(etag ? { etag } : {}) }, body: Buffer.alloc(0) };
    kept.set(pathname, one);
    answered.on('data', (part: Buffer) => {
      if (isKeeping || !isStream(one)) one.body = Buffer.concat([one.body, part]);
    });
  };

  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    mode(next) {
      mode = next;
      asked = 0;
      server.closeAllConnections();
    },
    remember: () => {
      isKeeping = false;
    },
    asked: () => asked,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const isStream = ({ headers }: Kept): boolean => (headers['content-type'] ?? '').startsWith('text/event-stream');

/** A stream is left open, as its server would. */
function send(response: ServerResponse, one: Kept): void {
  response.writeHead(one.status, one.headers);
  if (isStream(one)) response.write(one.body);
  else response.end(one.body);
}
