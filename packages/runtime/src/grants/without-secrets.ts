// without-secrets.ts: what a broker says in words, without the secrets it was said about: backends repeat what they were sent.

import { messageOf } from '../error-text.ts';

/**
 * `text` with `***` in the place of each of these. For brokers too: what they answer in words is written down, shown and logged. Never throws:
 * what is no text is told as an error is, and nothing at all as no reason.
 */
export function withoutSecrets(text: unknown, secrets: readonly (string | undefined)[]): string {
  let told = messageOf(text ?? 'it gave no reason');
  // What a broker lends may be no text either.
  for (const secret of secrets.map((one) => messageOf(one ?? '')))
    if (secret !== '') for (const form of [secret, ...urlEncoded(secret)]) told = told.replaceAll(form, '***');
  return told;
}

/** As in the body of a form, and as in a path. */
function urlEncoded(text: string): readonly string[] {
  const inForm = new URLSearchParams({ '': text }).toString().slice(1);
  // Half a character is replaced in a form; `encodeURIComponent` throws at it.
  return [inForm, encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\ufffd'))];
}
