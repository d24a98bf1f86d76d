// local-mail.ts: starts the mail server of this machine, in a process of its own: it is nobody's part, and outlives no studio.

import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { StudioError } from '../documents-error.ts';
import type { MailEnv } from './mail-account.ts';

const program = fileURLToPath(new URL('./mail-process.js', import.meta.url));

export type FromMail =
  | {
      readonly type: 'open';
      readonly url: string;
      readonly issuer: string;
      readonly clientId: string;
      readonly clientSecret: string;
    }
  /** The right to send was lent to a session. */
  | { readonly type: 'lent'; readonly session: string; readonly token: string }
  /** A letter came in: 202 where it was taken. */
  | { readonly type: 'letter'; readonly letter: string; readonly status: number };

export interface LocalMail {
  /** What a process needs in its environment to send letters. */
  readonly env: MailEnv;
  close(): Promise<void>;
}

export interface LocalMailOptions {
  /** One line per letter taken. */
  readonly outbox: string;
  /** A file with the secret under which tokens are sealed in the store, made where there is none: who comes after a crash can revoke them. */
  readonly secretFile: string;
  readonly onMessage?: (message: Exclude<FromMail, { type: 'open' }>) => void;
}

/** Rejects with `local_failed` where it does not come up, and `write_failed` where its secret cannot be kept. */
export async function startLocalMail({ outbox, secretFile, onMessage }: LocalMailOptions): Promise<LocalMail> {
  const sealing = sealingSecret(secretFile);
  // In a group of its own, and silent: the provider warns of what matters on other networks than the loopback.
  const child = fork(program, [outbox], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], detached: true });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (part: string) => {
    said = (said + part).slice(-2_000);
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const opened = await new Promise<Extract<FromMail, { type: 'open' }>>((resolve, reject) => {
    child.once('error', reject);
    void gone.then(() => reject(new StudioError('local_failed', `the mail server did not start: ${said.trim()}`)));
    child.on('message', (message: FromMail) => (message.type === 'open' ? resolve(message) : onMessage?.(message)));
  });
  for (const one of [child, child.channel, child.stderr] as ({ unref?(): void } | null)[]) one?.unref?.();
  return {
    env: {
      STUDIO_MAIL_URL: opened.url,
      STUDIO_MAIL_ISSUER: opened.issuer,
      STUDIO_MAIL_CLIENT: opened.clientId,
      STUDIO_MAIL_SECRET: opened.clientSecret,
      STUDIO_MAIL_SEALING: sealing,
    },
    async close() {
      child.ref();
      if (child.connected) child.disconnect();
      await gone;
    },
  };
}

function sealingSecret(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    const secret = randomBytes(32).toString('base64url');
    try {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, `${secret}\n`, { mode: 0o600 });
    } catch (error) {
      throw new StudioError('write_failed', `could not write ${path}`, { cause: error });
    }
    return secret;
  }
}
