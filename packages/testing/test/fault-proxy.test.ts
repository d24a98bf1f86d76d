import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type FaultProxy, openFaultProxy } from '@offswitch/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { leftBehindBy } from '../src/active-resources.ts';

const body = JSON.stringify({ flags: Array.from({ length: 200 }, (_, n) => `flag-${n}`) });

let server: Server;
let proxy: FaultProxy;
let streams: ServerResponse[] = [];
let requests = 0;

beforeEach(async () => {
  streams = [];
  requests = 0;
  server = createServer((incoming, response) => {
    requests++;
    if (incoming.url === '/stream') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: 1\n\n');
      streams.push(response);
    } else response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  proxy = await openFaultProxy({ port: (server.address() as AddressInfo).port });
});
afterEach(async () => {
  await proxy.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** What came of one request: how it ended and what had arrived by then. */
interface Answer {
  readonly ended: 'complete' | 'aborted' | string;
  readonly text: string;
}
const get = (path = '/'): Promise<Answer> =>
  new Promise((resolve) => {
    let text = '';
    const ask = request(`${proxy.url}${path}`, { agent: false }, (response) => {
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('error', () => {});
      response.on('close', () => resolve({ ended: response.complete ? 'complete' : 'aborted', text }));
    });
    ask.on('error', (error: NodeJS.ErrnoException) => resolve({ ended: error.code ?? error.message, text }));
    ask.end();
  });

/** A stream whose first event has arrived. */
const stream = (): Promise<{ readonly response: IncomingMessage; readonly ended: Promise<string>; text(): string }> =>
  new Promise((resolve, reject) => {
    const ask = request(`${proxy.url}/stream`, { agent: false }, (response) => {
      let text = '';
      const ended = new Promise<string>((done) => {
        response.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
        response.on('end', () => done('end'));
      });
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
        resolve({ response, ended, text: () => text });
      });
    });
    ask.on('error', reject);
    ask.end();
  });

const opened = (port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket));
    socket.on('error', reject);
  });

/** Several turns of the event loop, in which whatever was on its way arrives. */
const turns = async (count = 50): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
};

