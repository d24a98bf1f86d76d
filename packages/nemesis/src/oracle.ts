// oracle.ts: the world: a tool server that records what arrives. What it has seen is the truth, whatever anybody reports.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { machineMs } from './switches.ts';

export interface Arrival {
  /** Only an effect may not arrive twice. */
  readonly kind: 'effect' | 'look';
  readonly key: string;
  readonly path: readonly string[];
  readonly user: string;
  /** When it was let through, by the machine's monotonic clock: where that is not known, when it was sent. Milliseconds. */
  readonly startedAt: number;
  /** When its body was entered, where that was before: it had to get a credential first. */
  readonly enteredAt?: number;
  /** When the turn was begun that the call is in. */
  readonly turnAt: number;
  readonly worker: string;
  /** What it cost, where it was a model's. */
  readonly costMicros?: number;
  /** When it arrived, by the same clock. */
  readonly at: number;
}

/** A credential that the oracle gave out. When: by the same clock. */
export interface Token {
  readonly id: string;
  /** Of whom it was asked for: root first. */
  readonly path: readonly string[];
  readonly worker: string;
  readonly issuedAt: number;
  revokedAt?: number;
}

export interface Oracle {
  readonly url: string;
  readonly arrivals: readonly Arrival[];
  readonly tokens: ReadonlyMap<string, Token>;
  close(): Promise<void>;
}

/** How long a call takes there, at most. Milliseconds. */
const slowestMs = 25;

export async function openOracle(chance: () => number): Promise<Oracle> {
  const arrivals: Arrival[] = [];
  const happened = new Set<string>();
  const tokens = new Map<string, Token>();
  /** Also those that were never issued: a request for one may still be on its way. */
  const revoked = new Set<string>();
  const did: Readonly<Record<string, (grant: Pick<Token, 'id' | 'path' | 'worker'>) => boolean>> = {
    '/issue': ({ id, path, worker }) => {
      if (revoked.has(id)) return false;
      if (!tokens.has(id)) tokens.set(id, { id, path, worker, issuedAt: machineMs() });
      return true;
    },
    '/revoke': ({ id }) => {
      const token = tokens.get(id);
      if (token) token.revokedAt ??= machineMs();
      revoked.add(id);
      return true;
    },
    '/active': ({ id }) => tokens.has(id) && !revoked.has(id),
  };
  const server: Server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://oracle');
    if (url.pathname === '/happened') {
      response.end(String(happened.has(url.searchParams.get('key') ?? '')));
      return;
    }
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (part: string) => {
      body += part;
    });
    request.on('end', () => {
      const grantWork = did[url.pathname];
      if (grantWork) return void response.end(String(grantWork(JSON.parse(body) as Token)));
      const arrival = { ...(JSON.parse(body) as Omit<Arrival, 'at'>), at: machineMs() };
      arrivals.push(arrival);
      happened.add(arrival.key);
      setTimeout(() => response.end('{}'), chance() * slowestMs);
    });
  });
  // A caller that is held for long finds its connection as it was: the world has no faults of its own here.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    arrivals,
    tokens,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
