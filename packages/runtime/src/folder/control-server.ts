// control-server.ts: the local socket on which a process answers the command line: POST /v1/<method>, JSON both ways.
//
// Whoever can open the socket may stop agents, so it lies in a folder of its user's alone. Nothing that arrives on it, and
// nothing its handler does, ends the process.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { ControlHandler } from '../store.ts';
import { nodeFs, removeIfThere } from './folder-fs.ts';
import { keepForOwner } from './socket-owner.ts';

/** Longest request, bytes. 1 MiB: a thousand times the longest order. */
export const maxRequestBytes = 1_048_576;

export interface ControlServer {
  close(): Promise<void>;
}

const methodPath = /^\/v1\/([a-z][a-zA-Z0-9-]{0,63})$/;

/** Resolves when the socket takes connections. Rejects with what the system says. */
export async function startControlServer(socket: string, handler: ControlHandler, keepsAlive = true): Promise<ControlServer> {
  const server = createServer(
    { requestTimeout: 10_000, headersTimeout: 5000, keepAliveTimeout: 1000, maxHeaderSize: 16_384 },
    (request, response) => {
      answer(request, response, handler).catch((error) => reply(response, 500, failed(error)));
    },
  );
  server.maxConnections = 64;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path: socket }, resolve);
  });
  try {
    keepForOwner(socket);
  } catch (error) {
    server.close();
    removeIfThere(nodeFs, socket);
    throw error;
  }
  if (!keepsAlive) server.unref();
  // A failed accept (no file descriptors left) is the other side's trouble.
  server.on('error', () => {});
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          removeIfThere(nodeFs, socket);
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, handler: ControlHandler): Promise<void> {
  response.on('error', () => {});
  const method = methodPath.exec(request.url ?? '')?.[1];
  if (method === undefined || request.method !== 'POST')
    return reply(response, 404, refused('there is only POST /v1/<method> here'));
  const body = await readBody(request);
  if (body === undefined) {
    response.setHeader('connection', 'close');
    return reply(response, 413, refused(`a request is at most ${maxRequestBytes} bytes`));
  }
  let params: unknown;
  try {
    params = body === '' ? {} : JSON.parse(body);
  } catch {
    return reply(response, 400, refused('the request is no JSON'));
  }
  if (typeof params !== 'object' || params === null || Array.isArray(params))
    return reply(response, 400, refused('the request is no JSON object'));
  try {
    reply(response, 200, { ok: true, result: await handler(method, params as Readonly<Record<string, unknown>>) });
  } catch (error) {
    reply(response, 200, failed(error));
  }
}

/** `undefined` for one that is too long. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request.iterator({ destroyOnReturn: false })) {
    bytes += (part as Buffer).length;
    if (bytes > maxRequestBytes) return undefined;
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString('utf8');
}

interface Refusal {
  readonly ok: false;
  readonly error: { readonly code: string; readonly message: string };
}

function refused(message: string): Refusal {
  return { ok: false, error: { code: 'invalid_option', message } };
}

function failed(error: unknown): Refusal {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'internal';
  return { ok: false, error: { code, message: error instanceof Error ? error.message : String(error) } };
}

function reply(response: ServerResponse, status: number, value: { readonly ok: true; readonly result: unknown } | Refusal): void {
  if (response.headersSent || response.destroyed) return;
  // Written out first: a result that is no JSON is the handler's failure, and not half an answer.
  const text = JSON.stringify(value);
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(text);
}
