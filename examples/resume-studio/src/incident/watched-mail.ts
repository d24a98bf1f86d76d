// watched-mail.ts: the mail server of the incident, with a log of whom the right to send was lent, and of every letter that came in.

import { postmaster } from '../mail/letter.ts';
import { startLocalMail } from '../mail/local-mail.ts';
import type { MailEnv } from '../mail/mail-account.ts';

export interface WatchedMail {
  readonly env: MailEnv;
  /** The last token lent to a session. */
  tokenOf(session: string): string | undefined;
  /** What the server answered to each letter, in order: 202 where it took it. */
  readonly log: readonly { readonly letter: string; readonly status: number }[];
  /** Sends a letter that goes nowhere with that token, as whoever has stolen it would, and resolves with the status. */
  send(token: string | undefined): Promise<number>;
  close(): Promise<void>;
}

export async function watchMail(outbox: string, secretFile: string): Promise<WatchedMail> {
  const tokens = new Map<string, string>();
  const log: { readonly letter: string; readonly status: number }[] = [];
  const mail = await startLocalMail({
    outbox,
    secretFile,
    onMessage: (message) => {
      switch (message.type) {
        case 'lent':
          return void tokens.set(message.session, message.token);
        case 'letter':
          return void log.push({ letter: message.letter, status: message.status });
      }
    },
  });
  return {
    env: mail.env,
    tokenOf: (session) => tokens.get(session),
    log,
    async send(token) {
      const response = await fetch(mail.env.STUDIO_MAIL_URL, {
        method: 'POST',
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        body: JSON.stringify({ letter: 'a test', to: postmaster, subject: 'a test', at: new Date().toISOString(), key: null }),
        signal: AbortSignal.timeout(10_000),
      });
      await response.text();
      return response.status;
    },
    close: () => mail.close(),
  };
}
