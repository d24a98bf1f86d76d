// feed.ts: the stream that the SDK reads: in memory, well formed, and never silent.
//
// The SDK keeps its own stream reader and parser and is not changed: through its documented options it is given an address that
// does not exist and an agent that answers there. What can go wrong on a wire goes wrong on ours (stream.ts, poll.ts), where it
// is noticed; this one has no wire.

import { Agent, type ClientRequestArgs } from 'node:http';
import { Duplex } from 'node:stream';
import type { LdClient } from './sdk.ts';

/** `.invalid` never resolves (RFC 6761, 6.4): where the agent is not used nothing is reached. */
export const feedUrl = 'http://feed.offswitch.invalid';

/** Both SDKs take a stream that says nothing for 300 s for dead. Milliseconds. */
const heartbeatMs = 60_000;

export interface Feed {
  readonly agent: Agent;
  send(event: 'put' | 'patch' | 'delete', data: string): void;
  close(): void;
}

/** `everything` is the put for a stream that begins; undefined: there is no data yet. */
export function createFeed(everything: () => string | undefined): Feed {
  const streams = new Set<Duplex>();
  const write = (stream: Duplex, event: string, data: string): void => {
    // A line break is between tokens in JSON, never inside a string.
    stream.push(`event: ${event}\ndata: ${data.replace(/[\r\n]+/g, ' ')}\n\n`);
  };
  const heartbeat = setInterval(() => {
    for (const stream of streams) stream.push(':\n\n');
  }, heartbeatMs);
  heartbeat.unref();

  const connect = (): Duplex => {
    const stream = new Duplex({
      read() {},
      write(_chunk, _encoding, done) {
        done();
        if (streams.has(stream)) return;
        streams.add(stream);
        stream.push('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n');
        const data = everything();
        if (data !== undefined) write(stream, 'put', data);
      },
      final(done) {
        stream.push(null);
        done();
      },
      destroy(error, done) {
        streams.delete(stream);
        done(error);
      },
    });
    // What node:http and the SDKs call on a socket.
    return Object.assign(stream, {
      setTimeout: () => stream,
      setKeepAlive: () => stream,
      setNoDelay: () => stream,
      ref: () => stream,
      unref: () => stream,
    });
  };
  class FeedAgent extends Agent {
    override createConnection(_options: ClientRequestArgs): Duplex {
      return connect();
    }
  }
  return {
    agent: new FeedAgent(),
    send(event, data) {
      for (const stream of streams) write(stream, event, data);
    },
    close() {
      clearInterval(heartbeat);
      for (const stream of streams) stream.destroy();
      streams.clear();
    },
  };
}

/** Closing 7.x leaves its stream open for a moment; a client that throws while closing is closed enough. */
export function closeQuietly(client: LdClient | undefined): void {
  try {
    client?.close();
  } catch {
    // Nothing of ours depends on it any more.
  }
}
