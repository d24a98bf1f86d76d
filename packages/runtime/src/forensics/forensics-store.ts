// forensics-store.ts: the port behind which the bundles of terminated sessions are kept.

export interface ForensicsStore {
  /** Keeps the text as it is, byte for byte: its digest is in the receipt. What was there before is replaced. */
  writeBundle(session: string, text: string): Promise<void>;
  /** `undefined` where there is none. Rejects when it cannot be read. */
  readBundle(session: string): Promise<string | undefined>;
}
