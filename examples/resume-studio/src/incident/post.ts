// post.ts: the post office: each letter asks it how long sending takes, before and after it is out (pace.ts).

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Occasion } from '../tools-time.ts';
import type { Brake } from './brake.ts';

export interface Post {
  readonly url: string;
  close(): Promise<void>;
}

export async function openPost(brake: Brake): Promise<Post> {
  const server = createServer((request, response) => {
    const gone = new AbortController();
    response.on('error', () => undefined);
    response.once('close', () => gone.abort(new Error('the sender went away')));
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const asked = JSON.parse(Buffer.concat(parts).toString('utf8')) as Occasion & { readonly ms: number };
      brake.delay(asked.ms, gone.signal, asked).then(
        () => response.end('go on'),
        () => response.destroy(),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
