// fault-proxy.ts: a TCP proxy in front of a vendor's server, which loses, cuts and holds up what passes through it.
//
// Faults of the wire cannot be made in the server: a server that answers is not a black hole. Loopback only.

import { createServer, type Server, type Socket } from 'node:net';
import { type Carried, carry, reset } from './fault-connection.ts';

/**
 * - `pass`: forwards.
 * - `drop`: every connection, old or new, is ended (FIN).
 * - `reset`: every connection, old or new, is reset (RST).
 * - `black-hole`: connections are accepted and stay open, and nothing passes. A connection that was in the hole stays dead after
 *   `heal`, as with a NAT that forgot it: only who gives up on it by a clock of their own comes back.
 * - `refuse`: nobody listens (ECONNREFUSED), and what was connected is reset.
 * - `slow`: the server's bytes trickle, `bytesPerSecond` on each connection.
 * - `half-frame`: each connection is ended in the middle of the next body that the server sends.
 */
export type ProxyMode = 'pass' | 'drop' | 'reset' | 'black-hole' | 'refuse' | 'slow' | 'half-frame';

export interface FaultProxyOptions {
  /** Port of the real server, on loopback. */
  readonly port: number;
  /** For `slow`. Default 64: a heartbeat passes, a flag set does not. */
  readonly bytesPerSecond?: number;
  /** Connections held at once; one more is reset. Bounds a client that reconnects in a tight loop. Default 1000. */
  readonly maxConnections?: number;
}

export interface FaultProxy {
  /** `http://127.0.0.1:<port>`, for a client in place of the server's own. The same for life, also after `refuse`. */
  readonly url: string;
  readonly port: number;
  /** Resolves when the mode holds for every connection there is, and for those to come. */
  mode(mode: ProxyMode): Promise<void>;
  /** Back to `pass`. */
  heal(): Promise<void>;
  /** Connections of clients that are open now. */
  readonly connections: number;
  /** Connections that clients opened so far: who reconnects in a tight loop is seen here. */
  readonly accepted: number;
  /** Leaves no socket, timer or listener behind. Idempotent. */
  close(): Promise<void>;
}

/** Opens the proxy in mode `pass`. Rejects where the port cannot be listened on. */
export async function openFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const { port: upstreamPort, bytesPerSecond = 64, maxConnections = 1000 } = options;
  const carried = new Set<Carried>();
  let mode: ProxyMode = 'pass';
  let accepted = 0;
  let isClosed = false;
  let server: Server | undefined;
  let changing: Promise<void> = Promise.resolve();

  const onConnection = (client: Socket): void => {
    accepted++;
    client.on('error', () => {});
    if (mode === 'reset' || mode === 'refuse' || carried.size >= maxConnections) {
      reset(client);
      return;
    }
    if (mode === 'drop') {
      // Read what comes, or the kernel answers it with a reset.
      client.resume();
      client.destroySoon();
      return;
    }
    const one = carry(client, { upstreamPort, bytesPerSecond, mode });
    carried.add(one);
    client.once('close', () => carried.delete(one));
  };
  const listen = (port: number): Promise<number> =>
    new Promise((resolve, reject) => {
      const next = createServer({ allowHalfOpen: true }, onConnection);
      next.once('error', reject);
      next.listen(port, '127.0.0.1', () => {
        next.removeListener('error', reject);
        server = next;
        const address = next.address();
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });
  const stopListening = async (): Promise<void> => {
    const current = server;
    server = undefined;
    if (current) await new Promise<void>((resolve) => current.close(() => resolve()));
  };

  const port = await listen(0);
  const become = async (next: ProxyMode): Promise<void> => {
    if (isClosed) return;
    mode = next;
    for (const one of carried) one.become(next);
    if (next === 'refuse') await stopListening();
    else if (!server) await listen(port);
  };
  const change = (next: ProxyMode): Promise<void> => {
    // One change after another: a heal during a refuse must find the listener closed or open, not in between.
    changing = changing.then(() => become(next));
    return changing;
  };
  const close = async (): Promise<void> => {
    isClosed = true;
    await changing.catch(() => {});
    const gone = [stopListening(), ...[...carried].map((one) => one.closed)];
    for (const one of carried) one.become('reset');
    await Promise.all(gone);
  };
  let closing: Promise<void> | undefined;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    mode: change,
    heal: () => change('pass'),
    get connections() {
      return carried.size;
    },
    get accepted() {
      return accepted;
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
}
