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
  /** When the call's body was entered, by the machine's monotonic clock. Milliseconds. */
  readonly startedAt: number;
  /** When the turn was begun that the call is in. */
  readonly turnAt: number;
  readonly worker: string;
  /** When it arrived, by the same clock. */
  readonly at: number;
}

export interface Oracle {
  readonly url: string;
  readonly arrivals: readonly Arrival[];
  close(): Promise<void>;
}

/** How long a call takes there, at most. Milliseconds. */
const slowestMs = 25;

export async function openOracle(chance: () => number): Promise<Oracle> {
  const arrivals: Arrival[] = [];
  const happened = new Set<string>();
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
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
