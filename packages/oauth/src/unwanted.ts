// unwanted.ts: tokens that the server gave and nobody was lent: revoked at once, and again until the server has taken it.
//
// No record names them, so nobody else would. They are in memory only: those of a process that dies before run out by themselves.

import { answerOf } from './answer.ts';
import type { Server } from './server.ts';

/** The first pause between two tries; it doubles. Milliseconds. */
const firstPauseMs = 250;
/** The longest. Milliseconds. */
const longestPauseMs = 30_000;

export class Unwanted {
  private readonly server: Server;
  private readonly tokens = new Set<string>();
  private pauseMs = firstPauseMs;
  private timer: NodeJS.Timeout | undefined;
  private isClosed = false;

  constructor(server: Server) {
    this.server = server;
  }

  /** Revokes them; what could not be had is tried again by itself. */
  async drop(tokens: readonly string[]): Promise<void> {
    for (const token of tokens) this.tokens.add(token);
    await this.retry();
  }

  /** Tries what is left. True when nothing is. */
  async retry(): Promise<boolean> {
    await Promise.all([...this.tokens].map((token) => this.revoke(token)));
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.tokens.size === 0) {
      this.pauseMs = firstPauseMs;
      return true;
    }
    if (!this.isClosed) this.timer = setTimeout(() => this.later(), this.pauseMs).unref();
    return false;
  }

  /** Tries once more, and then no more. */
  async close(): Promise<void> {
    this.isClosed = true;
    await this.retry();
  }

  private later(): void {
    this.pauseMs = Math.min(longestPauseMs, 2 * this.pauseMs);
    void this.retry();
  }

  private async revoke(token: string): Promise<void> {
    try {
      await this.server.revoke(token);
    } catch (error) {
      // A server that says no will say it again.
      if (!answerOf(error, 0).isRefusal) return;
    }
    this.tokens.delete(token);
  }
}