describe('the fault proxy', () => {
  test('passes requests and streams through as they are', async () => {
    expect(await get()).toEqual({ ended: 'complete', text: body });
    const one = await stream();
    const arrived = new Promise((resolve) => one.response.once('data', resolve));
    streams[0]!.write('data: 2\n\n');
    await arrived;
    expect(one.text()).toBe('data: 1\n\ndata: 2\n\n');
    streams[0]!.end();
    expect(await one.ended).toBe('end');
  });

  test('drop ends streams that are open and every new connection, and the server sees none of it', async () => {
    const one = await stream();
    await proxy.mode('drop');
    expect(await one.ended).toBe('ECONNRESET');
    expect(await get()).toEqual({ ended: 'ECONNRESET', text: '' });
    expect(requests).toBe(1);
    // FIN and not RST: a bare socket sees an orderly end.
    const socket = await opened(proxy.port);
    const end = await new Promise((resolve) =>
      socket
        .resume()
        .on('end', () => resolve('end'))
        .on('error', resolve),
    );
    expect(end).toBe('end');
    socket.destroy();
  });

  test('reset resets streams that are open and every new connection', async () => {
    const one = await stream();
    await proxy.mode('reset');
    expect(await one.ended).toBe('ECONNRESET');
    expect((await get()).ended).toBe('ECONNRESET');
    expect(requests).toBe(1);
  });

  test('black-hole keeps connections open and passes nothing, and what was in it stays dead after it', async () => {
    const one = await stream();
    await proxy.mode('black-hole');
    streams[0]!.write('data: 2\n\n');
    const lost = get();
    let isOver = false;
    void Promise.race([lost, one.ended]).then(() => {
      isOver = true;
    });
    await turns();
    expect([isOver, one.text(), requests, proxy.connections]).toEqual([false, 'data: 1\n\n', 1, 2]);
    await proxy.heal();
    expect((await get()).ended).toBe('complete');
    streams[0]!.write('data: 3\n\n');
    await turns();
    expect([isOver, one.text()]).toEqual([false, 'data: 1\n\n']);
    await proxy.close();
    expect((await lost).ended).toBe('ECONNRESET');
  });

  test('a client that gives up on a black hole is let go', async () => {
    await proxy.mode('black-hole');
    const socket = await opened(proxy.port);
    while (proxy.connections === 0) await turns(1);
    socket.destroy();
    for (let turn = 0; turn < 1000 && proxy.connections > 0; turn++) await turns(1);
    expect(proxy.connections).toBe(0);
  });

  test('refuse has nobody listen, and the same port is back after it', async () => {
    const one = await stream();
    const { port } = proxy;
    await proxy.mode('refuse');
    expect(await one.ended).toBe('ECONNRESET');
    expect((await get()).ended).toBe('ECONNREFUSED');
    await proxy.heal();
    expect([(await get()).ended, proxy.port]).toEqual(['complete', port]);
  });

  test('slow lets bytes trickle, in their order, and gives the rest at once when it is healed', async () => {
    await proxy.mode('slow');
    const slow = get();
    const socket = await opened(proxy.port);
    const first = new Promise<Buffer>((resolve) => socket.once('data', resolve));
    socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    // 64 bytes a second in ticks of 50 ms: three at a time.
    expect((await first).length).toBeLessThan(8);
    socket.destroy();
    await proxy.heal();
    expect(await slow).toEqual({ ended: 'complete', text: body });
  });

  test('half-frame cuts a body in its middle, and the next event of a stream', async () => {
    const one = await stream();
    await proxy.mode('half-frame');
    const half = await get();
    expect(half.ended).toBe('aborted');
    expect(half.text.length).toBeGreaterThan(0);
    expect(body.startsWith(half.text) && half.text.length < body.length).toBe(true);
    streams[0]!.write('data: 2\n\n');
    expect(await one.ended).toBe('ECONNRESET');
    expect(one.text().length).toBeLessThan('data: 1\n\ndata: 2\n\n'.length);
  });

  test('a server that is gone looks as it does without the proxy: the connection is lost', async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    expect((await get()).ended).toBe('ECONNRESET');
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });

  test('holds no more connections than it was told, and counts those that came', async () => {
    const small = await openFaultProxy({ port: (server.address() as AddressInfo).port, maxConnections: 2 });
    await small.mode('black-hole');
    const held = [await opened(small.port), await opened(small.port)];
    const third = connect(small.port, '127.0.0.1');
    const lost = new Promise((resolve) => third.on('error', (error: NodeJS.ErrnoException) => resolve(error.code)));
    expect(await lost).toBe('ECONNRESET');
    expect([small.connections, small.accepted]).toEqual([2, 3]);
    for (const socket of held) socket.on('error', () => {});
    await small.close();
  });

  test('takes changes of mode one after another, however fast they come', async () => {
    await Promise.all([proxy.mode('refuse'), proxy.heal(), proxy.mode('refuse'), proxy.mode('drop'), proxy.heal()]);
    expect((await get()).ended).toBe('complete');
  });

  test('leaves no socket, timer or listener behind, whatever was going on', async () => {
    const port = (server.address() as AddressInfo).port;
    const left = await leftBehindBy(async () => {
      for (const mode of ['pass', 'black-hole', 'slow', 'half-frame', 'refuse'] as const) {
        const other = await openFaultProxy({ port });
        const socket = await opened(other.port);
        socket.on('error', () => {}).resume();
        socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
        await turns(5);
        await other.mode(mode);
        await Promise.all([other.close(), other.close()]);
        await other.mode('pass');
        expect(other.connections).toBe(0);
        socket.destroy();
      }
      server.closeAllConnections();
    });
    expect(left).toEqual([]);
  });
});
