// mail-account.ts: what a process of the studio needs to send letters: where they are posted, and who lends the right to it.

import { oauthBroker } from '@offswitch/oauth';
import { type CredentialBroker, currentCall } from 'offswitch';
import { StudioError } from '../documents-error.ts';
import type { OutboxLine } from '../tools-files.ts';
import { sendScope } from './letter.ts';

/** Under these names in the environment. */
export type MailEnv = Readonly<Record<(typeof names)[number], string>>;
const names = [
  'STUDIO_MAIL_URL',
  'STUDIO_MAIL_ISSUER',
  'STUDIO_MAIL_CLIENT',
  'STUDIO_MAIL_SECRET',
  'STUDIO_MAIL_SEALING',
] as const;

export interface MailAccount {
  /** For the runtime, under the name of `broker`. */
  readonly brokers: Readonly<Record<string, CredentialBroker>>;
  /** Sends it with that token. Rejects with `mail_refused` where the server does not take it. */
  post(line: OutboxLine, token: string, signal: AbortSignal | undefined): Promise<void>;
}

const broker = 'mail';

/** Undefined where the environment names no mail server. */
export function mailEnvOf(env: Readonly<Record<string, string | undefined>>): MailEnv | undefined {
  if (!env.STUDIO_MAIL_URL) return undefined;
  return Object.fromEntries(names.map((name) => [name, env[name] ?? ''])) as MailEnv;
}

export function mailAccount(env: MailEnv): MailAccount {
  const mail = oauthBroker({
    issuer: env.STUDIO_MAIL_ISSUER,
    clientId: env.STUDIO_MAIL_CLIENT,
    clientSecret: env.STUDIO_MAIL_SECRET,
    sealingSecret: env.STUDIO_MAIL_SEALING,
    // For the server's own records: whom it lent what.
    parameters: ({ path }) => ({ session: path.at(-1) ?? '' }),
    allowHttp: new URL(env.STUDIO_MAIL_ISSUER).hostname === '127.0.0.1',
  });
  return {
    brokers: { [broker]: mail },
    async post(line, token, signal) {
      const response = await fetch(env.STUDIO_MAIL_URL, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(line),
        signal: signal ?? null,
      });
      const why = await response.text();
      if (response.status !== 202)
        throw new StudioError('mail_refused', `the mail server refused ${line.letter}: ${response.status} ${why}`);
    },
  };
}

/** The right to send, for the session whose call this is: lent in the moment of use, and taken back when the session is stopped. */
export async function sendToken(): Promise<string> {
  const call = currentCall();
  if (!call)
    throw new StudioError('mail_refused', 'a letter was to be sent outside of every call, for which nobody lends a token');
  return (await call.grant(broker, { scope: [sendScope] })).secret;
}
