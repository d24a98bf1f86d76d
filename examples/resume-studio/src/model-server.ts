// model-server.ts: a model to run the example against: the chat-completions protocol on loopback, in realistic time.
//
// It answers each request from the seed and the conversation alone, so a fleet gets the same replies whatever the
// interleaving. It knows nothing of switches: all it ever sees of a stop is a client that hangs up.

import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ChatRequest, chunks, completion, errorBody, parseRequest } from './model-server-wire.ts';
import { planReply, type Reply } from './planner.ts';
import { type Role, readAssignment, readRole } from './planner-roles.ts';
import { bodyOf } from './request-body.ts';
import { draw } from './seed.ts';
import { type Delay, type Occasion, sleep } from './tools-time.ts';

/** One well-formed request, for tests and oracles that count model calls. */
export interface ModelRequest {
  /** The role its system prompt names. */
  readonly role: Role | undefined;
  /** The document its task names. */
  readonly documentId: string | undefined;
  readonly isStream: boolean;
  /** 1 for the first reply of a conversation. */
  readonly turn: number;
  readonly headers: IncomingHttpHeaders;
}

export interface ModelServerOptions {
  /** Any integer. Replies, token counts and times are drawn from it. */
  readonly seed: number;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Default `127.0.0.1`. It asks for no key, so it belongs on loopback. */
  readonly host?: string;
  /** Divides every time. Default 1: a reply takes 150 to 400 ms. */
  readonly speed?: number;
  /** How it takes its time. Default: a timer. A virtual clock goes here; it is given model milliseconds divided by `speed`. */
  readonly delay?: Delay;
  /** Called for each well-formed request before any time passes. What it throws is dropped. */
  readonly onRequest?: (request: ModelRequest) => void;
  /** Called once for each of those requests: the client got the whole reply, or went away before. What it throws is dropped. */
  readonly onEnd?: (request: ModelRequest, end: 'completed' | 'aborted') => void;
}

export interface ModelServerStats {
  /** Well-formed completion requests so far. */
  readonly requests: number;
  /** Of these, the ones whose client went away before the reply was whole. */
  readonly aborted: number;
  /** Of these, the ones that asked for a stream. */
  readonly streamed: number;
  /** Being answered now. */
  readonly inFlight: number;
}

export interface ModelServer {
  /** The base URL, ending in `/v1`. */
  readonly url: string;
  readonly stats: ModelServerStats;
  /** Hangs up on everybody. Leaves no timer or socket. Idempotent. */
  close(): Promise<void>;
}

/** A header in which a client may say, percent-encoded, which conversation a request belongs to. */
export const treeHeader = 'x-studio-tree';

/** The one model it serves; requests may name any other. */
export const modelName = 'studio-1';

/** Bytes of a request body. */
const maxBodyBytes = 8_388_608;

