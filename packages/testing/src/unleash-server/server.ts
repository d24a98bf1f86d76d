// server.ts: Unleash as our adapter, the vendor's own SDK and our control meet it, over real HTTP on this machine alone: for the
// faults that the real server (local.ts) cannot be brought to. What it does not know it answers with 501 and remembers.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { adminApi } from './admin-api.ts';
import { refusal, type UnleashAnswer, type UnleashRequest } from './answer.ts';
import { clientPayload, newStored, record, type Stored, type StoredFlag } from './stored.ts';

/** Ways in which the client API fails over sound HTTP. Connection faults are the fault proxy's. */
export type UnleashFault =
  | 'unauthorized'
  | 'forbidden'
  | 'not-found'
  | 'rate-limited'
  | 'server-error'
  | 'truncated-json'
  | 'wrong-shape'
  | 'empty-set';

export interface UnleashServerOptions {
  /** The client API's token. Default `default:development.offswitch-client`. */
  readonly token?: string;
  /** The admin API's token. Default `user:offswitch-admin`, of the user `admin`. */
  readonly adminToken?: string;
  /** Default `default`, the only one there is in the open-source edition. */
  readonly project?: string;
  /** The first is the one the client token reads. Default `development`, `production`. */
  readonly environments?: readonly string[];
  /** Strategies that one environment of a flag may hold. Default 30, as delivered. */
  readonly strategyLimit?: number;
  /** Values that one constraint may hold. Default 250, as delivered. */
  readonly valueLimit?: number;
  /** The ETag of what clients get, by revision. Default Unleash's own; a cache in front (Unleash Edge) sends one of another shape. */
  readonly etagOf?: (revision: number) => string;
  /** Time source of events. Default `Date.now`. */
  readonly now?: () => number;
}

/** One answer of the client API, as it stands. */
export interface UnleashPayload {
  readonly etag: string | undefined;
  readonly text: string;
}

/** Answers in place of the server; nothing, and the server answers itself; `hang`, and nobody ever does. */
export type UnleashIntercept = (
  request: UnleashRequest,
) => UnleashAnswer | 'hang' | undefined | Promise<UnleashAnswer | 'hang' | undefined>;

export interface UnleashServer {
  readonly url: string;
  readonly port: number;
  readonly token: string;
  readonly adminToken: string;
  readonly environment: string;
  /** What was asked, `GET /api/client/features`, in order. */
  readonly requests: readonly string[];
  /** What was asked and is not known here; a test expects none. */
  readonly unknown: readonly string[];
  /** What clients registered and counted: the bodies of `/client/register` and `/client/metrics`. */
  readonly registrations: readonly unknown[];
  readonly metrics: readonly unknown[];
  readonly stored: Stored;
  /** Changes of an environment then need a change request: 403, as the enterprise edition answers. */
  requiresApproval: boolean;
  intercept: UnleashIntercept | undefined;
  /** Changes what is stored by hand, as somebody in the dashboard; the revision goes up by one. */
  edit(name: string, change: (flag: StoredFlag) => void): void;
  /** The client API's answer as it is now. */
  payload(): UnleashPayload;
  /** The next answers of the client API, one each, before it answers for itself again. */
  queue(payloads: readonly UnleashPayload[]): void;
  /** From now on this is the client API's answer; `undefined` goes back to what is stored. */
  override(payload: UnleashPayload | undefined): void;
  fault(kind: UnleashFault | undefined): void;
  close(): Promise<void>;
}

