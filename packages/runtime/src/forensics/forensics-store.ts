// forensics-store.ts: the port behind which the bundles of terminated sessions are kept.

export interface ForensicsStore {
  /**
   * Keeps the text as it is, byte for byte: its digest is in the receipt. What was there before is replaced. It survives the loss of the
   * process when it resolves; that of power it need not: there may be a hundred thousand at once, and a receipt tells of one that is gone.
   */
  writeBundle(session: string, text: string): Promise<void>;
  /** `undefined` where there is none. Rejects when it cannot be read. */
  readBundle(session: string): Promise<string | undefined>;
}
