// without-secrets.ts: what a broker says in words, without the secrets it was said about: backends repeat what they were sent.

import { messageOf } from '../error-text.ts';

/**
 * `text` with `***` in the place of each of these. For brokers too: what they answer in words is written down, shown and logged. Never throws:
 * what is no text is told as an error is, and nothing at all as no reason.
 */
export function withoutSecrets(text: unknown, secrets: readonly (string | undefined)[]): string {
  let told = messageOf(text ?? 'it gave no reason');
  for (const secret of secrets) if (secret) told = told.replaceAll(secret, '***').replaceAll(urlEncoded(secret), '***');
  return told;
}

/** As URLSearchParams does, where `encodeURIComponent` throws at half a character. */
function urlEncoded(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\ufffd'));
}
