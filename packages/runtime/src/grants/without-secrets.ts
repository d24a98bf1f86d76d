// without-secrets.ts: what a broker says in words, without the secrets it was said about: backends repeat what they were sent.

/** `text` with `***` in the place of each of these. For brokers too: what they answer in words is written down, shown and logged. */
export function withoutSecrets(text: string, secrets: readonly (string | undefined)[]): string {
  let told = text;
  for (const secret of secrets) if (secret) told = told.replaceAll(secret, '***').replaceAll(encodeURIComponent(secret), '***');
  return told;
}
