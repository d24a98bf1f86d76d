// mail-server.ts: `POST /letters`: takes a letter from whoever has a token that works now, and says so; asks the authorization server about it
// each time (RFC 7662), so that a revocation counts at once. It knows nothing of agents, sessions or switches.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { bodyOf } from '../request-body.ts';
import { appendLine } from '../tools-files.ts';
import type { Client } from './authorization-server.ts';
import { letterSchema, postmaster, sendScope } from './letter.ts';

export interface MailServer {
  /** Where letters are posted. */
  readonly url: string;
  close(): Promise<void>;
}

export interface MailServerOptions {
  readonly issuer: string;
  /** As whom it asks the issuer. */
  readonly client: Client;
  /** One line per letter taken. */
  readonly outbox: string;
  readonly onLetter: (letter: string, status: number) => void;
}

const maxLetterBytes = 65_536;
/** How long the issuer may take to say whether a token works. Milliseconds. */
const askWithinMs = 4_000;

export async function openMailServer({ issuer, client, outbox, onLetter }: MailServerOptions): Promise<MailServer> {
  /** Undefined where it can not be found out. */
  const scopeOf = async (token: string): Promise<readonly string[] | undefined> => {
    try {
      const response = await fetch(`${issuer}/token/introspection`, {
        method: 'POST',
        body: new URLSearchParams({ token, client_id: client.id, client_secret: client.secret }),
        signal: AbortSignal.timeout(askWithinMs),
      });
      if (!response.ok) return undefined;
      const { active, scope = '' } = (await response.json()) as { readonly active: boolean; readonly scope?: string };
      return active ? scope.split(' ') : [];
    } catch {
      return undefined;
    }
  };
  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const text = (await bodyOf(incoming, maxLetterBytes))?.toString('utf8');
    if (incoming.method !== 'POST' || incoming.url !== '/letters') return void outgoing.writeHead(404).end();
    const line = letterSchema.safeParse(parsed(text));
    if (!line.success) return void outgoing.writeHead(text === undefined ? 413 : 400).end();
    const refuse = (status: number, why: string): void => {
      onLetter(line.data.letter, status);
      outgoing.writeHead(status, { 'www-authenticate': `Bearer error="${why}"` }).end(why);
    };
    const token = /^Bearer (\S+)$/.exec(incoming.headers.authorization ?? '')?.[1];
    if (token === undefined) return refuse(401, 'missing_token');
    const scope = await scopeOf(token);
    if (scope === undefined) return refuse(503, 'authorization_server_unreachable');
    if (scope.length === 0) return refuse(401, 'invalid_token');
    if (!scope.includes(sendScope)) return refuse(403, 'insufficient_scope');
    if (line.data.to !== postmaster) appendLine(outbox, JSON.stringify(line.data));
    onLetter(line.data.letter, 202);
    outgoing.writeHead(202).end();
  };
  const server = createServer((incoming, outgoing) => {
    outgoing.on('error', () => undefined);
    answer(incoming, outgoing).catch((error: unknown) => {
      if (outgoing.headersSent) outgoing.destroy();
      else outgoing.writeHead(500).end(error instanceof Error ? error.message : String(error));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/letters`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}
