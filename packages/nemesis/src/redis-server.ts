// redis-server.ts: a real Redis of the run's own, on loopback, that can be killed and started again on what it left.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { createClient } from 'redis';

export class RedisServer {
  readonly port: number;
  private readonly folder: string;
  private child: ChildProcess | undefined;

  private constructor(port: number, folder: string) {
    this.port = port;
    this.folder = folder;
  }

  static async open(folder: string): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), folder);
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    // An AOF that is written with every command survives kill -9 whatever is flushed; only a loss of power needs more.
    const args = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.folder, '--appendonly', 'yes', '--save', ''];
    const child = spawn('redis-server', args, { stdio: 'ignore' });
    this.child = child;
    const failed = once(child, 'error').then(([error]) => Promise.reject(error as Error));
    failed.catch(() => {});
    await Promise.race([failed, this.ask(['PING'], 100)]);
  }

  async kill(): Promise<void> {
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  freeze(): void {
    this.child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.child?.kill('SIGCONT');
  }

  /** One command on a connection of its own, tried until the server answers. */
  async ask(command: readonly string[], tries = 1): Promise<unknown> {
    for (let i = 0; ; i++) {
      const client = createClient({ url: this.url, socket: { reconnectStrategy: false, connectTimeout: 1_000 } });
      client.on('error', () => {});
      try {
        await client.connect();
        const answer = await client.sendCommand([...command]);
        client.destroy();
        return answer;
      } catch (error) {
        if (client.isOpen) client.destroy();
        if (i + 1 >= tries) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}
