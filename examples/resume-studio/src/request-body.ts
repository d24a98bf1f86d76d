// request-body.ts: the body of a request to one of the studio's servers, of a bounded size.

import type { IncomingMessage } from 'node:http';

/** The whole body; undefined when it is larger: the rest is read and dropped, so that the answer arrives. */
export async function bodyOf(request: IncomingMessage, atMostBytes: number): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes <= atMostBytes) parts.push(part);
  }
  return bytes > atMostBytes ? undefined : Buffer.concat(parts);
}