export async function startModelServer(options: ModelServerOptions): Promise<ModelServer> {
  const stats = { requests: 0, aborted: 0, streamed: 0, inFlight: 0 };
  const delay = options.delay ?? sleep;
  const speed = options.speed ?? 1;
  const running = new Set<Promise<void>>();

  const server = createServer((request, response) => {
    const answered = answer(request, response).catch((error: unknown) => {
      if (response.headersSent || response.destroyed) response.destroy();
      else sendJson(response, 500, errorBody(String(error), 'internal_error'));
    });
    running.add(answered);
    void answered.finally(() => running.delete(answered));
  });
  // Clients close idle connections themselves; a server that does it too can hang up on a request just sent.
  server.keepAliveTimeout = 0;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.on('error', () => undefined);
    response.once('close', () => gone.abort(new Error('the client went away')));
    const path = (request.url ?? '').split('?', 1)[0];
    if (path === '/v1/models' && request.method === 'GET') {
      return sendJson(response, 200, {
        object: 'list',
        data: [{ id: modelName, object: 'model', created: 0, owned_by: 'resume-studio' }],
      });
    }
    if (path !== '/v1/chat/completions' && path !== '/v1/models') {
      return sendJson(response, 404, errorBody(`no such path: ${request.method} ${path}`, 'not_found'));
    }
    if (path === '/v1/models' || request.method !== 'POST') {
      return sendJson(response, 405, errorBody(`${request.method} is not for ${path}`, 'method_not_allowed'));
    }
    const body = (await bodyOf(request, maxBodyBytes))?.toString('utf8');
    if (body === undefined) return sendJson(response, 413, errorBody(`the body is over ${maxBodyBytes} bytes`, 'too_large'));
    const parsed = parseRequest(body);
    if (!parsed.ok) return sendJson(response, 400, errorBody(parsed.message, 'invalid_request', parsed.param || null));
    await complete(parsed.request, request.headers, response, gone.signal);
  }

  async function complete(
    request: ChatRequest,
    headers: IncomingHttpHeaders,
    response: ServerResponse,
    gone: AbortSignal,
  ): Promise<void> {
    const first = (wanted: 'system' | 'user'): string => request.messages.find(({ role }) => role === wanted)?.text ?? '';
    const seen: ModelRequest = {
      role: readRole(first('system')),
      documentId: readAssignment(first('system'), first('user'))?.task.documentId,
      isStream: request.isStream,
      turn: request.messages.filter(({ role }) => role === 'assistant').length + 1,
      headers,
    };
    stats.requests += 1;
    stats.inFlight += 1;
    if (request.isStream) stats.streamed += 1;
    quietly(() => options.onRequest?.(seen));
    let end: 'completed' | 'aborted' = 'aborted';
    try {
      const reply = planReply(options.seed, request.messages, request.tools);
      const tree = headers[treeHeader];
      const occasion: Occasion = {
        kind: 'model',
        name: seen.role ?? '',
        about: seen.documentId ?? '',
        tree: typeof tree === 'string' ? decodeURIComponent(tree) : undefined,
      };
      const send = request.isStream ? stream : whole;
      await send(request, reply, response, gone, occasion);
      if (!gone.aborted) end = 'completed';
    } catch (error) {
      if (!gone.aborted) throw error;
    } finally {
      stats.inFlight -= 1;
      if (end === 'aborted') stats.aborted += 1;
      quietly(() => options.onEnd?.(seen, end));
    }
  }

  // 60 to 180 ms to the first token, then 90 to 220 ms for the rest: a fast hosted model with short replies.
  function timesOf(reply: Reply): { readonly firstMs: number; readonly restMs: number } {
    return {
      firstMs: (60 + 120 * draw(options.seed, 'first token', reply.fingerprint)) / speed,
      restMs: (90 + 130 * draw(options.seed, 'tokens', reply.fingerprint)) / speed,
    };
  }

  async function whole(
    request: ChatRequest,
    reply: Reply,
    response: ServerResponse,
    gone: AbortSignal,
    occasion: Occasion,
  ): Promise<void> {
    const { firstMs, restMs } = timesOf(reply);
    await delay(firstMs + restMs, gone, occasion);
    gone.throwIfAborted();
    sendJson(response, 200, completion(request, reply, seconds()));
  }

  async function stream(
    request: ChatRequest,
    reply: Reply,
    response: ServerResponse,
    gone: AbortSignal,
    occasion: Occasion,
  ): Promise<void> {
    const { firstMs, restMs } = timesOf(reply);
    const parts = chunks(request, reply, seconds());
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    response.flushHeaders();
    for (const [index, part] of parts.entries()) {
      await delay(index === 0 ? firstMs : restMs / (parts.length - 1), gone, occasion);
      gone.throwIfAborted();
      response.write(`data: ${JSON.stringify(part)}\n\n`);
    }
    response.end('data: [DONE]\n\n');
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, options.host ?? '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
  const { address, port, family } = server.address() as AddressInfo;
  let closed: Promise<void> | undefined;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}/v1`,
    stats,
    close() {
      closed ??= (async () => {
        const stopped = new Promise<void>((resolve) => server.close(() => resolve()));
        server.closeAllConnections();
        await Promise.all([stopped, ...running]);
      })();
      return closed;
    },
  };
}

function seconds(): number {
  return Math.floor(Date.now() / 1_000);
}

function quietly(call: () => void): void {
  try {
    call();
  } catch {
    // A hook watches; it must not change what is answered.
  }
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
