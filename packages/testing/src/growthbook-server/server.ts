// server.ts: GrowthBook as our adapters and the vendor's own SDK meet it: the features endpoint, the event stream of its proxy,
// and the management API, over real HTTP on this machine alone. What it does not know it answers with 501 and remembers.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type GrowthBookAnswer, type GrowthBookRequest, refusal } from './answer.ts';
import { attributesApi } from './attributes-api.ts';
import { type ApiContext, featuresApi } from './features-api.ts';
import { groupRevisionsApi, groupsApi } from './groups-api.ts';
import { encrypt, type FeatureDefinition, featuresOf, type Json } from './payload.ts';
import { emptyStored, type Stored } from './stored.ts';
import { openStreams, type StreamOptions, type Streams } from './streams.ts';

/** Ways in which the features endpoint and the stream fail over sound HTTP. Connection faults are the fault proxy's. */
export type GrowthBookFault =
  | 'unauthorized'
  | 'forbidden'
  | 'not-found'
  | 'rate-limited'
  | 'server-error'
  | 'truncated-json'
  | 'wrong-shape'
  | 'empty-set';

export interface GrowthBookServerOptions extends StreamOptions {
  /** Default `sdk-offswitch`. */
  readonly clientKey?: string;
  /** The management API's secret key. Default `secret_offswitch`. */
  readonly token?: string;
  /** The environment of the client key. Default `production`. */
  readonly environment?: string;
  /** Every environment there is. Default `production`, `staging`. */
  readonly environments?: readonly string[];
  /** Base64 AES key: payloads are encrypted with it. Default: not encrypted. */
  readonly encryptionKey?: string;
  /** What a change pushes: the whole payload, a word that there is one, or nothing. Default `features`. */
  readonly push?: 'features' | 'features-updated' | 'none';
  /** False: no `x-sse-support` header and no stream, as GrowthBook without its proxy. Default true. */
  readonly streaming?: boolean;
  /** Requests a minute that the management API takes. Default: all. GrowthBook's own limit is 60. */
  readonly requestsPerMinute?: number;
}

/** Answers in place of the server; nothing, and the server answers itself; `hang`, and nobody ever does. */
export type Intercept = (
  request: GrowthBookRequest,
) => GrowthBookAnswer | 'hang' | undefined | Promise<GrowthBookAnswer | 'hang' | undefined>;

export interface GrowthBookServer {
  readonly url: string;
  readonly port: number;
  readonly clientKey: string;
  readonly token: string;
  readonly environment: string;
  /** What was asked, `GET /api/features/sdk-offswitch`, in order. */
  readonly requests: readonly string[];
  /** What was asked and is not known here; a test expects none. */
  readonly unknown: readonly string[];
  readonly stored: Stored;
  readonly streams: Streams;
  /** Publishing then needs a review: 403 for features, 422 for saved groups. */
  requiresApproval: boolean;
  intercept: Intercept | undefined;
  /** A feature as the SDK gets it, whatever the management API knows; `undefined` takes it away. Pushed at once. */
  setFeature(key: string, definition: FeatureDefinition | undefined): void;
  /** Changes what is stored by hand, as somebody in the dashboard, and pushes. */
  edit(change: (stored: Stored) => void): void;
  /** The payload as it is now. */
  payload(): Readonly<Record<string, unknown>>;
  /** From now on this is the payload, as it stands; `undefined` goes back to what is stored. Not pushed. */
  override(payload: unknown): void;
  /** Pushes what is now the payload, or the given text as data of a `features` event. */
  push(data?: string): void;
  fault(kind: GrowthBookFault | undefined): void;
  close(): Promise<void>;
}

