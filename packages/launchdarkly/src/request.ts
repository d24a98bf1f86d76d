// request.ts: one GET to LaunchDarkly, with an end of its own.

import { type Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { type Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { createGunzip } from 'node:zlib';

export interface GetOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly agent: HttpAgent | HttpsAgent;
  /** Gives up when no answer has begun by then. Milliseconds. */
  readonly answerWithinMs: number;
  readonly signal: AbortSignal;
}

/** Resolves when the answer begins. Rejects where none does. */
export function get(url: string, { headers, agent, answerWithinMs, signal }: GetOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const start = url.startsWith('https:') ? requestHttps : requestHttp;
    const request = start(url, { headers, agent, signal });
    const giveUp = setTimeout(() => request.destroy(new Error(`no answer within ${answerWithinMs} ms`)), answerWithinMs);
    request.once('response', (response) => {
      clearTimeout(giveUp);
      resolve(response);
    });
    // Stays for the life of the request: an error after the answer began comes here too, and must not be uncaught.
    request.on('error', (error) => {
      clearTimeout(giveUp);
      reject(error);
    });
    request.end();
  });
}

/** The whole body as text, unpacked. Rejects when it is cut off or not there within `withinMs`. */
export function textOf(response: IncomingMessage, withinMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const giveUp = setTimeout(() => fail(new Error(`the answer did not end within ${withinMs} ms`)), withinMs);
    const fail = (error: Error): void => {
      clearTimeout(giveUp);
      response.destroy();
      reject(error);
    };
    const body = response.headers['content-encoding'] === 'gzip' ? response.pipe(createGunzip()) : response;
    body.on('data', (chunk: Buffer) => chunks.push(chunk));
    body.once('end', () => {
      clearTimeout(giveUp);
      resolve(Buffer.concat(chunks).toString());
    });
    body.on('error', fail);
    response.on('error', fail);
    response.once('close', () => {
      if (!response.complete) fail(new Error('the answer was cut off'));
    });
  });
}

/** What a status means for a person, with the way out. */
export function statusText(status: number | undefined, what: 'stream' | 'poll'): string {
  switch (status) {
    case 401:
      return 'LaunchDarkly refuses the SDK key (401); put in a key of this environment. It is tried again by itself';
    case 403:
      return 'LaunchDarkly forbids this SDK key (403); look at the environment it belongs to. It is tried again by itself';
    case 404:
      return what === 'stream'
        ? 'there is no LaunchDarkly at this address (404); look at streamUri. It is tried again by itself'
        : 'there is nothing to poll at this address (404); look at baseUri. A Relay Proxy has no such endpoint: with one, set pollMs to Infinity and its HEARTBEAT_INTERVAL below staleAfterMs';
    case 429:
      return 'LaunchDarkly asks to wait (429); it is tried again after that';
    default:
      return `LaunchDarkly answers ${status}; it is tried again by itself`;
  }
}

/** How long an answer asks to wait. Milliseconds, 0: it does not say. At most 30000, so that recovery needs no restart. */
export function waitOf(response: IncomingMessage): number {
  const seconds = Number(response.headers['retry-after']);
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds * 1000, 30_000) : 0;
}
