// fault-connection.ts: one connection through the fault proxy, client to server and back.

import { connect, type Socket } from 'node:net';
import type { ProxyMode } from './fault-proxy.ts';

export interface Carried {
  /** The connection is treated so from now on. A black hole is for good. */
  become(mode: ProxyMode): void;
  /** Resolves when the client's side of it is gone. */
  readonly closed: Promise<void>;
}

interface CarryOptions {
  readonly upstreamPort: number;
  readonly bytesPerSecond: number;
  readonly mode: ProxyMode;
}

const tickMs = 50;

/** Carries the client's bytes to the server and the server's back, as the mode of the moment has it. */
export function carry(client: Socket, options: CarryOptions): Carried {
  let mode = options.mode;
  let isLost = mode === 'black-hole';
  let queued = Buffer.alloc(0);
  let isEnding = false;
  let trickle: NodeJS.Timeout | undefined;
  // Into a black hole nothing is sent on: the server never hears of the connection.
  const upstream = isLost ? undefined : connect({ port: options.upstreamPort, host: '127.0.0.1' });

  const stopTrickle = (): void => {
    clearInterval(trickle);
    trickle = undefined;
  };
  const finish = (): void => {
    if (!isLost) client.end();
  };
  const flush = (bytes: number): void => {
    const part = queued.subarray(0, bytes);
    queued = queued.subarray(bytes);
    if (part.length > 0) client.write(part);
    if (queued.length > 0) return;
    stopTrickle();
    upstream?.resume();
    if (isEnding) finish();
  };
  const onAnswer = (chunk: Buffer): void => {
    if (isLost) return;
    switch (mode) {
      case 'pass':
        if (!client.write(chunk)) upstream?.pause();
        return;
      case 'slow':
        queued = Buffer.concat([queued, chunk]);
        upstream?.pause();
        trickle ??= setInterval(() => flush(Math.max(1, Math.floor((options.bytesPerSecond * tickMs) / 1000))), tickMs);
        return;
      case 'half-frame': {
        const cut = cutAt(chunk);
        if (cut === undefined) {
          client.write(chunk);
          return;
        }
        client.end(chunk.subarray(0, cut));
        upstream?.destroy();
        return;
      }
      case 'black-hole':
      case 'drop':
      case 'reset':
      case 'refuse':
        return;
    }
  };

  client.on('drain', () => {
    if (mode === 'pass') upstream?.resume();
  });
  client.on('data', (chunk: Buffer) => {
    if (!isLost) upstream?.write(chunk);
  });
  client.on('end', () => {
    if (isLost) client.destroy();
    else upstream?.end();
  });
  const closed = new Promise<void>((resolve) => {
    client.on('close', () => {
      stopTrickle();
      upstream?.destroy();
      resolve();
    });
  });
  upstream?.on('data', onAnswer);
  upstream?.on('end', () => {
    if (queued.length > 0) isEnding = true;
    else finish();
  });
  // A server that is not there, or is gone, looks to the client as it would without the proxy.
  upstream?.on('error', () => {
    if (!isLost) reset(client);
  });

  return {
    closed,
    become(next) {
      if (next !== 'slow' && mode === 'slow' && !isLost && next !== 'black-hole') flush(queued.length);
      mode = next;
      switch (next) {
        case 'pass':
        case 'slow':
        case 'half-frame':
          return;
        case 'black-hole':
          isLost = true;
          stopTrickle();
          return;
        case 'drop':
          client.destroySoon();
          upstream?.destroy();
          return;
        case 'reset':
        case 'refuse':
          reset(client);
          upstream?.destroy();
          return;
      }
    },
  };
}

/** Where to cut so that a body is left half; undefined while there is only a head. */
function cutAt(chunk: Buffer): number | undefined {
  const isHead = chunk.subarray(0, 5).toString('latin1') === 'HTTP/';
  if (!isHead) return Math.floor(chunk.length / 2);
  const headEnd = chunk.indexOf('\r\n\r\n');
  if (headEnd === -1) return chunk.length - 1;
  const bodyStart = headEnd + 4;
  if (bodyStart === chunk.length) return undefined;
  return bodyStart + Math.floor((chunk.length - bodyStart) / 2);
}

/** RST. A socket that said its FIN already cannot (libuv refuses, and would leave it open), and is closed as it is. */
export function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