export async function startGrowthBookServer(options: GrowthBookServerOptions = {}): Promise<GrowthBookServer> {
  const clientKey = options.clientKey ?? 'sdk-offswitch';
  const token = options.token ?? 'secret_offswitch';
  const environment = options.environment ?? 'production';
  const environments = options.environments ?? ['production', 'staging'];
  const stored = emptyStored();
  const streams = openStreams(options);
  const extra = new Map<string, FeatureDefinition>();
  const requests: string[] = [];
  const unknown: string[] = [];
  let overridden: unknown;
  let faulty: GrowthBookFault | undefined;
  let lastStamp = 0;
  let asked: number[] = [];

  const stamp = (): string => {
    lastStamp = Math.max(lastStamp + 1, Date.now());
    return new Date(lastStamp).toISOString();
  };
  let dateUpdated = stamp();
  const payload = (): Record<string, unknown> => {
    if (overridden !== undefined) return overridden as Record<string, unknown>;
    const features = faulty === 'empty-set' ? {} : { ...featuresOf(stored, environment), ...Object.fromEntries(extra) };
    const date = faulty === 'empty-set' ? new Date(lastStamp + 1).toISOString() : dateUpdated;
    const whole = { status: 200, features, experiments: [], dateUpdated: date };
    if (options.encryptionKey === undefined) return whole;
    return { ...whole, features: {}, encryptedFeatures: encrypt(JSON.stringify(features), options.encryptionKey) };
  };
  const push = (data?: string): void => {
    const kind = options.push ?? 'features';
    if (data !== undefined || kind === 'features') streams.send('features', data ?? JSON.stringify(payload()));
    else if (kind === 'features-updated') streams.send('features-updated', '');
  };
  const changed = (): void => {
    dateUpdated = stamp();
    if (faulty === undefined || faulty === 'empty-set') push();
  };
  const context = (): ApiContext => ({
    stored,
    environments,
    by: 'api_key',
    requiresApproval: server.requiresApproval,
    stamp,
    changed,
  });

  const featuresAnswer = (): GrowthBookAnswer => {
    const headers = options.streaming === false ? {} : { 'x-sse-support': 'enabled' };
    switch (faulty) {
      case undefined:
      case 'empty-set':
        return { status: 200, body: payload(), headers };
      case 'unauthorized':
        return refusal(401, 'Unauthorized');
      case 'forbidden':
        return refusal(403, 'Forbidden');
      case 'not-found':
        return refusal(404, 'Not found');
      case 'rate-limited':
        return { status: 429, body: { message: 'Too many requests' }, headers: { 'retry-after': '1' } };
      case 'server-error':
        return refusal(500, 'Internal server error');
      case 'truncated-json': {
        const text = JSON.stringify(payload());
        return { status: 200, body: text.slice(0, text.length / 2), headers };
      }
      case 'wrong-shape':
        return { status: 200, body: { status: 200, features: ['no', 'features'], dateUpdated: true }, headers };
    }
  };
  const limited = (): GrowthBookAnswer | undefined => {
    if (options.requestsPerMinute === undefined) return undefined;
    const now = Date.now();
    asked = [...asked.filter((at) => now - at < 60_000), now];
    if (asked.length <= options.requestsPerMinute) return undefined;
    const reset = String(Math.ceil((asked[0]! + 60_000 - now) / 1000));
    const headers = {
      'RateLimit-Limit': String(options.requestsPerMinute),
      'RateLimit-Remaining': '0',
      'RateLimit-Reset': reset,
    };
    return { ...refusal(429, `Too many requests, limit to ${options.requestsPerMinute} per minute`), headers };
  };
  const route = (request: GrowthBookRequest): GrowthBookAnswer | undefined => {
    const [api, first, second, ...rest] = request.path.split('/').slice(1).map(decodeURIComponent);
    if (api !== 'api') return undefined;
    if (first === 'features' && request.method === 'GET' && rest.length === 0)
      return second === clientKey ? featuresAnswer() : refusal(400, 'Invalid API key');
    if (first !== 'v1' && first !== 'v2') return undefined;
    if (request.headers.authorization !== `Bearer ${token}`) return refusal(401, 'Invalid API key');
    const late = limited();
    if (late) return late;
    if (first === 'v2' && second === 'features') return featuresApi(context(), request, rest);
    if (first === 'v1' && second === 'attributes') return attributesApi(context(), request, rest);
    if (first === 'v1' && second === 'saved-groups') return groupsApi(context(), request, rest);
    if (first === 'v1' && second === 'saved-groups-revisions') return groupRevisionsApi(context(), request, rest);
    return undefined;
  };

  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(incoming.url ?? '/', 'http://localhost');
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const request: GrowthBookRequest = {
      method: incoming.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      body: text === '' ? undefined : (JSON.parse(text) as Json),
    };
    requests.push(`${request.method} ${request.path}`);
    const taken = await server.intercept?.(request);
    if (taken === 'hang') return;
    const isStream = request.method === 'GET' && request.path === `/sub/${clientKey}` && options.streaming !== false;
    if (!taken && isStream && (faulty === undefined || faulty === 'empty-set')) {
      streams.open(incoming, response);
      return;
    }
    let answer = taken ?? (isStream ? featuresAnswer() : route(request));
    if (!answer && request.path.startsWith('/sub/')) answer = refusal(400, 'No channel found');
    if (!answer) {
      unknown.push(`${request.method} ${request.path}`);
      answer = refusal(501, `the scripted GrowthBook does not know ${request.method} ${request.path}`);
    }
    const body = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
    response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
    response.end(body);
  };

  const http = createServer((incoming, response) => {
    handle(incoming, response).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(400, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ message: String(error) }));
    });
  });
  const sockets = new Set<Socket>();
  http.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const { port } = http.address() as AddressInfo;

  const server: GrowthBookServer = {
    url: `http://127.0.0.1:${port}`,
    port,
    clientKey,
    token,
    environment,
    requests,
    unknown,
    stored,
    streams,
    requiresApproval: false,
    intercept: undefined,
    setFeature(key, definition) {
      if (definition) extra.set(key, definition);
      else extra.delete(key);
      changed();
    },
    edit(change) {
      change(stored);
      changed();
    },
    payload,
    override(next) {
      overridden = next;
    },
    push,
    fault(kind) {
      const before = faulty;
      faulty = kind;
      if (kind === undefined) {
        // The vendor's data were made anew meanwhile, and nobody was told.
        if (before === 'empty-set') changed();
        return;
      }
      if (kind === 'empty-set') changed();
      else if (kind === 'truncated-json') push(JSON.stringify(payload()).slice(0, 40));
      else if (kind === 'wrong-shape') push(JSON.stringify({ features: ['no', 'features'], dateUpdated: true }));
      else streams.end('end');
    },
    async close() {
      streams.end('destroy');
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => http.close(() => resolve()));
    },
  };
  return server;
}