export async function startUnleashServer(options: UnleashServerOptions = {}): Promise<UnleashServer> {
  const token = options.token ?? 'default:development.offswitch-client';
  const adminToken = options.adminToken ?? 'user:offswitch-admin';
  const environments = options.environments ?? ['development', 'production'];
  const environment = environments[0]!;
  const stored = newStored(options.project ?? 'default', environments, options.now ?? Date.now);
  const requests: string[] = [];
  const unknown: string[] = [];
  const registrations: unknown[] = [];
  const metrics: unknown[] = [];
  const sockets = new Set<Socket>();
  let queued: readonly UnleashPayload[] = [];
  let overridden: UnleashPayload | undefined;
  let faulty: UnleashFault | undefined;

  const answered = (payload: UnleashPayload, known: string | string[] | undefined): UnleashAnswer =>
    payload.etag !== undefined && payload.etag === known
      ? { status: 304 }
      : { status: 200, body: payload.text, headers: payload.etag === undefined ? {} : { etag: payload.etag } };
  const featuresAnswer = (request: UnleashRequest): UnleashAnswer => {
    const [next, ...later] = queued;
    const payload = next ?? overridden ?? server.payload();
    // The revision of now under another hash, as another set has: what follows is neither older nor the same.
    const etag = `"00000000:${stored.revision}:v1"`;
    switch (faulty) {
      case undefined:
        queued = later;
        return answered(payload, request.headers['if-none-match']);
      case 'unauthorized':
        return { status: 401, body: { message: 'This endpoint requires an API token.' } };
      case 'forbidden':
        return { status: 403, body: { message: 'invalid token: expected a different token type for this endpoint' } };
      case 'not-found':
        return refusal(404, 'NotFoundError', 'The path you were looking for is not available.');
      case 'rate-limited':
        return { status: 429, body: { message: 'Too many requests' }, headers: { 'retry-after': '1' } };
      case 'server-error':
        return refusal(500, 'InternalError', 'Internal server error');
      case 'truncated-json':
        return { status: 200, body: payload.text.slice(0, payload.text.length / 2), headers: { etag } };
      case 'wrong-shape':
        return { status: 200, body: { version: 2, features: { no: 'list' } }, headers: { etag } };
      case 'empty-set':
        return { status: 200, body: { version: 2, features: [] }, headers: { etag } };
    }
  };
  const route = (request: UnleashRequest): UnleashAnswer | undefined => {
    const [api, area, what] = request.parts;
    if (api !== 'api') return undefined;
    if (area === 'client') {
      if (request.headers.authorization !== token)
        return { status: 401, body: { message: 'This endpoint requires an API token.' } };
      if (request.method === 'GET' && what === 'features') return featuresAnswer(request);
      if (request.method !== 'POST' || (what !== 'register' && what !== 'metrics')) return undefined;
      (what === 'register' ? registrations : metrics).push(request.body);
      return { status: 202 };
    }
    if (area !== 'admin') return undefined;
    if (request.headers.authorization !== adminToken) return refusal(401, 'UnauthorizedError', 'You must log in to use Unleash.');
    if (server.requiresApproval && request.method !== 'GET' && request.parts.includes('environments'))
      return refusal(
        403,
        'PermissionError',
        'You don\'t have the required permissions to perform this operation. To perform this action, you need the "SKIP_CHANGE_REQUEST" permission.',
        { permissions: ['SKIP_CHANGE_REQUEST'] },
      );
    const { strategyLimit = 30, valueLimit = 250 } = options;
    return adminApi({ stored, by: 'admin', strategyLimit, valueLimit }, request);
  };
  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(incoming.url ?? '/', 'http://localhost');
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const { method = 'GET', headers } = incoming;
    const parts = url.pathname.split('/').slice(1).map(decodeURIComponent);
    const request: UnleashRequest = {
      method,
      parts,
      query: url.searchParams,
      headers,
      body: text === '' ? undefined : (JSON.parse(text) as unknown),
    };
    requests.push(`${method} ${url.pathname}`);
    const taken = await server.intercept?.(request);
    if (taken === 'hang') return;
    let answer = taken ?? route(request);
    if (!answer) {
      unknown.push(`${method} ${url.pathname}`);
      answer = refusal(501, 'NotImplementedError', `the scripted Unleash does not know ${method} ${url.pathname}`);
    }
    response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
    const { body } = answer;
    response.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
  };

  const http = createServer((incoming, response) => {
    handle(incoming, response).catch(() => response.destroy());
  });
  http.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const { port } = http.address() as AddressInfo;
  const server: UnleashServer = {
    url: `http://127.0.0.1:${port}`,
    port,
    token,
    adminToken,
    environment,
    requests,
    unknown,
    registrations,
    metrics,
    stored,
    requiresApproval: false,
    intercept: undefined,
    edit(name, change) {
      const flag = stored.flags.get(name);
      if (!flag) throw new Error(`the scripted Unleash has no flag ${JSON.stringify(name)}`);
      change(flag);
      record(stored, 'admin', { type: 'feature-updated', featureName: name });
    },
    payload() {
      const { etag, text } = clientPayload(stored, environment);
      return { etag: options.etagOf?.(stored.revision) ?? etag, text };
    },
    queue(payloads) {
      queued = [...queued, ...payloads];
    },
    override(payload) {
      overridden = payload;
    },
    fault(kind) {
      faulty = kind;
    },
    async close() {
      const closed = new Promise<void>((resolve) => http.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  return server;
}
