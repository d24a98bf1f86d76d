// mail-process.ts: the process of the mail server and of the authorization server that it trusts. It tells whoever started it what happens, and
// ends with it, however that was.

import { randomBytes } from 'node:crypto';
import { type Client, openAuthorizationServer } from './authorization-server.ts';
import type { FromMail } from './local-mail.ts';
import { openMailServer } from './mail-server.ts';

const tell = (message: FromMail): void => {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
};
// A signal at the whole group (Ctrl-C in a terminal) is the studio's to answer: its agents finish their turns first.
process.on('SIGINT', () => undefined).on('SIGTERM', () => undefined);
process.once('disconnect', () => process.exit(0));

const [outbox = ''] = process.argv.slice(2);
const client = (id: string): Client => ({ id, secret: randomBytes(24).toString('base64url') });
const [agents, mailServer] = [client('studio'), client('mail-server')];
const authorization = await openAuthorizationServer({
  agents,
  mailServer,
  onLent: (session, token) => tell({ type: 'lent', session, token }),
});
const mail = await openMailServer({
  issuer: authorization.issuer,
  client: mailServer,
  outbox,
  onLetter: (letter, status) => tell({ type: 'letter', letter, status }),
});
tell({ type: 'open', url: mail.url, issuer: authorization.issuer, clientId: agents.id, clientSecret: agents.secret });
